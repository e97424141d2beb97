//! Doing the writes of a log again, in its order, after a crash.
//!
//! At first nothing is in memory. So writes of single keys are put aside until there are many, and what all
//! of them touch is read at once; then each is done as it was, one after the other.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::Forest;
use super::batch::{Batch, Committed, Refused};
use super::graft::Also;
use super::long::Pointer;
use super::notes::Seen;
use super::write::Condition;
use crate::backend::room;
use crate::blob::Key;
use crate::blob::key::KeyBuf;
use crate::error::{Error, Result};
use crate::limits::{KEY_BYTES_MAX, NAMES, SHORT_VALUE_BYTES_MAX, TREE_ID_BYTES};
use crate::log::Appended;
use crate::log::batch::Writes;
use crate::log::payload::Write;
use crate::log::replay::{Reader, Replayed};

/// Bytes of keys and values that are put aside, at most.
const ASIDE_BYTES_MAX: usize = 96 << 10;
/// So many times in a row nothing is asked for ahead after nothing was missing to so many writes.
const TIMES_WITHOUT: u32 = 8;
const WRITES_TO_TELL: usize = 16;

/// Writes of single keys, in order.
#[derive(Default)]
struct Aside {
    /// The seq of each, where its key ends, and where its value does; a removal has none.
    writes: Vec<(u64, usize, Option<usize>)>,
    bytes: Vec<u8>,
    /// How often nothing is to be asked for ahead.
    times_without: u32,
}

impl Aside {
    /// Takes a write, unless it is another kind, or there is no room for it.
    fn takes(&mut self, seq: u64, write: Write<'_>, writes_max: usize) -> Result<bool> {
        let (key, value) = match write {
            Write::Put { key, value } => (key, Some(value)),
            Write::Remove { key } => (key, None),
            _ => return Ok(false),
        };
        let bytes = self.bytes.len() + key.len() + value.map_or(0, <[u8]>::len);
        if self.writes.len() >= writes_max || bytes > ASIDE_BYTES_MAX {
            return Ok(false);
        }
        if self.bytes.capacity() == 0 {
            self.bytes = room::room(ASIDE_BYTES_MAX)?;
        }
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.writes.push((seq, key_end, value.map(|_| self.bytes.len())));
        Ok(true)
    }

    fn iter(&self) -> impl Iterator<Item = (u64, Write<'_>)> {
        let mut from = 0;
        self.writes.iter().map(move |&(seq, key_end, value_end)| {
            let (key, value) = (&self.bytes[from..key_end], value_end.map(|end| &self.bytes[key_end..end]));
            from = value_end.unwrap_or(key_end);
            (seq, value.map_or(Write::Remove { key }, |value| Write::Put { key, value }))
        })
    }

    fn clear(&mut self) {
        self.writes.clear();
        self.bytes.clear();
    }
}

impl Forest {
    /// Replays what `reader` finds from `position` on. Nothing is appended to a log meanwhile.
    pub(crate) fn replay(&self, reader: Reader<'_>, position: u64) -> Result<Replayed> {
        let last_seq = self.store.last_seq();
        if cfg!(target_arch = "wasm32") {
            // Files of a browser are read one page after the other anyway.
            return reader.replay(position, last_seq, |seq, write| self.redo_one(seq, write, position));
        }
        let (mut aside, writes_max) = (Aside::default(), self.keys_in_batch());
        let replayed = reader.replay(position, last_seq, |seq, write| {
            if aside.takes(seq, write, writes_max)? {
                return Ok(());
            }
            self.redo_aside(&mut aside, position)?;
            if aside.takes(seq, write, writes_max)? { Ok(()) } else { self.redo_one(seq, write, position) }
        })?;
        self.redo_aside(&mut aside, position)?;
        Ok(replayed)
    }

    fn redo_aside(&self, aside: &mut Aside, position: u64) -> Result<()> {
        self.load_ahead(aside);
        for (seq, write) in aside.iter() {
            self.redo_one(seq, write, position)?;
        }
        aside.clear();
        Ok(())
    }

    /// Nothing of this is needed to be right: what was not loaded is missed, and loaded then.
    fn load_ahead(&self, aside: &mut Aside) {
        if aside.writes.len() < 2 {
            // One that is alone has nothing to wait for.
            return;
        }
        if aside.times_without > 0 {
            aside.times_without -= 1;
            return;
        }
        let mut buffers: Vec<KeyBuf> = aside.iter().map(|_| KeyBuf::empty()).collect();
        let keys: Result<Vec<Key<'_>>> = aside.iter().zip(&mut buffers).map(key_of).collect();
        let was_missing = keys.is_ok_and(|keys| self.load_batch(&keys));
        if !was_missing && aside.writes.len() >= WRITES_TO_TELL {
            aside.times_without = TIMES_WITHOUT;
        }
    }

    fn redo_one(&self, seq: u64, write: Write<'_>, position: u64) -> Result<()> {
        let done = self.redo(write)?;
        // The same write gets the same number, or it is not the same write.
        if done == Some(seq) { Ok(()) } else { Err(damaged(position)) }
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
        match self.commit_once(&batch.replayed(), &Seen::default()) {
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

fn key_of<'a>(((_, write), buffer): ((u64, Write<'_>), &'a mut KeyBuf)) -> Result<Key<'a>> {
    match write {
        Write::Put { key, .. } | Write::Remove { key } => whole(buffer, key),
        _ => Err(damaged(0)),
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
