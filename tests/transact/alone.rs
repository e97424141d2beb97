//! Transactions without company: what they see of their own writes, against a sorted map; errors.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use spinney::{Db, Entry, Error, Tree};

use crate::common::Random;
use crate::common::keys::{Keys, value};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn listed(model: &Model, prefix: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for key in model.keys().filter(|key| key.starts_with(prefix)) {
        let end = key[prefix.len()..].iter().position(|&byte| byte == b'/');
        let name = end.map_or(key.clone(), |end| key[..prefix.len() + end + 1].to_vec());
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

fn assert_seen(tx: &spinney::Transaction, tree: &Tree, model: &Model, keys: &Keys, random: &mut Random) {
    let key = keys.key(random);
    assert_eq!(tx.get(tree, &key).unwrap().as_deref(), model.get(&key).map(|value| &value[..]));
    let prefix = &key[..random.below(key.len().min(12) + 1)];
    let pairs: Vec<_> = tx.scan(tree, prefix).unwrap().map(|pair| pair.unwrap()).collect();
    let expected: Vec<_> = model.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
    assert_eq!(pairs.len(), expected.len(), "{prefix:?}");
    assert!(
        pairs.iter().zip(&expected).all(|(found, model)| found.0 == *model.0 && found.1[..] == **model.1)
    );
    let other = keys.key(random);
    let (low, high) = (key.clone().min(other.clone()), key.clone().max(other));
    let range = tx.range(tree, low.clone()..=high.clone()).unwrap().map(|pair| pair.unwrap().0);
    assert!(range.eq(model.range(low..=high).map(|(key, _)| key.clone())));
    let folder = &key[..key.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)];
    let names: Vec<_> = tx.list(tree, folder).unwrap().map(|entry| entry.unwrap().name().to_vec()).collect();
    assert_eq!(names, listed(model, folder), "{folder:?}");
    assert_eq!(tx.is_empty(tree).unwrap(), model.is_empty());
}

#[test]
fn a_transaction_sees_what_it_has_written() {
    for seed in 0..4 {
        let db = Db::memory();
        let tree = db.tree("t").unwrap();
        let keys = Keys::new(seed);
        let mut random = Random::new(seed);
        let mut model = Model::new();
        for round in 0..60 {
            let (mut now, aborts) = (model.clone(), random.percent(20));
            let mut runs = 0;
            let outcome = db.transact(|tx| {
                runs += 1;
                for _ in 0..random.below(40) {
                    let key = keys.key(&mut random);
                    match random.below(5) {
                        0 => {
                            tx.remove(&tree, &key)?;
                            now.remove(&key);
                        }
                        1 => {
                            let to = keys.near(&key, &mut random);
                            match tx.rename(&tree, &key, &to) {
                                Err(Error::TargetExists) => assert!(now.contains_key(&to)),
                                moved => assert_eq!(moved?, now.contains_key(&key)),
                            }
                            if to != key && !now.contains_key(&to) {
                                now.remove(&key).map(|value| now.insert(to, value));
                            }
                        }
                        _ => {
                            let value = value(&mut random);
                            tx.put(&tree, &key, &value)?;
                            now.insert(key, value);
                        }
                    }
                }
                assert_seen(tx, &tree, &now, &keys, &mut random);
                if aborts { Err(tx.abort()) } else { Ok(7) }
            });
            assert_eq!(runs, 1, "nobody disturbs");
            match outcome {
                Ok(7) if !aborts => model = now,
                Err(Error::Aborted) if aborts => {}
                other => panic!("seed {seed}, round {round}: {other:?}"),
            }
            let found: Model =
                tree.scan("").map(|pair| pair.map(|(key, value)| (key, value.to_vec())).unwrap()).collect();
            assert!(found == model, "seed {seed}, round {round}");
        }
        assert!(db.check().unwrap().is_clean());
    }
}

#[test]
fn a_scan_sees_what_is_written_ahead_of_it() {
    let db = Db::memory();
    let tree = db.tree("t").unwrap();
    for key in ["a", "c", "e"] {
        tree.put(key, "").unwrap();
    }
    let keys = db.transact(|tx| {
        let mut keys = Vec::new();
        for pair in tx.scan(&tree, "")? {
            let key = pair?.0;
            match key[0] {
                b'a' => tx.put(&tree, "b", "")?,
                b'c' => tx.remove(&tree, "e")?,
                b'b' => tx.put(&tree, "a0", "")?,
                _ => {}
            }
            keys.extend(key);
        }
        Ok(keys)
    });
    assert_eq!(keys.unwrap(), b"abc");
    assert_eq!(tree.scan("").count(), 4);
}

#[test]
fn versions_come_with_the_commit() {
    let db = Db::memory();
    let tree = db.tree("t").unwrap();
    db.transact(|tx| {
        tx.put(&tree, "a", "1")?;
        assert_eq!(tx.get(&tree, "a")?.expect("own").version().number(), 0);
        let entries: Vec<_> = tx.list(&tree, "")?.collect::<Result<_, _>>()?;
        assert!(matches!(&entries[..], [Entry::Key { key, .. }] if key == b"a"));
        assert!(tree.is_empty()?, "nobody else sees it");
        Ok(())
    })
    .unwrap();
    assert!(tree.get("a").unwrap().expect("committed").version().number() > 0);
}

/// A closure that destroys what it has read can never commit, and is told so in the end.
#[test]
fn who_is_disturbed_each_time_gives_up() {
    let db = Db::memory();
    let tree = db.tree("t").unwrap();
    let mut runs = 0;
    let outcome = db.transact(|tx| {
        runs += 1;
        tx.get(&tree, "a")?;
        tree.put("a", "past the transaction")?;
        tx.put(&tree, "b", "")
    });
    let tries = spinney::Transaction::TRIES_MAX;
    assert!(matches!(outcome, Err(Error::Conflict { tries: found }) if found == tries), "{outcome:?}");
    assert_eq!(runs, tries);
    assert!(!tree.contains("b").unwrap());
}

#[test]
fn misuse_is_told() {
    let (db, other) = (Db::memory(), Db::memory());
    let (tree, stranger) = (db.tree("t").unwrap(), other.tree("t").unwrap());
    let code = |run: &dyn Fn(&spinney::Transaction) -> spinney::Result<()>| {
        let error = db.transact(|tx| {
            tx.put(&tree, "a", "1")?;
            run(tx)
        });
        assert!(tree.is_empty().unwrap());
        error.expect_err("misuse").code()
    };
    let long = vec![0; 65_001];
    assert_eq!(code(&|tx| tx.put(&tree, &long, "")), "KeyTooLong");
    assert_eq!(code(&|tx| tx.get(&tree, &long).map(drop)), "KeyTooLong");
    assert_eq!(code(&|tx| tx.put(&tree, "a", vec![0; spinney::VALUE_BYTES_MAX + 1])), "ValueTooLarge");
    assert_eq!(code(&|tx| tx.put(&stranger, "a", "")), "OtherDatabase");
    assert_eq!(code(&|tx| tx.scan(&stranger, "").map(drop)), "OtherDatabase");
    assert_eq!(code(&|tx| tx.list(&stranger, "").map(drop)), "OtherDatabase");
    let large = |tx: &spinney::Transaction| {
        (0..300u16).try_for_each(|number| tx.put(&tree, number.to_be_bytes(), vec![0; 60_000]))
    };
    assert_eq!(code(&large), "BatchTooLarge");
}
