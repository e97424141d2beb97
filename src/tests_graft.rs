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

/// A key of 60,000 bytes before its number.
fn long_key(number: usize) -> Vec<u8> {
    [b"d/m".as_slice(), &[b'x'; 60_000], format!("{number:08}").as_bytes()].concat()
}

/// Long keys with short ones on either side, and then the long ones go, as many as make no blob thin: what is
/// left of them are the borders between blobs. Says how many short ones there are.
fn leave_long_borders(tree: &Tree, many: usize, random: &mut Random) -> usize {
    let mut longs: Vec<usize> = (0..many).collect();
    for &number in &longs {
        tree.put(long_key(number), [7; 100]).expect("writes");
    }
    let (mut before, mut behind) = (0, 0);
    while !longs.is_empty() {
        for _ in 0..many / 12 {
            let at =
                if random.below(3) == 0 { longs.len() - 1 } else { random.below(longs.len().div_ceil(3)) };
            tree.remove(long_key(longs.remove(at.min(longs.len() - 1)))).expect("removes");
            if longs.is_empty() {
                break;
            }
        }
        for _ in 0..many / 12 {
            if random.below(2) == 0 {
                tree.put(format!("d/a{before:06}"), [8; 100]).expect("writes");
                before += 1;
            } else {
                tree.put(format!("d/z{behind:06}"), [9; 100]).expect("writes");
                behind += 1;
            }
        }
    }
    before + behind
}

fn longest_border(db: &Db) -> usize {
    let (mut longest, mut next) = (0, Some(Vec::new()));
    while let Some(at) = next {
        let lineage = db.forest().lineage(&at).expect("reads");
        longest = longest.max(lineage.blob.lo.as_slice().len());
        next = lineage.hi;
    }
    longest
}

/// Borders are not measured by the keys that there are: they stay when these go.
#[test]
#[cfg(not(miri))]
fn borders_that_are_left_of_long_keys_do_not_become_too_long() {
    let shapes = [(Shape::default(), 6_000), (Shape { range_words: 20_000, router_children: 4 }, 6_000)];
    for (shape, many) in shapes {
        let mut have_been_long = 0;
        for seed in 0..3 {
            let db = Db::with_shape(shape);
            let (tree, other) = (db.tree("t").expect("made"), db.tree("u").expect("made"));
            let keys = leave_long_borders(&tree, many, &mut Random(seed)) as u64;
            have_been_long += u32::from(longest_border(&db) > 60_000);
            let target = [&[b'e'; 7_000][..], b"/"].concat();
            for (from, to) in [(&b"d/"[..], &target[..]), (&target, b"d/"), (b"d/", &target)] {
                assert!(tree.rename_prefix(from, to).expect("moves").is_some());
                assert_eq!(db.check().expect("checks").problems, vec![]);
                assert_eq!(tree.count(to).expect("counts"), keys);
                assert_eq!(tree.scan("").filter(|pair| pair.is_ok()).count() as u64, keys);
            }
            for number in 0..5_000 {
                other.put(format!("n{number:06}"), [7; 100]).expect("writes");
            }
            assert!(tree.remove_prefix(&target).expect("removes").is_some());
            assert_eq!(db.check().expect("checks").problems, vec![]);
        }
        assert!(have_been_long > 0, "the test has tested nothing");
    }
}

/// Where the bound for all keys is too long, what moves is measured beside writers, and all of it moves.
#[test]
#[cfg(not(miri))]
fn what_is_measured_counts_also_beside_writers_and_after_a_crash() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).expect("new");
    let tree = db.tree("t").expect("made").with_durability(crate::Durability::Buffered);
    let keys = leave_long_borders(&tree, 6_000, &mut Random(1)) as u64;
    let names = [b"d/".to_vec(), [&[b'e'; 7_000][..], b"/"].concat()];
    let (rounds, is_over) = (20, std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                // Too long for the longer name, now and then.
                let bytes = if number % 100 == 0 { 60_000 } else { 10 };
                let key = [b"d/b".as_slice(), &vec![b'w'; bytes]].concat();
                tree.put(&key, "beside").expect("writes");
                tree.remove(&key).expect("removes");
                number += 1;
            }
        });
        for round in 0..rounds {
            let (from, to) = (&names[round % 2], &names[(round + 1) % 2]);
            loop {
                match tree.rename_prefix(from, to) {
                    Ok(moved) => break assert!(moved.is_some()),
                    Err(Error::KeyTooLong { .. } | Error::TargetExists) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(db.check().expect("checks").problems, vec![]);
    assert!(tree.rename_prefix("d/", &names[1]).expect("moves").is_some());
    db.sync().expect("memory");
    std::mem::forget((tree, db));
    let db = Db::builder().open_backend(backend).expect("recovers");
    assert_eq!(db.check().expect("checks").problems, vec![]);
    let tree = db.tree("t").expect("there");
    assert_eq!(tree.count(&names[1]).expect("counts"), keys);
}
