//! Snapshots of forests with tiny blobs: several open at once, beside splits, joins and compactions, in
//! memory and beside eviction, each compared with a copy of the sorted map at its cut.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::backend::{MemoryBackend, PAGE_BYTES};
use crate::db::Db;
use crate::snapshot::Snapshot;
use crate::tests::{Model, Random, TINY, assert_same, step};
use crate::tree::Tree;

/// A snapshot, and what was there.
type Taken = (Snapshot, Model);

fn assert_taken(taken: &Taken, random: &mut Random) {
    let (snapshot, model) = taken;
    let view = snapshot.view().expect("open");
    // The checker, too: the view is a database of its own.
    assert_same(view, &view.tree("t").expect("was there"), model, random);
}

/// Random writes with up to four snapshots open; each is compared now and then, and when it is dropped.
fn run(db: &Db, tree: &Tree, model: &mut Model, seed: u64, operations: usize) {
    let mut random = Random(seed);
    let mut open: Vec<Taken> = Vec::new();
    let every = (operations / 12).max(1);
    for number in 1..=operations {
        let removing = if (number * 4 / operations) % 2 == 1 { 8 } else { 2 };
        step(tree, model, &mut random, number, removing);
        if number % every == 0 {
            open.push((db.snapshot(), model.clone()));
            let at = random.below(open.len());
            assert_taken(&open[at], &mut random);
        }
        if open.len() > 4 {
            let dropped = open.swap_remove(random.below(4));
            assert_taken(&dropped, &mut random);
        }
    }
    assert!(db.stats().snapshots.kept_pages > 0 && db.stats().snapshots.open == open.len() as u32);
    while let Some(last) = open.pop() {
        assert_taken(&last, &mut random);
        let image = Db::from_image(db.image().expect("an image beside snapshots")).expect("sound");
        assert_same(&image, &image.tree("t").expect("there"), model, &mut random);
        drop(last);
        let kept = db.stats().snapshots;
        assert_eq!(kept.open, open.len() as u32);
        assert!(!open.is_empty() || (kept.kept_pages, kept.kept_bytes) == (0, 0), "{kept:?}");
    }
    assert_same(db, tree, model, &mut random);
}

#[test]
fn snapshots_of_tiny_blobs_say_what_was_there() {
    let (seeds, operations) = if cfg!(miri) { (1, 60) } else { (4, 2_400) };
    let mut changes = [0; 3];
    for seed in 0..seeds {
        let db = Db::with_shape(TINY);
        let tree = db.tree("t").expect("made");
        run(&db, &tree, &mut Model::new(), seed, operations);
        let stats = db.stats();
        let counts = [stats.splits, stats.joins, stats.compactions];
        changes.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    assert!(cfg!(miri) || changes.iter().all(|&count| count > 0), "{changes:?}");
}

// Not under Miri: the one above runs the same code.
#[cfg(not(miri))]
#[test]
fn snapshots_beside_eviction_say_what_was_there() {
    for (seed, pages) in [(10, 0), (11, 300), (12, 1 << 20)] {
        let db = Db::with_shape(TINY);
        let tree = db.tree("t").expect("made");
        let (mut model, mut random) = (Model::new(), Random(seed));
        for number in 0..1_000 {
            step(&tree, &mut model, &mut random, number, 2);
        }
        let backend = MemoryBackend::from_bytes(&db.image().expect("writes")).expect("whole pages");
        let cache_bytes = pages * PAGE_BYTES as u64;
        let db = Db::open_cold_for_tests(Arc::new(backend), cache_bytes, TINY).expect("sound");
        run(&db, &db.tree("t").expect("there"), &mut model, seed, 1_200);
    }
}

/// A database that was written a lot holds no more for a snapshot than the pages there were.
#[test]
fn a_page_is_kept_once_for_each_snapshot_at_most() {
    let db = Db::with_shape(TINY);
    let tree = db.tree("t").expect("made");
    tree.put("key", "value").expect("put");
    let first = db.snapshot();
    for number in 0..20u8 {
        tree.put("key", [number]).expect("put");
    }
    let one = db.stats().snapshots.kept_pages;
    assert!((1..=3).contains(&one), "the header, perhaps that of inner nodes, that of the leaf: {one}");
    let second = db.snapshot();
    for number in 0..20u8 {
        tree.put("key", [number]).expect("put");
    }
    assert_eq!(db.stats().snapshots.kept_pages, 2 * one);
    drop(first);
    assert_eq!(db.stats().snapshots.kept_pages, one);
    assert_eq!(&*second.tree("t").expect("open").get("key").expect("open").expect("there"), [19]);
}

/// Puts of a batch are tried on a copy of their blob, which nothing is to be kept of.
#[cfg(not(miri))]
#[test]
fn what_a_batch_tries_on_a_copy_is_not_taken_for_what_was_there() {
    let db = Db::memory();
    let tree = db.tree("t").expect("a name");
    let (mut model, mut random) = (Model::new(), Random(7));
    let mut taken: Vec<Taken> = Vec::new();
    for round in 0..200 {
        let mut batch = db.batch();
        for _ in 0..1 + random.below(30) {
            let key = format!("{:04}", random.below(1_000)).into_bytes();
            let value = vec![round; random.below(4_000)];
            batch.put(&tree, &key, &value);
            model.insert(key, value);
        }
        batch.commit().expect("room");
        if round % 8 == 0 {
            taken.push((db.snapshot(), model.clone()));
        }
        if taken.len() > 3 {
            assert_taken(&taken.remove(0), &mut random);
        }
    }
}
