//! Bulk loads against a sorted map, into blobs of few keys.

#![forbid(unsafe_code)]

use crate::VALUE_BYTES_MAX;
use crate::db::Db;
use crate::error::Error;
use crate::forest::Shape;
use crate::tests::{Model, Random, TINY, assert_same, step};

/// Keys below a prefix, among them some that are prefixes of others, and long ones.
fn keys_below(prefix: &[u8], random: &mut Random, count: usize) -> Model {
    let mut keys = Model::new();
    while keys.len() < count {
        let mut key = prefix.to_vec();
        match random.below(5) {
            0 => key.extend((0..random.below(4)).map(|_| [0, b'/', b'a', 0xFE, 0xFF][random.below(5)])),
            1 => key.extend(vec![b'p'; random.below(300)]),
            2 => key.extend(format!("dir{}/file{}", random.below(30), random.below(3_000)).into_bytes()),
            _ => key.extend((0..random.below(12)).map(|_| random.below(256) as u8)),
        }
        keys.insert(key, vec![random.below(256) as u8; random.below(60)]);
    }
    keys
}

#[test]
fn what_is_loaded_is_there_beside_what_was() {
    let (seeds, rounds) = if cfg!(miri) { (1, 1) } else { (8, 6) };
    for seed in 0..seeds {
        let shape = if seed % 2 == 0 { TINY } else { Shape { range_words: 300, router_children: 4 } };
        let db = Db::with_shape(shape);
        let tree = db.tree("t").expect("made");
        let (mut model, mut random) = (Model::new(), Random(seed));
        for number in 1..=if cfg!(miri) { 20 } else { 300 } {
            if shape.range_words >= TINY.range_words {
                step(&tree, &mut model, &mut random, number, 2);
            } else {
                let key = format!("{:x}", random.below(4_000)).into_bytes();
                tree.put(&key, [number as u8; 9]).expect("puts");
                model.insert(key, vec![number as u8; 9]);
            }
        }
        for round in 0..rounds {
            let prefix = [&b"load/"[..], b"\xFF\xFF", b"dir7x/", b"", b"a/long/shared/prefix/z", b"0"][round];
            let below = model.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)).count();
            let size = [0, 1, 30, 900][random.below(4)];
            let keys = keys_below(prefix, &mut random, if cfg!(miri) { 30 } else { size });
            let loaded = tree.load(prefix, &keys);
            if below > 0 {
                assert!(matches!(loaded, Err(Error::TargetExists)), "{loaded:?}");
            } else {
                assert_eq!(loaded.expect("loads"), keys.len() as u64);
                model.extend(keys);
            }
            assert_eq!(db.check().expect("checks").problems, vec![], "seed {seed}, round {round}");
        }
        assert_same(&db, &tree, &model, &mut random);
        // It can be changed like anything else.
        for key in model.keys().cloned().collect::<Vec<_>>().into_iter().step_by(2) {
            tree.remove(&key).expect("removes");
            model.remove(&key);
        }
        assert_same(&db, &tree, &model, &mut random);
    }
}

#[test]
fn blobs_are_packed_full() {
    let db = Db::memory();
    let tree = db.tree("t").expect("made");
    let count = if cfg!(miri) { 50 } else { 200_000u64 };
    let keys = (0..count).map(|number| (format!("dir{:04}/file{number:08}", number / 100), [7; 40]));
    let mut told = Vec::new();
    let loaded = tree.load_with("", keys, |so_far| {
        told.push(so_far);
        true
    });
    assert_eq!(loaded.expect("loads"), count);
    assert!(told.is_sorted() && told.last() == Some(&count), "{told:?}");
    let stats = db.stats();
    assert_eq!(db.check().expect("checks").problems, vec![]);
    let fill = stats.live_bytes as f64 / (f64::from(stats.range_blobs) * f64::from(512 << 10));
    // The last one is as full as it happens to be.
    assert!(cfg!(miri) || fill > 0.9, "fill {fill} {stats:?}");
    assert_eq!(tree.count("").expect("counts"), count);
    assert_eq!(stats.loads, 1);
}

#[test]
fn what_cannot_be_loaded_leaves_nothing_behind() {
    let db = Db::with_shape(TINY);
    let tree = db.tree("t").expect("made");
    tree.put("zzz", "there").expect("puts");
    let blobs = db.stats().total_blobs;
    let sorted = || (0..500).map(|number| (format!("k/{number:05}").into_bytes(), vec![1u8; 20]));
    let with_last = |key: &[u8]| sorted().chain([(key.to_vec(), Vec::new())]).collect::<Vec<_>>();
    for (last, expected) in [
        (&b"k/00400"[..], "lies below the one before it"),
        (b"k/00499", "came twice"),
        (b"l", "does not begin with the prefix"),
    ] {
        match tree.load("k/", with_last(last)) {
            Err(Error::LoadRefused { key, reason }) => assert_eq!((&key[..], reason), (last, expected)),
            other => panic!("{other:?}"),
        }
    }
    let long = vec![b'k'; 65_001];
    assert!(matches!(tree.load("k", with_last(&long)), Err(Error::KeyTooLong { .. })));
    assert!(matches!(tree.load("z", [("zz", "")]), Err(Error::TargetExists)));
    let too_large = vec![0; VALUE_BYTES_MAX + 1];
    assert!(matches!(tree.load("k", [("k", too_large)]), Err(Error::ValueTooLarge { .. })));
    assert!(matches!(tree.load_with("k/", sorted(), |keys| keys < 100), Err(Error::Cancelled)));
    assert_eq!(tree.load("k/", Vec::<(&str, &str)>::new()).expect("nothing to do"), 0);
    assert_eq!(db.check().expect("checks").problems, vec![]);
    assert_eq!((db.stats().total_blobs, tree.count("").expect("counts")), (blobs, 1));
    let message = tree.load("k/", with_last(b"k/00499")).expect_err("twice").to_string();
    assert_eq!(message, "the key \"k/00499\" came twice: keys are loaded in ascending order, each once");
}

#[test]
fn keys_that_panic_leave_nothing_behind() {
    let db = Db::with_shape(TINY);
    let tree = db.tree("t").expect("made");
    tree.put("zzz", "there").expect("puts");
    let blobs = db.stats().total_blobs;
    let keys = (0..500).map(|number| {
        assert!(number < 400, "no more keys");
        (format!("k/{number:05}"), [1; 20])
    });
    let load = std::panic::AssertUnwindSafe(|| tree.load("k/", keys));
    assert!(std::panic::catch_unwind(load).is_err());
    assert_eq!(db.check().expect("checks").problems, vec![]);
    assert_eq!((db.stats().total_blobs, tree.count("").expect("counts")), (blobs, 1));
    assert_eq!(tree.load("k/", [("k/1", "")]).expect("loads"), 1);
}
