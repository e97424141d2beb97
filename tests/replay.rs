//! What opening after a crash reads: of a database of which nothing is in memory, many pages at a time.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use spinney::backend::sim::{Crash, FaultBackend};
use spinney::backend::{Area, Backend, BlobBufPool, ReadOp, RingMemory, WriteOp};
use spinney::{Db, Durability, Options};

const KEYS: usize = 30_000;
const UPDATES: usize = 400;

/// Counts reads of the data area, and what was read together.
struct Counting {
    disk: Arc<FaultBackend>,
    calls: AtomicUsize,
    runs: AtomicUsize,
}

impl Backend for Counting {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.disk.len(area)
    }
    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        self.disk.set_len(area, bytes)
    }
    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        let of_data = batch.iter().filter(|op| op.area == Area::Data).count();
        self.runs.fetch_add(of_data, Relaxed);
        self.calls.fetch_add(usize::from(of_data > 0), Relaxed);
        self.disk.read(batch)
    }
    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        self.disk.write(batch)
    }
    fn sync(&self, area: Area) -> io::Result<()> {
        self.disk.sync(area)
    }
    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        self.disk.ring(fresh)
    }
    fn remove_side_files(&self) -> io::Result<()> {
        self.disk.remove_side_files()
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }
    fn buffers(&self) -> &BlobBufPool {
        self.disk.buffers()
    }
}

fn key(number: usize) -> String {
    let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("tenant-{}/{:016x}", mixed % 50, mixed)
}

fn options() -> Options {
    Db::builder().durability(Durability::Buffered).log_bytes(32 << 20).cache_bytes(256 << 20).repeatable(1)
}

/// The updated key; the values of updates are longer than those before.
fn updated(nth: usize) -> usize {
    nth * 7_919 % KEYS
}

#[test]
fn what_the_log_touches_is_read_together() {
    let disk = FaultBackend::new(1);
    disk.forget();
    let db = options().open_backend(disk.clone()).unwrap();
    let files = db.tree("files").unwrap();
    for number in 0..KEYS {
        files.put(key(number), [1; 100]).unwrap();
    }
    drop(files);
    db.close().unwrap();
    let db = options().open_backend(disk.clone()).unwrap();
    let files = db.tree("files").unwrap();
    for nth in 0..UPDATES {
        match nth % 10 {
            9 => files.remove(key(updated(nth))).map(drop).unwrap(),
            _ => files.put(key(updated(nth)), [2; 120]).map(drop).unwrap(),
        }
    }
    disk.crash();
    drop(files);
    drop(db);

    let disk = disk.restart(Crash::Death);
    let counting = Arc::new(Counting { disk, calls: AtomicUsize::new(0), runs: AtomicUsize::new(0) });
    let db = options().open_backend(counting.clone()).unwrap();
    let (calls, runs) = (counting.calls.load(Relaxed), counting.runs.load(Relaxed));
    println!("{UPDATES} writes done again with {runs} reads, {calls} times");
    assert!(runs > 100, "{runs} reads: most is in memory, and nothing is shown");
    assert!(calls * 6 < runs, "{runs} reads, {calls} times");
    let files = db.tree("files").unwrap();
    let mut expected = vec![Some(vec![1; 100]); KEYS];
    for nth in 0..UPDATES {
        expected[updated(nth)] = (nth % 10 != 9).then(|| vec![2; 120]);
    }
    for (number, value) in expected.iter().enumerate() {
        assert_eq!(files.get(key(number)).unwrap().as_deref(), value.as_deref(), "{number}");
    }
    assert!(db.check().unwrap().is_clean());
}
