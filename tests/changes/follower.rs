//! A copy of a database that is kept up to date by its changes, and is strict about them: what a change
//! speaks of has to be there, and nothing else.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use spinney::{Change, Changed, Changes, Db, Error, Result, Version};

/// Every key of every tree.
pub type Contents = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

pub fn contents(db: &Db) -> Contents {
    let tree_of = |name: String| {
        let tree = db.tree(&name).unwrap();
        let pairs = tree.scan("").map(|pair| pair.map(|(key, value)| (key, value.into_vec())));
        (name, pairs.collect::<Result<_>>().unwrap())
    };
    db.trees().unwrap().into_iter().map(tree_of).collect()
}

/// What a load brings: it follows from the prefix, so that a follower knows it, too.
pub fn loaded(prefix: &[u8], keys: u64) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let prefix = prefix.to_vec();
    (0..keys).map(move |number| {
        let key = [&prefix, format!("{number:06}").as_bytes()].concat();
        let value = [&key[..], &vec![number as u8; 40 + number as usize % 60]].concat();
        (key, value)
    })
}

pub struct Follower {
    pub db: Db,
    pub version: Version,
    pub applied: usize,
    pub begun_anew: usize,
    /// Whether loads are told by their prefixes, see [`loaded`], or lead to a new beginning.
    pub knows_loads: bool,
}

impl Follower {
    pub fn empty() -> Follower {
        let (db, version) = (Db::memory(), Version::from_number(0));
        Follower { db, version, applied: 0, begun_anew: 0, knows_loads: true }
    }

    /// A copy of everything, as of the version that the copy itself tells.
    pub fn copy_of(source: &Db) -> Follower {
        let image = loop {
            match source.image() {
                // Writers were faster than the copying.
                Err(Error::SnapshotTooOld) => {}
                image => break image.unwrap(),
            }
        };
        let db = Db::from_image(image).unwrap();
        let version = Version::from_number(db.stats().last_version);
        Follower { db, version, ..Follower::empty() }
    }

    pub fn begin_anew(&mut self, source: &Db) {
        let (begun_anew, knows_loads) = (self.begun_anew + 1, self.knows_loads);
        *self = Follower { begun_anew, knows_loads, ..Follower::copy_of(source) };
    }

    /// Does all that is durable, or begins anew where the log does not go back so far.
    pub fn catch_up(&mut self, source: &Db) -> Result<()> {
        loop {
            let mut changes = match source.changes_since(self.version) {
                Err(Error::ChangesRecycled { .. }) => {
                    self.begin_anew(source);
                    continue;
                }
                changes => changes?,
            };
            if self.follow(source, &mut changes)? {
                return Ok(());
            }
        }
    }

    /// Does what there is. False if it had to begin anew.
    pub fn follow(&mut self, source: &Db, changes: &mut Changes) -> Result<bool> {
        for change in changes.by_ref() {
            let change = match change {
                Err(Error::ChangesRecycled { .. }) => {
                    self.begin_anew(source);
                    return Ok(false);
                }
                change => change?,
            };
            if matches!(change.what, Changed::Loaded { .. }) && !self.knows_loads {
                self.begin_anew(source);
                return Ok(false);
            }
            self.apply(&change);
        }
        assert!(changes.version() >= self.version);
        self.version = changes.version();
        Ok(true)
    }

    pub fn apply(&mut self, change: &Change) {
        assert!(change.version > self.version, "{change:?} after {}", self.version);
        self.apply_what(&change.what);
        self.version = change.version;
        self.applied += 1;
    }

    fn tree(&self, name: &str) -> spinney::Tree {
        assert!(self.db.trees().unwrap().iter().any(|known| known == name), "no tree {name}");
        self.db.tree(name).unwrap()
    }

    fn apply_what(&self, what: &Changed) {
        match what {
            Changed::Put { tree, key, value } => drop(self.tree(tree).put(key, value).unwrap()),
            // One that is gone already, which a later change says, is only to be there for what comes before.
            Changed::PutLong { tree, key, value } => {
                self.tree(tree).put(key, value.as_deref().unwrap_or_default()).unwrap();
            }
            Changed::Remove { tree, key } => {
                self.tree(tree).remove(key).unwrap().expect("what is removed is there");
            }
            Changed::Rename { tree, from, to } => {
                self.tree(tree).rename(from, to).unwrap().expect("what is renamed is there");
            }
            Changed::RenamePrefix { tree, from, to } => {
                self.tree(tree).rename_prefix(from, to).unwrap().expect("there is what moves");
            }
            Changed::RemovePrefix { tree, prefix } => {
                self.tree(tree).remove_prefix(prefix).unwrap().expect("there is what goes");
            }
            Changed::TreeMade { tree } => {
                assert!(!self.db.trees().unwrap().iter().any(|known| **known == **tree));
                self.db.tree(tree).unwrap();
            }
            Changed::TreeRenamed { from, to } => assert!(self.db.rename_tree(from, to).unwrap()),
            Changed::TreeDropped { tree } => assert!(self.db.drop_tree(tree).unwrap()),
            Changed::Loaded { tree, prefix, keys } => {
                assert_eq!(self.tree(tree).load(prefix, loaded(prefix, *keys)).unwrap(), *keys);
            }
            Changed::Batch(changes) => self.apply_batch(changes),
            other => panic!("{other:?}"),
        }
    }

    fn apply_batch(&self, changes: &[Change]) {
        assert!(changes.is_sorted_by(|one, other| one.version < other.version));
        let mut batch = self.db.batch();
        for change in changes {
            match &change.what {
                Changed::Put { tree, key, value } => batch.put(&self.tree(tree), key, value),
                Changed::PutLong { tree, key, value } => {
                    batch.put(&self.tree(tree), key, value.as_deref().unwrap_or_default())
                }
                Changed::Remove { tree, key } => batch.remove(&self.tree(tree), key),
                Changed::Rename { tree, from, to } => batch.rename(&self.tree(tree), from, to),
                other => panic!("in a batch: {other:?}"),
            };
        }
        assert!(!batch.is_empty());
        batch.commit().unwrap();
    }

    /// The same as the source, which nobody writes.
    #[track_caller]
    pub fn assert_same(&self, source: &Db) {
        assert_contents(&contents(&self.db), &contents(source));
    }
}

#[track_caller]
pub fn assert_contents(found: &Contents, expected: &Contents) {
    let names = |contents: &Contents| contents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for (name, pairs) in expected {
        let found = &found[name];
        for (key, value) in pairs {
            let there = found.get(key).map(|value| value.len());
            assert!(found.get(key) == Some(value), "{name}: {} is {there:?}", key.escape_ascii());
        }
        let more = found.keys().find(|key| !pairs.contains_key(*key));
        assert!(more.is_none(), "{name}: {} is too much", more.unwrap().escape_ascii());
    }
}
