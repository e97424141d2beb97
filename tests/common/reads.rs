//! Reading operations: single keys, ranges, scans and listings, from both ends, of a tree or of one as it was
//! in a snapshot, beside the map that it should be.

#![forbid(unsafe_code)]

use std::ops::Bound;

use spinney::{Entry, List, ListRef, Pair, Result, Scan, SnapshotTree, Tree, Value, Version};

use super::keys::Keys;
use super::oracle::{self, Child, Item, Listing, Model, Window, above};
use super::{Place, Random, short};

type Bytes<'b> = &'b [u8];

/// What can be read.
pub trait Reading {
    fn get(&self, key: Bytes) -> Result<Option<Value>>;
    fn get_into(&self, key: Bytes, out: &mut Vec<u8>) -> Result<Option<Version>>;
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>>;
    fn contains(&self, key: Bytes) -> Result<bool>;
    fn longest_prefix(&self, path: Bytes) -> Result<Option<Pair>>;
    fn first(&self) -> Result<Option<Pair>>;
    fn last(&self) -> Result<Option<Pair>>;
    fn is_empty(&self) -> Result<bool>;
    fn count(&self, prefix: Bytes) -> Result<u64>;
    fn scan(&self, prefix: Bytes) -> Scan;
    fn range(&self, bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Scan;
    fn list(&self, prefix: Bytes) -> List;
}

macro_rules! reading {
    ($($tree:ty),*) => {$(
        impl Reading for $tree {
            fn get(&self, key: Bytes) -> Result<Option<Value>> {
                self.get(key)
            }
            fn get_into(&self, key: Bytes, out: &mut Vec<u8>) -> Result<Option<Version>> {
                self.get_into(key, out)
            }
            fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>> {
                self.get_many(keys)
            }
            fn contains(&self, key: Bytes) -> Result<bool> {
                self.contains(key)
            }
            fn longest_prefix(&self, path: Bytes) -> Result<Option<Pair>> {
                self.longest_prefix(path)
            }
            fn first(&self) -> Result<Option<Pair>> {
                self.first()
            }
            fn last(&self) -> Result<Option<Pair>> {
                self.last()
            }
            fn is_empty(&self) -> Result<bool> {
                self.is_empty()
            }
            fn count(&self, prefix: Bytes) -> Result<u64> {
                self.count(prefix)
            }
            fn scan(&self, prefix: Bytes) -> Scan {
                self.scan(prefix)
            }
            fn range(&self, bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Scan {
                self.range(bounds)
            }
            fn list(&self, prefix: Bytes) -> List {
                self.list(prefix)
            }
        }
    )*};
}

reading!(Tree, SnapshotTree);

/// How the entries of a scan are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    Owned,
    Lent,
    KeysOnly,
}

/// From which end the steps come.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Front,
    Back,
    Alternating,
    Random,
}

impl Ends {
    fn is_back(self, step: usize, random: &mut Random) -> bool {
        match self {
            Ends::Front => false,
            Ends::Back => true,
            Ends::Alternating => step % 2 == 1,
            Ends::Random => random.percent(50),
        }
    }
}

/// A scan as it is to be made.
#[derive(Debug)]
enum Bounds {
    Prefix(Vec<u8>),
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>),
}

/// A look at one tree, and the map that it should be.
pub struct Look<'l, T> {
    pub tree: &'l T,
    pub model: &'l Model,
    pub keys: &'l Keys,
    pub random: &'l mut Random,
    pub place: Place,
}

