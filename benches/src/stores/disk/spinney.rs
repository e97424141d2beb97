//! Spinney itself, in its file.

#![forbid(unsafe_code)]

use super::{Ack, Child, DiskStore, Session, Setup};
use crate::stores::Result;
use crate::stores::spinney::list_lent;
use spinney::{Db, Durability, Tree};

pub struct Spinney {
    db: Db,
    tree: Tree,
}

impl DiskStore for Spinney {
    const NAME: &'static str = "spinney";
    const ACKS: [&'static str; 2] = [
        "Durability::Sync, its group commit",
        "Durability::Buffered: kept when the process dies, lost with the system, 10 ms of it",
    ];
    type Session<'a> = &'a Self;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let durability = match setup.ack {
            Ack::Synced => Durability::Sync,
            Ack::Buffered => Durability::Buffered,
        };
        let db = Db::builder()
            .cache_bytes(setup.cache_bytes as u64)
            // A checkpoint starts when half of it is full; the peers' start when so much is in their logs.
            .log_bytes(2 * setup.log_bytes as u64)
            .durability(durability)
            .open(setup.dir.join("bench.spinney"))?;
        let tree = db.tree("bench")?;
        Ok(Self { db, tree })
    }

    fn session(&self) -> Result<&Self> {
        Ok(self)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.sync()?)
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.db.checkpoint()?)
    }

    fn close(self) -> Result<()> {
        drop(self.tree);
        Ok(self.db.close()?)
    }
}

impl Session for &Spinney {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.tree.put(key, value)?;
        Ok(())
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.tree.get(key)?.map(|value| see(&value)))
    }

    fn get_many(&mut self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        for (place, value) in self.tree.get_many(keys)?.iter().enumerate() {
            if let Some(value) = value {
                see(place, value);
            }
        }
        Ok(())
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        list_lent(&self.tree, prefix, see)
    }

    fn count(&mut self) -> Result<usize> {
        let mut scan = self.tree.scan("");
        let mut count = 0;
        while scan.next_ref()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}
