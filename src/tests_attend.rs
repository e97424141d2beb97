//! Databases without threads: what is asked of the background is done when somebody calls for it.

#![cfg(not(any(loom, miri, target_arch = "wasm32")))]
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::backend::MemoryBackend;
use crate::{Db, Durability};

fn unsynced(db: &Db) -> bool {
    let log = db.stats().log;
    log.end_bytes > log.durable_bytes
}

#[test]
fn without_threads_one_thing_is_done_at_a_time() {
    let how = Db::builder().life(1).durability(Durability::Buffered).log_bytes(8 << 20);
    let db = how.open_backend(Arc::new(MemoryBackend::new())).expect("memory");
    assert!(!db.attend().expect("nothing to do"));
    let files = db.tree("files").expect("a tree");
    files.put("a", "1").expect("put");
    assert!(unsynced(&db), "nobody has done anything");
    assert!(db.attend().expect("a flush"), "the next segment is to be made ready");
    assert!(!unsynced(&db));
    assert!(!db.attend().expect("a segment"));
    let before = db.stats().checkpoints.count;
    for i in 0..5_000 {
        files.put(format!("b/{i}"), [7; 1000]).expect("put");
    }
    // The log has gone on to its second segment of two, so a checkpoint is due as well.
    assert!(db.attend().expect("a flush"), "more is to be done");
    assert!(!unsynced(&db));
    assert_eq!(db.stats().checkpoints.count, before);
    let mut turns = 0;
    while db.attend().expect("attend") {
        turns += 1;
    }
    assert!(turns >= 1 && db.stats().checkpoints.count > before);
    assert!(!db.attend().expect("nothing to do"));
}

#[test]
fn without_threads_a_failure_is_told_and_the_rest_goes_on() {
    let db = Db::memory();
    assert!(!db.attend().expect("there is nothing to store"));
    let db = Db::builder().life(1).open_backend(Arc::new(MemoryBackend::new())).expect("memory");
    db.tree("files").expect("a tree").with_durability(Durability::Buffered).put("a", "1").expect("put");
    db.forest().store.poison("by this test");
    let error = db.attend().expect_err("the log has failed");
    assert_eq!(error.code(), "Poisoned");
    assert!(!db.attend().expect("nothing is asked twice"));
}
