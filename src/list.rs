//! Listing a directory: its keys, and each directory below it once.

#![forbid(unsafe_code)]

use crate::art::cursor::Direction;
use crate::error::Result;
use crate::limits::TREE_ID_BYTES;
use crate::scan::Scan;
use crate::value::{Value, Version};

/// What separates directories unless told otherwise.
pub(crate) const DELIMITER: u8 = b'/';

/// One child of a directory.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use spinney::Entry;
/// # let files = spinney::Db::memory().tree("files")?;
/// files.put("a/1", "")?;
/// files.put("b", "value")?;
/// let mut list = files.list("");
/// assert_eq!(list.next().transpose()?, Some(Entry::Prefix(b"a/".to_vec())));
/// let Some(Entry::Key { key, value, .. }) = list.next().transpose()? else { panic!("a key") };
/// assert_eq!((&key[..], &value[..]), (&b"b"[..], &b"value"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A key directly in the directory.
    Key {
        /// The whole key.
        key: Vec<u8>,
        /// Its value.
        value: Value,
        /// The number of the write that the value comes from.
        version: Version,
    },
    /// A directory: all keys that begin with this, delimiter included.
    Prefix(Vec<u8>),
}

impl Entry {
    /// The key, or the prefix.
    ///
    /// ```
    /// assert_eq!(spinney::Entry::Prefix(b"a/".to_vec()).name(), b"a/");
    /// ```
    pub fn name(&self) -> &[u8] {
        match self {
            Entry::Key { key, .. } => key,
            Entry::Prefix(prefix) => prefix,
        }
    }

    /// Whether this is a directory.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a/1", "")?;
    /// files.put("b", "")?;
    /// let kinds: spinney::Result<Vec<bool>> = files.list("").map(|entry| Ok(entry?.is_prefix())).collect();
    /// assert_eq!(kinds?, [true, false]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_prefix(&self) -> bool {
        matches!(self, Entry::Prefix(_))
    }
}

/// A child that is lent from the iterator's buffers until its next step.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use spinney::ListRef;
/// # let files = spinney::Db::memory().tree("files")?;
/// files.put("a/1", "")?;
/// files.put("b", "value")?;
/// let (mut list, mut directories, mut bytes) = (files.list(""), 0, 0);
/// while let Some(child) = list.next_ref()? {
///     match child {
///         ListRef::Prefix(_) => directories += 1,
///         ListRef::Key { value, .. } => bytes += value.len(),
///     }
/// }
/// assert_eq!((directories, bytes), (1, 5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRef<'a> {
    /// A key directly in the directory.
    Key {
        /// The whole key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
        /// The number of the write that the value comes from.
        version: Version,
    },
    /// A directory: all keys that begin with this, delimiter included.
    Prefix(&'a [u8]),
}

/// The children of a directory in order, from both ends; made by [`Tree::list`](crate::Tree::list).
///
/// What [`Scan`] says about running beside writers holds here too.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let files = spinney::Db::memory().tree("files")?;
/// for key in ["a/1", "a/2", "b/1", "c"] {
///     files.put(key, "")?;
/// }
/// let mut list: spinney::List = files.list("");
/// assert_eq!(list.next().expect("three children")?.name(), b"a/");
/// assert_eq!(list.next_back().expect("two more")?.name(), b"c");
/// assert_eq!(list.count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct List {
    scan: Scan,
    prefix_len: usize,
    delimiter: u8,
    /// Names that it begins behind. What they mean depends on the delimiter, which may come later.
    after: Vec<Vec<u8>>,
}

impl List {
    pub(crate) fn new(scan: Scan, prefix_len: usize) -> Self {
        let mut list = List { scan, prefix_len, delimiter: DELIMITER, after: Vec::new() };
        list.scan.stop_at_directories(DELIMITER, prefix_len);
        list
    }

