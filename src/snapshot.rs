//! All trees as they were at one moment.

#![forbid(unsafe_code)]

use std::ops::RangeBounds;
use std::sync::{Arc, OnceLock};

use crate::backend::{Backend, MemoryBackend};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::limits::{TREE_ID_NONE, TREE_NAME_BYTES_MAX};
use crate::list::List;
use crate::open::Open;
use crate::scan::Scan;
use crate::store::image;
use crate::store::view::{self, KeptCut};
use crate::tree::{Pair, Tree};
use crate::value::{Value, Version};

/// All trees as they were when [`Db::snapshot`](crate::Db::snapshot) was called: to read, from any thread,
/// while writers, checkpoints and everything else go on. Nobody waits for it, and it waits for nobody.
///
/// Every write that had returned before is in it, and none that began afterwards. Making one waits an instant
/// for the writes that are under way, and copies nothing. From then on the first change of a page of 4 KiB
/// copies that page, as long as a snapshot needs it; when the last clone of the snapshot and the last of its
/// trees and iterators is dropped, all of that is given back. [`Stats::snapshots`](crate::Stats::snapshots)
/// counts it.
///
/// How much may be kept is limited: see [`Options::snapshot_bytes`](crate::Options::snapshot_bytes). When
/// more has changed, the oldest snapshot ends: what it has not read yet is [`Error::SnapshotTooOld`]. All of
/// them may end when a directory of more than a few blobs is removed that is not in memory. A snapshot never
/// gives anything else than what was there.
///
/// What a snapshot reads it copies, page by page, into a cache of its own, which all of its clones share.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let db = spinney::Db::memory();
/// let files = db.tree("files")?;
/// let version = files.put("photos/a.jpg", "...")?;
/// let snapshot = db.snapshot();
/// db.drop_tree("files")?;
/// assert_eq!(snapshot.trees()?, ["files"]);
/// assert_eq!(snapshot.version(), version);
/// let then = snapshot.tree("files")?;
/// assert_eq!(then.list("").next().expect("a directory")?.name(), b"photos/");
/// assert_eq!(db.stats().snapshots.open, 1);
/// drop((snapshot, then));
/// assert_eq!(db.stats().snapshots.open, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Snapshot {
    kept: Arc<KeptCut<Open>>,
    /// Made when something is read for the first time.
    view: Arc<OnceLock<Db>>,
}

impl Snapshot {
    pub(crate) fn new(kept: KeptCut<Open>) -> Self {
        Snapshot { kept: Arc::new(kept), view: Arc::default() }
    }

    /// What is read through it, as a database.
    pub(crate) fn view(&self) -> Result<&Db> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let cache_bytes = self.kept.owner.forest.store.frames.captures.past.limit_bytes();
        let view = Db::of_view(view::open(self.kept.clone(), cache_bytes)?)?;
        // If another thread was faster, this one is dropped.
        Ok(self.view.get_or_init(|| view))
    }

    /// The tree of this name. One that did not exist then is empty.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let snapshot = db.snapshot();
    /// db.tree("files")?.put("a/b", "c")?;
    /// db.tree("later")?.put("a/b", "c")?;
    /// assert!(snapshot.tree("files")?.is_empty()? && snapshot.tree("later")?.is_empty()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tree(&self, name: &str) -> Result<SnapshotTree> {
        let length_bytes = name.len();
        if length_bytes == 0 || length_bytes > TREE_NAME_BYTES_MAX {
            return Err(Error::TreeName { length_bytes, limit_bytes: TREE_NAME_BYTES_MAX });
        }
        let view = self.view()?;
        let tree = view.existing_tree(name)?;
        Ok(SnapshotTree { tree: tree.unwrap_or_else(|| view.tree_of(TREE_ID_NONE)) })
    }

    /// The names of all trees there were, in order.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let snapshot = db.snapshot();
    /// db.rename_tree("files", "documents")?;
    /// assert_eq!(snapshot.trees()?, ["files"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn trees(&self) -> Result<Vec<String>> {
        self.view()?.trees()
    }

    /// The bytes of a closed database with all that was there then: what [`Db::image`](crate::Db::image)
    /// would have given at that moment. The snapshot stays as it is.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let files = db.tree("files")?;
    /// files.put("a/b", "before")?;
    /// let snapshot = db.snapshot();
    /// files.put("a/b", "after")?;
    /// let copy = spinney::Db::from_image(snapshot.image()?)?;
    /// assert_eq!(copy.tree("files")?.get("a/b")?.as_deref(), Some(&b"before"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn image(&self) -> Result<Vec<u8>> {
        MemoryBackend::image_of(|backend| self.write_image(backend, &mut |_, _| {}))
    }

    pub(crate) fn store(&self) -> &crate::store::Store {
        &self.kept.owner.forest.store
    }

    /// Writes what [`Snapshot::image`] gives.
    pub(crate) fn write_image(
        &self,
        backend: &dyn Backend,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        image::write(self.store(), &self.kept.cut, false, backend, progress)
    }

    /// The number of the last write that is in it.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let before = files.put("a", "1")?;
    /// let snapshot = db.snapshot();
    /// files.put("a", "2")?;
    /// assert_eq!(snapshot.version(), before);
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        Version::from_number(self.kept.cut.last_seq)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("version", &self.version()).finish_non_exhaustive()
    }
}

