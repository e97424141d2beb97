//! Doing the writes of a log again, in its order, after a crash.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::Forest;
use super::batch::{Batch, Committed, Refused};
use super::graft::Also;
use super::long::Pointer;
use super::write::Condition;
use crate::blob::Key;
use crate::blob::key::KeyBuf;
use crate::error::{Error, Result};
use crate::limits::{KEY_BYTES_MAX, NAMES, SHORT_VALUE_BYTES_MAX, TREE_ID_BYTES};
use crate::log::Appended;
use crate::log::batch::Writes;
use crate::log::payload::Write;
use crate::log::replay::{Reader, Replayed};

impl Forest {
    /// Replays what `reader` finds from `position` on. Nothing is appended to a log meanwhile.
    pub(crate) fn replay(&self, reader: Reader<'_>, position: u64) -> Result<Replayed> {
        reader.replay(position, self.store.last_seq(), |seq, write| {
            let done = self.redo(write)?;
            // The same write gets the same number, or it is not the same write.
            if done == Some(seq) { Ok(()) } else { Err(damaged(position)) }
        })
    }

    fn redo(&self, write: Write<'_>) -> Result<Option<u64>> {
        let (mut buffer, mut other) = (KeyBuf::empty(), KeyBuf::empty());
        let done = match write {
            Write::Put { value, .. } if value.len() > SHORT_VALUE_BYTES_MAX => return Err(damaged(0)),
            Write::Put { key, value } => {
                self.remember_tree(key, value);
                self.put(&whole(&mut buffer, key)?, value, Condition::Always)?
            }
            Write::Remove { key } => self.remove(&whole(&mut buffer, key)?, Condition::Always)?,
            Write::Rename { from, to } => self.rename(&whole(&mut buffer, from)?, &whole(&mut other, to)?)?,
            // The keys are in the blobs.
            Write::Load { .. } => self.store.append(write).ok(),
            Write::MovePrefix { from, to } => self.move_prefix(sound(from)?, sound(to)?)?,
            Write::RemovePrefix { prefix, also } => {
                let key = also.map(sound).transpose()?;
                let also = key.map(|key| Also { key, version: None });
                self.remove_prefix_alone(sound(prefix)?, also, None)?.flatten()
            }
            Write::MoveAway { from, to, also } => {
                let also = Also { key: sound(also)?, version: None };
                self.move_away(sound(from)?, sound(to)?, Some(also))?
            }
            Write::Batch(writes) => self.redo_batch(writes)?,
            // The log hands out the batch in its place; and a pointer comes in batches alone.
            Write::BatchCommit(_) | Write::PutLong { .. } => return Err(damaged(0)),
        };
        Ok(done.map(|appended| appended.seq))
    }

    /// A batch had no conditions left when it was logged.
    fn redo_batch(&self, writes: Writes<'_>) -> Result<Option<Appended>> {
        let mut batch = Batch::with_room_for(writes)?;
        for write in writes.iter() {
            let mut buffer = KeyBuf::empty();
            match write {
                Write::Put { value, .. } if value.len() > SHORT_VALUE_BYTES_MAX => return Err(damaged(0)),
                Write::Put { key, value } => {
                    self.remember_tree(key, value);
                    batch.put([whole(&mut buffer, key)?.bytes(), b""], value, Condition::Always);
                }
                Write::PutLong { key, pointer } if Pointer::decode(pointer).is_some() => {
                    let key = whole(&mut buffer, key)?;
                    batch.put_pointer([key.bytes(), b""], pointer, Condition::Always);
                }
                Write::Remove { key } => {
                    batch.remove([whole(&mut buffer, key)?.bytes(), b""], Condition::Always);
                }
                Write::Rename { from, to } => {
                    let mut other = KeyBuf::empty();
                    let (from, to) = (whole(&mut buffer, from)?, whole(&mut other, to)?);
                    batch.rename([from.bytes(), b""], [to.bytes(), b""]);
                }
                _ => return Err(damaged(0)),
            }
        }
        match self.commit_once(&batch.replayed(), &[]) {
            Ok(Committed::Done(applied)) => Ok(applied.appended),
            Ok(Committed::Unsettled(_)) => Err(damaged(0)),
            Err(Refused::Failed(error)) => Err(error),
            Err(Refused::Step { .. } | Refused::Stale) => Err(damaged(0)),
        }
    }

    /// A tree's id that was given out is not given out again.
    fn remember_tree(&self, key: &[u8], value: &[u8]) {
        if let (true, Ok(id)) = (key.starts_with(&NAMES.to_be_bytes()), value.try_into()) {
            let next_tree = u32::from_le_bytes(id).saturating_add(1);
            self.store.next_tree.fetch_max(next_tree, Ordering::Relaxed);
        }
    }
}

fn whole<'a>(buffer: &'a mut KeyBuf, key: &[u8]) -> Result<Key<'a>> {
    Ok(buffer.fill_whole(sound(key)?))
}

/// A key, or a prefix of some: with its tree id.
fn sound(key: &[u8]) -> Result<&[u8]> {
    let is_key = (TREE_ID_BYTES..=TREE_ID_BYTES + KEY_BYTES_MAX).contains(&key.len());
    if is_key { Ok(key) } else { Err(damaged(0)) }
}

fn damaged(position: u64) -> Error {
    Error::LogCorrupt { position, reason: "a write that cannot be done again" }
}
