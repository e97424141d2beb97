//! redb: one writer at a time, no log.
//!
//! Without durability it keeps every freed page until the next durable commit, so buffered puts have one
//! among so many.

#![forbid(unsafe_code)]

use super::below::{Entry, STEP_ENTRIES};
use super::{Ack, Child, DiskStore, Session, Setup, Visit, below, list_by_seeking};
use crate::stores::Result;
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::sync::atomic::{AtomicUsize, Ordering};

const ENTRIES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("bench");
/// Entries of a transaction of `load`.
const LOAD_ENTRIES: usize = 10_000;
/// One buffered put in so many is durable.
const BUFFERED_PUTS: usize = 4096;

pub struct Redb {
    db: Database,
    ack: Ack,
    puts: AtomicUsize,
}

impl Redb {
    fn write<'k, V: AsRef<[u8]>>(
        &self,
        durability: Durability,
        mut entries: impl Iterator<Item = (&'k [u8], V)>,
    ) -> Result<()> {
        self.change(durability, |table| {
            entries.try_for_each(|(key, value)| {
                table.insert(key, value.as_ref())?;
                Ok(())
            })
        })
    }

    /// One transaction.
    fn change(
        &self,
        durability: Durability,
        change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<()>,
    ) -> Result<()> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(durability)?;
        change(&mut transaction.open_table(ENTRIES)?)?;
        Ok(transaction.commit()?)
    }
}

impl DiskStore for Redb {
    const NAME: &'static str = "redb";
    const ACKS: [&'static str; 2] = [
        "Durability::Immediate, a transaction a put",
        "Durability::None, one put in 4096 Immediate: lost with the process",
    ];
    type Session<'a> = Reads<'a>;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let db =
            Database::builder().set_cache_size(setup.cache_bytes).create(setup.dir.join("bench.redb"))?;
        let store = Self { db, ack: setup.ack, puts: AtomicUsize::new(0) };
        // Makes the table.
        store.sync()?;
        Ok(store)
    }

    fn session(&self) -> Result<Reads<'_>> {
        Ok(Reads { store: self, held: None })
    }

    fn load<'k, V: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (&'k [u8], V)>) -> Result<()> {
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            self.write(Durability::Immediate, entries.by_ref().take(LOAD_ENTRIES))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.write(Durability::Immediate, std::iter::empty::<(&[u8], &[u8])>())
    }

    fn checkpoint(&self) -> Result<()> {
        self.sync()
    }

    fn close(self) -> Result<()> {
        drop(self.db);
        Ok(())
    }
}

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

pub struct Reads<'a> {
    store: &'a Redb,
    held: Option<Table>,
}

impl Reads<'_> {
    fn table(&self) -> Result<Table> {
        Ok(self.store.db.begin_read()?.open_table(ENTRIES)?)
    }

    /// Of the next write.
    fn durability(&self) -> Durability {
        let number = self.store.puts.fetch_add(1, Ordering::Relaxed) + 1;
        match self.store.ack {
            Ack::Buffered if !number.is_multiple_of(BUFFERED_PUTS) => Durability::None,
            _ => Durability::Immediate,
        }
    }

    fn read<R>(&self, run: impl FnOnce(&Table) -> Result<R>) -> Result<R> {
        match &self.held {
            Some(table) => run(table),
            None => run(&self.table()?),
        }
    }
}

impl Session for Reads<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store.write(self.durability(), std::iter::once((key, value)))
    }

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        self.store.change(self.durability(), |table| {
            table.remove(key)?;
            Ok(())
        })
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.read(|table| Ok(table.get(key)?.map(|value| see(value.value()))))
    }

    fn hold(&mut self) -> Result<()> {
        self.held = Some(self.table()?);
        Ok(())
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        self.read(|table| {
            list_by_seeking(prefix, see, |from, visit| {
                for entry in table.range(from..)? {
                    if !visit(entry?.0.value()) {
                        break;
                    }
                }
                Ok(())
            })
        })
    }

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let range = below::range(prefix, after);
        self.read(|table| {
            for entry in table.range::<&[u8]>(below::borrowed(&range))? {
                let (key, value) = entry?;
                if !visit(key.value(), value.value()) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn rename_below(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let range = below::range(from, None);
        self.store.change(self.durability(), |table| {
            loop {
                let mut found: Vec<Entry> = Vec::new();
                let taken = table.extract_from_if::<&[u8], _>(below::borrowed(&range), |_, _| true)?;
                for entry in taken.take(STEP_ENTRIES) {
                    let (key, value) = entry?;
                    found.push((below::moved(key.value(), from, to), value.value().to_vec()));
                }
                if found.is_empty() {
                    return Ok(());
                }
                for (key, value) in &found {
                    table.insert(key.as_slice(), value.as_slice())?;
                }
            }
        })
    }

    fn remove_below(&mut self, prefix: &[u8]) -> Result<()> {
        let range = below::range(prefix, None);
        self.store.change(self.durability(), |table| {
            Ok(table.retain_in::<&[u8], _>(below::borrowed(&range), |_, _| false)?)
        })
    }
}