/// One tree of a [`Snapshot`]: what [`Tree`](crate::Tree) offers for reading, with the same meaning, but that
/// nothing ever changes. It keeps its snapshot open, as do the iterators that come from it.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// # let files = db.tree("files")?;
/// files.put("a/b", "before")?;
/// let then: spinney::SnapshotTree = db.snapshot().tree("files")?;
/// files.remove_prefix("")?;
/// assert_eq!(then.first()?.expect("was there").0, b"a/b");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SnapshotTree {
    tree: Tree,
}

impl SnapshotTree {
    /// What it reads.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn reader(&self) -> &Tree {
        &self.tree
    }

    /// The value of a key: [`Tree::get`](crate::Tree::get).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a/b", "before")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("a/b", "after")?;
    /// assert_eq!(then.get("a/b")?.as_deref(), Some(&b"before"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.tree.get(key)
    }

    /// Copies the value of a key into `out`: [`Tree::get_into`](crate::Tree::get_into).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a/b", "before")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("a/b", "after")?;
    /// let mut value = Vec::new();
    /// assert!(then.get_into("a/b", &mut value)?.is_some());
    /// assert_eq!(value, b"before");
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn get_into(&self, key: impl AsRef<[u8]>, out: &mut Vec<u8>) -> Result<Option<Version>> {
        self.tree.get_into(key, out)
    }

    /// The values of many keys, all of the same moment: [`Tree::get_many`](crate::Tree::get_many).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a/b", "before")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("a/b", "after")?;
    /// let values = then.get_many(&["a/b", "c"])?;
    /// assert_eq!(values[0].as_deref(), Some(&b"before"[..]));
    /// assert!(values[1].is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        self.tree.get_many(keys)
    }

    /// Whether a key was there.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     files.put(key, "")?;
    /// }
    /// let then = db.snapshot().tree("files")?;
    /// files.remove_prefix("a/")?;
    /// assert!(then.contains("a/1")? && !files.contains("a/1")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.tree.contains(key)
    }

    /// All keys that begin with `prefix`, in order: [`Tree::scan`](crate::Tree::scan).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     files.put(key, "")?;
    /// }
    /// let then = db.snapshot().tree("files")?;
    /// files.remove_prefix("a/")?;
    /// assert_eq!((then.scan("a/").count(), files.scan("a/").count()), (2, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Scan {
        self.tree.scan(prefix)
    }

    /// All keys within bounds, in order: [`Tree::range`](crate::Tree::range).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     files.put(key, "")?;
    /// }
    /// let then = db.snapshot().tree("files")?;
    /// files.remove_prefix("a/")?;
    /// let keys: Vec<_> = then.range("a/2"..).keys().collect::<spinney::Result<_>>()?;
    /// assert_eq!(keys, [b"a/2", b"b/1"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Scan {
        self.tree.range(bounds)
    }

    /// The children of a directory: [`Tree::list`](crate::Tree::list).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     files.put(key, "")?;
    /// }
    /// let then = db.snapshot().tree("files")?;
    /// files.remove_prefix("a/")?;
    /// let names = then.list("").map(|entry| Ok(entry?.name().to_vec()));
    /// assert_eq!(names.collect::<spinney::Result<Vec<_>>>()?, [b"a/", b"b/"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> List {
        self.tree.list(prefix)
    }

    /// The lowest key and its value.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     files.put(key, "")?;
    /// }
    /// let then = db.snapshot().tree("files")?;
    /// files.remove_prefix("a/")?;
    /// assert_eq!(then.first()?.expect("three keys").0, b"a/1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn first(&self) -> Result<Option<Pair>> {
        self.tree.first()
    }

    /// The highest key and its value.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "1")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("b", "2")?;
    /// assert_eq!(then.last()?.expect("one key").0, b"a");
    /// # Ok(())
    /// # }
    /// ```
    pub fn last(&self) -> Result<Option<Pair>> {
        self.tree.last()
    }

    /// The longest stored key that `path` begins with: [`Tree::longest_prefix`](crate::Tree::longest_prefix).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("home/", "disk 1")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("home/ada/", "disk 2")?;
    /// assert_eq!(then.longest_prefix("home/ada/notes.txt")?.expect("a mount").0, b"home/");
    /// # Ok(())
    /// # }
    /// ```
    pub fn longest_prefix(&self, path: impl AsRef<[u8]>) -> Result<Option<Pair>> {
        self.tree.longest_prefix(path)
    }

    /// Whether the tree held no key.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("a", "1")?;
    /// assert!(then.is_empty()? && !files.is_empty()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        self.tree.is_empty()
    }

    /// How many keys begin with `prefix`. It goes through all of them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let files = db.tree("files")?;
    /// files.put("a/1", "")?;
    /// files.put("a/2", "")?;
    /// let then = db.snapshot().tree("files")?;
    /// files.put("a/3", "")?;
    /// assert_eq!(then.count("a/")?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn count(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
        let mut keys = self.tree.scan(prefix).keys();
        let mut count = 0;
        while keys.next_ref()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}
