//! One writer or many readers, and nobody waits for a lock that is free.
//!
//! Invariants: as in the parent.
//!
//! Must not know: which call locks.

#![forbid(unsafe_code)]

use super::*;

/// Far less than a test may take, far more than opening does.
const AT_ONCE: Duration = Duration::from_millis(500);

#[test]
fn a_second_writer_is_refused_and_soon() {
    let folder = Folder::new();
    let first = open(&folder.db(), &auto());
    let start = Instant::now();
    let (kind, text) = open_error(&folder.db(), &auto());
    assert_eq!(kind, ErrorKind::WouldBlock);
    assert!(text.contains("x.spinney is open already, here or in another process (waited 20ms)"), "{text}");
    assert!((Duration::from_millis(20)..AT_ONCE).contains(&start.elapsed()), "{:?}", start.elapsed());
    drop(first);
}

#[test]
fn readers_share_and_writers_do_not() {
    let folder = Folder::new();
    let writer = open(&folder.db(), &auto());
    let (kind, text) = open_error(&folder.db(), &reader());
    assert_eq!(kind, ErrorKind::WouldBlock);
    assert!(text.contains("is open for writing"), "{text}");
    drop(writer);
    let readers: Vec<_> = (0..5).map(|_| open(&folder.db(), &reader())).collect();
    assert_eq!(open_error(&folder.db(), &auto()).0, ErrorKind::WouldBlock);
    drop(readers);
    drop(open(&folder.db(), &auto()));
}

#[test]
fn a_lock_is_free_at_once_after_a_drop() {
    let folder = Folder::new();
    let no_wait = FileOptions { lock_wait: Duration::ZERO, ..auto() };
    for _ in 0..30 {
        let backend = open(&folder.db(), &no_wait);
        backend.set_len(Area::Data, 8 * PAGE).unwrap();
        // Through a ring, which keeps the file open until the system gets round to it.
        let mut lease = backend.buffers().lease().unwrap();
        let op = |(buf, page)| ReadOp { area: Area::Data, offset_bytes: page * PAGE, buf };
        let mut batch: Vec<_> = lease.chunks_mut(PAGE_BYTES).zip(0..8).map(op).collect();
        backend.read(&mut batch).unwrap();
    }
}

#[test]
fn a_lock_is_waited_for() {
    let folder = Folder::new();
    let first = open(&folder.db(), &auto());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let options = FileOptions { lock_wait: Duration::from_secs(60), ..auto() };
            drop(open(&folder.db(), &options));
        });
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiter.is_finished());
        drop(first);
        waiter.join().unwrap();
    });
}

#[test]
fn who_waited_gets_the_file_that_is_there_now() {
    let folder = Folder::new();
    let first = open(&folder.db(), &auto());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let options = FileOptions { lock_wait: Duration::from_secs(60), ..auto() };
            open(&folder.db(), &options).len(Area::Data).unwrap()
        });
        std::thread::sleep(Duration::from_millis(30));
        let other = folder.0.join("other");
        fs::write(&other, vec![0; 3 * PAGE_BYTES]).unwrap();
        fs::rename(&other, folder.db()).unwrap();
        drop(first);
        assert_eq!(waiter.join().unwrap(), 3 * PAGE);
    });
}
