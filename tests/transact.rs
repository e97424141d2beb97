//! Transactions: what a closure sees is of one moment and holds when it commits. Alone against a sorted map,
//! and with others that do all they can to disturb.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

#[path = "transact/alone.rs"]
mod alone;
mod common;
#[path = "transact/ranges.rs"]
mod ranges;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use common::{Random, setting};
use spinney::backend::MemoryBackend;
use spinney::{Db, Durability, Error, Result, Transaction, Tree};

fn rounds() -> u64 {
    setting("SPINNEY_TRANSACT_ROUNDS", 1500)
}

fn number(tx: &Transaction, tree: &Tree, key: &str) -> Result<u64> {
    let value = tx.get(tree, key)?;
    Ok(value.map_or(0, |value| u64::from_le_bytes(value[..].try_into().expect("eight bytes"))))
}

/// Keys that push the others into blobs of their own.
fn fill(tree: &Tree, count: usize) {
    for number in 0..count {
        tree.put(format!("fill/{number:05}"), [7; 500]).unwrap();
    }
}

/// In memory, and on storage with a cache that holds a part of it.
fn databases() -> Vec<Db> {
    let options = Db::builder().cache_bytes(1 << 20).log_bytes(16 << 20).durability(Durability::Buffered);
    vec![Db::memory(), options.open_backend(Arc::new(MemoryBackend::new())).unwrap()]
}

/// Two that each look at both and change one: one after the other, at most one of them finds what it wants.
#[test]
fn there_is_no_write_skew() {
    let db = Db::memory();
    let tree = db.tree("t").unwrap();
    fill(&tree, 3000);
    let met = AtomicU64::new(0);
    for round in 0..rounds() {
        let (on, off) = (1u64.to_le_bytes(), 0u64.to_le_bytes());
        tree.put("a", on).unwrap();
        tree.put("z", on).unwrap();
        // In their first runs both have read before one writes.
        let both = Barrier::new(2);
        std::thread::scope(|scope| {
            for own in ["a", "z"] {
                let (db, tree, met, both) = (&db, &tree, &met, &both);
                scope.spawn(move || {
                    let mut runs = 0;
                    let left = db.transact(|tx| {
                        let sum = number(tx, tree, "a")? + number(tx, tree, "z")?;
                        runs += 1;
                        if runs == 1 {
                            both.wait();
                        }
                        if sum == 2 {
                            tx.put(tree, own, off)?;
                        }
                        Ok(sum)
                    });
                    met.fetch_add(u64::from(left.unwrap() == 1), Ordering::Relaxed);
                });
            }
        });
        let sum: u64 = ["a", "z"].iter().map(|key| u64::from(tree.get(key).unwrap().unwrap()[0])).sum();
        assert_eq!(sum, 1, "round {round}: both have left");
    }
    assert_eq!(met.load(Ordering::Relaxed), rounds(), "in every round one finds the other gone");
}

const ACCOUNTS: usize = 12;

fn sum(tx: &Transaction, tree: &Tree) -> Result<u64> {
    (0..ACCOUNTS).map(|account| number(tx, tree, &account_key(account))).sum()
}

/// All over the keys that fill the blobs.
fn account_key(account: usize) -> String {
    format!("fill/{:05}/account", account * 200)
}

