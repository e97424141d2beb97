//! Packing against a sorted map: what is there stays there, blobs are full afterwards, ids leave no gap.

#![forbid(unsafe_code)]

use crate::db::Db;
use crate::forest::Shape;
use crate::tests::{Model, Random, TINY, assert_same, step};

#[test]
fn what_is_packed_is_full_and_the_same() {
    for seed in 0..if cfg!(miri) { 0 } else { 6 } {
        let db = Db::with_shape(TINY);
        let tree = db.tree("t").expect("made");
        let (mut model, mut random) = (Model::new(), Random(seed));
        for round in 0..4 {
            for number in 1..=2_000 {
                step(&tree, &mut model, &mut random, number, [2, 7, 2, 8][round]);
            }
            let before = db.stats();
            let report = db.compact().expect("packs");
            let after = db.stats();
            assert_same(&db, &tree, &model, &mut random);
            assert!(after.total_blobs <= before.total_blobs, "{before:?} {after:?}");
            assert_eq!(report.blobs_after, after.total_blobs, "no id is free below the last");
            assert_eq!(after.range_blobs + after.router_blobs + 1, after.total_blobs);
            let again = db.compact().expect("packs again");
            assert_eq!(again.blobs_before, report.blobs_after);
        }
    }
}

/// In random order blobs are four fifths full; packed, they are fuller than that.
#[test]
fn packing_fills_blobs() {
    let shape = Shape { range_words: 4_000, router_children: usize::MAX };
    let db = Db::with_shape(shape);
    let tree = db.tree("t").expect("made");
    let count = if cfg!(miri) { 100 } else { 20_000 };
    for number in 0..count {
        tree.put(format!("dir/{:06}", number * 7919 % count), [7; 20]).expect("sound");
    }
    let mut steps = 0;
    db.compact_with(|progress| {
        steps += 1;
        assert!(progress.done_blobs == steps && progress.total_blobs >= steps);
        true
    })
    .expect("packs");
    let stats = db.stats();
    assert_eq!(db.check().expect("checks").problems, vec![]);
    assert_eq!(tree.count("").expect("counts"), count);
    let fill = stats.live_bytes as f64 / (f64::from(stats.range_blobs) * 4_000.0 * 8.0);
    assert!(cfg!(miri) || fill > 0.89, "fill {fill} {stats:?}");
    assert!(cfg!(miri) || steps > 10);
}

#[test]
fn packing_ends_when_it_is_told_to() {
    let db = Db::with_shape(TINY);
    let tree = db.tree("t").expect("made");
    for number in 0..if cfg!(miri) { 50 } else { 2_000 } {
        tree.put(format!("{number:06}"), [7; 20]).expect("sound");
    }
    let mut calls = 0;
    db.compact_with(|_| {
        calls += 1;
        false
    })
    .expect("ends");
    assert!(calls <= 2, "{calls}");
    assert_eq!(db.check().expect("checks").problems, vec![]);
}
