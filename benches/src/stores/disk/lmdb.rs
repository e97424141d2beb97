//! LMDB: one writer at a time, no log, and the page cache as its cache. Read-ahead is off, for reads are at
//! random.

use super::below::{Entry, STEP_ENTRIES};
use super::{Ack, Child, DiskStore, Session, Setup, Visit, below, list_by_seeking};
use crate::stores::Result;
use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, WithTls};
use std::ops::Bound;
use std::path::Path;

/// Addresses for the map: more than any data set here needs.
const MAP_BYTES: usize = 64 << 30;
/// Entries of a transaction of `load`. Of many more, the list of the pages that a transaction frees grows so
/// long that all later ones write it again.
const LOAD_ENTRIES: usize = 1_000;
/// What is appended frees none.
const LOAD_SORTED_ENTRIES: usize = 100_000;

pub struct Lmdb {
    env: Env,
    entries: Database<Bytes, Bytes>,
}

impl Lmdb {
    fn load_with<'k, V: AsRef<[u8]>>(
        &self,
        flags: PutFlags,
        at_once: usize,
        entries: impl Iterator<Item = (&'k [u8], V)>,
    ) -> Result<()> {
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            let mut transaction = self.env.write_txn()?;
            for (key, value) in entries.by_ref().take(at_once) {
                self.entries.put_with_flags(&mut transaction, flags, key, value.as_ref())?;
            }
            transaction.commit()?;
        }
        Ok(())
    }
}

impl DiskStore for Lmdb {
    const NAME: &'static str = "lmdb";
    const ACKS: [&'static str; 2] =
        ["a synced transaction a put", "NO_SYNC: pages in the page cache, corrupt after a power cut"];
    type Session<'a> = Reads<'a>;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let mut flags = EnvFlags::NO_READ_AHEAD;
        if setup.ack == Ack::Buffered {
            flags |= EnvFlags::NO_SYNC;
        }
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_readers(setup.sessions as u32 + 16);
        // SAFETY: NO_SYNC risks the file in a power cut, and nobody needs the file after the run.
        unsafe { options.flags(flags) };
        // SAFETY: the directory is this run's own, so nobody else changes the mapped file.
        let env = unsafe { options.open(setup.dir) }?;
        let mut transaction = env.write_txn()?;
        let entries = env.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Self { env, entries })
    }

    fn session(&self) -> Result<Reads<'_>> {
        Ok(Reads { store: self, held: None })
    }

    fn load<'k, V: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (&'k [u8], V)>) -> Result<()> {
        self.load_with(PutFlags::empty(), LOAD_ENTRIES, entries)
    }

    fn load_sorted<'k, V: AsRef<[u8]>>(
        &self,
        _dir: &Path,
        entries: impl Iterator<Item = (&'k [u8], V)>,
    ) -> Result<()> {
        self.load_with(PutFlags::APPEND, LOAD_SORTED_ENTRIES, entries)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn checkpoint(&self) -> Result<()> {
        self.sync()
    }

    fn close(self) -> Result<()> {
        // Opening it again with other flags is refused until it is closed.
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

pub struct Reads<'a> {
    store: &'a Lmdb,
    /// A thread has one such transaction at a time.
    held: Option<RoTxn<'a, WithTls>>,
}

impl Reads<'_> {
    fn read<R>(&self, run: impl FnOnce(&RoTxn<'_, WithTls>) -> Result<R>) -> Result<R> {
        match &self.held {
            Some(transaction) => run(transaction),
            None => run(&self.store.env.read_txn()?),
        }
    }
}

impl Session for Reads<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut transaction = self.store.env.write_txn()?;
        self.store.entries.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        let mut transaction = self.store.env.write_txn()?;
        self.store.entries.delete(&mut transaction, key)?;
        Ok(transaction.commit()?)
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.read(|transaction| Ok(self.store.entries.get(transaction, key)?.map(see)))
    }

    fn hold(&mut self) -> Result<()> {
        self.held = Some(self.store.env.read_txn()?);
        Ok(())
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        self.read(|transaction| {
            list_by_seeking(prefix, see, |from, visit| {
                // An empty key is none for LMDB.
                let start = if from.is_empty() { Bound::Unbounded } else { Bound::Included(from) };
                for entry in self.store.entries.range(transaction, &(start, Bound::Unbounded))? {
                    if !visit(entry?.0) {
                        break;
                    }
                }
                Ok(())
            })
        })
    }

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let range = below::range(prefix, after);
        self.read(|transaction| {
            for entry in self.store.entries.range(transaction, &below::borrowed(&range))? {
                let (key, value) = entry?;
                if !visit(key, value) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn rename_below(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let entries = self.store.entries;
        let range = below::range(from, None);
        let mut transaction = self.store.env.write_txn()?;
        loop {
            let found = entries.range(&transaction, &below::borrowed(&range))?.take(STEP_ENTRIES);
            let owned = |entry: heed::Result<(&[u8], &[u8])>| {
                entry.map(|(key, value)| (key.to_vec(), value.to_vec()))
            };
            let found: Vec<Entry> = found.map(owned).collect::<heed::Result<_>>()?;
            if found.is_empty() {
                return Ok(transaction.commit()?);
            }
            for (key, value) in &found {
                entries.put(&mut transaction, &below::moved(key, from, to), value)?;
                entries.delete(&mut transaction, key)?;
            }
        }
    }

    fn remove_below(&mut self, prefix: &[u8]) -> Result<()> {
        let range = below::range(prefix, None);
        let mut transaction = self.store.env.write_txn()?;
        self.store.entries.delete_range(&mut transaction, &below::borrowed(&range))?;
        Ok(transaction.commit()?)
    }
}
