//! The database handle: trees by name, images, checks.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::backend::{Backend, MemoryBackend};
use crate::batch::Batch;
use crate::blobs::{self, BlobInfo};
use crate::check::CheckReport;
use crate::error::{Error, Result};
use crate::forest::check::Findings;
use crate::forest::graft::Also;
use crate::forest::{Forest, Shape};
use crate::image;
use crate::limits::{NAMES, SYSTEM_TREES, TREE_NAME_BYTES_MAX};
use crate::open::Open;
use crate::options::Options;
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::store;
use crate::store::durable::Durability;
use crate::store::view::KeptCut;
use crate::transaction::{self, Transaction};
use crate::tree::Tree;

/// A database: a handle to share and to clone freely, from any thread.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let db = spinney::Db::memory();
/// let files = db.tree("files")?;
/// files.put("photos/2026/a.jpg", "...")?;
/// assert_eq!(db.trees()?, ["files"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Db {
    /// Beside what it leads to: a lookup takes the shorter way.
    open: Arc<Open>,
    forest: Arc<Forest>,
    durability: Durability,
}

impl Db {
    /// An empty database in memory.
    ///
    /// ```
    /// let db = spinney::Db::memory();
    /// assert_eq!(db.stats().keys, 0);
    /// ```
    pub fn memory() -> Self {
        Self::with_shape(Shape::default())
    }

    pub(crate) fn new(forest: Forest, durability: Durability) -> Result<Self> {
        let open = Open::new(forest)?;
        Ok(Db { forest: open.forest.clone(), open, durability })
    }

    pub(crate) fn forest(&self) -> &Forest {
        &self.forest
    }

    pub(crate) fn open_handle(&self) -> &Arc<Open> {
        &self.open
    }

    /// How writes are acknowledged that say nothing else.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// Where there are no threads: does one of the things that they would do. True if there is more to do.
    #[cfg(any(all(test, not(any(loom, miri))), target_arch = "wasm32"))]
    pub(crate) fn attend(&self) -> Result<bool> {
        store::background::attend(&self.forest.store)
    }

    pub(crate) fn tree_of(&self, id: u32) -> Tree {
        Tree::new(self.open.clone(), id, self.durability)
    }

    pub(crate) fn with_shape(shape: Shape) -> Self {
        let forest = Forest::new(0, shape).expect("the frame of the root blob can be had");
        Db::new(forest, Durability::Sync).expect("no thread is started")
    }