impl<T: Reading> Look<'_, T> {
    /// A random one.
    pub fn read(&mut self) {
        match self.random.below(100) {
            0..=39 => self.get(),
            40..=49 => self.contains(),
            50..=64 => self.longest_prefix(),
            65..=67 => self.edges(),
            68 => self.get_many(),
            69 | 70 => self.count(),
            71..=86 => self.scan(),
            _ => self.list(),
        }
    }

    fn some_key(&mut self) -> Vec<u8> {
        self.keys.some_key(self.model, self.random)
    }

    fn get(&mut self) {
        let key = self.some_key();
        let (tree, model) = (self.tree, self.model);
        let expected = model.get(&key);
        let told = || format!("{}: get {}", self.place, short(&key));
        if self.place.step.is_multiple_of(2) {
            let found = tree.get(&key).expect("reads");
            let found = found.map(|value| (value.to_vec(), value.version().number()));
            assert!(found.as_ref() == expected, "{}", told());
        } else {
            let mut out = vec![1, 2, 3];
            let version = tree.get_into(&key, &mut out).expect("reads").map(spinney::Version::number);
            assert_eq!(version, expected.map(|(_, version)| *version), "{}", told());
            assert!(out == expected.map_or(&[][..], |(value, _)| value), "{}", told());
        }
    }

    fn contains(&mut self) {
        let key = self.some_key();
        let found = self.tree.contains(&key).expect("reads");
        let expected = self.model.contains_key(&key);
        assert_eq!(found, expected, "{}: contains {}", self.place, short(&key));
    }

    fn longest_prefix(&mut self) {
        let mut path = self.some_key();
        if self.random.percent(50) {
            let tail = self.keys.key(self.random);
            path.extend_from_slice(&tail[..tail.len().min(spinney::KEY_BYTES_MAX - path.len())]);
        }
        let found = self.tree.longest_prefix(&path).expect("reads");
        let expected = oracle::longest_prefix(self.model, &path);
        let told = || format!("{}: longest_prefix {}", self.place, short(&path));
        assert_eq!(found.as_ref().map(|(key, _)| key.as_slice()), expected, "{}", told());
        if let Some((key, value)) = found {
            let (expected, version) = &self.model[&key];
            assert!(value.as_ref() == expected && value.version().number() == *version, "{}", told());
        }
    }

    fn edges(&mut self) {
        let whole = |pair: (Vec<u8>, spinney::Value)| {
            let version = pair.1.version().number();
            (pair.0, (pair.1.into_vec(), version))
        };
        let owned = |(key, value): (&Vec<u8>, &(Vec<u8>, u64))| (key.clone(), value.clone());
        let first = self.tree.first().expect("reads").map(whole);
        assert!(first == self.model.first_key_value().map(owned), "{}: first", self.place);
        let last = self.tree.last().expect("reads").map(whole);
        assert!(last == self.model.last_key_value().map(owned), "{}: last", self.place);
        assert_eq!(self.tree.is_empty().expect("reads"), self.model.is_empty(), "{}", self.place);
    }

    fn get_many(&mut self) {
        let keys: Vec<Vec<u8>> = (0..self.random.below(70)).map(|_| self.some_key()).collect();
        let found = self.tree.get_many(&keys).expect("reads");
        assert_eq!(found.len(), keys.len(), "{}: get_many", self.place);
        for (key, found) in keys.iter().zip(found) {
            let found = found.map(|value| (value.to_vec(), value.version().number()));
            assert!(found.as_ref() == self.model.get(key), "{}: get_many {}", self.place, short(key));
        }
    }

    pub fn count(&mut self) {
        let prefix = self.keys.some_prefix(self.model, self.random);
        let expected = oracle::under(self.model, &prefix).len() as u64;
        let counted = self.tree.count(&prefix).expect("counts");
        assert_eq!(counted, expected, "{}: count {}", self.place, short(&prefix));
    }

    /// All of it, from both ends.
    pub fn verify(&self) {
        verify(self.tree, self.model, &self.place);
    }

    fn some_ends(&mut self) -> Ends {
        *self.random.pick(&[Ends::Front, Ends::Back, Ends::Alternating, Ends::Random])
    }

    /// Mostly a few steps, so that there are many scans; to the end now and then.
    fn some_steps(&mut self) -> usize {
        if self.random.percent(1) { usize::MAX } else { self.random.below(40) }
    }

    fn some_limit(&mut self) -> Option<usize> {
        let limit = if self.random.percent(80) { self.random.below(30) } else { usize::MAX };
        self.random.percent(40).then_some(limit)
    }

    fn some_bounds(&mut self) -> Bounds {
        let key = self.some_key();
        if self.random.percent(50) {
            let len = self.random.below(key.len() + 1);
            return Bounds::Prefix(key[..if self.random.percent(20) { key.len() } else { len }].to_vec());
        }
        let other = self.some_key();
        let (mut lo, mut hi) = (key.clone().min(other.clone()), key.max(other));
        if self.random.percent(5) {
            (lo, hi) = (hi, lo);
        }
        let mut bound = |key: Vec<u8>| match self.random.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(key),
            _ => Bound::Excluded(key),
        };
        Bounds::Range(bound(lo), bound(hi))
    }

    fn scan(&mut self) {
        let bounds = self.some_bounds();
        let fetch = *self.random.pick(&[Fetch::Owned, Fetch::Lent, Fetch::KeysOnly]);
        let (ends, steps, limit) = (self.some_ends(), self.some_steps(), self.some_limit());
        let start_after = self.random.percent(30).then(|| self.some_key());
        let random = &mut self.random.clone();
        let mut window = window_of(self.model, &bounds);
        let mut scan = scan_of(self.tree, &bounds);
        if let Some(key) = &start_after {
            (window, scan) = (window.start_at(above(key)), scan.start_after(key));
        }
        if let Some(limit) = limit {
            (window, scan) = (window.limit(limit), scan.limit(limit));
        }
        let place = self.place;
        let told = |step: usize, back: bool| {
            format!(
                "{place}: {bounds:?} {start_after:?} {limit:?} {fetch:?} {ends:?}, step {step}, back {back}"
            )
        };
        let mut keys = None;
        if fetch == Fetch::KeysOnly {
            keys = Some(scan_of(self.tree, &bounds).keys());
            if let Some(key) = &start_after {
                keys = keys.map(|keys| keys.start_after(key));
            }
            if let Some(limit) = limit {
                keys = keys.map(|keys| keys.limit(limit));
            }
        }
        for step in 0..steps {
            let back = ends.is_back(step, random);
            let expected = if back { window.next_back() } else { window.next() };
            let same = match &mut keys {
                Some(keys) => same_key(keys, back, expected),
                None if fetch == Fetch::Owned => same_pair(&mut scan, back, expected),
                None => same_lent(&mut scan, back, expected),
            };
            assert!(same, "{} expected {:?}", told(step, back), expected.map(|item| short(item.0)));
            if expected.is_none() {
                // Ended at one end is ended at both, and stays so.
                assert!(scan.next_back().is_none() || fetch == Fetch::KeysOnly, "{}", told(step, back));
                break;
            }
        }
    }

    fn list(&mut self) {
        let key = self.some_key();
        let delimiter =
            if self.random.percent(80) { b'/' } else { *self.random.pick(&[0, b'a', b'-', 0xFF]) };
        let end = match self.random.below(3) {
            0 => key.iter().rposition(|&byte| byte == delimiter).map_or(0, |at| at + 1),
            1 => key.iter().position(|&byte| byte == delimiter).map_or(0, |at| at + 1),
            _ => self.random.below(key.len().min(40) + 1),
        };
        let prefix = &key[..end];
        let (ends, steps, limit) = (self.some_ends(), self.some_steps(), self.some_limit());
        let start_after = self.random.percent(40).then(|| {
            let mut name = self.some_key();
            let end = name[..].iter().skip(end).position(|&byte| byte == delimiter);
            // As a pager would: the name of a directory as `list` gives it.
            name.truncate(
                end.filter(|_| self.random.percent(70)).map_or(name.len(), |at| prefix.len() + at + 1),
            );
            name
        });
        let random = &mut self.random.clone();
        let mut list = self.tree.list(prefix).delimiter(delimiter);
        let mut expected = Listing::new(self.model, prefix, delimiter);
        if let Some(name) = &start_after {
            (list, expected) = (list.start_after(name), expected.start_after(name));
        }
        if let Some(limit) = limit {
            (list, expected) = (list.limit(limit), expected.limit(limit));
        }
        for step in 0..steps {
            let back = ends.is_back(step, random);
            let child = if back { expected.next_back() } else { expected.next() };
            let same = match back {
                true => same_entry(list.next_back().map(|entry| entry.expect("lists")), &child),
                false if self.place.step.is_multiple_of(2) => {
                    same_entry(list.next().map(|entry| entry.expect("lists")), &child)
                }
                false => same_child(list.next_ref().expect("lists"), &child),
            };
            let told = || {
                let place = self.place;
                format!("{place}: list {prefix:?} by {delimiter} after {start_after:?} {limit:?} {ends:?}")
            };
            assert!(same, "{}, step {step}, back {back}: expected {child:?}", told());
            if child.is_none() {
                break;
            }
        }
    }
}