/// Money goes from account to account; whoever looks at all accounts in one transaction finds all of it,
/// in every run of the closure, also in those that are thrown away.
#[test]
fn money_is_neither_made_nor_lost() {
    for db in databases() {
        let tree = db.tree("t").unwrap();
        fill(&tree, 2600);
        for account in 0..ACCOUNTS {
            tree.put(account_key(account), 100u64.to_le_bytes()).unwrap();
        }
        let (done, looked) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let (db, tree, done, looked) = (&db, &tree, &done, &looked);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    db.transact(|tx| {
                        assert_eq!(sum(tx, tree)?, 100 * ACCOUNTS as u64);
                        Ok(())
                    })
                    .unwrap();
                    let by_scan = db.transact(|tx| {
                        let mut sum = 0;
                        for pair in tx.scan(tree, "fill/")? {
                            let (key, value) = pair?;
                            if key.ends_with(b"account") {
                                sum += u64::from_le_bytes(value[..].try_into().expect("eight bytes"));
                            }
                        }
                        assert_eq!(sum, 100 * ACCOUNTS as u64, "a scan");
                        Ok(sum)
                    });
                    // So many blobs are rarely in peace for long.
                    if !matches!(by_scan, Err(Error::Conflict { .. })) {
                        by_scan.unwrap();
                    }
                    looked.fetch_add(1, Ordering::Relaxed);
                }
            });
            let movers: Vec<_> = (0..3)
                .map(|thread| {
                    scope.spawn(move || {
                        let mut random = Random::new(thread);
                        for round in 0..rounds() {
                            move_some(db, tree, &mut random, round);
                        }
                    })
                })
                .collect();
            movers.into_iter().for_each(|mover| mover.join().unwrap());
            done.store(true, Ordering::Relaxed);
        });
        assert!(looked.load(Ordering::Relaxed) > 0);
        assert_eq!(db.transact(|tx| sum(tx, &tree)).unwrap(), 100 * ACCOUNTS as u64);
        assert!(db.check().unwrap().is_clean());
    }
}

fn move_some(db: &Db, tree: &Tree, random: &mut Random, round: u64) {
    let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
    let amount = random.below(30) as u64;
    let aborts = round.is_multiple_of(7);
    let moved = db.transact(|tx| {
        let (from, to) = (account_key(from), account_key(to));
        let left = number(tx, tree, &from)?;
        if left < amount {
            return Ok(());
        }
        tx.put(tree, &from, (left - amount).to_le_bytes())?;
        if aborts {
            return Err(tx.abort());
        }
        let there = number(tx, tree, &to)?;
        tx.put(tree, &to, (there + amount).to_le_bytes())
    });
    match moved {
        Err(Error::Aborted) => assert!(aborts),
        moved => moved.unwrap(),
    }
    // Others come and go, so that blobs are shared, split and joined.
    let number = random.below(6000);
    match random.percent(50) {
        true => drop(tree.put(format!("fill/{number:05}"), vec![1; random.below(900)]).unwrap()),
        false => drop(tree.remove(format!("fill/{number:05}")).unwrap()),
    }
}

/// A batch changes keys in many blobs; no transaction ever sees one of them changed and another not.
#[test]
fn no_transaction_sees_half_of_a_batch() {
    for db in databases() {
        let tree = db.tree("t").unwrap();
        fill(&tree, 2600);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for backward in [false, true] {
                let (db, tree, done) = (&db, &tree, &done);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        db.transact(|tx| {
                            let mut keys: Vec<String> = (0..ACCOUNTS).map(account_key).collect();
                            if backward {
                                keys.reverse();
                            }
                            let first = number(tx, tree, &keys[0])?;
                            for key in &keys {
                                assert_eq!(number(tx, tree, key)?, first, "{key}");
                            }
                            // One of them is there or not, with the others.
                            assert_eq!(tx.contains(tree, "fill/odd")?, first % 2 == 1);
                            Ok(())
                        })
                        .unwrap();
                    }
                });
            }
            for round in 1..=rounds() * 2 {
                let mut batch = db.batch();
                for account in 0..ACCOUNTS {
                    batch.put(&tree, account_key(account), round.to_le_bytes());
                }
                if round % 2 == 1 {
                    batch.put(&tree, "fill/odd", "");
                } else {
                    batch.remove(&tree, "fill/odd");
                }
                batch.commit().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}

/// A counter that many threads raise: every try that is lost is one that another has won.
#[test]
fn counters_count_every_time() {
    for db in databases() {
        let tree = db.tree("t").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds() {
                        db.transact(|tx| {
                            let count = number(tx, &tree, "count")?;
                            tx.put(&tree, "count", (count + 1).to_le_bytes())
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(db.transact(|tx| number(tx, &tree, "count")).unwrap(), 4 * rounds());
    }
}