    /// Opens a copy of an image: what [`Db::image`] returned, or the bytes of the file of a closed database.
    ///
    /// Every checksum is verified first; a damage is an error that names the blob and the page.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let copy = spinney::Db::from_image(db.image()?)?;
    /// assert_eq!(copy.tree("files")?.get("a/b")?.as_deref(), Some(&b"c"[..]));
    /// assert!(spinney::Db::from_image(b"something else").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_image(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        image::check_length(bytes)?;
        let backend = MemoryBackend::from_bytes(bytes)?;
        let store = store::image::read(&backend)?;
        Db::new(Forest::from_store(store), Durability::Sync)
    }

    /// A cold database that can be written, of blobs of another shape; nothing is ever written back.
    #[cfg(test)]
    pub(crate) fn open_cold_for_tests(
        backend: Arc<dyn Backend>,
        cache_bytes: u64,
        shape: Shape,
    ) -> Result<Self> {
        let store = store::open::open_cold(backend, cache_bytes)?;
        Db::new(Forest { shape, ..Forest::from_store(store) }, Durability::Sync)
    }

    /// The whole database as one run of bytes: complete, with checksums, the same on every platform.
    ///
    /// It is that of a [`snapshot`](Db::snapshot) made at this moment: writers go on. What is not in memory
    /// is read for it, blob by blob, and all of it is in memory at the end. The bytes are those of a closed
    /// database: written to a file, they can be opened there. [`Db::backup_to`] writes the same to a file.
    ///
    /// It is [`Error::SnapshotTooOld`] if writers change more meanwhile than
    /// [`Options::snapshot_bytes`] allows to keep.
    ///
    /// ```
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let copy = spinney::Db::from_image(db.image()?)?;
    /// assert!(copy.tree("files")?.contains("a/b")?);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn image(&self) -> Result<Vec<u8>> {
        MemoryBackend::image_of(|backend| self.write_image(backend, &mut |_, _| {}))
    }

    /// Writes the database as it is at this moment. `progress` is told the bytes that are done, and all
    /// bytes.
    pub(crate) fn write_image(
        &self,
        backend: &dyn Backend,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let kept = KeptCut::new(self.open.clone());
        store::image::write(&self.forest.store, &kept.cut, true, backend, progress)
    }

    /// All trees as they are at this moment, to read while writers go on: see [`Snapshot`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let files = db.tree("files")?;
    /// files.put("a/b", "before")?;
    /// let snapshot = db.snapshot();
    /// files.put("a/b", "after")?;
    /// assert_eq!(&*snapshot.tree("files")?.get("a/b")?.expect("was there"), b"before");
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(KeptCut::new(self.open.clone()))
    }

    /// The same database with all of another store.
    pub(crate) fn of_view(store: store::Store) -> Result<Self> {
        Db::new(Forest::from_store(store), Durability::Sync)
    }

    /// The tree of this name, made if it does not exist. Trees are cheap: they share everything but the
    /// beginning of their keys.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let (users, posts) = (db.tree("users")?, db.tree("posts")?);
    /// users.put("1", "Ada")?;
    /// assert!(posts.is_empty()?);
    /// assert!(db.tree("").is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TreeName`] for an empty or too long name; [`Error::NoSuchTree`] where it would have to be
    /// made in a database that was opened for reading.
    pub fn tree(&self, name: &str) -> Result<Tree> {
        checked_name(name)?;
        if let Some(tree) = self.existing_tree(name)? {
            return Ok(tree);
        }
        if self.forest.store.read_only {
            return Err(Error::NoSuchTree { name: name.to_owned() });
        }
        self.forest.store.allow_write()?;
        let names = self.tree_of(NAMES);
        // The last ids are never given out: some are of use here, and every tree's keys have a successor.
        let next = |id: u32| (id < SYSTEM_TREES).then(|| id + 1);
        let taken = self.forest.store.next_tree.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let id = taken.map_err(|_| Error::TooManyTrees)?;
        let put = self.open.change_names(|| names.put_if_absent(name, id.to_le_bytes()));
        if put?.is_some() {
            return Ok(self.tree_of(id));
        }
        // Another thread was faster with the same name.
        self.tree(name)
    }

    /// The tree of this name, if it exists.
    pub(crate) fn existing_tree(&self, name: &str) -> Result<Option<Tree>> {
        let value = self.tree_of(NAMES).get(name)?;
        value.map(|value| Ok(self.tree_of(decode_id(&value)?))).transpose()
    }

    /// The names of all trees, in order.
    ///
    /// ```
    /// # let db = spinney::Db::memory();
    /// db.tree("users")?;
    /// db.tree("posts")?;
    /// assert_eq!(db.trees()?, ["posts", "users"]);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn trees(&self) -> Result<Vec<String>> {
        let names = self.tree_of(NAMES);
        names.scan("").keys().map(|key| Ok(String::from_utf8_lossy(&key?).into_owned())).collect()
    }

    /// Removes a tree and all its keys, in one step. False if there is none of this name.
    ///
    /// It costs about the same for any number of keys (see [`Tree::remove_prefix`]). Handles of the tree see
    /// it empty from then on; what they write is not found under the name again.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// db.tree("scratch")?.put("a", "b")?;
    /// assert!(db.drop_tree("scratch")?);
    /// assert!(!db.drop_tree("scratch")?);
    /// assert!(db.tree("scratch")?.is_empty()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn drop_tree(&self, name: &str) -> Result<bool> {
        // No tree has a name that no tree may have.
        let known = checked_name(name).ok().map(|()| self.tree_of(NAMES).get(name));
        let Some(value) = known.transpose()?.flatten() else {
            return Ok(false);
        };
        let prefix = decode_id(&value)?.to_be_bytes();
        let key = [&NAMES.to_be_bytes(), name.as_bytes()].concat();
        let also = Also { key: &key, version: Some(value.version().number()) };
        let removed = self.open.change_names(|| self.forest.remove_prefix(&prefix, Some(also)));
        match removed? {
            Some(appended) => self.forest.store.acknowledge(appended, self.durability).map(|()| true),
            None => Ok(false),
        }
    }

    /// Gives a tree another name. False if there is none of the old name; an error if there is one of the
    /// new name. Handles of the tree go on to work.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let drafts = db.tree("drafts")?;
    /// drafts.put("a", "text")?;
    /// assert!(db.rename_tree("drafts", "letters")?);
    /// assert_eq!(db.trees()?, ["letters"]);
    /// assert!(drafts.contains("a")? && db.tree("letters")?.contains("a")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rename_tree(&self, from: &str, to: &str) -> Result<bool> {
        checked_name(to)?;
        let rename = || self.tree_of(NAMES).rename(from, to);
        Ok(checked_name(from).is_ok() && self.open.change_names(rename)?.is_some())
    }

    /// Several writes as one: fill it, then commit it.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("old", "...")?;
    /// db.batch().remove(&files, "old").put(&files, "new", "...").commit()?;
    /// assert!(files.contains("new")? && !files.contains("old")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(&self) -> Batch {
        Batch::new(self.open.clone(), self.durability)
    }

    /// Runs a closure that reads and writes as if nobody else did.
    ///
    /// What the closure writes is applied as one, when it has returned, if nothing that it has read was
    /// changed by others meanwhile; else it is run again. So it may run several times, and should do nothing
    /// beside the transaction that cannot be done twice. It sees its own writes; others see them all at once,
    /// or never. Nothing is applied if it returns an error.
    ///
    /// All that it reads is of one moment, in every run: it never sees half of another transaction or batch.
    /// Reads of ranges count as well: that a directory is empty, or that no key is missing from a scan.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// let stock = db.tree("stock")?;
    /// stock.put("apples", [3])?;
    /// let left = db.transact(|tx| {
    ///     let Some(apples) = tx.get(&stock, "apples")?.filter(|apples| apples[0] > 0) else {
    ///         return Err(tx.abort());
    ///     };
    ///     tx.put(&stock, "apples", [apples[0] - 1])?;
    ///     Ok(apples[0] - 1)
    /// })?;
    /// assert_eq!(left, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the closure returned; [`Error::Conflict`] if others were faster in every one of
    /// [`Transaction::TRIES_MAX`] runs; those of [`Batch::commit`]. Nothing was applied after any error but
    /// [`Error::OutcomeUnknown`].
    pub fn transact<T>(&self, run: impl FnMut(&Transaction) -> Result<T>) -> Result<T> {
        transaction::transact(&self.open, self.durability, run)
    }

    /// Opens the database in this file, or makes one: with all [`Options`] at their defaults.
    ///
    /// Beside the file lie three others from the first write on, with `-log`, `-journal` and `-ring` at the
    /// end of their names; after [`close`](Db::close), or when the last handle was dropped, all is in
    /// the one file again. That is the moment to copy it.
    ///
    /// If the last process that had it open has died, the database is recovered: every write that was
    /// acknowledged is there, as far as its [`Durability`] promises.
    ///
    /// One process at a time may write it, with as many threads as it likes. What `fork` makes of a process
    /// that has it open is another process, and must not use its handles, nor drop them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// let db = spinney::Db::open(&path)?;
    /// db.tree("files")?.put("photos/2026/a.jpg", "...")?;
    /// db.close()?;
    /// let db = spinney::Db::open(&path)?;
    /// assert!(db.tree("files")?.contains("photos/2026/a.jpg")?);
    /// # drop(db);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Options::default().open(path)
    }

    /// Opens the database that lies at a URL, for reading: `https://`, `http://`, `s3://`, `gs://`, `az://`
    /// or `file://`. Only what is touched is read.
    ///
    /// Credentials and settings of a store come from the environment, as the crate `object_store` reads
    /// them: `AWS_ACCESS_KEY_ID`, `AWS_REGION` and so on. If the object is replaced meanwhile, what is not in
    /// memory yet is [`Error::Changed`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-url-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// let db = spinney::Db::open(&path)?;
    /// db.tree("files")?.put("photos/a.jpg", "...")?;
    /// db.close()?;
    /// let far = spinney::Db::open_url(&format!("file://{}", path.display()))?;
    /// assert!(far.tree("files")?.contains("photos/a.jpg")?);
    /// # drop(far);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with what the store says, of the kind `NotFound` or `PermissionDenied` where that is it,
    /// and `InvalidInput` or `Unsupported` for a URL that is none; those of [`Options::open`] for what lies
    /// there. A database that was not closed before it was copied is [`Error::SideFile`].
    #[cfg(all(feature = "object-store", unix))]
    pub fn open_url(url: &str) -> Result<Self> {
        Options::default().open_url(url)
    }

    /// How to open a database otherwise: see [`Options`].
    ///
    /// ```
    /// let empty = std::sync::Arc::new(spinney::backend::MemoryBackend::new());
    /// assert!(spinney::Db::builder().create(false).open_backend(empty.clone()).is_err());
    /// assert!(spinney::Db::builder().open_backend(empty).is_ok());
    /// ```
    pub fn builder() -> Options {
        Options::default()
    }

    /// Returns when everything that was written before is on stable storage: through any handle, and as
    /// [`Durability::Buffered`] too.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// let fast = db.tree("files")?.with_durability(spinney::Durability::Buffered);
    /// for number in 0..100 {
    ///     fast.put(format!("part-{number}"), "...")?;
    /// }
    /// db.sync()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sync(&self) -> Result<()> {
        match self.forest.store.durable.get() {
            Some(durable) => durable.log.wait_durable(durable.log.end()),
            None => Ok(()),
        }
    }

    /// Brings all changes into the data file, so that what the log has is not needed any more: the next
    /// opening has less to recover. Writers go on meanwhile.
    ///
    /// It happens by itself when the log fills up, when many pages have changed (see
    /// [`Options::cache_bytes`]), and when the database is closed. Without a backend there is nothing to do.
    ///
    /// ```
    /// # let backend = std::sync::Arc::new(spinney::backend::MemoryBackend::new());
    /// # let db = spinney::Db::builder().open_backend(backend)?;
    /// db.tree("files")?.put("a/b", "c")?;
    /// let before = db.stats().checkpoints.count;
    /// db.checkpoint()?;
    /// assert!(db.stats().checkpoints.count > before);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn checkpoint(&self) -> Result<()> {
        self.forest.store.checkpoint()
    }

    /// Closes the database: all is in its one file then, the others are gone, and the file can be opened
    /// again. Other handles can still read what is in memory; everything else is [`Error::Closed`].
    ///
    /// Dropping the last handle does the same, but has nobody to tell about a failure. After a failure the
    /// database is as after a crash: the other files stay, and the next opening recovers. Another handle may
    /// close it again; that goes on where the first attempt has stopped.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::{backend::MemoryBackend, Error};
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// # let db = spinney::Db::builder().open_backend(backend)?;
    /// let files = db.tree("files")?;
    /// files.put("a/b", "c")?;
    /// db.close()?;
    /// assert!(matches!(files.put("a/b", "d"), Err(Error::Closed)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(self) -> Result<()> {
        self.open.close()
    }

    /// How large the database is, and what it did so far.
    ///
    /// It reads nothing from the backend. So where blobs are not in memory, their keys and bytes are not
    /// counted: [`Stats::unread_blobs`] says how many these are. [`Db::survey`] reads what is missing.
    ///
    /// ```
    /// # let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// assert_eq!((db.stats().keys, db.stats().unread_blobs), (1, 0));
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        Stats::of(&self.forest)
    }

    /// The same with every blob counted: the first page of each that is not in memory is read for that, and
    /// not kept.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # use std::sync::Arc;
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let backend = Arc::new(MemoryBackend::from_bytes(&db.image()?)?);
    /// let cold = spinney::Db::builder().read_only(true).open_backend(backend)?;
    /// assert_eq!((cold.stats().keys, cold.stats().unread_blobs), (0, 1));
    /// assert_eq!((cold.survey()?.keys, cold.survey()?.unread_blobs), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn survey(&self) -> Result<Stats> {
        Stats::of_all(&self.forest)
    }

    /// What every blob of the database holds, in the order of their ids: a map of the file.
    ///
    /// As with [`Db::survey`], the first page of each blob that is not in memory is read for that. Writers go
    /// on meanwhile.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use spinney::BlobKind;
    ///
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let blobs = db.blobs()?;
    /// assert_eq!((blobs[0].kind, blobs[1].kind), (BlobKind::Directory, BlobKind::Range));
    /// assert_eq!(blobs[1].keys, 2); // the name of the tree is one
    /// assert!(blobs[1].fill() > 0.0 && blobs[1].garbage_bytes == 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn blobs(&self) -> Result<Vec<BlobInfo>> {
        blobs::list(&self.forest.store)
    }

    /// Looks at every blob: order, counts, space, bounds, reachability, and the checksum of every page that
    /// is stored, also where memory has a copy of it. Writers and checkpoints wait meanwhile. What is not in
    /// memory is read for it, and a damaged page is one of the problems found.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let report = db.check()?;
    /// assert!(report.is_clean());
    /// # Ok(())
    /// # }
    /// ```
    pub fn check(&self) -> Result<CheckReport> {
        self.check_with(|_, _| {})
    }

    /// The same, and calls `progress` with the number of blobs that were looked at, and of all there are. It
    /// must do nothing with the database but read: writes, snapshots, images, backups and checkpoints wait
    /// for the check to end.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let report = db.check_with(|done, total| eprint!("\r{done} of {total} blobs"))?;
    /// assert!(report.is_clean());
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_with(&self, mut progress: impl FnMut(u64, u64)) -> Result<CheckReport> {
        let store = &self.forest.store;
        let committed = store.durable.get().map(|durable| durable.committed());
        let _alone = store.gate.enter_alone();
        let mut findings = Findings::default();
        store.verify_stored(committed.as_deref(), &mut |blob, text| findings.problem(blob, text))?;
        self.forest.check(&mut findings, &mut progress)?;
        Ok(CheckReport::new(findings))
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("blobs", &self.stats().total_blobs).finish_non_exhaustive()
    }
}

fn checked_name(name: &str) -> Result<()> {
    let length_bytes = name.len();
    if length_bytes == 0 || length_bytes > TREE_NAME_BYTES_MAX {
        return Err(Error::TreeName { length_bytes, limit_bytes: TREE_NAME_BYTES_MAX });
    }
    Ok(())
}

pub(crate) fn decode_id(value: &[u8]) -> Result<u32> {
    let id = value.try_into().map(u32::from_le_bytes).ok().filter(|&id| id < SYSTEM_TREES);
    id.ok_or_else(|| Error::corrupt(store::ROOT_BLOB, "a tree without an id"))
}
