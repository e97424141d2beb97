//! Whether leaves and parts of long values belong together: each value has one leaf or a mark, and all parts.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use super::{PART, Pointer, id_in};
use crate::art::cursor::{Cursor, Direction, Item};
use crate::blob::presence::Everything;
use crate::blob::{Words, header};
use crate::limits::{LONG_VALUES, SYSTEM_TREES, TREE_ID_BYTES};

/// What was seen of long values so far.
#[derive(Default)]
pub(crate) struct Census {
    /// The leaf of each value, if it is not in a directory that is being taken apart.
    leaves: BTreeMap<u64, (u32, Pointer)>,
    discarded: BTreeSet<u64>,
    marks: BTreeSet<u64>,
    /// Parts of each value, and their bytes.
    parts: BTreeMap<u64, (u32, u64)>,
    /// Keys that are not of users.
    pub(crate) own_keys: u64,
    problems: Vec<(u32, String)>,
}

impl Census {
    /// Looks at the keys of a blob that begin with `base`, if some of them may have to do with long values.
    pub(crate) fn take_in(&mut self, id: u32, words: Words<'_>, base: &[u8], hi: Option<&[u8]>) {
        let reaches_in = hi.is_none_or(|hi| hi > &SYSTEM_TREES.to_be_bytes()[..]);
        if header::pointer_leaves(words) == 0 && !reaches_in {
            return;
        }
        let mut cursor = Cursor::new();
        cursor.read_values(true);
        cursor.seek_edge(base, Direction::Forward);
        // What makes no sense here was found before.
        while let Ok(Some(item)) = cursor.next(words, &Everything) {
            if item == Item::Leaf {
                self.take_in_leaf(id, cursor.key(), cursor.value(), cursor.leaf().is_pointer());
            }
        }
    }

    fn take_in_leaf(&mut self, blob: u32, key: &[u8], bytes: &[u8], is_pointer: bool) {
        let tree = key.first_chunk().map_or(0, |id| u32::from_be_bytes(*id));
        self.own_keys += u64::from(tree >= SYSTEM_TREES);
        match Pointer::decode(bytes) {
            Some(pointer) if is_pointer && tree >= SYSTEM_TREES => {
                self.discarded.insert(pointer.id);
            }
            Some(pointer) if is_pointer => {
                if self.leaves.insert(pointer.id, (blob, pointer)).is_some() {
                    self.problems.push((blob, format!("two leaves refer to long value {}", pointer.id)));
                }
            }
            None if is_pointer => self.problems.push((blob, format!("the pointer of {key:?} is none"))),
            _ if tree != LONG_VALUES => {}
            _ if key.get(TREE_ID_BYTES) == Some(&PART) => {
                let (parts, sum) = self.parts.entry(id_in(key)).or_default();
                (*parts, *sum) = (*parts + 1, *sum + bytes.len() as u64);
            }
            _ => drop(self.marks.insert(id_in(key))),
        }
    }

    /// All that does not belong together: blobs and sentences.
    pub(crate) fn problems(mut self) -> Vec<(u32, String)> {
        for (id, (blob, pointer)) in &self.leaves {
            let whole = (pointer.parts(), pointer.length() as u64);
            let found = self.parts.get(id).copied().unwrap_or_default();
            if self.marks.contains(id) || self.discarded.contains(id) {
                self.problems.push((*blob, format!("long value {id} has a leaf and is to be taken away")));
            } else if found != whole {
                let text = format!("of long value {id} there are {found:?} parts and bytes, not {whole:?}");
                self.problems.push((*blob, text));
            }
        }
        let is_known =
            |id: &u64| self.leaves.contains_key(id) || self.marks.contains(id) || self.discarded.contains(id);
        for id in self.parts.keys().filter(|id| !is_known(id)) {
            self.problems.push((0, format!("nothing refers to long value {id}")));
        }
        self.problems
    }
}
