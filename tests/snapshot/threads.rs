//! Snapshots while other threads write.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use spinney::{Db, Durability, SnapshotTree, Tree};

use crate::folder::Folder;

/// Pairs of keys that lie far from each other, and mostly in different blobs.
const PAIRS: usize = 500;

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn number(tree: &SnapshotTree, key: &str) -> u64 {
    tree.get(key).unwrap().map_or(0, |value| u64::from_le_bytes(value[..8].try_into().unwrap()))
}

/// Counts: in each pair, `a` first and then `b`. Other keys come and go, so that blobs split and join.
fn count(tree: &Tree, done: &AtomicBool, seed: usize) {
    let mut round = 0u64;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        for pair in (seed..PAIRS).step_by(2) {
            let mut value = vec![0; 100];
            value[..8].copy_from_slice(&round.to_le_bytes());
            tree.put(format!("a/{pair:04}"), &value).unwrap();
            tree.put(format!("b/{pair:04}"), &value).unwrap();
            let other = format!("a/{pair:04}/{:03}", round % 40);
            if round % 80 < 40 { tree.put(other, &value).map(Some) } else { tree.remove(other) }.unwrap();
        }
    }
}

/// In a snapshot, `b` is what `a` is or was before, for each pair; and every look at it shows the same.
fn look(db: &Db, rounds: usize) {
    for _ in 0..rounds {
        let snapshot = db.snapshot();
        let tree = snapshot.tree("files").unwrap();
        let mut seen = Vec::new();
        for pair in (0..PAIRS).step_by(17) {
            let (a, b) = (number(&tree, &format!("a/{pair:04}")), number(&tree, &format!("b/{pair:04}")));
            assert!(b <= a && a <= b + 1, "pair {pair}: {a} and {b}");
            seen.push((pair, a));
        }
        let keys: Vec<Vec<u8>> = tree.scan("").keys().map(Result::unwrap).collect();
        assert!(keys.is_sorted());
        let again: Vec<Vec<u8>> = tree.scan("").keys().rev().map(Result::unwrap).collect();
        assert!(again.iter().rev().eq(&keys), "the same forward and backward");
        for (pair, a) in seen {
            assert_eq!(number(&tree, &format!("a/{pair:04}")), a);
        }
    }
}

fn run(db: &Db, rounds: usize) {
    let tree = db.tree("files").unwrap().with_durability(Durability::Buffered);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (tree, done) = (&tree, &done);
            scope.spawn(move || count(tree, done, seed));
        }
        let _stop = Stop(&done);
        // Two snapshots at a time, of different moments.
        let other = scope.spawn(|| look(db, rounds));
        look(db, rounds);
        other.join().unwrap();
    });
    assert_eq!(db.stats().snapshots.kept_pages, 0);
    assert_eq!(db.check().unwrap().problems, vec![]);
}

#[test]
fn snapshots_in_memory_are_of_one_moment() {
    run(&Db::memory(), 60);
}

#[test]
fn snapshots_of_a_file_are_of_one_moment() {
    let folder = Folder::new("snapshot-threads");
    let db = Db::builder().cache_bytes(1 << 20).open(folder.path("x.spinney")).unwrap();
    run(&db, 30);
}
