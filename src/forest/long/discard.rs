//! Removing a directory: in one step where nothing in it refers to a long value. Else it moves to a tree that
//! nobody looks into, which is one step as well, and is taken apart there.

#![forbid(unsafe_code)]

use super::{PART, parts_prefix};
use crate::art::cursor::Direction;
use crate::blob::header;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::graft::Also;
use crate::forest::scan::{Side, successor};
use crate::limits::{LONG_VALUES, SYSTEM_TREES};
use crate::log::Appended;

impl Forest {
    /// Removes all keys that begin with `prefix`, with what they refer to, and one more key, if that is
    /// given. None if there is nothing to remove, or the other key is not what it should be.
    pub(crate) fn remove_prefix(&self, prefix: &[u8], also: Option<Also<'_>>) -> Result<Option<Appended>> {
        loop {
            let arrivals = self.pointer_arrivals();
            if !self.has_pointers(prefix)?
                && let Some(done) = self.remove_prefix_alone(prefix, also, Some(arrivals))?
            {
                return Ok(done);
            }
            // Where others are at work here this is right, too, whatever there is.
            let done = self.discard(prefix, also)?;
            let is_there = also.is_some_and(|also| self.version_is(also).unwrap_or(false));
            if done.is_some() || !is_there {
                return Ok(done);
            }
        }
    }

    fn version_is(&self, also: Also<'_>) -> Result<bool> {
        let mut buffer = crate::blob::key::KeyBuf::empty();
        let found = self.version_of(&buffer.fill_whole(also.key))?;
        Ok(found.is_some() && also.version.is_none_or(|version| found == Some(version)))
    }

    fn has_pointers(&self, prefix: &[u8]) -> Result<bool> {
        let behind_parts = [&LONG_VALUES.to_be_bytes()[..], &[PART + 1]].concat();
        if self.first_key(&parts_prefix(0), &behind_parts)?.is_none() {
            return Ok(false);
        }
        let Some(end) = successor(prefix) else {
            return Err(Self::corrupt(crate::store::ROOT_BLOB));
        };
        let mut found = false;
        self.each_pointer(prefix, &end, |_| {
            found = true;
            Ok(false)
        })?;
        Ok(found)
    }

    /// Shows what the pointer leaves of a range hold, as long as that is wanted. Blobs without any are passed
    /// over.
    pub(super) fn each_pointer(
        &self,
        start: &[u8],
        end: &[u8],
        mut show: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<()> {
        let mut next = Some(start.to_vec());
        while let Some(from) = next.filter(|from| from.as_slice() < end) {
            let (pointers, bounds) = self.look_at_blob(&from, |words, _| header::pointer_leaves(words))?;
            if pointers > 0 {
                let to = bounds.hi.as_deref().map_or(end, |hi| hi.min(end)).to_vec();
                let mut walk = Side::new(Direction::Forward, from, to);
                while walk.step(self, true)?.is_some() {
                    if walk.is_pointer() && !show(walk.value())? {
                        return Ok(());
                    }
                }
            }
            next = bounds.hi;
        }
        Ok(())
    }

    fn discard(&self, prefix: &[u8], also: Option<Also<'_>>) -> Result<Option<Appended>> {
        self.prepare_long()?;
        loop {
            let tree = SYSTEM_TREES + self.store.long.next_discarded() % (LONG_VALUES - SYSTEM_TREES);
            let tree = tree.to_be_bytes();
            match self.move_away(prefix, &tree, also) {
                // What is left of another.
                Err(Error::TargetExists) => {}
                Ok(Some(appended)) => {
                    // What fails here is done by the next opening.
                    let _ = self.empty_discarded(&tree);
                    return Ok(Some(appended));
                }
                done => return done,
            }
        }
    }
}
