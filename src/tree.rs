//! One tree: an ordered map from paths to values.

#![forbid(unsafe_code)]

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::blob::key::KeyBuf;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::many::Found;
use crate::forest::scan::successor;
use crate::forest::write::Condition;
use crate::limits::{
    KEY_BYTES_MAX, SHORT_VALUE_BYTES_MAX, SYSTEM_TREES, TREE_ID_BYTES, TREE_ID_NONE, VALUE_BYTES_MAX,
};
use crate::list::List;
use crate::log::Appended;
use crate::open::Open;
use crate::scan::Scan;
use crate::store::durable::Durability;
use crate::value::{Value, Version};

/// A key and its value.
pub type Pair = (Vec<u8>, Value);

/// A handle to one tree. Clone it freely, use it from any thread.
///
/// ```
/// # let db = spinney::Db::memory();
/// let files: spinney::Tree = db.tree("files")?;
/// let handle = files.clone();
/// std::thread::spawn(move || handle.put("a/b", "c")).join().expect("no panic")?;
/// assert!(files.contains("a/b")?);
/// # Ok::<(), spinney::Error>(())
/// ```
#[derive(Clone)]
pub struct Tree {
    /// Keeps the database open.
    _open: Arc<Open>,
    pub(crate) forest: Arc<Forest>,
    /// The tree id, most significant byte first, so that trees lie one behind the other.
    pub(crate) id: [u8; TREE_ID_BYTES],
    durability: Durability,
}

impl Tree {
    pub(crate) fn new(open: Arc<Open>, id: u32, durability: Durability) -> Self {
        Tree { forest: open.forest.clone(), _open: open, id: id.to_be_bytes(), durability }
    }

    pub(crate) fn belongs_to(&self, forest: &Arc<Forest>) -> bool {
        Arc::ptr_eq(&self.forest, forest)
    }

    pub(crate) fn id_bytes(&self) -> [u8; TREE_ID_BYTES] {
        self.id
    }

    /// Another handle to the same tree, whose writes are acknowledged as `durability` says. It makes no
    /// difference to a database in memory.
    ///
    /// ```
    /// # let db = spinney::Db::memory();
    /// let fast = db.tree("files")?.with_durability(spinney::Durability::Buffered);
    /// for number in 0..100 {
    ///     fast.put(format!("part-{number}"), "...")?;
    /// }
    /// db.sync()?; // one wait for all of them
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn with_durability(&self, durability: Durability) -> Tree {
        Tree { durability, ..self.clone() }
    }

    /// Waits until a write is as safe as this handle promises.
    #[inline]
    fn acknowledge(&self, appended: Option<Appended>) -> Result<Option<Version>> {
        let Some(appended) = appended else {
            return Ok(None);
        };
        self.forest.store.acknowledge(appended, self.durability)?;
        Ok(Some(Version::from_number(appended.seq)))
    }

