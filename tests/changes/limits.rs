//! How far back the log goes, what waiting costs, and how it ends.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use spinney::backend::MemoryBackend;
use spinney::{Changed, Db, Durability, Error, Version};

use crate::follower::Follower;

fn open(keep_changes_bytes: u64) -> Db {
    let how = Db::builder().log_bytes(8 << 20).keep_changes_bytes(keep_changes_bytes);
    how.open_backend(Arc::new(MemoryBackend::new())).unwrap()
}

/// Puts so many bytes, as values of 10,000.
fn put_bytes(db: &Db, bytes: u64) {
    let files = db.tree("files").unwrap().with_durability(Durability::Buffered);
    for number in 0..bytes / 10_000 {
        files.put(format!("{:03}", number % 500), vec![number as u8; 10_000]).unwrap();
    }
    db.sync().unwrap();
}

/// Whether all that was written in the last so many bytes of log is told.
fn goes_back(db: &Db, before: Version, follower: &mut Follower) -> bool {
    match db.changes_since(before) {
        Ok(_) => {
            follower.catch_up(db).unwrap();
            follower.assert_same(db);
            true
        }
        Err(Error::ChangesRecycled { since, oldest }) => {
            assert!(since < oldest);
            assert!(db.changes_since(Version::from_number(oldest)).unwrap().next().is_some());
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn so_much_of_the_log_is_kept_and_no_more() {
    for (keep_changes_bytes, written_bytes, is_kept) in
        [(0, 20 << 20, false), (40 << 20, 30 << 20, true), (40 << 20, 70 << 20, false)]
    {
        let db = open(keep_changes_bytes);
        put_bytes(&db, 30 << 20);
        let mut follower = Follower::copy_of(&db);
        let before = follower.version;
        put_bytes(&db, written_bytes);
        db.checkpoint().unwrap();
        let label = format!("{written_bytes} of {keep_changes_bytes}");
        assert_eq!(goes_back(&db, before, &mut follower), is_kept, "{label}");
        let stats = db.stats();
        assert!(stats.checkpoints.count > 5, "the log went round");
        assert_eq!(stats.log.segments_max, 2);
        assert!(stats.log.segments <= 2);
        assert!(u64::from(stats.log.kept_segments) <= keep_changes_bytes / (4 << 20));
    }
}

#[test]
fn waiting_ends_with_a_change_with_its_time_and_with_the_database() {
    let db = open(0);
    let files = db.tree("files").unwrap();
    let mut changes = db.changes_since(Version::from_number(1)).unwrap();
    let started = Instant::now();
    assert!(!changes.wait(Duration::from_millis(30)).unwrap());
    assert!(started.elapsed() >= Duration::from_millis(30));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut found = Vec::new();
            loop {
                match changes.wait(Duration::MAX) {
                    Ok(is_there) => assert!(is_there),
                    Err(error) => return (found, error),
                }
                found.extend(changes.by_ref().map(|change| change.unwrap().what));
            }
        });
        thread::sleep(Duration::from_millis(20));
        files.put("a", "1").unwrap();
        // One that nobody waits for is flushed all the same, and only then told.
        files.with_durability(Durability::Buffered).put("b", "2").unwrap();
        thread::sleep(Duration::from_millis(100));
        db.clone().close().unwrap();
        let (found, error) = waiter.join().unwrap();
        assert!(matches!(error, Error::Closed), "{error}");
        let keys = found.iter().map(|what| match what {
            Changed::Put { key, .. } => key[0],
            other => panic!("{other:?}"),
        });
        assert!(keys.eq(*b"ab"));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn waiting_takes_no_processor() {
    fn thread_ticks() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
    let db = open(0);
    db.tree("files").unwrap();
    let mut changes = db.changes_since(Version::from_number(1)).unwrap();
    let before = thread_ticks();
    assert!(!changes.wait(Duration::from_secs(1)).unwrap());
    assert!(thread_ticks() - before <= 2, "of a hundred ticks");
}

#[test]
fn what_is_not_durable_is_not_told() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().durability(Durability::Buffered).open_backend(backend).unwrap();
    let files = db.tree("files").unwrap();
    db.sync().unwrap();
    let mut changes = db.changes_since(Version::from_number(1)).unwrap();
    let mut told = 0;
    for number in 0..200_000u64 {
        files.put(format!("{number}"), "").unwrap();
        if number % 64 == 0 {
            let durable_bytes = db.stats().log.durable_bytes;
            told += changes.by_ref().count() as u64;
            // A record takes 56 bytes or more.
            let may_be_durable = db.stats().log.durable_bytes;
            assert!(told * 56 <= may_be_durable, "{told} at {durable_bytes}");
        }
    }
    db.sync().unwrap();
    told += changes.by_ref().count() as u64;
    assert_eq!(told, 200_000);
    assert_eq!(changes.version().number(), db.stats().last_version);
}
