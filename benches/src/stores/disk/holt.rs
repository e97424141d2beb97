//! holt in its files, with its checkpointer as it comes.
//!
//! Its log has no bound that could be set: the checkpointer empties it every half second, if it can.

#![forbid(unsafe_code)]

use super::{Ack, Child, DiskStore, Session, Setup};
use crate::stores::Result;
use crate::stores::holt::list_lent;
use holt::{Durability, Tree, TreeConfig};

const BLOB: usize = 512 << 10;

pub struct Holt(Tree);

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

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.0.get(key)?.map(|value| see(&value)))
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        list_lent(&self.0, prefix, usize::MAX, see)
    }

    fn count(&mut self) -> Result<usize> {
        self.0.range_keys().into_iter().try_fold(0, |count, entry| {
            entry?;
            Ok(count + 1)
        })
    }
}
