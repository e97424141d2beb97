//! What trees are called at some moment: for changes, which know them by their ids.
//!
//! Ids are never given out twice, names are. A tree without a name was dropped.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use crate::db::{Db, decode_id};
use crate::error::Result;
use crate::limits::{NAMES, TREE_ID_BYTES};
use crate::log::payload::Write;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeNames {
    by_id: HashMap<u32, Arc<str>>,
}

/// A write that changes what a tree is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameChange {
    Made { id: u32, name: Arc<str> },
    Renamed { from: Arc<str>, to: Arc<str> },
    Dropped { id: u32, name: Arc<str> },
}

impl NameChange {
    pub(crate) fn of(write: Write<'_>) -> Option<NameChange> {
        match write {
            Write::Put { key, value } => {
                let id = value.try_into().ok().map(u32::from_le_bytes)?;
                Some(NameChange::Made { id, name: name_in(key)? })
            }
            Write::Rename { from, to } => {
                Some(NameChange::Renamed { from: name_in(from)?, to: name_in(to)? })
            }
            Write::RemovePrefix { prefix, also: Some(also) } | Write::MoveAway { from: prefix, also, .. } => {
                Some(NameChange::Dropped { id: id_in(prefix)?, name: name_in(also)? })
            }
            _ => None,
        }
    }
}

fn id_in(key: &[u8]) -> Option<u32> {
    key.first_chunk::<TREE_ID_BYTES>().map(|id| u32::from_be_bytes(*id))
}

/// The name that a key of the tree of names stands for.
fn name_in(key: &[u8]) -> Option<Arc<str>> {
    let name = key.strip_prefix(&NAMES.to_be_bytes())?;
    Some(String::from_utf8_lossy(name).into())
}

impl TreeNames {
    /// The tree that this key is in, if it has a name.
    pub(crate) fn of_key(&self, key: &[u8]) -> Option<Arc<str>> {
        self.by_id.get(&id_in(key)?).cloned()
    }

    fn rename(&mut self, from: &str, to: &Arc<str>) {
        if let Some(name) = self.by_id.values_mut().find(|name| &***name == from) {
            *name = to.clone();
        }
    }

    pub(crate) fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Made { id, name } => drop(self.by_id.insert(*id, name.clone())),
            NameChange::Renamed { from, to } => self.rename(from, to),
            NameChange::Dropped { id, .. } => drop(self.by_id.remove(id)),
        }
    }

    /// Takes a change back that was the last one.
    pub(crate) fn undo(&mut self, change: &NameChange) {
        match change {
            NameChange::Made { id, .. } => drop(self.by_id.remove(id)),
            NameChange::Renamed { from, to } => self.rename(to, from),
            NameChange::Dropped { id, name } => drop(self.by_id.insert(*id, name.clone())),
        }
    }
}

impl Db {
    /// What the trees are called, and the number of a write that was not before the last one to change that:
    /// there was none between it and now.
    pub(crate) fn tree_names(&self) -> Result<(TreeNames, u64)> {
        self.open_handle().with_names(|changed_at| {
            let mut names = TreeNames::default();
            for entry in self.tree_of(NAMES).scan("") {
                let (name, id) = entry?;
                names.by_id.insert(decode_id(&id)?, String::from_utf8_lossy(&name).into());
            }
            Ok((names, *changed_at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undone_is_as_it_was() {
        let write = |kind: u8| match kind {
            0 => Write::Put { key: b"\0\0\0\0one", value: &[7, 0, 0, 0] },
            1 => Write::Rename { from: b"\0\0\0\0one", to: b"\0\0\0\0two" },
            2 => Write::Put { key: b"\0\0\0\0one", value: &[8, 0, 0, 0] },
            _ => Write::RemovePrefix { prefix: &[0, 0, 0, 7], also: Some(b"\0\0\0\0two") },
        };
        let changes: Vec<NameChange> = (0..4).filter_map(|kind| NameChange::of(write(kind))).collect();
        let mut states = vec![TreeNames::default()];
        for change in &changes {
            let mut names = states[states.len() - 1].clone();
            names.apply(change);
            states.push(names);
        }
        assert_eq!(states[2].of_key(&[0, 0, 0, 7, 1]).as_deref(), Some("two"));
        assert_eq!(states[4].of_key(&[0, 0, 0, 7]), None);
        assert_eq!(states[4].of_key(&[0, 0, 0, 8]).as_deref(), Some("one"));
        let mut names = states[4].clone();
        for (change, before) in changes.iter().zip(&states).rev() {
            names.undo(change);
            assert_eq!(names, *before);
        }
    }

    #[test]
    fn other_writes_change_no_names() {
        for write in [
            Write::Put { key: &[0, 0, 0, 1, 9], value: &[7, 0, 0, 0] },
            Write::Put { key: b"\0\0\0\0one", value: b"no id" },
            Write::Remove { key: b"\0\0\0\0one" },
            Write::RemovePrefix { prefix: &[0, 0, 0, 1], also: None },
        ] {
            assert_eq!(NameChange::of(write), None);
        }
        assert_eq!(TreeNames::default().of_key(&[0, 0]), None);
    }
}
