//! What handles stand for: databases, and in each of them all that was made from it.
//!
//! A handle is the number of a place, and places are used again. JavaScript never uses one that it has given
//! back, and none of a database that it has closed; so closing drops everything, whatever objects live on.

use super::refusal::{Outcome, Refusal};
use super::remote::Remote;
use super::scan::Source;
use crate::batch::Batch;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::snapshot::{Snapshot, SnapshotTree};
use crate::transaction::Transaction;
use crate::tree::Tree;

/// The tree that the methods of the database itself work on; its handle is 0.
pub(super) const DEFAULT_TREE: &str = "default";
const DEFAULT_HANDLE: u32 = 0;

/// The open databases.
pub(super) type Databases = Slots<Open>;

/// An open database, and what was made from it.
pub(super) struct Open {
    pub(super) db: Db,
    /// The default tree, once it exists.
    pub(super) default_tree: Option<Keys>,
    pub(super) trees: Slots<Keys>,
    pub(super) cursors: Slots<Source>,
    pub(super) batches: Slots<Batch>,
    pub(super) transactions: Slots<Transaction>,
    pub(super) snapshots: Slots<Snapshot>,
    /// Where its pages come in, if they are brought from somewhere else.
    pub(super) remote: Option<Remote>,
}

/// A tree, as it is or as it was.
pub(super) struct Keys {
    /// To read: both are read in the same way.
    pub(super) tree: Tree,
    /// As a snapshot has it, and the handle of that snapshot.
    past: Option<(SnapshotTree, u32)>,
}

impl Keys {
    pub(super) fn live(tree: Tree) -> Self {
        Keys { tree, past: None }
    }

    pub(super) fn past(tree: SnapshotTree, snapshot: u32) -> Self {
        Keys { tree: tree.reader().clone(), past: Some((tree, snapshot)) }
    }

    /// The tree to write.
    fn to_write(&self) -> Outcome<&Tree> {
        if self.past.is_some() { Err(Error::ReadOnly.into()) } else { Ok(&self.tree) }
    }

    /// The snapshot that it is of; 0 if it is none.
    pub(super) fn snapshot(&self) -> u32 {
        self.past.as_ref().map_or(0, |(_, snapshot)| *snapshot)
    }

    pub(super) fn count(&self, prefix: &[u8]) -> Result<u64> {
        match &self.past {
            None => self.tree.count(prefix),
            Some((tree, _)) => tree.count(prefix),
        }
    }
}

impl Open {
    pub(super) fn new(db: Db) -> Self {
        Open {
            db,
            default_tree: None,
            trees: Slots::new(),
            cursors: Slots::new(),
            batches: Slots::new(),
            transactions: Slots::new(),
            snapshots: Slots::new(),
            remote: None,
        }
    }

    /// The tree to read. None: it is the default tree and does not exist, and a read does not make it.
    #[inline]
    pub(super) fn tree(&mut self, handle: u32) -> Outcome<Option<&Keys>> {
        if handle != DEFAULT_HANDLE {
            return self.trees.get(handle).map(|tree| Some(&*tree));
        }
        if self.default_tree.is_none() {
            self.default_tree = self.db.existing_tree(DEFAULT_TREE)?.map(Keys::live);
        }
        Ok(self.default_tree.as_ref())
    }

    /// The tree to write.
    #[inline]
    pub(super) fn tree_to_write(&mut self, handle: u32) -> Outcome<&Tree> {
        if handle != DEFAULT_HANDLE {
            return self.trees.get(handle)?.to_write();
        }
        if self.default_tree.is_none() {
            self.default_tree = Some(Keys::live(self.db.tree(DEFAULT_TREE)?));
        }
        self.default_tree.as_ref().ok_or(Refusal::Closed)?.to_write()
    }

    /// Another tree may have this name now.
    pub(super) fn forget_name(&mut self, name: &str) {
        if name == DEFAULT_TREE {
            self.default_tree = None;
        }
    }
}

/// A table whose places are used again. Handles begin with 1.
pub(super) struct Slots<T> {
    places: Vec<Option<T>>,
    empty: Vec<u32>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Slots { places: Vec::new(), empty: Vec::new() }
    }

    pub(super) fn put(&mut self, item: T) -> u32 {
        let place = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(item);
        place + 1
    }

    #[inline]
    pub(super) fn get(&mut self, handle: u32) -> Outcome<&mut T> {
        let place = handle.wrapping_sub(1) as usize;
        self.places.get_mut(place).and_then(Option::as_mut).ok_or(Refusal::Closed)
    }

    /// Visits everything.
    pub(super) fn each(&mut self, visit: impl FnMut(&mut T)) {
        self.places.iter_mut().flatten().for_each(visit);
    }

    /// Drops what is there no more use for.
    pub(super) fn drop_where(&mut self, is_over: impl Fn(&T) -> bool) {
        for (place, item) in self.places.iter_mut().enumerate() {
            if item.take_if(|item| is_over(item)).is_some() {
                self.empty.push(place as u32);
            }
        }
    }

    pub(super) fn take(&mut self, handle: u32) -> Option<T> {
        let place = handle.wrapping_sub(1);
        let item = self.places.get_mut(place as usize)?.take()?;
        self.empty.push(place);
        Some(item)
    }
}
