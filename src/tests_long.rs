//! Long values in blobs of every size: what comes back, what is left behind, and what is counted.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use crate::db::Db;
use crate::error::Error;
use crate::forest::Shape;
use crate::tree::Tree;
use crate::{SHORT_VALUE_BYTES_MAX, VALUE_BYTES_MAX, Version};

fn value(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7 + at * at / 4096 + seed * 31) as u8).collect()
}

/// Keys of all blobs: of users, names of trees, parts and marks.
fn stored_keys(db: &Db) -> u64 {
    db.blobs().expect("sound").iter().map(|blob| u64::from(blob.keys)).sum()
}

fn assert_sound(db: &Db) {
    let report = db.check().expect("reads");
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[test]
fn values_of_every_length_come_back() {
    let db = Db::memory();
    let tree = db.tree("files").expect("a name");
    let part = 64_520;
    let lengths =
        [0, 65_534, 65_535, 65_536, 2 * part - 1, 2 * part, 2 * part + 1, 8 * part, 1 << 20, 3_000_001];
    let mut out = Vec::new();
    for (at, bytes) in lengths.into_iter().enumerate() {
        let key = format!("k{at}");
        let version = tree.put(&key, value(at, bytes)).expect("room");
        let found = tree.get(&key).expect("sound").expect("was put");
        assert!(*found == *value(at, bytes), "{bytes} bytes");
        assert_eq!(found.version(), version);
        assert_eq!(tree.get_into(&key, &mut out).expect("sound"), Some(version));
        assert!(out == value(at, bytes), "{bytes} bytes");
        assert_eq!(tree.value_bytes(&key).expect("sound"), Some(bytes));
        assert!(tree.contains(&key).expect("sound"));
    }
    let stats = db.stats();
    assert_eq!((tree.count("").expect("sound"), stats.keys, stats.long_values), (10, 10, 7));
    assert_eq!(db.trees().expect("sound"), ["files"]);
    assert_sound(&db);
    let keys: Vec<String> = (0..12).map(|at| format!("k{at}")).collect();
    let many = tree.get_many(&keys).expect("sound");
    for (at, bytes) in lengths.into_iter().enumerate() {
        assert!(many[at].as_deref() == Some(&value(at, bytes)), "{bytes} bytes");
    }
    assert!(many[10].is_none() && many[11].is_none());
    let pairs: Vec<_> = tree.scan("").map(|pair| pair.expect("sound")).collect();
    assert!(pairs.iter().zip(lengths).enumerate().all(|(at, (pair, bytes))| *pair.1 == *value(at, bytes)));
    let back: Vec<_> = tree.scan("").rev().map(|pair| pair.expect("sound")).collect();
    assert!(pairs.iter().eq(back.iter().rev()));
    assert_eq!(tree.list("").count(), 10);
    assert!(*tree.longest_prefix("k9/more").expect("sound").expect("k9").1 == *value(9, 3_000_001));
    assert!(*tree.last().expect("sound").expect("k9").1 == *value(9, 3_000_001));
}

#[test]
fn the_longest_value_comes_back_and_a_longer_one_is_refused() {
    let db = Db::memory();
    let tree = db.tree("files").expect("a name");
    let longest = value(1, VALUE_BYTES_MAX);
    tree.put("a", &longest).expect("room");
    assert!(*tree.get("a").expect("sound").expect("was put") == *longest);
    let fill = db.stats().fill();
    assert!(fill > 0.97, "{fill}");
    let longer = vec![0; VALUE_BYTES_MAX + 1];
    assert!(matches!(tree.put("b", &longer), Err(Error::ValueTooLarge { .. })));
    assert!(matches!(db.batch().put(&tree, "b", &longer).commit(), Err(Error::ValueTooLarge { .. })));
    assert!(matches!(db.transact(|tx| tx.put(&tree, "b", &longer)), Err(Error::ValueTooLarge { .. })));
    assert_eq!(stored_keys(&db), 2 + longest.len().div_ceil(64_520) as u64);
    assert!(tree.remove("a").expect("sound").is_some());
    assert_eq!((stored_keys(&db), db.stats().range_blobs), (1, 1));
    assert_sound(&db);
}

/// A name, and how the value of `a` goes.
type Way<'w> = (&'w str, &'w dyn Fn() -> bool);

fn with_one_long_value() -> (Db, Tree) {
    let db = Db::memory();
    let tree = db.tree("files").expect("a name");
    tree.put("stays", value(1, 300_000)).expect("room");
    (db, tree)
}

/// Puts a long value, and takes it away in each of these ways.
fn assert_each_leaves_nothing(db: &Db, tree: &Tree, ways: &[Way<'_>]) {
    let long = value(1, 300_000);
    let before = (stored_keys(db), db.stats().range_blobs);
    for (name, way) in ways {
        tree.put("a", &long).expect("room");
        assert!(way(), "{name}");
        assert_eq!((stored_keys(db), db.stats().range_blobs), before, "{name}");
        assert_sound(db);
        assert!(*tree.get("stays").expect("sound").expect("stays") == *long, "{name}");
    }
    assert_eq!(db.trees().expect("sound"), ["files"]);
}

#[test]
fn loads_bring_long_values_into_blobs_of_every_size() {
    for range_words in [9_000, 20_000, Shape::default().range_words] {
        let db = Db::with_shape(Shape { range_words, ..Shape::default() });
        let tree = db.tree("files").expect("a name");
        tree.put("stays", value(1, 300_000)).expect("room");
        let before = stored_keys(&db);
        let mut blobs_left = BTreeSet::new();
        let lengths = [0, 65_535, 65_536, 70_000, 5, 400_000, 65_536, 1_000_001];
        let items = || (0..).zip(lengths).map(|(at, bytes)| (format!("l/{at}"), value(at, bytes)));
        for round in 0..3 {
            assert_eq!(tree.load("l/", items()).expect("loads"), lengths.len() as u64, "{range_words}");
            assert_sound(&db);
            for (key, expected) in items() {
                assert!(*tree.get(&key).expect("sound").expect("was loaded") == *expected, "{key}, {round}");
            }
            assert_eq!(db.stats().long_values, 1 + 5);
            assert!(tree.remove_prefix("l/").expect("sound").is_some());
            assert_eq!(stored_keys(&db), before, "{range_words}, {round}");
            blobs_left.insert(db.stats().total_blobs);
        }
        assert_eq!(blobs_left.len(), 1, "one more each time: {blobs_left:?}");
        assert!(*tree.get("stays").expect("sound").expect("stays") == *value(1, 300_000));
    }
}

#[test]
fn single_writes_leave_nothing_behind() {
    let (db, tree) = with_one_long_value();
    let (long, other) = (value(1, 300_000), value(2, 2_000_000));
    let ways: [Way<'_>; 8] = [
        ("remove", &|| tree.remove("a").expect("sound").is_some()),
        ("remove_if", &|| {
            let version = tree.get("a").expect("sound").expect("there").version();
            assert!(tree.remove_if("a", Version::from_number(1)).expect("sound").is_none());
            tree.remove_if("a", version).expect("sound").is_some()
        }),
        ("put short", &|| tree.put("a", "short").is_ok() && tree.remove("a").is_ok()),
        ("put long", &|| tree.put("a", &other).is_ok() && tree.remove("a").is_ok()),
        ("compare_and_put", &|| {
            let version = tree.get("a").expect("sound").expect("there").version();
            assert!(tree.compare_and_put("a", Version::from_number(1), &other).expect("sound").is_none());
            assert!(tree.put_if_absent("a", &other).expect("sound").is_none());
            tree.compare_and_put("a", version, "short").expect("sound").is_some() && tree.remove("a").is_ok()
        }),
        ("rename", &|| {
            assert!(tree.rename("a", "b").expect("sound").is_some());
            assert!(*tree.get("b").expect("sound").expect("moved") == *long);
            tree.remove("b").expect("sound").is_some()
        }),
        ("remove_prefix", &|| tree.remove_prefix("a").expect("sound").is_some()),
        ("rename_prefix", &|| {
            assert!(tree.rename_prefix("a", "c/d").expect("sound").is_some());
            assert!(*tree.get("c/d").expect("sound").expect("moved") == *long);
            tree.remove_prefix("c/").expect("sound").is_some()
        }),
    ];
    assert_each_leaves_nothing(&db, &tree, &ways);
}

#[test]
fn batches_and_trees_leave_nothing_behind() {
    let (db, tree) = with_one_long_value();
    let (long, other) = (value(1, 300_000), value(2, 2_000_000));
    let ways: [Way<'_>; 4] = [
        ("batch", &|| {
            let mut batch = db.batch();
            batch.rename(&tree, "a", "b").put(&tree, "a", &other).put(&tree, "a", "short").remove(&tree, "a");
            let versions = batch.put_if_absent(&tree, "c", &other).remove(&tree, "c").commit().expect("room");
            assert!(versions.iter().all(Option::is_some));
            assert!(*tree.get("b").expect("sound").expect("moved") == *long);
            db.batch().remove(&tree, "b").commit().expect("sound")[0].is_some()
        }),
        ("refused batch", &|| {
            let mut batch = db.batch();
            let refused = batch.put(&tree, "a", &other).put_if_absent(&tree, "stays", "x").commit();
            assert!(matches!(refused, Err(Error::BatchRefused { index: 1, .. })));
            assert!(*tree.get("a").expect("sound").expect("as it was") == *long);
            tree.remove("a").expect("sound").is_some()
        }),
        ("transaction", &|| {
            db.transact(|tx| {
                assert!(*tx.get(&tree, "a")?.expect("there") == *long);
                tx.put(&tree, "b", &other)?;
                assert_eq!(tx.scan(&tree, "")?.count(), 3);
                tx.remove(&tree, "a")
            })
            .expect("alone");
            assert!(*tree.get("b").expect("sound").expect("was put") == *other);
            db.transact(|tx| tx.rename(&tree, "b", "a")).expect("alone");
            tree.remove("a").expect("sound").is_some()
        }),
        ("drop_tree", &|| {
            let scratch = db.tree("scratch").expect("a name");
            scratch.put("x", &other).expect("room");
            tree.remove("a").is_ok() && db.drop_tree("scratch").expect("sound")
        }),
    ];
    assert_each_leaves_nothing(&db, &tree, &ways);
}

/// A directory over many small blobs, some with long values: all of it goes.
#[test]
fn directories_go_with_what_they_refer_to() {
    for range_words in [6_000, 20_000] {
        let db = Db::with_shape(Shape { range_words, router_children: 5 });
        let tree = db.tree("files").expect("a name");
        let other = db.tree("other").expect("a name");
        let long = |number: usize| number.is_multiple_of(37);
        let fill = |tree: &Tree| {
            for number in 0..2_000 {
                let bytes = if long(number) { SHORT_VALUE_BYTES_MAX + 1 + number } else { 40 };
                tree.put(format!("d{}/{number:05}", number % 3), value(number, bytes)).expect("room");
            }
        };
        fill(&tree);
        fill(&other);
        assert_sound(&db);
        assert!(tree.rename_prefix("d1/", "moved/").expect("sound").is_some());
        assert!(tree.remove_prefix("d2/").expect("sound").is_some());
        assert!(tree.remove_prefix("d2/").expect("sound").is_none());
        assert_sound(&db);
        for number in (0..2_000).filter(|number| number % 3 == 1) {
            let bytes = if long(number) { SHORT_VALUE_BYTES_MAX + 1 + number } else { 40 };
            let found = tree.get(format!("moved/{number:05}")).expect("sound").expect("moved");
            assert!(*found == *value(number, bytes), "{number}");
        }
        assert!(db.drop_tree("files").expect("sound") && !db.drop_tree("files").expect("sound"));
        assert_sound(&db);
        assert_eq!((other.count("").expect("sound"), db.stats().keys), (2_000, 2_000));
        assert!(other.remove_prefix("").expect("sound").is_some());
        assert_eq!(stored_keys(&db), 1);
        assert_sound(&db);
    }
}

/// Snapshots and images have the old value, whole, whatever becomes of the key.
#[test]
fn snapshots_keep_long_values() {
    let db = Db::memory();
    let tree = db.tree("files").expect("a name");
    let (old, new) = (value(1, 700_000), value(2, 900_000));
    tree.put("a", &old).expect("room");
    let snapshot = db.snapshot();
    let image = db.image().expect("sound");
    tree.put("a", &new).expect("room");
    let later = db.snapshot();
    tree.remove("a").expect("sound");
    let get = |snapshot: &crate::Snapshot| {
        let then = snapshot.tree("files").expect("was there");
        then.get("a").expect("kept").expect("was there").into_vec()
    };
    assert!(get(&snapshot) == old && get(&later) == new);
    let copy = Db::from_image(&image).expect("sound");
    assert_sound(&copy);
    let files = copy.tree("files").expect("is there");
    assert!(*files.get("a").expect("sound").expect("was there") == *old);
    files.put("a", &new).expect("room");
    files.put("b", &old).expect("room");
    assert!(*files.get("a").expect("sound").expect("was put") == *new);
    assert_sound(&copy);
    assert_eq!(copy.image().expect("sound"), copy.image().expect("sound"));
}