/// Scans the whole of a tree from both ends.
pub fn verify<T: Reading>(tree: &T, model: &Model, place: &impl std::fmt::Display) {
    let mut scan = tree.scan(b"");
    let mut expected = model.iter();
    while let Some(entry) = scan.next_ref().unwrap_or_else(|error| panic!("{place}: {error}")) {
        let Some((key, (value, version))) = expected.next() else {
            panic!("{place}: {} should not be there", short(entry.key()));
        };
        assert!(entry.key() == key, "{place}: {} instead of {}", short(entry.key()), short(key));
        let (found, at) = (entry.value(), entry.version().number());
        let told = || {
            let differs = found.iter().zip(value).position(|(one, other)| one != other).unwrap_or(0);
            let (found, value) = (&found[differs.min(found.len())..], &value[differs.min(value.len())..]);
            let (found, value) = (short(found), short(value));
            format!("{place}: from byte {differs} on {found} of version {at}, not {value} of {version}")
        };
        assert!(found == value && at == *version, "{}: {}", told(), short(key));
    }
    assert!(expected.next().is_none(), "{place}: the scan ended too early");
    let mut scan = tree.range((Bound::Unbounded, Bound::Unbounded));
    let mut expected = model.iter().rev();
    while let Some(entry) = scan.next_back_ref().unwrap_or_else(|error| panic!("{place}: {error}")) {
        let Some((key, (value, _))) = expected.next() else {
            panic!("{place}, backward: {} should not be there", short(entry.key()));
        };
        assert!(entry.key() == key, "{place}: {} instead of {}", short(entry.key()), short(key));
        assert!(entry.value() == value, "{place}, backward: value of {}", short(key));
    }
    assert!(expected.next().is_none(), "{place}: the backward scan ended too early");
}

