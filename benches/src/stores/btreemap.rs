//! `std::collections::BTreeMap`: no store, but the yardstick for everything in memory.
//!
//! Its get lends the value without a copy. Several threads share it under an `RwLock`.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::RwLock;

use super::{Child, DELIMITER, Place, Result, Shape, Shared, Store};

type Map = BTreeMap<Vec<u8>, Box<[u8]>>;

pub struct Btree(Map);

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

    fn list(&self, prefix: &[u8], mut see: impl FnMut(Child<'_>)) -> Result<()> {
        let mut from = prefix.to_vec();
        // A directory is passed over by seeking behind it; keys are walked.
        'seek: loop {
            for (key, _) in self.0.range::<[u8], _>((Bound::Included(&from[..]), Bound::Unbounded)) {
                let Some(rest) = key.strip_prefix(prefix) else {
                    return Ok(());
                };
                if let Some(at) = rest.iter().position(|&byte| byte == DELIMITER) {
                    let child = &key[..prefix.len() + at + 1];
                    see(Child::Prefix(child));
                    from.clear();
                    from.extend_from_slice(&child[..child.len() - 1]);
                    from.push(DELIMITER + 1);
                    continue 'seek;
                }
                see(Child::Key(key));
            }
            return Ok(());
        }
    }

    fn list_owned(&self, prefix: &[u8], mut see: impl FnMut(Child<'_>)) -> Result<()> {
        self.list(prefix, |child| match child {
            Child::Key(key) => {
                let owned = key.to_vec();
                see(Child::Key(&owned));
            }
            Child::Prefix(key) => {
                let owned = key.to_vec();
                see(Child::Prefix(&owned));
            }
        })
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
