//! The store's answers, verified outside of the clock: everything, byte for byte, in every form.

#![forbid(unsafe_code)]

use super::gets::{hits, hits_into, misses};
use super::lists::{CACHED_LIMIT, ListForm, list};
use super::world::{Order, World};
use crate::keys::{Directory, PAGE_KEYS, Page, Values};
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
        .try_for_each(|directory| lists_all(store, directory, &family.children(&directory.prefix)))?;
    world.pages.iter().try_for_each(|page| page_right(store, world, page))
}

fn page_right<S: Store>(store: &S, world: &World, page: &Page) -> Result<()> {
    let mut expected = world.family.page_keys(page);
    let mut wrong = 0;
    store.page(&page.after, PAGE_KEYS, |key| wrong += usize::from(expected.next() != Some(key)))?;
    wrong += expected.count();
    none_wrong("page", wrong)
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
    let entries = entries_in_order(store)?;
    let expected = world.family.len() + fresh_used;
    if entries != expected {
        return Err(format!("after the writers: {entries} entries of {expected}").into());
    }
    Ok(())
}

/// How many entries there are, each above the one before and with a value that some key was given.
pub fn entries_in_order<S: Store>(store: &S) -> Result<usize> {
    let (mut last, mut entries, mut wrong) = (None::<Vec<u8>>, 0, 0);
    store.scan_owned(|key, value| {
        let id = Values::id(value);
        let right = last.as_ref().is_none_or(|last| *last < key)
            && u32::try_from(id).is_ok_and(|id| Values::belongs(value, id));
        wrong += usize::from(!right);
        entries += 1;
        last = Some(key);
    })?;
    none_wrong("scan in order", wrong)?;
    Ok(entries)
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
