//! Batches of a hundred thousand steps, and of as many bytes as there may be.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::MemoryBackend;
use spinney::{Db, Error, Tree};

use crate::common::Random;
use crate::{Model, contents};

const STEPS: usize = 100_000;

/// Keys in order, the other way round, and in no order.
fn key(order: usize, number: usize, random: &mut Random) -> String {
    match order {
        0 => format!("photos/2026/{:06}.jpg", number),
        1 => format!("photos/2026/{:06}.jpg", STEPS - number),
        _ => format!("{:016x}/{number}", random.next()),
    }
}

fn fill(db: &Db, tree: &Tree, order: usize) -> Model {
    let mut random = Random::new(order as u64);
    let (mut batch, mut model) = (db.batch(), Model::new());
    for number in 0..STEPS {
        let (key, value) = (key(order, number, &mut random), vec![number as u8; 80]);
        batch.put(tree, &key, &value);
        model.insert(key.into_bytes(), value);
    }
    assert!(batch.commit().unwrap().iter().all(Option::is_some));
    assert_eq!(batch.len(), 0);
    model
}

#[test]
fn a_hundred_thousand_puts_into_an_empty_tree() {
    for order in 0..3 {
        let db = Db::memory();
        let tree = db.tree("t").unwrap();
        let model = fill(&db, &tree, order);
        assert!(contents(&tree) == model, "order {order}");
        assert!(db.check().unwrap().is_clean());
        let fill = db.stats().fill();
        println!("order {order}: fill {fill:.3}");
        assert!(fill > 0.85, "order {order}: {fill}");
        let mut batch = db.batch();
        for key in model.keys() {
            batch.remove(&tree, key);
        }
        batch.commit().unwrap();
        assert!(tree.is_empty().unwrap() && db.check().unwrap().is_clean());
    }
}

/// The same where the batch does not fit one record of the log, and again after opening.
#[test]
fn a_hundred_thousand_puts_into_storage() {
    let backend = Arc::new(MemoryBackend::new());
    // The log holds less than the batch has, and so does the cache.
    let options = Db::builder().log_bytes(8 << 20).cache_bytes(4 << 20);
    let db = options.clone().open_backend(backend.clone()).unwrap();
    let tree = db.tree("t").unwrap();
    let model = fill(&db, &tree, 2);
    assert!(contents(&tree) == model);
    // Space in the log is free again: batches may follow each other.
    for _ in 0..3 {
        let mut batch = db.batch();
        for key in model.keys() {
            batch.put(&tree, key, [1; 80]);
        }
        batch.commit().unwrap();
        tree.put("single", "x").unwrap();
        tree.remove("single").unwrap();
    }
    // One that is refused leaves its parts in the log, and nothing else.
    for _ in 0..3 {
        let mut batch = db.batch();
        for key in model.keys() {
            batch.put(&tree, key, [2; 90]);
        }
        let refused = batch.expect_absent(&tree, model.keys().next().unwrap()).commit();
        assert!(matches!(refused, Err(Error::BatchRefused { index: STEPS, .. })));
    }
    let model: Model = model.into_keys().map(|key| (key, vec![1; 80])).collect();
    assert!(contents(&tree) == model);
    db.close().unwrap();
    let db = options.open_backend(backend).unwrap();
    assert!(contents(&db.tree("t").unwrap()) == model);
    assert!(db.check().unwrap().is_clean());
}

#[test]
fn sixteen_mebibytes_and_no_more() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().log_bytes(8 << 20).open_backend(backend).unwrap();
    let tree = db.tree("t").unwrap();
    let mut batch = db.batch();
    for number in 0..255 {
        batch.put(&tree, format!("{number:03}"), [3; 65_535]);
    }
    batch.commit().unwrap();
    assert_eq!(tree.scan("").keys().count(), 255);
    for number in 0..256 {
        batch.put(&tree, format!("{number:03}"), [4; 65_535]);
    }
    let refused = batch.commit();
    let Err(Error::BatchTooLarge { encoded_bytes, limit_bytes }) = refused else { panic!("{refused:?}") };
    assert!(encoded_bytes > limit_bytes && limit_bytes == 16 << 20);
    assert_eq!(tree.get("000").unwrap().as_deref(), Some(&[3; 65_535][..]));
    // What is moved counts as well: it has to be kept in memory.
    let mut batch = db.batch();
    for number in 0..255 {
        batch.rename(&tree, format!("{number:03}"), format!("moved/{number:03}"));
    }
    batch.rename(&tree, "moved/000", "moved/a").rename(&tree, "moved/001", "moved/b");
    assert!(matches!(batch.commit(), Err(Error::BatchTooLarge { .. })));
    assert_eq!(tree.scan("moved").count(), 0);
    assert!(db.check().unwrap().is_clean());
}