    /// Another byte than `/` between directories. Call it before the first step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("de.example.www", "")?;
    /// files.put("de.example.mail", "")?;
    /// let names: Vec<_> = files.list("de.").delimiter(b'.').collect::<spinney::Result<_>>()?;
    /// assert_eq!(names, [spinney::Entry::Prefix(b"de.example.".to_vec())]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self.scan.stop_at_directories(delimiter, self.prefix_len);
        self
    }

    /// Only children above this key or directory; the directory that this key is in is one of them. Call it
    /// before the first step.
    ///
    /// Give it the name of the last child of one page to get the next page:
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a/1", "a/2", "b/1", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// let first = files.list("").next().expect("three children")?;
    /// assert_eq!(first.name(), b"a/");
    /// let second = files.list("").start_after(first.name()).limit(1).next().expect("two more")?;
    /// assert_eq!(second.name(), b"b/");
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_after(mut self, name: impl AsRef<[u8]>) -> Self {
        self.after.push(name.as_ref().to_vec());
        self
    }

    /// One child further.
    #[inline(always)]
    fn step(&mut self, direction: Direction) -> Result<Option<u64>> {
        if !self.after.is_empty() {
            self.begin_after();
        }
        self.scan.step(direction, true)
    }

    /// Goes behind the names that were given to begin after.
    #[cold]
    fn begin_after(&mut self) {
        for name in std::mem::take(&mut self.after) {
            let is_directory =
                name.last() == Some(&self.delimiter) && name.len() + TREE_ID_BYTES > self.prefix_len;
            // Behind a directory comes what is not in it.
            if is_directory { self.scan.begin_behind(&name) } else { self.scan.begin_after(&name) }
        }
    }

    /// At most `count` children.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a/1", "a/2", "b/1", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// assert_eq!((files.list("").count(), files.list("").limit(2).count()), (3, 2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(mut self, count: usize) -> Self {
        self.scan = self.scan.limit(count);
        self
    }

    /// Reads no values that are longer than `bytes_max` and than
    /// [`SHORT_VALUE_BYTES_MAX`](crate::SHORT_VALUE_BYTES_MAX): they are handed out empty, and
    /// [`Tree::value_bytes`](crate::Tree::value_bytes) tells how long they are. Call it before the first
    /// step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use spinney::ListRef;
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("video", vec![7; 3_000_000])?;
    /// let mut list = files.list("").values_up_to(0);
    /// assert!(matches!(list.next_ref()?, Some(ListRef::Key { key: b"video", value: b"", .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn values_up_to(mut self, bytes_max: usize) -> Self {
        self.scan = self.scan.values_up_to(bytes_max);
        self
    }

    /// The next child, lent until the next step: no allocation.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use spinney::ListRef;
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a/1", "")?;
    /// let version = files.put("b", "value")?;
    /// let mut list = files.list("");
    /// assert_eq!(list.next_ref()?, Some(ListRef::Prefix(b"a/")));
    /// assert_eq!(list.next_ref()?, Some(ListRef::Key { key: b"b", value: b"value", version }));
    /// assert_eq!(list.next_ref()?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_ref(&mut self) -> Result<Option<ListRef<'_>>> {
        let Some(version) = self.step(Direction::Forward)? else { return Ok(None) };
        let key = self.scan.key(Direction::Forward);
        if self.scan.is_directory(Direction::Forward) {
            return Ok(Some(ListRef::Prefix(key)));
        }
        let value = self.scan.value(Direction::Forward);
        Ok(Some(ListRef::Key { key, value, version: Version::from_number(version) }))
    }

    fn owned(&mut self, direction: Direction) -> Option<Result<Entry>> {
        let version = match self.step(direction) {
            Ok(version) => version?,
            Err(error) => return Some(Err(error)),
        };
        let key = self.scan.key(direction).to_vec();
        Some(Ok(match self.scan.is_directory(direction) {
            true => Entry::Prefix(key),
            false => Entry::Key {
                key,
                value: Value::new(self.scan.value(direction).to_vec(), version),
                version: Version::from_number(version),
            },
        }))
    }
}

impl Iterator for List {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.owned(Direction::Forward)
    }
}

impl DoubleEndedIterator for List {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.owned(Direction::Backward)
    }
}

impl std::iter::FusedIterator for List {}