fn scan_of<T: Reading>(tree: &T, bounds: &Bounds) -> spinney::Scan {
    match bounds {
        Bounds::Prefix(prefix) => tree.scan(prefix),
        Bounds::Range(lo, hi) => tree.range((lo.clone(), hi.clone())),
    }
}

fn window_of<'a>(model: &'a Model, bounds: &Bounds) -> Window<'a> {
    let (lo, hi) = match bounds {
        Bounds::Prefix(prefix) => return Window::of_prefix(model, prefix),
        Bounds::Range(lo, hi) => (lo, hi),
    };
    let lo = match lo {
        Bound::Included(key) => key.clone(),
        Bound::Excluded(key) => above(key),
        Bound::Unbounded => Vec::new(),
    };
    let hi = match hi {
        Bound::Included(key) => Some(above(key)),
        Bound::Excluded(key) => Some(key.clone()),
        Bound::Unbounded => None,
    };
    Window::new(model, lo, hi)
}

fn same_key(keys: &mut spinney::Keys, back: bool, expected: Option<Item<'_>>) -> bool {
    if back {
        let found = keys.next_back().map(|key| key.expect("scans"));
        return found.as_deref() == expected.map(|item| item.0);
    }
    keys.next_ref().expect("scans") == expected.map(|item| item.0)
}

fn same_pair(scan: &mut spinney::Scan, back: bool, expected: Option<Item<'_>>) -> bool {
    let found = if back { scan.next_back() } else { scan.next() };
    let found = found.map(|pair| pair.expect("scans"));
    found.as_ref().map(|(key, value)| (&key[..], &value[..], value.version().number())) == expected
}

fn same_lent(scan: &mut spinney::Scan, back: bool, expected: Option<Item<'_>>) -> bool {
    let found = if back { scan.next_back_ref() } else { scan.next_ref() };
    found.expect("scans").map(|entry| (entry.key(), entry.value(), entry.version().number())) == expected
}

fn same_entry(found: Option<Entry>, expected: &Option<Child<'_>>) -> bool {
    match (found, expected) {
        (None, None) => true,
        (Some(Entry::Prefix(found)), Some(Child::Prefix(expected))) => found == *expected,
        (Some(Entry::Key { key, value, version }), Some(Child::Key(item))) => {
            (&key[..], &value[..], version.number()) == *item && value.version() == version
        }
        _ => false,
    }
}

fn same_child(found: Option<ListRef<'_>>, expected: &Option<Child<'_>>) -> bool {
    match (found, expected) {
        (None, None) => true,
        (Some(ListRef::Prefix(found)), Some(Child::Prefix(expected))) => found == expected,
        (Some(ListRef::Key { key, value, version }), Some(Child::Key(item))) => {
            (key, value, version.number()) == *item
        }
        _ => false,
    }
}
