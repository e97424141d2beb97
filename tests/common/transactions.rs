//! What a transaction does at random, and what it has to see of it: maps in which its own writes have
//! version 0.

#![forbid(unsafe_code)]

use spinney::{Entry, Error, Result, Transaction, Tree};

use super::keys::{self, Keys, Sizes};
use super::oracle::{Child, Listing, Model, Window, above};
use super::{Random, short};

/// One random write.
pub fn change(
    tx: &Transaction,
    tree: &Tree,
    model: &mut Model,
    keys: &Keys,
    random: &mut Random,
    sizes: Sizes,
) -> Result<()> {
    let key = keys.some_key(model, random);
    match random.below(5) {
        0 => {
            tx.remove(tree, &key)?;
            model.remove(&key);
        }
        1 => {
            let to = keys.near(&key, random);
            let taken = to != key && model.contains_key(&key) && model.contains_key(&to);
            let moved = tx.rename(tree, &key, &to);
            let told = || format!("in a transaction: rename {} to {}", short(&key), short(&to));
            match moved {
                Err(Error::TargetExists) => assert!(taken, "{}: {to:?}", told()),
                moved => assert_eq!((moved?, taken), (model.contains_key(&key), false), "{}", told()),
            }
            if to != key
                && !taken
                && let Some((value, _)) = model.remove(&key)
            {
                model.insert(to, (value, 0));
            }
        }
        _ => {
            let value = keys::mixed_value(random, sizes);
            tx.put(tree, &key, &value)?;
            model.insert(key, (value, 0));
        }
    }
    Ok(())
}

/// Looks at a key, a prefix, a range and a directory.
pub fn look(tx: &Transaction, tree: &Tree, model: &Model, keys: &Keys, random: &mut Random) -> Result<()> {
    let key = keys.some_key(model, random);
    let found = tx.get(tree, &key)?.map(|value| (value.to_vec(), value.version().number()));
    assert!(found.as_ref() == model.get(&key), "get in a transaction");
    assert_eq!(tx.contains(tree, &key)?, model.contains_key(&key));
    let prefix = &key[..random.below(key.len().min(12) + 1)];
    same(tx.scan(tree, prefix)?, Window::of_prefix(model, prefix), "scan")?;
    let other = keys.some_key(model, random);
    let (low, high) = (key.clone().min(other.clone()), key.clone().max(other));
    let window = Window::new(model, low.clone(), Some(above(&high)));
    same(tx.range(tree, low..=high)?, window, "range")?;
    let folder = &key[..key.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)];
    let mut expected = Listing::new(model, folder, b'/');
    for entry in tx.list(tree, folder)? {
        let is_same = match (entry?, expected.next()) {
            (Entry::Prefix(found), Some(Child::Prefix(expected))) => found == expected,
            (Entry::Key { key, value, version }, Some(Child::Key(item))) => {
                (&key[..], &value[..], version.number()) == item
            }
            _ => false,
        };
        assert!(is_same, "list in a transaction, of {folder:?}");
    }
    assert!(expected.next().is_none(), "the list in a transaction ended too early");
    assert_eq!(tx.is_empty(tree)?, model.is_empty());
    Ok(())
}

fn same(found: spinney::TransactionScan<'_>, mut expected: Window<'_>, what: &str) -> Result<()> {
    for pair in found {
        let (key, value) = pair?;
        let found = (&key[..], &value[..], value.version().number());
        assert!(Some(found) == expected.next(), "{what} in a transaction");
    }
    assert!(expected.next().is_none(), "the {what} in a transaction ended too early");
    Ok(())
}
