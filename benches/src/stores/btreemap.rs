//! `std::collections::BTreeMap`: no store, but the yardstick for everything in memory.
//!
//! Its get lends the value without a copy. Several threads share it under an `RwLock`.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::RwLock;

use super::{Child, Place, Result, Shape, Shared, Store, seek};

type Map = BTreeMap<Vec<u8>, Box<[u8]>>;

pub struct Btree(Map);

impl Btree {
    fn keys<'a>(&'a self, from: Bound<&[u8]>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.0.range::<[u8], _>((from, Bound::Unbounded)).map(|(key, _)| key.as_slice())
    }
}

fn put(map: &mut Map, key: &[u8], value: &[u8]) {
    match map.get_mut(key) {
        Some(slot) if slot.len() == value.len() => slot.copy_from_slice(value),
        Some(slot) => *slot = value.into(),
        None => {
            map.insert(key.to_vec(), value.into());
        }
    }
}

impl Store for Btree {
    const NAME: &'static str = "btreemap";
    type Shared<'a> = Locked<'a>;

    fn open(place: Place) -> Result<Self> {
        let Place::Memory { .. } = place;
        Ok(Self(Map::new()))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(key.to_vec(), value.into());
        Ok(())
    }

    fn overwrite(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        put(&mut self.0, key, value);
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.0.remove(key).is_some())
    }

    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(self.0.get(key).map(|value| see(value)))
    }

    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool> {
        buffer.clear();
        Ok(self.0.get(key).is_some_and(|value| {
            buffer.extend_from_slice(value);
            true
        }))
    }

    fn scan(&self, mut see: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for (key, value) in &self.0 {
            see(key, value);
        }
        Ok(())
    }

    fn scan_owned(&self, mut see: impl FnMut(Vec<u8>, &[u8])) -> Result<()> {
        for (key, value) in &self.0 {
            see(key.clone(), &value.clone());
        }
        Ok(())
    }

    fn list(&self, prefix: &[u8], see: impl FnMut(Child<'_>)) -> Result<()> {
        seek::list(prefix, |from| self.keys(Bound::Included(from)), see);
        Ok(())
    }

    fn list_owned(&self, prefix: &[u8], see: impl FnMut(Child<'_>)) -> Result<()> {
        self.list(prefix, seek::owned(see))
    }

    fn page(&self, after: &[u8], limit: usize, see: impl FnMut(&[u8])) -> Result<()> {
        self.keys(Bound::Excluded(after)).take(limit).for_each(see);
        Ok(())
    }

    fn share(&mut self) -> Locked<'_> {
        Locked(RwLock::new(&mut self.0))
    }

    fn shape(&self) -> Result<Shape> {
        Ok(Shape::default())
    }
}

pub struct Locked<'a>(RwLock<&'a mut Map>);

impl Shared for Locked<'_> {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut map = self.0.write().map_err(|_| "poisoned")?;
        put(&mut map, key, value);
        Ok(())
    }

    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let map = self.0.read().map_err(|_| "poisoned")?;
        Ok(map.get(key).map(|value| see(value)))
    }
}
