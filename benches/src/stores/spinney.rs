//! Spinney itself.

#![forbid(unsafe_code)]

use spinney::{Db, Entry, ListRef, Tree};

use super::{Child, Place, Result, Shape, Shared, Store};

const BLOB: u64 = 512 << 10;

pub struct Spinney {
    db: Db,
    tree: Tree,
}

/// The listing in its cheapest form, in memory and on disk.
pub fn list_lent(tree: &Tree, prefix: &[u8], mut see: impl FnMut(Child<'_>)) -> Result<()> {
    let mut list = tree.list(prefix);
    while let Some(entry) = list.next_ref()? {
        match entry {
            ListRef::Key { key, .. } => see(Child::Key(key)),
            ListRef::Prefix(key) => see(Child::Prefix(key)),
        }
    }
    Ok(())
}

impl Store for Spinney {
    const NAME: &'static str = "spinney";
    type Shared<'a> = &'a Self;

    fn open(place: Place) -> Result<Self> {
        let Place::Memory { .. } = place;
        let db = Db::memory();
        let tree = db.tree("bench")?;
        Ok(Self { db, tree })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.tree.put(key, value)?;
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.tree.remove(key)?.is_some())
    }

    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.tree.get(key)?.map(|value| see(&value)))
    }

    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        Ok(self.tree.get_into(key, buffer)?.is_some())
    }

    fn get_many(&self, keys: &[&[u8]], mut see: impl FnMut(usize, &[u8])) -> Result<()> {
        for (place, value) in self.tree.get_many(keys)?.iter().enumerate() {
            if let Some(value) = value {
                see(place, value);
            }
        }
        Ok(())
    }

    fn scan(&self, mut see: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let mut scan = self.tree.scan("");
        while let Some(entry) = scan.next_ref()? {
            see(entry.key(), entry.value());
        }
        Ok(())
    }

    fn scan_owned(&self, mut see: impl FnMut(Vec<u8>, &[u8])) -> Result<()> {
        for entry in self.tree.scan("") {
            let (key, value) = entry?;
            see(key, &value);
        }
        Ok(())
    }

    fn list(&self, prefix: &[u8], see: impl FnMut(Child<'_>)) -> Result<()> {
        list_lent(&self.tree, prefix, see)
    }

    fn list_owned(&self, prefix: &[u8], mut see: impl FnMut(Child<'_>)) -> Result<()> {
        for entry in self.tree.list(prefix) {
            match entry? {
                Entry::Key { key, .. } => see(Child::Key(&key)),
                Entry::Prefix(key) => see(Child::Prefix(&key)),
            }
        }
        Ok(())
    }

    fn page(&self, after: &[u8], limit: usize, mut see: impl FnMut(&[u8])) -> Result<()> {
        let mut keys = self.tree.scan("").keys().start_after(after).limit(limit);
        while let Some(key) = keys.next_ref()? {
            see(key);
        }
        Ok(())
    }

    fn share(&mut self) -> &Self {
        self
    }

    fn shape(&self) -> Result<Shape> {
        let stats = self.db.stats();
        // The image is what a file would hold; the blobs that the statistics name must explain it,
        // but for the superblock's.
        let image = self.db.image()?.len() as u64;
        let blobs = u64::from(stats.total_blobs) * BLOB;
        if image.abs_diff(blobs) > 2 * BLOB {
            return Err(format!("an image of {image} bytes, but {blobs} bytes of blobs").into());
        }
        // Every blob of keys lies equally deep.
        let hops = f64::from(stats.hops);
        Ok(Shape { bytes: Some(image), fill: Some(stats.fill()), hops: Some(hops), depth: Some(1.0 + hops) })
    }
}

impl Shared for &Spinney {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.tree.put(key, value)?;
        Ok(())
    }

    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Store::get(*self, key, see)
    }
}
