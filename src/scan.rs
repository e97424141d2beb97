//! Iterators over keys and values in order.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::art::cursor::Direction;
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::scan::{Side, successor};
use crate::limits::TREE_ID_BYTES;
use crate::tree::Pair;
use crate::value::{Value, Version};

/// An entry that is lent from the iterator's own buffers until its next step.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let files = spinney::Db::memory().tree("files")?;
/// files.put("a", "1")?;
/// let mut scan = files.scan("");
/// let entry: spinney::EntryRef = scan.next_ref()?.expect("one");
/// assert_eq!((entry.key(), entry.value()), (&b"a"[..], &b"1"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'a> {
    key: &'a [u8],
    value: &'a [u8],
    value_bytes: usize,
    version: u64,
}

impl<'a> EntryRef<'a> {
    /// The key.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("photos/a.jpg", "...")?;
    /// let mut scan = files.scan("photos/");
    /// assert_eq!(scan.next_ref()?.expect("one").key(), b"photos/a.jpg");
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The value.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("photos/a.jpg", "...")?;
    /// let mut scan = files.scan("photos/");
    /// assert_eq!(scan.next_ref()?.expect("one").value(), b"...");
    /// # Ok(())
    /// # }
    /// ```
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The length of the value, which is not that of [`value`](EntryRef::value) where that was not read: see
    /// [`Scan::values_up_to`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("video", vec![7; 3_000_000])?;
    /// let mut scan = files.scan("").values_up_to(0);
    /// let entry = scan.next_ref()?.expect("one");
    /// assert_eq!((entry.value_bytes(), entry.value().len()), (3_000_000, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// The number of the write that the value comes from.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let version = files.put("a", "1")?;
    /// let mut scan = files.scan("");
    /// assert_eq!(scan.next_ref()?.expect("one").version(), version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        Version::from_number(self.version)
    }
}

/// Keys and values in order, from both ends; made by [`Tree::scan`](crate::Tree::scan) and
/// [`Tree::range`](crate::Tree::range).
///
/// It runs beside writers. A key that is there from the first step to the last appears exactly once, in
/// order; one that comes or goes meanwhile may appear or not. After an error the iterator ends.
///
/// As an [`Iterator`] it gives owned keys and values. [`Scan::next_ref`] lends them and allocates nothing:
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let files = spinney::Db::memory().tree("files")?;
/// files.put("a", "1")?;
/// files.put("b", "22")?;
/// let mut bytes = 0;
/// let mut scan = files.scan("");
/// while let Some(entry) = scan.next_ref()? {
///     bytes += entry.key().len() + entry.value().len();
/// }
/// assert_eq!(bytes, 5);
/// # Ok(())
/// # }
/// ```
pub struct Scan {
    forest: Arc<Forest>,
    start: Vec<u8>,
    end: Vec<u8>,
    front: Option<Side>,
    back: Option<Side>,
    left: usize,
    failed: bool,
    directories: Option<(u8, usize)>,
    long_bytes_max: usize,
    /// How many entries may be wanted, beyond those that are certain.
    ahead: usize,
}

impl Scan {
    pub(crate) fn new(forest: Arc<Forest>, start: Vec<u8>, end: Vec<u8>) -> Self {
        Scan {
            forest,
            start,
            end,
            front: None,
            back: None,
            left: usize::MAX,
            failed: false,
            directories: None,
            long_bytes_max: usize::MAX,
            ahead: usize::MAX,
        }
    }

