//! Batches on a forest with tiny blobs and routers, against a sorted map: they burst and split many blobs at
//! once, and are refused often.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use crate::batch::Batch;
use crate::db::Db;
use crate::error::Error;
use crate::tests::{Model, Random, TINY, assert_same, random_key};
use crate::tree::Tree;
use crate::value::Version;

/// What the database holds, with versions.
type Versions = BTreeMap<Vec<u8>, (Vec<u8>, Option<Version>)>;

/// A key, which often is there.
fn near(random: &mut Random, now: &Versions) -> Vec<u8> {
    let key = random_key(random);
    match now.range(key.clone()..).next().filter(|_| random.below(2) == 0) {
        Some((found, _)) => found.clone(),
        None => key,
    }
}

/// One step added to a batch, and done to a copy of the model. False if the model refuses it.
fn random_step(random: &mut Random, batch: &mut Batch, tree: &Tree, now: &mut Versions) -> bool {
    let key = near(random, now);
    let value = vec![random.below(256) as u8; [0, 3, 9, 40, 200][random.below(5)]];
    let found = now.get(&key).cloned();
    // A version that is right where there is one to know.
    let version = found.as_ref().and_then(|(_, version)| *version);
    let guess = version.unwrap_or(Version::from_number(1 << 40));
    match random.below(40) {
        0..20 => {
            batch.put(tree, &key, &value);
        }
        20..28 => {
            batch.remove(tree, &key);
            now.remove(&key);
            return true;
        }
        28..34 => {
            let to = near(random, now);
            batch.rename(tree, &key, &to);
            let Some((value, _)) = found else { return true };
            if to != key {
                if now.contains_key(&to) {
                    return false;
                }
                now.remove(&key);
                now.insert(to, (value, None));
            }
            return true;
        }
        34 => {
            batch.put_if_absent(tree, &key, &value);
            if found.is_some() {
                return false;
            }
        }
        35 => {
            batch.compare_and_put(tree, &key, guess, &value);
            if version.is_none() {
                return false;
            }
        }
        36 => {
            batch.remove_if(tree, &key, guess);
            now.remove(&key);
            return version.is_some();
        }
        37 => {
            batch.expect_version(tree, &key, guess);
            return version.is_some();
        }
        38 => {
            let prefix = &key[..random.below(key.len() + 1)];
            batch.expect_empty(tree, prefix);
            return !now.keys().any(|key| key.starts_with(prefix));
        }
        _ if found.is_some() => {
            batch.expect_present(tree, &key);
            return true;
        }
        _ => {
            batch.expect_absent(tree, &key);
            return true;
        }
    }
    now.insert(key, (value, None));
    true
}

fn compare(seed: u64, steps_max: usize, rounds: usize) {
    let db = Db::with_shape(TINY);
    let tree = db.tree("t").expect("tree");
    let mut random = Random(seed);
    let mut stored = Versions::new();
    let (mut applied, mut refused) = (0, 0);
    for round in 0..rounds {
        let mut batch = db.batch();
        let mut now = stored.clone();
        let mut refused_at = None;
        for index in 0..1 + random.below(steps_max) {
            if !random_step(&mut random, &mut batch, &tree, &mut now) {
                refused_at = Some(index);
                break;
            }
        }
        let len = batch.len();
        match (batch.commit(), refused_at) {
            (Ok(versions), None) => {
                assert_eq!(versions.len(), len);
                assert!(batch.is_empty());
                applied += 1;
                for (key, (value, version)) in &mut now {
                    let found = tree.get(key).expect("sound").expect("was put");
                    assert_eq!(&found[..], value, "seed {seed}, round {round}");
                    assert!(version.is_none_or(|version| version == found.version()));
                    *version = Some(found.version());
                }
                let written: Vec<_> = versions.into_iter().flatten().collect();
                assert!(written.windows(2).all(|pair| pair[0] < pair[1]), "one number for each write");
                stored = now;
            }
            (Err(Error::BatchRefused { index, .. }), Some(expected)) => {
                assert_eq!((index, batch.len()), (expected, len), "seed {seed}, round {round}");
                refused += 1;
            }
            (outcome, expected) => panic!("seed {seed}, round {round}: {outcome:?}, not {expected:?}"),
        }
        if round % 20 == 0 || round + 1 == rounds {
            let model: Model = stored.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
            assert_same(&db, &tree, &model, &mut random);
        }
    }
    assert!(cfg!(miri) || (applied > rounds / 20 && refused > 0), "{applied} applied, {refused} refused");
}

#[test]
fn small_batches_do_what_a_sorted_map_does() {
    for seed in 0..if cfg!(miri) { 1 } else { 12 } {
        compare(seed, 12, if cfg!(miri) { 6 } else { 300 });
    }
}

#[test]
fn larger_batches_do_what_a_sorted_map_does() {
    for seed in 100..if cfg!(miri) { 101 } else { 108 } {
        compare(seed, 60, if cfg!(miri) { 2 } else { 150 });
    }
}

/// Into an empty tree, in order and not, with routers that split over and over.
#[test]
fn a_batch_may_need_many_blobs() {
    let count = if cfg!(miri) { 30 } else { 3_000 };
    for seed in 0..4 {
        let db = Db::with_shape(TINY);
        let tree = db.tree("t").expect("tree");
        let mut random = Random(seed);
        let mut model = Model::new();
        for _ in 0..3 {
            let mut batch = db.batch();
            for number in 0..count {
                let key = match seed {
                    0 => format!("{:08}", model.len() + number).into_bytes(),
                    1 => format!("{:08}", count * 3 - model.len() - number).into_bytes(),
                    _ => random_key(&mut random),
                };
                let value = vec![number as u8; random.below(60)];
                batch.put(&tree, &key, &value);
                if seed > 1 {
                    model.insert(key, value);
                }
            }
            let versions = batch.commit().expect("applied");
            assert!(versions.iter().all(Option::is_some));
            if seed < 2 {
                model = tree
                    .scan("")
                    .map(|pair| pair.map(|(key, value)| (key, value.to_vec())).expect("sound"))
                    .collect();
            }
            assert_same(&db, &tree, &model, &mut random);
        }
        assert!(cfg!(miri) || db.stats().splits > 50, "{:?}", db.stats());
        let mut batch = db.batch();
        for key in model.keys() {
            batch.remove(&tree, key);
        }
        batch.expect_empty(&tree, "").commit().expect("all of them are there");
        assert_same(&db, &tree, &Model::new(), &mut random);
    }
}

/// The same batches give the same bytes.
#[test]
fn batches_are_deterministic() {
    let image = || {
        let db = Db::with_shape(TINY);
        let tree = db.tree("t").expect("tree");
        let mut random = Random(5);
        for _ in 0..if cfg!(miri) { 2 } else { 40 } {
            let mut batch = db.batch();
            for _ in 0..random.below(200) {
                let key = random_key(&mut random);
                match random.below(3) {
                    0 => batch.remove(&tree, key),
                    _ => batch.put(&tree, key, vec![7; random.below(90)]),
                };
            }
            batch.commit().expect("nothing is refused");
        }
        db.image().expect("an image")
    };
    assert!(image() == image());
}
