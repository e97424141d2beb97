//! How a database is opened.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::backend::{Area, Backend, Metered};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::forest::{Forest, Shape};
use crate::log::record::Identity;
use crate::log::replay::{Reader, Replayed};
use crate::store::durable::Durability;
use crate::store::lifecycle::{self, Settings, SideFiles};
use crate::store::open::open_cold;
use crate::store::open_remote::open_remote;
use crate::store::overlay::Overlay;
use crate::store::recover::{self, Found};
use crate::store::superblock::Superblock;

/// How to open a database: set what you want otherwise than usual, then call `open`.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("spinney-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("catalog.spinney");
/// use spinney::{Db, Durability};
///
/// let db = Db::builder().cache_bytes(64 << 20).durability(Durability::Buffered).open(&path)?;
/// db.tree("files")?.put("a/b", "c")?;
/// db.close()?;
/// let db = Db::builder().read_only(true).open(&path)?;
/// assert!(db.tree("files")?.contains("a/b")?);
/// # drop(db);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    create: bool,
    read_only: bool,
    durability: Durability,
    settings: Settings,
    pub(crate) shape: Shape,
    #[cfg(unix)]
    file: crate::backend::FileOptions,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            create: true,
            read_only: false,
            durability: Durability::Sync,
            settings: Settings {
                cache_bytes: 1 << 30,
                log_bytes: 256 << 20,
                keep_changes_bytes: 0,
                snapshot_bytes: None,
                database_id: None,
                repeatable: None,
            },
            shape: Shape::default(),
            #[cfg(unix)]
            file: crate::backend::FileOptions::default(),
        }
    }
}

