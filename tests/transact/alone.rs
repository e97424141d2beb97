//! Transactions without company: what they see of their own writes, against a sorted map; errors.

#![forbid(unsafe_code)]

use spinney::{Db, Entry, Error};

use crate::common::keys::{Keys, Sizes};
use crate::common::oracle::Model;
use crate::common::{Random, reads, transactions};

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
                    transactions::change(tx, &tree, &mut now, &keys, &mut random, Sizes::default())?;
                }
                transactions::look(tx, &tree, &now, &keys, &mut random)?;
                if aborts { Err(tx.abort()) } else { Ok(7) }
            });
            assert_eq!(runs, 1, "nobody disturbs");
            match outcome {
                Ok(7) if !aborts => model = now,
                Err(Error::Aborted) if aborts => {}
                other => panic!("seed {seed}, round {round}: {other:?}"),
            }
            // Versions come with the commit.
            for (key, (_, version)) in &mut model {
                let found = tree.get(key).unwrap().expect("was put");
                assert!(*version == 0 || *version == found.version().number());
                *version = found.version().number();
            }
            reads::verify(&tree, &model, &format!("seed {seed}, round {round}"));
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