    /// Only keys above `key`. Call it before the first step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// let page: Vec<_> = files.scan("").keys().start_after("a").limit(1).collect::<spinney::Result<_>>()?;
    /// assert_eq!(page, [b"b"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_after(mut self, key: impl AsRef<[u8]>) -> Self {
        self.begin_after(key.as_ref());
        self
    }

    /// Only keys above this one.
    pub(crate) fn begin_after(&mut self, key: &[u8]) {
        let mut start = self.start[..TREE_ID_BYTES].to_vec();
        start.extend_from_slice(key);
        start.push(0);
        self.raise_start(start);
    }

    /// Only keys behind all that begin with `prefix`.
    pub(crate) fn begin_behind(&mut self, prefix: &[u8]) {
        let mut start = self.start[..TREE_ID_BYTES].to_vec();
        start.extend_from_slice(prefix);
        self.raise_start(successor(&start).unwrap_or_else(|| self.end.clone()));
    }

    fn raise_start(&mut self, start: Vec<u8>) {
        if start > self.start {
            self.start = start;
        }
    }

    /// At most `count` entries, from both ends together.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// let mut scan = files.scan("").limit(2);
    /// assert_eq!(scan.next().expect("the first")?.0, b"a");
    /// assert_eq!(scan.next_back().expect("the second")?.0, b"c");
    /// assert!(scan.next().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(mut self, count: usize) -> Self {
        self.left = count;
        self
    }

    /// Reads no values that are longer than `bytes_max` and than
    /// [`SHORT_VALUE_BYTES_MAX`](crate::SHORT_VALUE_BYTES_MAX): they are handed out empty. Call it before the
    /// first step.
    ///
    /// Else a scan reads every value whole, one at a time, in a buffer that grows to the longest of them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("note", "a few words")?;
    /// files.put("video", vec![7; 3_000_000])?;
    /// let mut scan = files.scan("").values_up_to(0);
    /// let mut bytes = 0;
    /// while let Some(entry) = scan.next_ref()? {
    ///     bytes += entry.value_bytes();
    /// }
    /// assert_eq!(bytes, 3_000_011);
    /// # Ok(())
    /// # }
    /// ```
    pub fn values_up_to(mut self, bytes_max: usize) -> Self {
        self.long_bytes_max = bytes_max;
        self
    }

    /// No more than so many entries are wanted for now: where pages are a trip away, no more of them are
    /// asked for at once.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn look_ahead(mut self, entries: usize) -> Self {
        self.ahead = entries;
        self
    }

    /// Keys alone, without reading values.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// let keys: Vec<_> = files.scan("").keys().collect::<spinney::Result<_>>()?;
    /// assert_eq!(keys, [b"a", b"b", b"c"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(self) -> Keys {
        Keys { scan: self }
    }

    /// The next entry, lent until the next step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a", "1")?;
    /// let mut scan = files.scan("");
    /// assert_eq!(scan.next_ref()?.map(|entry| entry.value()), Some(&b"1"[..]));
    /// assert!(scan.next_ref()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn next_ref(&mut self) -> Result<Option<EntryRef<'_>>> {
        let version = self.step(Direction::Forward, true)?;
        Ok(version.map(|version| self.lend(Direction::Forward, version)))
    }

    /// The next entry from the end, lent until the next step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// let mut scan = files.scan("");
    /// assert_eq!(scan.next_back_ref()?.map(|entry| entry.key()), Some(&b"c"[..]));
    /// assert_eq!(scan.next_back_ref()?.map(|entry| entry.key()), Some(&b"b"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_back_ref(&mut self) -> Result<Option<EntryRef<'_>>> {
        let version = self.step(Direction::Backward, true)?;
        Ok(version.map(|version| self.lend(Direction::Backward, version)))
    }

    #[inline]
    fn lend(&self, direction: Direction, version: u64) -> EntryRef<'_> {
        let Some(side) = self.side(direction) else {
            return EntryRef { key: b"", value: b"", value_bytes: 0, version };
        };
        let key = side.key().get(TREE_ID_BYTES..).unwrap_or_default();
        EntryRef { key, value: side.value(), value_bytes: side.value_bytes(), version }
    }

    /// The value of the last step from one end.
    #[inline]
    pub(crate) fn value(&self, direction: Direction) -> &[u8] {
        self.side(direction).map(Side::value).unwrap_or_default()
    }

    #[inline]
    fn side(&self, direction: Direction) -> Option<&Side> {
        match direction {
            Direction::Forward => self.front.as_ref(),
            Direction::Backward => self.back.as_ref(),
        }
    }

    /// The key of the last step from one end, without the tree id.
    #[inline]
    pub(crate) fn key(&self, direction: Direction) -> &[u8] {
        self.side(direction).and_then(|side| side.key().get(TREE_ID_BYTES..)).unwrap_or_default()
    }

    /// One step from one end; stops where the two ends meet.
    #[inline(always)]
    pub(crate) fn step(&mut self, direction: Direction, with_value: bool) -> Result<Option<u64>> {
        if self.left == 0 || self.failed {
            return Ok(None);
        }
        if self.side(direction).is_none() {
            self.begin(direction);
        }
        let (side, other) = match direction {
            Direction::Forward => (&mut self.front, &self.back),
            Direction::Backward => (&mut self.back, &self.front),
        };
        let Some(side) = side else { return Ok(None) };
        let stepped =
            if with_value { side.step_to_value(&self.forest) } else { side.step(&self.forest, false) };
        let stepped = match stepped {
            Ok(stepped) => stepped,
            Err(error) => {
                self.failed = true;
                return Err(error);
            }
        };
        let met = other.as_ref().filter(|other| other.has_key()).is_some_and(|other| match direction {
            Direction::Forward => side.key() >= other.key(),
            Direction::Backward => side.key() <= other.key(),
        });
        if stepped.is_none() || met {
            self.left = 0;
            return Ok(None);
        }
        self.left -= 1;
        Ok(stepped)
    }

    /// The walk from one end begins.
    #[inline(never)]
    fn begin(&mut self, direction: Direction) {
        let mut side = Side::new(direction, self.start.clone(), self.end.clone());
        side.read_long_values_to(self.long_bytes_max);
        side.look_ahead(self.left.min(self.ahead));
        if let Some((delimiter, from)) = self.directories {
            side.stop_at_directories(delimiter, from);
        }
        match direction {
            Direction::Forward => self.front = Some(side),
            Direction::Backward => self.back = Some(side),
        }
    }

    /// Whether the last step from one end arrived at a directory.
    pub(crate) fn is_directory(&self, direction: Direction) -> bool {
        self.side(direction).is_some_and(Side::is_directory)
    }

    /// Hands out directories instead of what lies below them: everything up to a delimiter behind the first
    /// `from` bytes (tree id included).
    pub(crate) fn stop_at_directories(&mut self, delimiter: u8, from: usize) {
        self.directories = Some((delimiter, from));
    }

    fn owned(&mut self, direction: Direction) -> Option<Result<Pair>> {
        match self.step(direction, true) {
            Ok(Some(version)) => {
                let value = Value::new(self.value(direction).to_vec(), version);
                Some(Ok((self.key(direction).to_vec(), value)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        self.owned(Direction::Forward)
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.owned(Direction::Backward)
    }
}

impl std::iter::FusedIterator for Scan {}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}

/// Keys in order, from both ends; made by [`Scan::keys`].
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let files = spinney::Db::memory().tree("files")?;
/// for key in ["a", "b", "c"] {
///     files.put(key, "")?;
/// }
/// let mut keys: spinney::Keys = files.scan("").keys();
/// assert_eq!(keys.next_back().transpose()?, Some(b"c".to_vec()));
/// assert_eq!(keys.count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keys {
    scan: Scan,
}

impl Keys {
    /// Only keys above `key`. Call it before the first step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// let rest: Vec<_> = files.scan("").keys().start_after("a").collect::<spinney::Result<_>>()?;
    /// assert_eq!(rest, [b"b", b"c"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_after(mut self, key: impl AsRef<[u8]>) -> Self {
        self.scan = self.scan.start_after(key);
        self
    }

    /// At most `count` keys, from both ends together.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// assert_eq!(files.scan("").keys().limit(2).count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(mut self, count: usize) -> Self {
        self.scan = self.scan.limit(count);
        self
    }

    /// The next key, lent until the next step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a", "1")?;
    /// let mut keys = files.scan("").keys();
    /// assert_eq!(keys.next_ref()?, Some(&b"a"[..]));
    /// assert_eq!(keys.next_ref()?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_ref(&mut self) -> Result<Option<&[u8]>> {
        let stepped = self.scan.step(Direction::Forward, false)?;
        Ok(stepped.map(|_| self.scan.key(Direction::Forward)))
    }

    fn owned(&mut self, direction: Direction) -> Option<Result<Vec<u8>>> {
        match self.scan.step(direction, false) {
            Ok(stepped) => stepped.map(|_| Ok(self.scan.key(direction).to_vec())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for Keys {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.owned(Direction::Forward)
    }
}

impl DoubleEndedIterator for Keys {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.owned(Direction::Backward)
    }
}

impl std::iter::FusedIterator for Keys {}
