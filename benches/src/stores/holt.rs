//! holt in its memory mode, set up for speed: a cache that holds every blob, nothing copied to the
//! store behind the cache on each write, no checkpointer. (`compact` after loading was tried: the
//! blobs stay as many, reads as fast.)
//!
//! Its listing has a cache of whole answers, used when a limit of at most 256 is given and nothing
//! was written since. `list` asks without such a limit, so it walks; `list_cached` gives the limit.

#![forbid(unsafe_code)]

use holt::{KeyRangeEntryRef, RangeEntry, Tree, TreeConfig};

use super::{Child, DELIMITER, Place, Result, Shape, Shared, Store};

const BLOB: u64 = 512 << 10;

pub struct Holt(Tree);

/// The listing in its cheapest form, in memory and on disk.
pub fn list_lent(tree: &Tree, prefix: &[u8], limit: usize, mut see: impl FnMut(Child<'_>)) -> Result<()> {
    tree.scan_keys(prefix).delimiter(DELIMITER).visit(limit, |entry| {
        match entry {
            KeyRangeEntryRef::Key { key, .. } => see(Child::Key(key)),
            KeyRangeEntryRef::CommonPrefix(key) => see(Child::Prefix(key)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(())
}

impl Store for Holt {
    const NAME: &'static str = "holt";
    type Shared<'a> = &'a Self;

    fn open(place: Place) -> Result<Self> {
        let Place::Memory { raw_bytes } = place;
        let mut config = TreeConfig::memory();
        // Its blobs are a quarter to a half full: eight times the raw bytes never evicts.
        config.buffer_pool_size = 1024 + raw_bytes * 8 / BLOB as usize;
        config.memory_flush_on_write = false;
        Ok(Self(Tree::open(config)?))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    fn remove(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.0.delete(key)?)
    }

    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.0.get(key)?.map(|value| see(&value)))
    }

    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        // It has no such form; taking the vector it gives is the least work.
        Ok(self.0.get(key)?.is_some_and(|value| {
            *buffer = value;
            true
        }))
    }

    fn scan(&self, mut see: impl FnMut(&[u8], &[u8])) -> Result<()> {
        self.scan_owned(|key, value| see(&key, value))
    }

    fn scan_owned(&self, mut see: impl FnMut(Vec<u8>, &[u8])) -> Result<()> {
        for entry in self.0.range() {
            match entry? {
                RangeEntry::Key { key, value, .. } => see(key, &value),
                _ => return Err("a prefix without a delimiter".into()),
            }
        }
        Ok(())
    }

    fn list(&self, prefix: &[u8], see: impl FnMut(Child<'_>)) -> Result<()> {
        self.list_cached(prefix, usize::MAX, see)
    }

    fn list_owned(&self, prefix: &[u8], mut see: impl FnMut(Child<'_>)) -> Result<()> {
        for entry in self.0.scan(prefix).delimiter(DELIMITER) {
            match entry? {
                RangeEntry::Key { key, .. } => see(Child::Key(&key)),
                RangeEntry::CommonPrefix(key) => see(Child::Prefix(&key)),
                _ => return Err("an unknown entry".into()),
            }
        }
        Ok(())
    }

    fn list_cached(&self, prefix: &[u8], limit: usize, see: impl FnMut(Child<'_>)) -> Result<()> {
        list_lent(&self.0, prefix, limit, see)
    }

    fn page(&self, after: &[u8], limit: usize, mut see: impl FnMut(&[u8])) -> Result<()> {
        self.0.range_keys().start_after(after).visit(limit, |entry| {
            if let KeyRangeEntryRef::Key { key, .. } = entry {
                see(key);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn share(&mut self) -> &Self {
        self
    }

    fn shape(&self) -> Result<Shape> {
        let stats = self.0.stats()?;
        Ok(Shape {
            bytes: Some(u64::from(stats.blob_count) * BLOB),
            fill: Some(stats.avg_blob_fill_ratio()),
            hops: Some(f64::from(stats.max_blob_depth)),
            depth: Some(1.0 + stats.avg_blob_depth()),
        })
    }
}

impl Shared for &Holt {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Store::get(*self, key, see)
    }
}
