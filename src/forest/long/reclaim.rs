//! Taking away what nothing refers to: the parts of values with a mark, and directories that were removed.

#![forbid(unsafe_code)]

use super::read::nonsense;
use super::{MARK, PART, Pointer, id_in, mark_key, parts_prefix};
use crate::art::cursor::Direction;
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::scan::{Side, successor};
use crate::forest::write::Condition;
use crate::limits::{LONG_VALUES, SYSTEM_TREES, TREE_ID_BYTES};
use crate::store::durable::Durability;

/// Up to so many parts are removed one by one; more are cut out together, which keeps all writers waiting for
/// a moment.
const SINGLY_MAX: usize = 16;

impl Forest {
    /// To be called before a value gets an id, or loses its leaf: does what a process that has died left
    /// undone, and finds out which ids there are.
    pub(crate) fn prepare_long(&self) -> Result<()> {
        self.store.long.prepare(|| {
            self.finish_reclaiming()?;
            let highest = self.highest_long_id()?;
            Ok(highest.max(self.store.last_seq()))
        })
    }

    fn highest_long_id(&self) -> Result<u64> {
        let (start, end) = (parts_prefix(0), [&LONG_VALUES.to_be_bytes()[..], &[PART + 1]].concat());
        let mut walk = Side::new(Direction::Backward, start, end);
        let id = walk.step(self, false)?.map_or(0, |_| id_in(walk.key()));
        // Nobody writes so many values.
        if id > u64::MAX / 2 { Err(nonsense()) } else { Ok(id) }
    }

    /// Nobody else has begun with long values yet.
    fn finish_reclaiming(&self) -> Result<()> {
        let end = LONG_VALUES.to_be_bytes();
        self.each_first(&SYSTEM_TREES.to_be_bytes(), &end, |key| {
            self.empty_discarded(&key[..TREE_ID_BYTES.min(key.len())])
        })?;
        let (start, end) = (mark_key(0), [&LONG_VALUES.to_be_bytes()[..], &[MARK + 1]].concat());
        self.each_first(&start, &end, |mark| {
            self.reclaim(id_in(mark))?;
            self.remove_aside(mark)
        })
    }

    /// Calls `take_away` with the first key of a range as long as there is one.
    fn each_first(&self, start: &[u8], end: &[u8], take_away: impl Fn(&[u8]) -> Result<()>) -> Result<()> {
        let mut last = None;
        while let Some(key) = self.first_key(start, end)? {
            take_away(&key)?;
            if last.as_ref() == Some(&key) {
                // It cannot be taken away, whatever the words say.
                return Err(nonsense());
            }
            last = Some(key);
        }
        Ok(())
    }

    pub(super) fn first_key(&self, start: &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut walk = Side::new(Direction::Forward, start.to_vec(), end.to_vec());
        Ok(walk.step(self, false)?.map(|_| walk.key().to_vec()))
    }

    /// Takes the parts of a marked value away, then its mark.
    pub(super) fn reclaim(&self, id: u64) -> Result<()> {
        let _others = self.store.long.hold_parts();
        self.remove_parts(id)?;
        self.remove_aside(&mark_key(id))
    }

    fn remove_parts(&self, id: u64) -> Result<()> {
        let prefix = parts_prefix(id);
        let end = successor(&prefix).unwrap_or_else(|| prefix.clone());
        let mut walk = Side::new(Direction::Forward, prefix.clone(), end);
        let mut parts = Vec::new();
        while parts.len() <= SINGLY_MAX && walk.step(self, false)?.is_some() {
            parts.push(walk.key().to_vec());
        }
        if parts.len() <= SINGLY_MAX {
            return parts.iter().try_for_each(|part| self.remove_aside(part));
        }
        match self.remove_prefix_alone(&prefix, None, None)?.flatten() {
            Some(appended) => self.store.acknowledge(appended, Durability::Buffered),
            None => Ok(()),
        }
    }

    fn remove_aside(&self, key: &[u8]) -> Result<()> {
        let mut buffer = KeyBuf::empty();
        match self.remove(&buffer.fill_whole(key), Condition::Always)? {
            Some(appended) => self.store.acknowledge(appended, Durability::Buffered),
            None => Ok(()),
        }
    }

    /// Takes away all that the pointer leaves of a discarded tree refer to, then the tree.
    pub(super) fn empty_discarded(&self, tree: &[u8]) -> Result<()> {
        let end = successor(tree).unwrap_or_else(|| LONG_VALUES.to_be_bytes().to_vec());
        self.each_pointer(tree, &end, |bytes| {
            let Some(pointer) = Pointer::decode(bytes) else { return Ok(true) };
            let _others = self.store.long.hold_parts();
            self.remove_parts(pointer.id).map(|()| true)
        })?;
        match self.remove_prefix_alone(tree, None, None)?.flatten() {
            Some(appended) => self.store.acknowledge(appended, Durability::Buffered),
            None => Ok(()),
        }
    }
}
