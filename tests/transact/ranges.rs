//! Ranges that a transaction has read: no key may come or go in them before it commits.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spinney::backend::MemoryBackend;
use spinney::{Db, Durability, Error};

use crate::common::Random;
use crate::{databases, fill, rounds};

/// Everyone takes a seat in an empty row, and only then: no row gets two.
#[test]
fn there_are_no_phantoms() {
    for db in databases() {
        let tree = db.tree("t").unwrap();
        fill(&tree, 2000);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (db, tree) = (&db, &tree);
                scope.spawn(move || {
                    for row in 0..rounds() / 3 {
                        let prefix = format!("fill/{:05}/row/", row * 7 % 2500);
                        let seat = format!("{prefix}{thread}");
                        db.transact(|tx| {
                            let is_free = match thread % 3 {
                                0 => tx.scan(tree, &prefix)?.next().is_none(),
                                1 => tx.list(tree, &prefix)?.next().is_none(),
                                _ => tx.range(tree, prefix.clone()..=format!("{prefix}~"))?.count() == 0,
                            };
                            if is_free { tx.put(tree, &seat, "") } else { Ok(()) }
                        })
                        .unwrap();
                        let row = tree.scan(&prefix).count();
                        assert_eq!(row, 1, "{prefix}");
                    }
                });
            }
            // Blobs are cut, shared and joined under them.
            scope.spawn(|| {
                let mut random = Random::new(1);
                for _ in 0..rounds() * 4 {
                    let key = format!("fill/{:05}", random.below(4000));
                    match random.percent(50) {
                        true => drop(tree.put(key, vec![1; random.below(2000)]).unwrap()),
                        false => drop(tree.remove(key).unwrap()),
                    }
                }
            });
        });
        assert!(db.check().unwrap().is_clean());
    }
}

/// The same with batches: a prefix that has to be empty.
#[test]
fn a_prefix_that_has_to_be_empty_takes_one_batch() {
    let db = Db::memory();
    let tree = db.tree("t").unwrap();
    fill(&tree, 2000);
    let won = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (db, tree, won) = (&db, &tree, &won);
            scope.spawn(move || {
                for row in 0..rounds() {
                    let prefix = format!("fill/{:05}/row/", row * 7 % 2500);
                    let mut batch = db.batch();
                    batch.expect_empty(tree, &prefix).put(tree, format!("{prefix}{thread}"), "");
                    match batch.commit() {
                        Ok(_) => drop(won.fetch_add(1, Ordering::Relaxed)),
                        Err(Error::BatchRefused { index: 0, .. }) => {}
                        other => panic!("{other:?}"),
                    }
                    assert_eq!(tree.scan(&prefix).count(), 1);
                }
            });
        }
    });
    assert_eq!(won.load(Ordering::Relaxed), rounds());
}

/// Pages that leave memory and come back change nothing: a transaction that reads more than the cache holds
/// commits at the first try, if nobody writes.
#[test]
fn eviction_breaks_no_transaction() {
    let backend = Arc::new(MemoryBackend::new());
    let options = Db::builder().cache_bytes(1 << 20).log_bytes(8 << 20).durability(Durability::Buffered);
    let db = options.open_backend(backend).unwrap();
    let tree = db.tree("t").unwrap();
    fill(&tree, 30_000);
    db.checkpoint().unwrap();
    for round in 0..4u64 {
        let mut runs = 0;
        let before = db.stats().evictions;
        db.transact(|tx| {
            runs += 1;
            assert_eq!(tx.scan(&tree, "fill/")?.count(), 30_000);
            for number in (0..30_000).step_by(997) {
                assert!(tx.contains(&tree, format!("fill/{number:05}"))?);
            }
            tx.put(&tree, format!("other/{round}"), "")
        })
        .unwrap();
        assert_eq!(runs, 1);
        assert!(db.stats().evictions > before, "all of it was in memory");
    }
    assert_eq!(tree.scan("other/").count(), 4);
}

