//! Moving, removing and counting directories against a sorted map: through prefixes, buckets and the borders
//! of blobs and routers, back and forth, with joins after them.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::backend::{Backend, MemoryBackend};
use crate::db::Db;
use crate::error::Error;
use crate::forest::Shape;
use crate::tests::{Model, Random, TINY, assert_same, step};
use crate::tree::Tree;

/// Short keys of few different bytes, so that prefixes of them cut everything in every way.
const BYTES: [u8; 6] = [0, 1, b'/', b'a', 0xFE, 0xFF];

fn short_key(random: &mut Random, len_max: usize) -> Vec<u8> {
    (0..random.below(len_max + 1)).map(|_| BYTES[random.below(BYTES.len())]).collect()
}

/// The beginning of a key that is there, or something short.
fn prefix_of(model: &Model, random: &mut Random) -> Vec<u8> {
    let near = short_key(random, 3);
    match model.range(near.clone()..).next() {
        Some((key, _)) if random.below(4) > 0 => key[..random.below(key.len() + 1)].to_vec(),
        _ => near,
    }
}

fn keys_under(model: &Model, prefix: &[u8]) -> Vec<Vec<u8>> {
    model
        .range(prefix.to_vec()..)
        .map(|(key, _)| key.clone())
        .take_while(|key| key.starts_with(prefix))
        .collect()
}

/// What a map says to a move.
fn move_in(model: &mut Model, from: &[u8], to: &[u8]) -> Result<bool, &'static str> {
    if to.starts_with(from) {
        return Err("RenameIntoItself");
    }
    let moving = keys_under(model, from);
    if moving.is_empty() {
        return Ok(false);
    }
    if keys_under(model, to).iter().any(|key| !key.starts_with(from)) {
        return Err("TargetExists");
    }
    for key in moving {
        let value = model.remove(&key).expect("was listed");
        model.insert([to, &key[from.len()..]].concat(), value);
    }
    Ok(true)
}

/// One operation on both.
fn graft_step(tree: &Tree, model: &mut Model, random: &mut Random, number: usize, longer: bool) {
    let prefix = prefix_of(model, random);
    match random.below(8) {
        0..4 => {
            let mut to = prefix_of(model, random);
            to.extend(short_key(random, 2));
            let expected = move_in(model, &prefix, &to);
            let found = tree.rename_prefix(&prefix, &to).map(|version| version.is_some());
            let found_code = found.as_ref().map(|moved| *moved).map_err(Error::code);
            assert_eq!(found_code, expected, "{prefix:?} -> {to:?}: {found:?}");
        }
        4 if prefix.len() > 1 || random.below(20) == 0 => {
            let gone = keys_under(model, &prefix);
            gone.iter().for_each(|key| drop(model.remove(key)));
            let found = tree.remove_prefix(&prefix).expect("removes");
            assert_eq!(found.is_some(), !gone.is_empty(), "{prefix:?}");
        }
        6 if longer => step(tree, model, random, number, 3),
        _ => fill(tree, model, random, 1),
    }
    let prefix = prefix_of(model, random);
    assert_eq!(tree.count(&prefix).expect("counts"), keys_under(model, &prefix).len() as u64, "{prefix:?}");
}

fn fill(tree: &Tree, model: &mut Model, random: &mut Random, count: usize) {
    for number in 0..count {
        let key = short_key(random, 9);
        let value = vec![number as u8; random.below(40)];
        tree.put(&key, &value).expect("writes");
        model.insert(key, value);
    }
}

