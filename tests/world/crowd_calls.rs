//! More of what each thread of the crowd does: conditional puts, single renames, long values, trees of its
//! own, and snapshots that it holds for a while, each compared in full with what it had then.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::SeqCst;

use spinney::{Db, Error, Result, Scan, Snapshot};

use super::{Model, Owner};
use crate::common::short;

/// Snapshots that a thread holds, at most.
const HELD_MAX: usize = 3;
/// Trees that a thread may have.
const TREES: usize = 3;

/// Keys of other trees stand in the same map, behind all files: first the tree itself, with an empty value.
fn tree_key(tree: &str, key: &[u8]) -> Vec<u8> {
    [b"\xFFtree/", tree.as_bytes(), b"\0", key].concat()
}

/// Everything that belongs to a thread, as its map has it.
pub fn contents(db: &Db, owner: &str) -> Result<Model> {
    gathered(owner, db.trees()?, |tree, prefix| Ok(db.tree(tree)?.scan(prefix)))
}

/// The same of a snapshot.
fn contents_then(snapshot: &Snapshot, owner: &str) -> Result<Model> {
    gathered(owner, snapshot.trees()?, |tree, prefix| Ok(snapshot.tree(tree)?.scan(prefix)))
}

fn gathered(owner: &str, trees: Vec<String>, scan: impl Fn(&str, &str) -> Result<Scan>) -> Result<Model> {
    let mut found = Model::new();
    for pair in scan("files", &format!("{owner}/"))? {
        let (key, value) = pair?;
        found.insert(key, value.into_vec());
    }
    for name in trees.into_iter().filter(|name| name.starts_with(&format!("{owner}-"))) {
        found.insert(tree_key(&name, b""), Vec::new());
        for pair in scan(&name, "")? {
            let (key, value) = pair?;
            found.insert(tree_key(&name, &key), value.into_vec());
        }
    }
    Ok(found)
}

impl Owner<'_> {
    pub fn put_if_absent(&mut self) -> Result<()> {
        let (key, value, mut next) = (self.some_file(), self.some_value(), self.model.clone());
        let is_absent = !next.contains_key(&key);
        if is_absent {
            next.insert(key.clone(), value.clone());
        }
        let outcome = self.files.put_if_absent(&key, &value);
        let put = self.settle(8, next, outcome)?.is_some();
        assert_eq!(put, is_absent, "{}", short(&key));
        Ok(())
    }

    /// With the version that is there, or one that is not.
    pub fn compare_and_put(&mut self) -> Result<()> {
        let (key, value, mut next) = (self.some_file(), self.some_value(), self.model.clone());
        let found = self.files.get(&key)?.map(|value| value.version().number());
        let expected = found.unwrap_or(7) + u64::from(self.random.percent(25));
        let fits = found == Some(expected);
        if fits {
            next.insert(key.clone(), value.clone());
        }
        let outcome = self.files.compare_and_put(&key, spinney::Version::from_number(expected), &value);
        let put = self.settle(9, next, outcome)?.is_some();
        assert_eq!(put, fits, "{}", short(&key));
        Ok(())
    }

    pub fn rename_file(&mut self) -> Result<()> {
        let (from, to, mut next) = (self.some_file(), self.some_file(), self.model.clone());
        let (source, taken) = (next.get(&from).cloned(), next.contains_key(&to));
        match self.files.rename(&from, &to) {
            Err(Error::TargetExists) if source.is_some() && taken && from != to => Ok(()),
            outcome => {
                if let Some(value) = &source {
                    next.remove(&from);
                    next.insert(to, value.clone());
                }
                let renamed = self.settle(10, next, outcome)?.is_some();
                assert_eq!(renamed, source.is_some(), "{}", short(&from));
                Ok(())
            }
        }
    }

    /// One that lies in parts.
    pub fn put_long(&mut self) -> Result<()> {
        let (key, mut next) = (self.some_file(), self.model.clone());
        let value = vec![self.random.next() as u8; 66_000 + self.random.below(200_000)];
        next.insert(key.clone(), value.clone());
        let outcome = self.files.put(&key, &value);
        self.settle(11, next, outcome).map(drop)
    }

    fn some_tree(&mut self) -> (String, bool) {
        let name = format!("{}-{}", self.name, self.random.below(TREES));
        let is_there = self.model.contains_key(&tree_key(&name, b""));
        (name, is_there)
    }

    /// Makes, drops, renames or fills one of the thread's own trees.
    pub fn change_trees(&mut self) -> Result<()> {
        let ((name, is_there), (other, taken)) = (self.some_tree(), self.some_tree());
        let (mut next, own) = (self.model.clone(), tree_key(&name, b""));
        let outcome = match self.random.below(6) {
            0 => {
                next.retain(|key, _| !key.starts_with(&own));
                let dropped = self.db.drop_tree(&name);
                dropped.map(|dropped| assert_eq!(dropped, is_there, "{name}"))
            }
            1 if name != other => {
                let moving = next.keys().filter(|key| key.starts_with(&own) && !taken);
                for key in moving.cloned().collect::<Vec<_>>() {
                    let value = next.remove(&key).expect("was listed");
                    next.insert(tree_key(&other, &key[own.len()..]), value);
                }
                match self.db.rename_tree(&name, &other) {
                    Err(Error::TargetExists) if is_there && taken => return Ok(()),
                    done => done.map(|done| assert_eq!(done, is_there, "{name} to {other}")),
                }
            }
            _ => {
                let (key, value) = (format!("{:03}", self.random.below(50)), self.some_value());
                next.insert(own, Vec::new());
                if is_there {
                    next.insert(tree_key(&name, key.as_bytes()), value.clone());
                }
                let tree = self.db.tree(&name);
                tree.and_then(|tree| if is_there { tree.put(&key, &value).map(drop) } else { Ok(()) })
            }
        };
        self.settle(12, next, outcome)
    }

    pub fn hold(&mut self) -> Result<()> {
        if self.held.len() == HELD_MAX {
            self.compare_held()?;
        }
        self.held.push((self.db.snapshot(), self.model.clone()));
        Ok(())
    }

    /// One of the snapshots still shows all that there was, however much has been moved and removed since.
    pub fn compare_held(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let nth = self.random.below(self.held.len());
        let (snapshot, then) = self.held.swap_remove(nth);
        match contents_then(&snapshot, &self.name) {
            // A blob that had left memory has fallen free.
            Err(Error::SnapshotTooOld) => Ok(()),
            found => {
                let found = found?;
                assert!(found == then, "{}: a snapshot: {}", self.name, super::difference(&found, &then));
                self.done[13].fetch_add(1, SeqCst);
                Ok(())
            }
        }
    }
}
