//! fjall. It has no group commit; the usual one around it is here: a thread that waited while another
//! synced finds its put synced already.

#![forbid(unsafe_code)]

use super::below::Entry;
use super::{Ack, Child, DiskStore, Session, Setup, Visit, below, list_by_seeking};
use crate::stores::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The least that its journals may be bound to.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;

pub struct Fjall {
    db: Database,
    entries: Keyspace,
    ack: Ack,
    /// Puts that are in the journal, and how many of them are known to be synced.
    written: AtomicU64,
    synced: Mutex<u64>,
}

impl Fjall {
    /// Returns when a write is as safe as it should be.
    fn acknowledge(&self) -> Result<()> {
        if self.ack == Ack::Buffered {
            return Ok(());
        }
        self.sync_to(self.written.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Returns when the first `number` puts are synced.
    fn sync_to(&self, number: u64) -> Result<()> {
        let mut synced = self.synced.lock().map_err(|_| "poisoned")?;
        if *synced < number {
            let written = self.written.load(Ordering::SeqCst);
            self.db.persist(PersistMode::SyncAll)?;
            *synced = written;
        }
        Ok(())
    }
}

impl DiskStore for Fjall {
    const NAME: &'static str = "fjall";
    const ACKS: [&'static str; 2] = [
        "PersistMode::SyncAll, one for all that wait",
        "PersistMode::Buffer, the journal in the page cache: lost with the system",
    ];
    type Session<'a> = &'a Self;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let log_bytes = setup.log_bytes as u64;
        let db = Database::builder(setup.dir)
            .cache_size(setup.cache_bytes as u64)
            .max_journaling_size(log_bytes.max(JOURNAL_BYTES_MIN))
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(log_bytes);
        let entries = db.keyspace("bench", options)?;
        Ok(Self { db, entries, ack: setup.ack, written: AtomicU64::new(0), synced: Mutex::new(0) })
    }

    fn session(&self) -> Result<&Self> {
        Ok(self)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.entries.rotate_memtable_and_wait()?)
    }

    fn close(self) -> Result<()> {
        self.sync()
    }
}

impl Session for &Fjall {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.entries.insert(key, value)?;
        self.acknowledge()
    }

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.entries.remove(key)?;
        self.acknowledge()
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.entries.get(key)?.map(|value| see(&value)))
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        list_by_seeking(prefix, see, |from, visit| {
            for entry in self.entries.range(from..) {
                if !visit(&entry.key()?) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        for entry in self.entries.range(below::range(prefix, after)) {
            let (key, value) = entry.into_inner()?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn change(&mut self, puts: &[Entry], removes: &[Entry]) -> Result<()> {
        let mode = (self.ack == Ack::Synced).then_some(PersistMode::SyncAll);
        let mut batch = self.db.batch().durability(mode);
        for (key, value) in puts {
            batch.insert(&self.entries, key.as_slice(), value.as_slice());
        }
        for (key, _) in removes {
            batch.remove(&self.entries, key.as_slice());
        }
        Ok(batch.commit()?)
    }
}
