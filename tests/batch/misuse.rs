//! What must not be done with a batch, and what comes of it: a clear error, and nothing applied.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::MemoryBackend;
use spinney::{Batch, Db, Error, Tree};

/// Commits twice: an error is no accident.
fn assert_refused(mut batch: Batch, tree: &Tree, code: &str) {
    for _ in 0..2 {
        let error = batch.commit().expect_err(code);
        assert_eq!(error.code(), code, "{error}");
        assert!(tree.is_empty().unwrap());
    }
}

fn batch_with(db: &Db, add: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = db.batch();
    add(&mut batch);
    batch
}

#[test]
fn every_misuse_has_its_own_error() {
    let (db, other) = (Db::memory(), Db::memory());
    let (tree, stranger) = (db.tree("t").unwrap(), other.tree("t").unwrap());
    let long = vec![b'k'; 65_001];
    let refuse = |code: &str, add: &dyn Fn(&mut Batch) -> &mut Batch| {
        let batch = batch_with(&db, |batch| {
            batch.put(&tree, "first", "");
            add(batch);
            batch.put(&tree, "last", "");
        });
        assert_refused(batch, &tree, code);
    };
    refuse("KeyTooLong", &|batch| batch.put(&tree, &long, ""));
    refuse("KeyTooLong", &|batch| batch.remove(&tree, &long));
    refuse("KeyTooLong", &|batch| batch.rename(&tree, "a", &long));
    refuse("KeyTooLong", &|batch| batch.expect_absent(&tree, &long));
    refuse("KeyTooLong", &|batch| batch.expect_empty(&tree, &long));
    refuse("ValueTooLarge", &|batch| batch.put(&tree, "a", vec![0; spinney::VALUE_BYTES_MAX + 1]));
    refuse("OtherDatabase", &|batch| batch.put(&stranger, "a", ""));
    refuse("OtherDatabase", &|batch| batch.expect_empty(&stranger, ""));
    assert!(stranger.is_empty().unwrap());
}

#[test]
fn conditions_that_do_not_hold_are_named() {
    let db = Db::memory();
    let (tree, seen) = (db.tree("t").unwrap(), db.tree("seen").unwrap());
    let version = seen.put("there", "1").unwrap();
    let newer = seen.put("there", "2").unwrap();
    let refuse = |words: &str, add: &dyn Fn(&mut Batch) -> &mut Batch| {
        let mut batch = batch_with(&db, |batch| {
            batch.put(&tree, "first", "");
        });
        add(&mut batch);
        let error = batch.commit().expect_err(words);
        assert!(matches!(error, Error::BatchRefused { index: 1, .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(tree.is_empty().unwrap());
    };
    refuse("exists", &|batch| batch.expect_absent(&seen, "there"));
    refuse("exists", &|batch| batch.put_if_absent(&seen, "there", ""));
    refuse("exists", &|batch| batch.put_if_absent(&tree, "first", ""));
    refuse("does not exist", &|batch| batch.expect_present(&seen, "missing"));
    refuse("that version", &|batch| batch.expect_version(&seen, "there", version));
    refuse("that version", &|batch| batch.compare_and_put(&seen, "there", version, ""));
    refuse("that version", &|batch| batch.remove_if(&seen, "there", version));
    refuse("that version", &|batch| batch.remove_if(&seen, "missing", newer));
    refuse("begins with the prefix", &|batch| batch.expect_empty(&seen, "th"));
    refuse("begins with the prefix", &|batch| batch.expect_empty(&tree, "fi"));
    seen.put("taken", "").unwrap();
    refuse("target", &|batch| batch.rename(&seen, "there", "taken"));
    db.batch().expect_version(&seen, "there", newer).expect_empty(&tree, "").commit().unwrap();
}

#[test]
fn where_nothing_can_be_written_nothing_is() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    let tree = db.tree("t").unwrap();
    let mut batch = db.batch();
    batch.put(&tree, "a", "1");
    db.close().unwrap();
    assert!(matches!(batch.commit(), Err(Error::Closed)));
    let large = vec![0; 60_000];
    for number in 0..30 {
        batch.put(&tree, [number], &large);
    }
    assert!(matches!(batch.commit(), Err(Error::Closed)));
    drop((tree, batch));
    let db = Db::builder().read_only(true).open_backend(backend).unwrap();
    let tree = db.tree("t").unwrap();
    assert!(matches!(db.batch().put(&tree, "a", "").commit(), Err(Error::ReadOnly)));
    assert_eq!(db.batch().expect_absent(&tree, "a").commit().unwrap(), [None]);
    assert_eq!(db.batch().commit().unwrap(), []);
}