impl Options {
    /// Whether a database is made where there is none. Yes, unless you say otherwise.
    ///
    /// If not, a file that is missing is [`Error::Io`] of the kind `NotFound`, and an empty one
    /// [`Error::NotSpinney`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-create-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// use std::io::ErrorKind::NotFound;
    ///
    /// let opened = spinney::Db::builder().create(false).open(&path);
    /// assert!(matches!(opened, Err(spinney::Error::Io(error)) if error.kind() == NotFound));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether to open for reading only. No, unless you say otherwise.
    ///
    /// Nothing is written then, not even to recover from a crash: what recovery finds is kept in memory.
    /// Others may read the same file at the same time, but nobody may have it open for writing. Every write
    /// is [`Error::ReadOnly`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-read-only-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// # spinney::Db::open(&path)?.tree("files")?.put("a/b", "c")?;
    /// use spinney::{Db, Error};
    ///
    /// let one = Db::builder().read_only(true).open(&path)?;
    /// let other = Db::builder().read_only(true).open(&path)?;
    /// assert!(one.tree("files")?.contains("a/b")? && other.tree("files")?.contains("a/b")?);
    /// assert!(matches!(one.tree("files")?.put("a/b", "d"), Err(Error::ReadOnly)));
    /// # drop((one, other));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// When writes are acknowledged. [`Durability::Sync`], unless you say otherwise. A handle to a tree can
    /// do it otherwise: [`Tree::with_durability`](crate::Tree::with_durability).
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::{Db, backend::MemoryBackend};
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// let db = Db::builder().durability(spinney::Durability::Buffered).open_backend(backend)?;
    /// let files = db.tree("files")?;
    /// for number in 0..100 {
    ///     files.put(format!("part-{number}"), "...")?; // waits for no disk
    /// }
    /// db.sync()?; // one wait for all of them
    /// assert_eq!(db.stats().log.durable_bytes, db.stats().log.end_bytes);
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How much of the database is kept in memory. 1 GiB, unless you say otherwise.
    ///
    /// Pages are read when they are touched, verified, and dropped again when more than this is in memory. A
    /// lookup or a write reads the header and the inner nodes of a blob of 512 KiB at first, then single
    /// pages of 4 KiB. So do short scans and listings; long scans, and changes of which keys share a blob,
    /// read whole blobs.
    ///
    /// What stays beyond the limit: what the operations of this moment need, up to a blob each and the blobs
    /// that lead to it; and the pages that have changed since the last checkpoint. Of these there are at most
    /// half of the limit, but at least 8 MiB and at most 512 MiB (32 MiB in wasm): then writers wait for a
    /// checkpoint, which starts in the background at half of that. While it runs, there are copies of the
    /// pages that it writes.
    ///
    /// With a cache of 1/16 of the data a random lookup takes about one read.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::{Db, backend::MemoryBackend};
    /// # let db = Db::memory();
    /// # db.tree("files")?.load("", (0..40_000).map(|number| (format!("{number:05}"), [7; 200])))?;
    /// # let backend = std::sync::Arc::new(MemoryBackend::from_bytes(&db.image()?)?);
    /// let db = Db::builder().cache_bytes(1 << 20).open_backend(backend)?;
    /// assert_eq!(db.tree("files")?.scan("").count(), 40_000); // 8 MB of values go through 1 MiB of memory
    /// assert!(db.stats().bytes_read() > 8_000_000 && db.stats().evictions > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cache_bytes(mut self, cache_bytes: u64) -> Self {
        self.settings.cache_bytes = cache_bytes;
        self
    }

    /// How long the log may become: 256 MiB, unless you say otherwise; from 8 MiB to 1 GiB, in steps of 4
    /// MiB. A longer log means fewer checkpoints and a longer recovery. It begins with 4 MiB and grows as it
    /// is needed; when it is full, writers wait for a checkpoint.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::{Db, backend::MemoryBackend};
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// let db = Db::builder().log_bytes(8 << 20).open_backend(backend)?;
    /// db.tree("files")?.put("a/b", "c")?;
    /// assert_eq!(db.stats().log.segments_max, 2); // of 4 MiB
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_bytes(mut self, log_bytes: u64) -> Self {
        self.settings.log_bytes = log_bytes.clamp(8 << 20, 1 << 30);
        self
    }

    /// How much of the log is kept, beyond what a recovery needs, for those who read changes with
    /// [`Db::changes_since`]: nothing, unless you say otherwise. At least so many bytes before the last
    /// checkpoint can still be read then, and nothing waits for it: the log file becomes longer by as much,
    /// in steps of 4 MiB. A write takes the bytes of its keys and its value there, and some 50 more.
    ///
    /// What is kept outlives a crash. Closing the database removes the log, and what is kept with it.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// let db = spinney::Db::builder().keep_changes_bytes(64 << 20).open_backend(backend)?;
    /// let version = db.tree("files")?.put("a/b", "c")?;
    /// db.checkpoint()?;
    /// let changes = db.changes_since(spinney::Version::from_number(0))?;
    /// assert_eq!(changes.last().expect("two changes")?.version, version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_changes_bytes(mut self, keep_changes_bytes: u64) -> Self {
        self.settings.keep_changes_bytes = keep_changes_bytes.min(1 << 40);
        self
    }

    /// How much memory snapshots may take for what they keep of pages that have changed since: a quarter of
    /// [`cache_bytes`](Options::cache_bytes), at least 16 MiB, unless you say otherwise. When more has
    /// changed, the oldest snapshot ends with [`Error::SnapshotTooOld`]. Beside that each snapshot that is
    /// read has a cache of up to the same size for what it has read.
    ///
    /// A database that was not opened with options allows 256 MiB.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::{Db, backend::MemoryBackend};
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// let db = Db::builder().snapshot_bytes(64 << 20).open_backend(backend)?;
    /// assert_eq!(db.stats().snapshots.limit_bytes, 64 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot_bytes(mut self, snapshot_bytes: u64) -> Self {
        self.settings.snapshot_bytes = Some(snapshot_bytes);
        self
    }

    /// The id of a new database, which otherwise is random: for tests that compare bytes.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::{Db, backend::MemoryBackend};
    /// # use std::sync::Arc;
    /// let image = |id| {
    ///     let db = Db::builder().database_id(id).open_backend(Arc::new(MemoryBackend::new()))?;
    ///     db.tree("files")?.put("a/b", "c")?;
    ///     db.image()
    /// };
    /// assert!(image(7)? == image(7)? && image(7)? != image(8)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn database_id(mut self, database_id: u128) -> Self {
        self.settings.database_id = Some(database_id);
        self
    }

    /// The number of this opening, which no other opening of the same storage has had. With it nothing is
    /// random, and nothing goes on in the background.
    #[cfg(any(all(test, not(any(loom, miri))), target_arch = "wasm32"))]
    pub(crate) fn life(mut self, life: u64) -> Self {
        self.settings.repeatable = Some(life);
        self
    }

    /// For tests of crashes: the same calls on the same storage come to the same bytes and the same order of
    /// I/O, as long as one thread makes them. Nothing goes on in the background: buffered writes wait for
    /// [`Db::sync`], and checkpoints for whoever needs one. `life` is a number that no other opening of the
    /// same storage has had; nothing but the id of its log follows from it.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use spinney::backend::sim::FaultBackend;
    ///
    /// let run = || {
    ///     let disk = FaultBackend::new(1);
    ///     let how = spinney::Db::builder().database_id(7).repeatable(1);
    ///     how.open_backend(disk.clone())?.tree("files")?.put("a", "b")?;
    ///     spinney::Result::Ok(disk.storage().hash())
    /// };
    /// assert_eq!(run()?, run()?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "sim")]
    pub fn repeatable(mut self, life: u64) -> Self {
        self.settings.repeatable = Some(life);
        self
    }

    /// How files are read and written: the fastest way that the system offers, unless you say otherwise.
    /// [`Stats::io`](crate::Stats::io) tells which that is. All ways give the same bytes.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-io-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// use spinney::backend::IoChoice;
    ///
    /// let db = spinney::Db::builder().io(IoChoice::Plain).open(folder.join("catalog.spinney"))?;
    /// db.tree("files")?.put("a/b", "c")?;
    /// assert!(!db.stats().io.io_uring.is_on());
    /// # drop(db);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn io(mut self, io: crate::backend::IoChoice) -> Self {
        self.file.io = io;
        self
    }

    /// How long to wait for another process to let go of the database: 2 seconds, unless you say otherwise.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-lock-wait-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// use std::time::Duration;
    ///
    /// let db = spinney::Db::open(&path)?;
    /// let second = spinney::Db::builder().lock_wait(Duration::from_millis(10)).open(&path);
    /// assert!(matches!(second, Err(spinney::Error::Locked)));
    /// drop(db);
    /// assert!(spinney::Db::open(&path).is_ok());
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(unix)]
    pub fn lock_wait(mut self, lock_wait: std::time::Duration) -> Self {
        self.file.lock_wait = lock_wait;
        self
    }

    /// Opens the database in a file. If it was not closed, it is recovered first: see [`Db::open`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-options-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// let options = spinney::Db::builder().cache_bytes(64 << 20);
    /// options.clone().open(&path)?.tree("files")?.put("a/b", "c")?;
    /// assert!(options.open(&path)?.tree("files")?.contains("a/b")?);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if it is open elsewhere; [`Error::NotSpinney`], [`Error::NewerFormat`] or
    /// [`Error::Truncated`] if the file is something else, of a later version, or cut off;
    /// [`Error::SideFile`] if a file beside it is missing that holds what was not yet in it;
    /// [`Error::Corrupt`] or [`Error::LogCorrupt`] if what has to be read is damaged; and [`Error::Io`] for
    /// what the system says of the path, or of a disk that is full. Nothing is lost by any of these: what can
    /// be mended can be opened then.
    #[cfg(unix)]
    pub fn open(self, path: impl AsRef<std::path::Path>) -> Result<Db> {
        let file =
            crate::backend::FileOptions { read_only: self.read_only, create: self.create, ..self.file };
        let backend = crate::backend::FileBackend::open(path.as_ref(), &file).map_err(|error| {
            if error.kind() == std::io::ErrorKind::WouldBlock { Error::Locked } else { Error::Io(error) }
        })?;
        self.open_backend(Arc::new(backend))
    }

    /// Opens the database that a backend holds, or makes one in an empty backend.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use spinney::backend::MemoryBackend;
    /// use std::sync::Arc;
    ///
    /// let backend = Arc::new(MemoryBackend::new());
    /// let db = spinney::Db::builder().open_backend(backend.clone())?;
    /// db.tree("files")?.put("a/b", "c")?;
    /// db.close()?;
    /// let db = spinney::Db::builder().open_backend(backend)?;
    /// assert!(db.tree("files")?.contains("a/b")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_backend(self, backend: Arc<dyn Backend>) -> Result<Db> {
        if backend.is_remote() {
            return self.open_remote(backend);
        }
        backend.buffers().reserve()?;
        let read_only = self.read_only || backend.is_read_only();
        let meter = Arc::new(Metered::new(backend));
        let backend: Arc<dyn Backend> = meter.clone();
        let mut was_not_closed = false;
        let mut forest = match recover::find(&*backend)? {
            Found::Nothing if read_only || !self.create => {
                return Err(Error::NotSpinney { reason: "it is empty" });
            }
            Found::Nothing => self.make(backend)?,
            Found::Database { superblock, pages } if read_only => {
                let backend = Arc::new(Overlay::new(backend, pages)?);
                self.load(backend, &superblock)?.0
            }
            Found::Database { superblock, pages } => {
                lifecycle::put_in_place(&*backend, &pages)?;
                was_not_closed = superblock.log_id != 0;
                self.open_for_writing(backend, superblock)?
            }
        };
        forest.store.frames.captures.past.set_limit_bytes(self.settings.snapshot_bytes());
        forest.store.read_only = read_only;
        forest.store.is_repeatable = self.settings.repeatable.is_some();
        forest.store.meter = Some(meter);
        let db = Db::new(forest, self.durability)?;
        if was_not_closed {
            // What cannot be done now is done before the next long value is written or taken away.
            let _ = db.forest().prepare_long();
        }
        Ok(db)
    }

    /// Opens the database that lies at a URL, for reading: see [`Db::open_url`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-options-url-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// # spinney::Db::open(&path)?.tree("files")?.put("a/b", "c")?;
    /// let url = format!("file://{}", path.display());
    /// let db = spinney::Db::builder().cache_bytes(8 << 20).open_url(&url)?;
    /// assert!(db.tree("files")?.contains("a/b")?);
    /// # drop(db);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(all(feature = "object-store", unix))]
    pub fn open_url(self, url: &str) -> Result<Db> {
        self.open_backend(Arc::new(crate::backend::ObjectPlace::parse(url)?.open()?))
    }

    /// Opens the database that is an object in a store that you have made, for reading: see [`Db::open_url`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-object-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # spinney::Db::open(folder.join("catalog.spinney"))?.tree("files")?.put("a/b", "c")?;
    /// use object_store::local::LocalFileSystem;
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(LocalFileSystem::new_with_prefix(&folder).expect("it is there"));
    /// let db = spinney::Db::builder().cache_bytes(8 << 20).open_object(store, "catalog.spinney")?;
    /// assert!(db.tree("files")?.contains("a/b")?);
    /// # drop(db);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(all(feature = "object-store", unix))]
    pub fn open_object(self, store: Arc<dyn object_store::ObjectStore>, path: &str) -> Result<Db> {
        self.open_backend(Arc::new(crate::backend::ObjectBackend::open(store, path)?))
    }

    /// Opens a database that others have published: nobody writes it any more.
    pub(crate) fn open_remote(self, backend: Arc<dyn Backend>) -> Result<Db> {
        backend.buffers().reserve()?;
        let meter = Arc::new(Metered::new(backend));
        let mut forest = Forest::from_store(open_remote(meter.clone(), self.settings.cache_bytes)?);
        forest.store.read_only = true;
        forest.store.meter = Some(meter);
        forest.fetch_root()?;
        Db::new(forest, self.durability)
    }

    fn make(&self, backend: Arc<dyn Backend>) -> Result<Forest> {
        if backend.len(Area::Data)? > 0 {
            // Before the log goes that shows it to be nothing but a beginning.
            backend.set_len(Area::Data, 0)?;
            backend.sync(Area::Data)?;
        }
        let forest = Forest::with_root(lifecycle::new_store(&backend, self.settings), self.shape)?;
        forest.store.begin_new(backend, self.settings)?;
        Ok(forest)
    }

    fn open_for_writing(&self, backend: Arc<dyn Backend>, superblock: Superblock) -> Result<Forest> {
        let (forest, recovered) = self.load(backend.clone(), &superblock)?;
        match recovered {
            None => forest.store.begin(backend, superblock, self.settings)?,
            Some((side_files, replayed)) => {
                forest.store.go_on(backend, superblock, side_files.ring, &replayed, self.settings)?;
            }
        }
        Ok(forest)
    }

    /// The forest as of the last write that was recorded, and what the log had if it was not closed.
    fn load(
        &self,
        backend: Arc<dyn Backend>,
        superblock: &Superblock,
    ) -> Result<(Forest, Option<(SideFiles, Replayed)>)> {
        let is_closed = superblock.log_id == 0;
        let side_files = if is_closed { None } else { Some(SideFiles::find(&*backend, superblock)?) };
        let store = open_cold(backend.clone(), self.settings.cache_bytes)?;
        let forest = Forest { shape: self.shape, ..Forest::from_store(store) };
        let Some(side_files) = side_files else {
            return Ok((forest, None));
        };
        let identity = Identity { log_id: superblock.log_id, incarnation: superblock.incarnation };
        let reader = Reader::new(&*backend, side_files.ring.as_deref(), identity)?;
        let replayed = forest.replay(reader, superblock.log_position)?;
        Ok((forest, Some((side_files, replayed))))
    }
}