fn run(seed: u64, shape: Shape, operations: usize) -> crate::Stats {
    let db = Db::with_shape(shape);
    let tree = db.tree("t").expect("made");
    // A neighbour on either side, which must stay as it is.
    let other = db.tree("u").expect("made");
    let (mut model, mut random) = (Model::new(), Random(seed));
    let (mut other_model, mut other_random) = (Model::new(), Random(seed + 1));
    fill(&other, &mut other_model, &mut other_random, 200);
    fill(&tree, &mut model, &mut random, 400);
    let every = (operations / 40).max(1);
    for number in 1..=operations {
        graft_step(&tree, &mut model, &mut random, number, shape.range_words >= TINY.range_words);
        if number % every == 0 {
            assert_eq!(db.check().expect("checks").problems, vec![], "seed {seed}, operation {number}");
            let keys: Vec<_> = tree.scan("").map(|pair| pair.map(|(key, _)| key).expect("sound")).collect();
            assert_eq!(keys, model.keys().cloned().collect::<Vec<_>>(), "seed {seed}, operation {number}");
        }
        if model.len() < 150 {
            fill(&tree, &mut model, &mut random, 400);
        }
    }
    assert_same(&db, &tree, &model, &mut random);
    assert_same(&db, &other, &other_model, &mut random);
    if !cfg!(miri) {
        let copy = Db::from_image(db.image().expect("writes")).expect("sound");
        assert_same(&copy, &copy.tree("t").expect("there"), &model, &mut random);
    }
    let stats = db.stats();
    assert!(db.drop_tree("t").expect("drops"));
    assert_eq!(db.check().expect("checks").problems, vec![]);
    assert_same(&db, &other, &other_model, &mut random);
    stats
}

#[test]
fn directories_move_as_in_a_sorted_map() {
    let (seeds, operations) = if cfg!(miri) { (1, 12) } else { (12, 2_000) };
    for seed in 0..seeds {
        let stats = run(seed, TINY, operations);
        assert!(cfg!(miri) || stats.grafts > operations as u64 / 16 && stats.joins > 0, "{stats:?}");
    }
}

/// Blobs of three to six keys and routers of five children: runs that span several levels.
#[test]
fn directories_of_many_routers_move() {
    let shape = Shape { range_words: 130, router_children: 5 };
    let (seeds, operations) = if cfg!(miri) { (1, 8) } else { (12, 1_000) };
    let mut hops = 0;
    for seed in 0..seeds {
        hops = hops.max(run(100 + seed, shape, operations).hops);
    }
    assert!(cfg!(miri) || hops >= 4, "{hops} routers");
}

/// Nothing is in memory but what the last operations have touched.
#[test]
fn directories_move_where_the_cache_is_small() {
    let (seeds, operations) = if cfg!(miri) { (0, 0) } else { (4, 300) };
    for seed in 0..seeds {
        let db = Db::with_shape(TINY);
        let tree = db.tree("t").expect("made");
        let (mut model, mut random) = (Model::new(), Random(seed));
        fill(&tree, &mut model, &mut random, 1_000);
        let image = db.image().expect("writes");
        let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::from_bytes(&image).expect("whole pages"));
        let db = Db::open_cold_for_tests(backend, 300 * 4096, TINY).expect("sound");
        let tree = db.tree("t").expect("there");
        for number in 1..=operations {
            graft_step(&tree, &mut model, &mut random, number, true);
        }
        assert_same(&db, &tree, &model, &mut random);
    }
}

#[test]
fn a_move_that_makes_keys_too_long_is_refused() {
    let db = Db::memory();
    let tree = db.tree("t").expect("made");
    tree.put([b"a/".as_slice(), &[b'x'; 64_000]].concat(), "long").expect("fits");
    tree.put("b/short", "short").expect("fits");
    let target = vec![b'c'; 2_000];
    match tree.rename_prefix("a/", &target) {
        Err(Error::KeyTooLong { length_bytes: 66_000, limit_bytes: 65_000 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(tree.count("a/").expect("counts"), 1, "it has not moved");
    // The bound for all keys would be too long, those that move are not.
    assert!(tree.rename_prefix("b/", &target).expect("moves").is_some());
    assert!(tree.rename_prefix("a/", [b'd'; 1_000]).expect("moves").is_some());
    assert!(matches!(tree.rename_prefix([b'd'; 900], [b'e'; 901]), Err(Error::KeyTooLong { .. })));
    assert_eq!(db.check().expect("checks").problems, vec![]);
}
