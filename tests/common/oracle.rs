//! The oracle: a sorted map, and what scans and listings of it have to be.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys, and the value and version of each.
pub type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

/// The smallest key above all that begin with `prefix`; none if there is none.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut after = prefix[..=end].to_vec();
    after[end] += 1;
    Some(after)
}

/// The keys that begin with `prefix`.
pub fn under(model: &Model, prefix: &[u8]) -> Vec<Vec<u8>> {
    let from = model.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
    from.map(|(key, _)| key.clone()).take_while(|key| key.starts_with(prefix)).collect()
}

/// The smallest key above `key`.
pub fn above(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The longest key that `path` begins with.
pub fn longest_prefix<'a>(model: &'a Model, path: &[u8]) -> Option<&'a [u8]> {
    let mut path = path;
    loop {
        let bounds = (Bound::Unbounded, Bound::Included(path));
        let (key, _) = model.range::<[u8], _>(bounds).next_back()?;
        if path.starts_with(key) {
            return Some(key);
        }
        // What lies between was no prefix; a prefix is no longer than what the two share.
        let common = key.iter().zip(path).take_while(|(a, b)| a == b).count();
        path = &path[..common];
    }
}

/// The part of a map that a scan has not handed out yet, from both ends.
pub struct Window<'a> {
    model: &'a Model,
    /// Keys from here on ...
    lo: Vec<u8>,
    /// ... and below this.
    hi: Option<Vec<u8>>,
    left: usize,
}

pub type Item<'a> = (&'a [u8], &'a [u8], u64);

impl<'a> Window<'a> {
    pub fn new(model: &'a Model, lo: Vec<u8>, hi: Option<Vec<u8>>) -> Self {
        Window { model, lo, hi, left: usize::MAX }
    }

    pub fn of_prefix(model: &'a Model, prefix: &[u8]) -> Self {
        Self::new(model, prefix.to_vec(), successor(prefix))
    }

    pub fn start_at(mut self, lo: Vec<u8>) -> Self {
        self.lo = lo.max(self.lo);
        self
    }

    /// Nothing at all.
    pub fn emptied(mut self) -> Self {
        self.hi = Some(self.lo.clone());
        self
    }

    pub fn limit(mut self, left: usize) -> Self {
        self.left = left;
        self
    }

    fn range(&self) -> impl DoubleEndedIterator<Item = Item<'a>> + use<'a> {
        let hi = match &self.hi {
            Some(hi) if *hi <= self.lo => Bound::Excluded(&self.lo),
            Some(hi) => Bound::Excluded(hi),
            None => Bound::Unbounded,
        };
        let range = self.model.range::<Vec<u8>, _>((Bound::Included(&self.lo), hi));
        range.map(|(key, (value, version))| (key.as_slice(), value.as_slice(), *version))
    }

    pub fn next(&mut self) -> Option<Item<'a>> {
        let item = self.range().next().filter(|_| self.left > 0)?;
        self.lo = above(item.0);
        self.left -= 1;
        Some(item)
    }

    pub fn next_back(&mut self) -> Option<Item<'a>> {
        let item = self.range().next_back().filter(|_| self.left > 0)?;
        self.hi = Some(item.0.to_vec());
        self.left -= 1;
        Some(item)
    }
}

/// One child of a directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Child<'a> {
    Key(Item<'a>),
    Prefix(Vec<u8>),
}

/// What a listing has not handed out yet, from both ends.
pub struct Listing<'a> {
    window: Window<'a>,
    prefix_len: usize,
    delimiter: u8,
}

impl<'a> Listing<'a> {
    pub fn new(model: &'a Model, prefix: &[u8], delimiter: u8) -> Self {
        let window = Window::of_prefix(model, prefix);
        Listing { window, prefix_len: prefix.len(), delimiter }
    }

    /// Behind a directory comes what is not in it; behind a key, what lies above it.
    pub fn start_after(mut self, name: &[u8]) -> Self {
        let is_directory = name.last() == Some(&self.delimiter) && name.len() > self.prefix_len;
        self.window = match successor(name).filter(|_| is_directory) {
            Some(after) => self.window.start_at(after),
            None if is_directory => self.window.emptied(),
            None => self.window.start_at(above(name)),
        };
        self
    }

    pub fn limit(mut self, left: usize) -> Self {
        self.window.left = left;
        self
    }

    fn directory_of(&self, key: &[u8]) -> Option<Vec<u8>> {
        let end = key[self.prefix_len..].iter().position(|&byte| byte == self.delimiter)?;
        Some(key[..self.prefix_len + end + 1].to_vec())
    }

    pub fn next(&mut self) -> Option<Child<'a>> {
        let item = self.window.next()?;
        let Some(directory) = self.directory_of(item.0) else {
            return Some(Child::Key(item));
        };
        match successor(&directory) {
            Some(after) => self.window.lo = after,
            None => self.window.left = 0,
        }
        Some(Child::Prefix(directory))
    }

    pub fn next_back(&mut self) -> Option<Child<'a>> {
        let item = self.window.next_back()?;
        let Some(directory) = self.directory_of(item.0) else {
            return Some(Child::Key(item));
        };
        self.window.hi = Some(directory.clone());
        Some(Child::Prefix(directory))
    }
}