/// Keys that move with their directory keep their versions; a run must not see them in both places, nor in
/// none.
#[test]
fn a_run_sees_a_directory_in_one_place() {
    for db in databases() {
        let tree = db.tree("t").unwrap();
        fill(&tree, 2000);
        for number in 0..50 {
            tree.put(format!("here/{number}"), "x").unwrap();
        }
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..rounds() {
                    let (from, to) = if round % 2 == 0 { ("here/", "there/") } else { ("there/", "here/") };
                    assert!(tree.rename_prefix(from, to).unwrap().is_some());
                }
                is_over.store(true, Ordering::SeqCst);
            });
            let mut runs = 0;
            while !is_over.load(Ordering::SeqCst) {
                let number = runs % 50;
                db.transact(|tx| {
                    let here = tx.contains(&tree, format!("here/{number}"))?;
                    // Long enough for a move.
                    std::thread::sleep(std::time::Duration::from_micros(runs % 4 * 500));
                    let there = tx.contains(&tree, format!("there/{number}"))?;
                    assert!(here != there, "here: {here}, there: {there}");
                    let count = |prefix: &str| {
                        let keys = tx.scan(&tree, prefix)?.collect::<spinney::Result<Vec<_>>>()?;
                        spinney::Result::Ok(keys.len())
                    };
                    let (here, there) = (count("here/")?, count("there/")?);
                    assert!([here, there].contains(&50) && here + there == 50, "{here} and {there}");
                    tx.put(&tree, "last", "x")
                })
                .unwrap();
                runs += 1;
            }
            assert!(runs > 0);
        });
    }
}

/// All keys of a load have one version, and keep it where they are moved to.
#[test]
fn a_key_that_took_the_place_of_another_of_its_load_is_another_one() {
    for db in databases() {
        let files = db.tree("files").unwrap();
        for long in [1, 100_000] {
            files.load("d/", [("d/a", vec![1; long]), ("d/b", vec![2; long])]).unwrap();
            for reads_by_get in [true, false] {
                let mut runs = 0;
                let read = db.transact(|tx| {
                    runs += 1;
                    let value = match reads_by_get {
                        true => tx.get(&files, "d/a")?.expect("there")[0],
                        false => tx.scan(&files, "d/")?.next().expect("there")?.1[0],
                    };
                    // The first time the transaction goes on to read; the second time it ends.
                    if runs < 3 {
                        for (from, to) in [("d/a", "t/"), ("d/b", "d/a"), ("t/", "d/b")] {
                            assert!(files.rename_prefix(from, to)?.is_some());
                        }
                        if runs == 1 {
                            tx.get(&files, "d/c")?;
                        }
                    }
                    tx.put(&files, "read", [value])?;
                    Ok(value)
                });
                assert_eq!((read.unwrap(), runs), (1, 3));
                assert_eq!(files.get("d/a").unwrap().unwrap()[0], 1);
            }
            // What moves elsewhere is no reason to begin again.
            files.put("e/f", "x").unwrap();
            let mut runs = 0;
            let outcome = db.transact(|tx| {
                runs += 1;
                let value = tx.get(&files, "d/a")?.expect("there")[0];
                for (from, to) in [("e/f", "e/g"), ("e/g", "e/f")] {
                    assert!(files.rename_prefix(from, to)?.is_some());
                }
                tx.put(&files, "read", [value])
            });
            assert_eq!((outcome.is_ok(), runs), (true, 1));
            files.remove_prefix("").unwrap();
        }
    }
}

/// The blobs of a load come to places that others had, with all the same borders if the keys are the same.
#[test]
fn a_directory_that_was_loaded_anew_is_another_one() {
    for db in databases() {
        let files = db.tree("files").unwrap();
        let items = |value: u8| (0..20_000).map(move |number| (format!("d/{number:05}"), [value; 100]));
        files.load("d/", items(1)).unwrap();
        let mut runs = 0;
        let sum = db.transact(|tx| {
            runs += 1;
            let mut sum = 0;
            for (at, pair) in tx.scan(&files, "d/")?.enumerate() {
                sum += u64::from(pair?.1[0]);
                // In the first run when all is read, in the second one in the middle.
                if (runs, at) == (1, 19_999) || (runs, at) == (2, 10_000) {
                    files.remove_prefix("d/")?;
                    files.load("d/", items(runs + 1))?;
                }
            }
            tx.put(&files, "sum", sum.to_le_bytes())?;
            Ok(sum)
        });
        assert_eq!((sum.unwrap(), runs), (60_000, 3));
    }
}