    /// The value of a key.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a/b", "c")?;
    /// assert_eq!(files.get("a/b")?.as_deref(), Some(&b"c"[..]));
    /// assert!(files.get("a")?.is_none());
    /// # Ok::<(), spinney::Error>(())
    /// ```
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let mut bytes = Vec::new();
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key.as_ref())?);
        let version = self.forest.get(&key, &mut bytes)?;
        Ok(version.map(|version| Value::new(bytes, version)))
    }

    /// Copies the value of a key into `out`, replacing what was there: no allocation, once `out` is large
    /// enough. On a miss `out` is empty.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let mut value = Vec::new();
    /// let version = files.put("a/b", "c")?;
    /// assert_eq!(files.get_into("a/b", &mut value)?, Some(version));
    /// assert_eq!(value, b"c");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    #[inline]
    pub fn get_into(&self, key: impl AsRef<[u8]>, out: &mut Vec<u8>) -> Result<Option<Version>> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key.as_ref())?);
        let version = self.forest.get(&key, out)?;
        if version.is_none() {
            out.clear();
        }
        Ok(version.map(Version::from_number))
    }

    /// The values of many keys, in the order of the keys: what [`Tree::get`] says of each.
    ///
    /// Lookups are under way together, so that their waits for memory overlap, and pages that have to be read
    /// are read as one batch. The answers need not be of one moment: writers go on.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a", "1")?;
    /// files.put("c", "3")?;
    /// let values = files.get_many(&["a", "b", "c"])?;
    /// assert_eq!(values[0].as_deref(), Some(&b"1"[..]));
    /// assert!(values[1].is_none());
    /// assert_eq!(values[2].as_deref(), Some(&b"3"[..]));
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        let mut values = Vec::with_capacity(keys.len());
        let mut buffers: Vec<KeyBuf> = Vec::new();
        for batch in keys.chunks(self.forest.keys_in_batch()) {
            buffers.resize_with(buffers.len().max(batch.len()), KeyBuf::empty);
            let mut padded = Vec::with_capacity(batch.len());
            for (key, buffer) in batch.iter().zip(&mut buffers) {
                padded.push(buffer.refill(self.id, checked(key.as_ref())?));
            }
            let mut answers: Vec<Found> = vec![None; batch.len()];
            self.forest.get_batch(&padded, &mut answers)?;
            let answers = answers.into_iter();
            values.extend(answers.map(|found| found.map(|(bytes, version)| Value::new(bytes, version))));
        }
        Ok(values)
    }

    /// Whether a key is there.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a/b", "c")?;
    /// assert!(files.contains("a/b")? && !files.contains("a/")?);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    #[inline]
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key.as_ref())?);
        Ok(self.forest.version_of(&key)?.is_some())
    }

    /// How long the value of a key is, without reading a long one. None if the key is not there.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("video", vec![7; 3_000_000])?;
    /// assert_eq!(files.value_bytes("video")?, Some(3_000_000));
    /// assert_eq!(files.value_bytes("film")?, None);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn value_bytes(&self, key: impl AsRef<[u8]>) -> Result<Option<usize>> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key.as_ref())?);
        self.forest.value_bytes(&key)
    }

    fn put_when(&self, key: &[u8], value: &[u8], condition: Condition) -> Result<Option<Version>> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key)?);
        if value.len() > SHORT_VALUE_BYTES_MAX {
            checked_value(value)?;
            return self.acknowledge(self.forest.put_long(key.bytes(), value, condition)?);
        }
        self.acknowledge(self.forest.put(&key, value, condition)?)
    }

    /// Sets the value of a key; returns the version it got.
    ///
    /// A value may have 64 MiB ([`VALUE_BYTES_MAX`](crate::VALUE_BYTES_MAX)). What is longer than
    /// [`SHORT_VALUE_BYTES_MAX`](crate::SHORT_VALUE_BYTES_MAX) is written in parts first, while others go on;
    /// for everybody, and after a crash, the key has the old value until it has the new one, whole.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let first = files.put("a/b", "c")?;
    /// let second = files.put("a/b", "d")?;
    /// assert!(second > first);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    #[inline]
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Version> {
        let version = self.put_when(key.as_ref(), value.as_ref(), Condition::Always)?;
        Ok(version.expect("an unconditional write is never refused"))
    }

    /// Sets the value of a key that is not there yet. None if it is.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// assert!(files.put_if_absent("a", "first")?.is_some());
    /// assert!(files.put_if_absent("a", "second")?.is_none());
    /// assert_eq!(&*files.get("a")?.expect("is there"), b"first");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn put_if_absent(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Option<Version>> {
        self.put_when(key.as_ref(), value.as_ref(), Condition::Absent)
    }

    /// Sets the value of a key that is there in version `expected`. None if it is not.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let read = files.put("counter", "1")?;
    /// let written = files.compare_and_put("counter", read, "2")?;
    /// assert!(written.is_some());
    /// assert!(files.compare_and_put("counter", read, "3")?.is_none(), "it has changed since");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn compare_and_put(
        &self,
        key: impl AsRef<[u8]>,
        expected: Version,
        value: impl AsRef<[u8]>,
    ) -> Result<Option<Version>> {
        self.put_when(key.as_ref(), value.as_ref(), Condition::Version(expected.number()))
    }

    /// Removes a key. Returns the version of the removal, none if the key was not there.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a/b", "c")?;
    /// assert!(files.remove("a/b")?.is_some());
    /// assert!(files.remove("a/b")?.is_none());
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<Option<Version>> {
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key.as_ref())?);
        self.acknowledge(self.forest.remove(&key, Condition::Always)?)
    }

    /// Removes a key that is there in version `expected`. None if it is not.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let read = files.put("a", "1")?;
    /// files.put("a", "2")?;
    /// assert!(files.remove_if("a", read)?.is_none(), "it has changed since");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn remove_if(&self, key: impl AsRef<[u8]>, expected: Version) -> Result<Option<Version>> {
        let condition = Condition::Version(expected.number());
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(key.as_ref())?);
        self.acknowledge(self.forest.remove(&key, condition)?)
    }

    /// Moves a value to another key, in one step. None if there is nothing at `from`; an error if
    /// something is at `to`.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("draft", "text")?;
    /// assert!(files.rename("draft", "final")?.is_some());
    /// assert!(files.get("draft")?.is_none());
    /// files.put("draft", "more text")?;
    /// assert!(matches!(files.rename("draft", "final"), Err(spinney::Error::TargetExists)));
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<Option<Version>> {
        let (mut from_buffer, mut to_buffer) = (KeyBuf::empty(), KeyBuf::empty());
        let from = from_buffer.fill(self.id, checked(from.as_ref())?);
        let to = to_buffer.fill(self.id, checked(to.as_ref())?);
        self.acknowledge(self.forest.rename(&from, &to)?)
    }

    /// Moves a whole directory, in one step: every key that begins with `from` begins with `to` afterwards.
    /// None if there is no such key. Values and versions stay as they are.
    ///
    /// It takes about as long for a million keys as for a thousand: the keys are not looked at. Readers see
    /// all of it moved or nothing. A prefix may end anywhere: `logs/2025-` is one, too.
    ///
    /// It is an error if another key begins with `to` ([`Error::TargetExists`]), and if `to` begins with
    /// `from` ([`Error::RenameIntoItself`]).
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["photos/2025/a.jpg", "photos/2026/b.jpg", "photos/2026/c.jpg"] {
    ///     files.put(key, "...")?;
    /// }
    /// assert!(files.rename_prefix("photos/2026/", "archive/new/")?.is_some());
    /// assert!(files.contains("archive/new/b.jpg")?);
    /// assert_eq!(files.count("photos/")?, 1);
    /// assert!(matches!(
    ///     files.rename_prefix("archive/", "photos/"),
    ///     Err(spinney::Error::TargetExists)
    /// ));
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn rename_prefix(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<Option<Version>> {
        let from = [&self.id, checked(from.as_ref())?].concat();
        let to = [&self.id, checked(to.as_ref())?].concat();
        self.acknowledge(self.forest.move_prefix(&from, &to)?)
    }

    /// Removes a whole directory, in one step: every key that begins with `prefix`. None if there is none.
    ///
    /// The keys are not looked at; the blobs that hold them fall free one by one. Readers see all of it gone
    /// or nothing. The empty prefix empties the tree.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("tmp/a", "1")?;
    /// files.put("tmp/b/c", "2")?;
    /// files.put("tmpfile", "3")?;
    /// assert!(files.remove_prefix("tmp/")?.is_some());
    /// assert!(files.remove_prefix("tmp/")?.is_none());
    /// assert_eq!(files.count("")?, 1);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn remove_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Option<Version>> {
        let prefix = [&self.id, checked(prefix.as_ref())?].concat();
        self.acknowledge(self.forest.remove_prefix(&prefix, None)?)
    }

    /// Loads many keys at once, from an iterator that gives them in ascending order, into a directory that is
    /// empty. All of them begin with `prefix`, which may be empty itself. Returns how many they were.
    ///
    /// Blobs are packed full and written straight to their places: several times as fast as puts, and without
    /// the log. All of the keys are there when it returns, on stable storage; after a crash all or none are.
    /// Others go on reading and writing meanwhile, but for a moment at the end.
    ///
    /// A key that is out of order, comes twice, or does not begin with the prefix is
    /// [`Error::LoadRefused`], which names it; keys that are there already are [`Error::TargetExists`]; a
    /// value longer than [`VALUE_BYTES_MAX`](crate::VALUE_BYTES_MAX) is [`Error::ValueTooLarge`]. Then
    /// nothing was loaded.
    ///
    /// All keys of one load have one version, also behind a [move](Tree::rename_prefix): it does not tell one
    /// of them from another that was moved to its place. The iterator must not begin another load.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let photos = (0..10_000).map(|number| (format!("photos/{number:05}.jpg"), [7; 20]));
    /// assert_eq!(files.load("photos/", photos)?, 10_000);
    /// assert!(files.contains("photos/01234.jpg")?);
    /// let unsorted = [("logs/b", ""), ("logs/a", "")];
    /// assert!(matches!(
    ///     files.load("logs/", unsorted),
    ///     Err(spinney::Error::LoadRefused { key, .. }) if key == b"logs/a"
    /// ));
    /// assert_eq!(files.count("logs/")?, 0);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn load<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        prefix: impl AsRef<[u8]>,
        items: impl IntoIterator<Item = (K, V)>,
    ) -> Result<u64> {
        self.load_with(prefix, items, |_| true)
    }

    /// The same; `progress` is told how many keys were taken so far, about once for each blob, and may end it
    /// with `false`: then it is [`Error::Cancelled`], and nothing was loaded.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let logs = (0..50_000).map(|number| (format!("logs/{number:05}"), [7; 100]));
    /// let loaded = files.load_with("logs/", logs, |keys| keys < 10_000);
    /// assert!(matches!(loaded, Err(spinney::Error::Cancelled)) && files.is_empty()?);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn load_with<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        prefix: impl AsRef<[u8]>,
        items: impl IntoIterator<Item = (K, V)>,
        mut progress: impl FnMut(u64) -> bool,
    ) -> Result<u64> {
        let prefix = [&self.id, checked(prefix.as_ref())?].concat();
        let (keys, appended) = self.forest.load(&prefix, items.into_iter(), &mut progress)?;
        self.acknowledge(appended)?;
        Ok(keys)
    }

    /// How many keys begin with `prefix`.
    ///
    /// Blobs know how many keys they hold, so only the two at the borders are looked into. Where writers go
    /// on, blobs are counted one after the other: a key that is there all the time is counted once.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for number in 0..100 {
    ///     files.put(format!("logs/{number}"), "...")?;
    /// }
    /// assert_eq!(files.count("logs/")?, 100);
    /// assert_eq!(files.count("logs/9")?, 11);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn count(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
        let start = [&self.id, prefix.as_ref()].concat();
        let end = successor(&start).unwrap_or_else(|| vec![0xFF; TREE_ID_BYTES]);
        self.forest.count(&start, &end)
    }

    /// All keys that begin with `prefix`, in order.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     files.put(key, "")?;
    /// }
    /// let keys: Vec<_> = files.scan("a/").keys().collect::<spinney::Result<_>>()?;
    /// assert_eq!(keys, [b"a/1", b"a/2"]);
    /// let last = files.scan("").next_back().expect("three keys")?;
    /// assert_eq!(last.0, b"b/1");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Scan {
        let (start, end) = self.span_of_prefix(prefix.as_ref());
        Scan::new(self.forest.clone(), start, end)
    }

    /// The keys with this prefix: the first that there could be, and what lies behind the last.
    pub(crate) fn span_of_prefix(&self, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let start = [&self.id, prefix].concat();
        let end = successor(&start).unwrap_or_else(|| vec![0xFF; TREE_ID_BYTES]);
        (start, end)
    }

    /// All keys within bounds, in order.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["a", "b", "c"] {
    ///     files.put(key, "")?;
    /// }
    /// assert_eq!(files.range("b"..).count(), 2);
    /// assert_eq!(files.range("a"..="b").count(), 2);
    /// assert_eq!(files.range::<&str>(..).rev().count(), 3);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Scan {
        let (start, end) = self.span_of_bounds(bounds);
        Scan::new(self.forest.clone(), start, end)
    }

    /// The keys within bounds, in the same form.
    pub(crate) fn span_of_bounds<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> (Vec<u8>, Vec<u8>) {
        let full = |key: &K| [&self.id, key.as_ref()].concat();
        let above = |key: &K| [&self.id, key.as_ref(), &[0]].concat();
        let start = match bounds.start_bound() {
            Bound::Included(key) => full(key),
            Bound::Excluded(key) => above(key),
            Bound::Unbounded => self.id.to_vec(),
        };
        let end = match bounds.end_bound() {
            Bound::Included(key) => above(key),
            Bound::Excluded(key) => full(key),
            Bound::Unbounded => successor(&self.id).unwrap_or_else(|| vec![0xFF; TREE_ID_BYTES]),
        };
        (start, end)
    }

    /// The children of a directory: keys directly in it, and the directories below it once each.
    ///
    /// The cost is that of the children, however many keys lie below them.
    ///
    /// ```
    /// use spinney::Entry;
    /// # let files = spinney::Db::memory().tree("files")?;
    /// for key in ["photos/cover.jpg", "photos/2025/a.jpg", "photos/2025/b.jpg", "photos/2026/c.jpg"] {
    ///     files.put(key, "")?;
    /// }
    /// let names: Vec<_> = files
    ///     .list("photos/")
    ///     .map(|entry| Ok(entry?.name().to_vec()))
    ///     .collect::<spinney::Result<_>>()?;
    /// assert_eq!(names, [&b"photos/2025/"[..], b"photos/2026/", b"photos/cover.jpg"]);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> List {
        List::new(self.scan(prefix.as_ref()), TREE_ID_BYTES + prefix.as_ref().len())
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("id", &u32::from_be_bytes(self.id)).finish_non_exhaustive()
    }
}

/// Refuses keys that are too long.
#[inline(always)]
pub(crate) fn checked(key: &[u8]) -> Result<&[u8]> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong { length_bytes: key.len(), limit_bytes: KEY_BYTES_MAX });
    }
    Ok(key)
}

/// Refuses values that are too long.
pub(crate) fn checked_value(value: &[u8]) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::ValueTooLarge { length_bytes: value.len(), limit_bytes: VALUE_BYTES_MAX });
    }
    Ok(())
}

/// How many keys are not those of users: names of trees, and parts of long values, if there are any.
pub(crate) fn own_keys(forest: &Forest, has_long: bool) -> u64 {
    let end = 1u32.to_be_bytes().to_vec();
    let start = 0u32.to_be_bytes().to_vec();
    let mut side = crate::forest::scan::Side::new(crate::art::cursor::Direction::Forward, start, end);
    let mut count = 0;
    while let Ok(Some(_)) = side.step(forest, false) {
        count += 1;
    }
    let [start, end] = [SYSTEM_TREES, TREE_ID_NONE].map(u32::to_be_bytes);
    if has_long { count + forest.count(&start, &end).unwrap_or(0) } else { count }
}
