//! RocksDB: LZ4, a Bloom filter of ten bits a key, and reads past the page cache, so that its own cache is
//! the only one.

#![forbid(unsafe_code)]

use super::{Ack, Child, DiskStore, Session, Setup, list_by_seeking};
use crate::stores::Result;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, Options, WriteOptions,
};

pub struct RocksDb {
    db: DB,
    write: WriteOptions,
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
        Ok(Self { db: DB::open(&options, setup.dir)?, write })
    }

    fn session(&self) -> Result<&Self> {
        Ok(self)
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

    fn count(&mut self) -> Result<usize> {
        self.db.iterator(IteratorMode::From(b"", Direction::Forward)).try_fold(0, |count, entry| {
            entry?;
            Ok(count + 1)
        })
    }
}
