//! holt in its files, with its checkpointer as it comes.
//!
//! Its log has no bound that could be set: the checkpointer empties it every half second, if it can.

#![forbid(unsafe_code)]

use super::below::Entry;
use super::{Ack, Child, DiskStore, Session, Setup, Visit};
use crate::stores::Result;
use crate::stores::holt::list_lent;
use holt::{AtomicBatch, Durability, RangeEntry, Tree, TreeConfig};

const BLOB: usize = 512 << 10;
/// Entries of a batch: the time of a batch grows with their square. Single puts are gathered by the store
/// itself, up to 262,144 of them, and are then such a batch: with 300,000 keys below one directory it took
/// more than four minutes.
const BATCH_ENTRIES: usize = 256;

pub struct Holt(Tree);

impl Holt {
    fn batch(&self, fill: impl FnOnce(&mut AtomicBatch)) -> Result<()> {
        if self.0.atomic(fill)? { Ok(()) } else { Err("an unconditional batch was refused".into()) }
    }
}

impl DiskStore for Holt {
    const NAME: &'static str = "holt";
    const ACKS: [&'static str; 2] = [
        "Wal { sync: true }, its group commit",
        "Wal { sync: false }: in its log's buffer, lost with the process",
    ];
    type Session<'a> = &'a Self;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let mut config = TreeConfig::new(setup.dir);
        config.buffer_pool_size = (setup.cache_bytes / BLOB).max(1);
        config.durability = Durability::Wal { sync: setup.ack == Ack::Synced };
        // A checkpoint every half second writes most of a growing store again, and takes longer than that.
        config.checkpoint.enabled = !setup.bulk;
        Ok(Self(Tree::open(config)?))
    }

    fn load<'k, V: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (&'k [u8], V)>) -> Result<()> {
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            self.batch(|batch| {
                for (key, value) in entries.by_ref().take(BATCH_ENTRIES) {
                    batch.put(key, value.as_ref());
                }
            })?;
        }
        Ok(())
    }

    fn session(&self) -> Result<&Self> {
        Ok(self)
    }

    fn sync(&self) -> Result<()> {
        // It has no lesser way to be sure.
        self.checkpoint()
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.0.checkpoint()?)
    }

    fn close(self) -> Result<()> {
        drop(self.0);
        Ok(())
    }
}

impl Session for &Holt {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.0.delete(key)?;
        Ok(())
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.0.get(key)?.map(|value| see(&value)))
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        list_lent(&self.0, prefix, usize::MAX, see)
    }

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut range = self.0.scan(prefix);
        if let Some(after) = after {
            range = range.start_after(after);
        }
        for entry in range {
            match entry? {
                RangeEntry::Key { key, value, .. } if visit(&key, &value) => {}
                RangeEntry::Key { .. } => break,
                _ => return Err("a prefix without a delimiter".into()),
            }
        }
        Ok(())
    }

    fn change(&mut self, puts: &[Entry], removes: &[Entry]) -> Result<()> {
        for puts in puts.chunks(BATCH_ENTRIES) {
            self.batch(|batch| puts.iter().for_each(|(key, value)| batch.put(key, value)))?;
        }
        for removes in removes.chunks(BATCH_ENTRIES) {
            self.batch(|batch| removes.iter().for_each(|(key, _)| batch.delete(key)))?;
        }
        Ok(())
    }

    fn count_below(&mut self, prefix: &[u8]) -> Result<usize> {
        Ok(usize::try_from(self.0.prefix_count(prefix, 0)?.count)?)
    }
}
