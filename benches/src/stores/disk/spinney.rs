//! Spinney itself, in its file.

#![forbid(unsafe_code)]

use super::{Ack, Child, DiskStore, Session, Setup, Visit};
use crate::stores::Result;
use crate::stores::spinney::list_lent;
use spinney::{Db, Durability, Tree};
use std::path::Path;

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

    fn in_memory() -> Option<Result<Self>> {
        let db = Db::memory();
        Some(db.tree("bench").map(|tree| Self { db, tree }).map_err(Into::into))
    }

    fn session(&self) -> Result<&Self> {
        Ok(self)
    }

    fn load_sorted<'k, V: AsRef<[u8]>>(
        &self,
        _dir: &Path,
        entries: impl Iterator<Item = (&'k [u8], V)>,
    ) -> Result<()> {
        self.tree.load("", entries)?;
        Ok(())
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

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.tree.remove(key)?;
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

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut scan = self.tree.scan(prefix);
        if let Some(after) = after {
            scan = scan.start_after(after);
        }
        while let Some(entry) = scan.next_ref()? {
            if !visit(entry.key(), entry.value()) {
                break;
            }
        }
        Ok(())
    }

    fn count_below(&mut self, prefix: &[u8]) -> Result<usize> {
        Ok(usize::try_from(self.tree.count(prefix)?)?)
    }

    fn rename_below(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.tree.rename_prefix(from, to)?;
        Ok(())
    }

    fn remove_below(&mut self, prefix: &[u8]) -> Result<()> {
        self.tree.remove_prefix(prefix)?;
        Ok(())
    }
}
