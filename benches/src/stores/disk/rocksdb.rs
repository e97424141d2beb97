//! RocksDB: LZ4, a Bloom filter of ten bits a key, and reads past the page cache, so that its own cache is
//! the only one.

#![forbid(unsafe_code)]

use super::{Ack, Child, DiskStore, Session, Setup, Visit, below, list_by_seeking};
use crate::stores::Result;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRawIterator, IngestExternalFileOptions, Options,
    ReadOptions, SstFileWriter, WriteBatch, WriteOptions,
};
use std::path::Path;

/// Entries of a table that is loaded: some 64 MB.
const TABLE_ENTRIES: usize = 400_000;

pub struct RocksDb {
    db: DB,
    options: Options,
    write: WriteOptions,
}

impl RocksDb {
    /// An iterator that ends behind the keys that begin with `prefix`.
    fn below(&self, prefix: &[u8]) -> DBRawIterator<'_> {
        let mut read = ReadOptions::default();
        if let Some(end) = below::successor(prefix) {
            read.set_iterate_upper_bound(end);
        }
        self.db.raw_iterator_opt(read)
    }
}

impl DiskStore for RocksDb {
    const NAME: &'static str = "rocksdb";
    const ACKS: [&'static str; 2] =
        ["WriteOptions::sync, its group commit", "the log in the page cache: lost with the system"];
    type Session<'a> = &'a Self;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(setup.cache_bytes));
        table.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_use_direct_reads(true);
        options.set_write_buffer_size(setup.log_bytes);
        options.set_max_total_wal_size(setup.log_bytes as u64);
        options.set_max_background_jobs(2);
        let mut write = WriteOptions::default();
        write.set_sync(setup.ack == Ack::Synced);
        Ok(Self { db: DB::open(&options, setup.dir)?, options, write })
    }

    fn session(&self) -> Result<&Self> {
        Ok(self)
    }

    /// As tables that are written aside and then taken in.
    fn load_sorted<'k, V: AsRef<[u8]>>(
        &self,
        dir: &Path,
        entries: impl Iterator<Item = (&'k [u8], V)>,
    ) -> Result<()> {
        let mut entries = entries.peekable();
        let mut paths = Vec::new();
        while entries.peek().is_some() {
            let mut table = SstFileWriter::create(&self.options);
            let path = dir.join(format!("aside-{}.sst", paths.len()));
            table.open(&path)?;
            for (key, value) in entries.by_ref().take(TABLE_ENTRIES) {
                table.put(key, value.as_ref())?;
            }
            table.finish()?;
            paths.push(path);
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        Ok(self.db.ingest_external_file_opts(&options, paths)?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }

    fn checkpoint(&self) -> Result<()> {
        Ok(self.db.flush()?)
    }

    fn close(self) -> Result<()> {
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}

impl Session for &RocksDb {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.write)?)
    }

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        Ok(self.db.delete_opt(key, &self.write)?)
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.db.get_pinned(key)?.map(|value| see(&value)))
    }

    fn get_many(&mut self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        for (place, value) in self.db.multi_get(keys).into_iter().enumerate() {
            if let Some(value) = value? {
                see(place, &value);
            }
        }
        Ok(())
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        let mut iterator = self.db.raw_iterator();
        list_by_seeking(prefix, see, |from, visit| {
            iterator.seek(from);
            while iterator.key().is_some_and(&mut *visit) {
                iterator.next();
            }
            Ok(iterator.status()?)
        })
    }

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut iterator = self.below(prefix);
        iterator.seek(after.unwrap_or(prefix));
        if after.is_some() && iterator.key() == after {
            iterator.next();
        }
        while let Some((key, value)) = iterator.item() {
            if !visit(key, value) {
                break;
            }
            iterator.next();
        }
        Ok(iterator.status()?)
    }

    fn rename_below(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let mut batch = WriteBatch::default();
        self.walk(from, None, &mut |key, value| {
            batch.put(below::moved(key, from, to), value);
            batch.delete(key);
            true
        })?;
        Ok(self.db.write_opt(batch, &self.write)?)
    }

    fn remove_below(&mut self, prefix: &[u8]) -> Result<()> {
        let end = below::successor(prefix).ok_or("no key is above all of these")?;
        let mut batch = WriteBatch::default();
        batch.delete_range(prefix, &end);
        Ok(self.db.write_opt(batch, &self.write)?)
    }
}
