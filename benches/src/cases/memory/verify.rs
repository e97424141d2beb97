//! The store's answers, verified outside of the clock: everything, byte for byte, in every form.

#![forbid(unsafe_code)]

use super::gets::{hits, hits_into, misses};
use super::lists::{CACHED_LIMIT, ListForm, list};
use super::world::{Order, World};
use crate::keys::{Directory, Values};
use crate::stores::{Child, Result, Store};

pub fn none_wrong(what: &str, wrong: usize) -> Result<()> {
    if wrong == 0 { Ok(()) } else { Err(format!("{what}: {wrong} wrong answers").into()) }
}

/// A store that was just built holds the family, all of it and nothing else.
pub fn everything<S: Store>(store: &S, world: &World) -> Result<()> {
    let mut exact = Exact::new(world);
    store.scan(|key, value| exact.see(key, value))?;
    exact.done("scan")?;
    let mut exact = Exact::new(world);
    store.scan_owned(|key, value| exact.see(&key, value))?;
    exact.done("owned scan")?;
    hits(store, world.in_order(Order::Random), usize::MAX)?;
    hits_into(store, &world.hits, usize::MAX)?;
    misses(store, &world.misses, usize::MAX)?;
    misses(store, &world.fresh, usize::MAX)?;
    let family = &world.family;
    let directories = family.directories.iter();
    directories
        .into_iter()
        .try_for_each(|directory| lists_all(store, directory, &family.children(&directory.prefix)))
}

/// Every form of listing gives these children; the cached one also the second time.
fn lists_all<S: Store>(store: &S, directory: &Directory, expected: &[Vec<u8>]) -> Result<()> {
    for form in [ListForm::Lending, ListForm::Owned, ListForm::Cached, ListForm::Cached] {
        if form == ListForm::Cached && expected.len() > CACHED_LIMIT {
            continue;
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        list(store, directory, form, |child| match child {
            Child::Key(key) | Child::Prefix(key) => found.push(key.to_vec()),
        })?;
        if found != expected {
            let prefix = String::from_utf8_lossy(&directory.prefix);
            let counts = format!("{} children of {}", found.len(), expected.len());
            return Err(format!("list of {prefix}: {counts}").into());
        }
    }
    Ok(())
}

/// Every key is there after the overwrites and the writers, in order, and each value belongs to one of them.
pub fn after_writers<S: Store>(store: &S, world: &World, fresh_used: usize) -> Result<()> {
    hits(store, world.in_order(Order::Random), usize::MAX)?;
    hits(store, &world.fresh, fresh_used)?;
    let (mut last, mut entries, mut wrong) = (None::<Vec<u8>>, 0, 0);
    store.scan_owned(|key, value| {
        let id = Values::id(value);
        let right = last.as_ref().is_none_or(|last| *last < key)
            && u32::try_from(id).is_ok_and(|id| Values::belongs(value, id));
        wrong += usize::from(!right);
        entries += 1;
        last = Some(key);
    })?;
    let expected = world.family.len() + fresh_used;
    if entries != expected {
        return Err(format!("after the writers: {entries} entries of {expected}").into());
    }
    none_wrong("scan after the writers", wrong)
}

/// Everything in order, byte for byte, as it was put.
struct Exact<'a> {
    world: &'a World,
    next: usize,
    wrong: usize,
}

impl<'a> Exact<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, next: 0, wrong: 0 }
    }

    fn see(&mut self, key: &[u8], value: &[u8]) {
        let right = self.next < self.world.family.len()
            && key == self.world.family.sorted.get(self.next)
            && value == self.world.values.make(self.next as u32, 0);
        self.wrong += usize::from(!right);
        self.next += 1;
    }

    fn done(self, what: &str) -> Result<()> {
        if self.next != self.world.family.len() {
            return Err(format!("{what}: {} entries of {}", self.next, self.world.family.len()).into());
        }
        none_wrong(what, self.wrong)
    }
}
