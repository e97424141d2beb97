//! Writing a long value: its mark, then its parts. Nothing refers to it yet.

#![forbid(unsafe_code)]

use super::{Pointer, mark_key};
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::batch::Batch;
use crate::forest::write::Condition;
use crate::log::Appended;
use crate::store::durable::Durability;

impl Forest {
    /// Writes a value that is too long for a leaf under a key, if the condition holds.
    #[cold]
    #[inline(never)]
    pub(crate) fn put_long(
        &self,
        key: &[u8],
        value: &[u8],
        condition: Condition,
    ) -> Result<Option<Appended>> {
        let mut buffer = KeyBuf::empty();
        // Not for nothing, as far as can be told before.
        if condition != Condition::Always && !condition.holds(self.version_of(&buffer.fill_whole(key))?) {
            self.may_write()?;
            return Ok(None);
        }
        let pointer = self.write_value(value)?;
        let mut batch = Batch::default();
        batch.put_pointer([key, b""], &pointer.encode(), condition);
        self.commit_single(&batch, vec![(0, pointer)])
    }

    /// Writes mark and parts of a value. What the log has of it is stored before whatever is appended later.
    pub(super) fn write_value(&self, value: &[u8]) -> Result<Pointer> {
        self.may_write()?;
        self.prepare_long()?;
        let id = self.store.long.fresh_ids(1);
        let pointer = self.pointer(id, value.len());
        let written = self
            .write_mark(id)
            .and_then(|()| pointer.parts_of(value).try_for_each(|(key, bytes)| self.put_aside(&key, bytes)));
        if written.is_err() {
            // If this fails as well, the next opening does it.
            let _ = self.reclaim(id);
        }
        written.map(|()| pointer)
    }

    fn write_mark(&self, id: u64) -> Result<()> {
        self.put_aside(&mark_key(id), b"")
    }

    fn put_aside(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut buffer = KeyBuf::empty();
        match self.put(&buffer.fill_whole(key), value, Condition::Always)? {
            // Nobody waits, but the disk may begin.
            Some(appended) => self.store.acknowledge(appended, Durability::Buffered),
            None => Ok(()),
        }
    }
}
