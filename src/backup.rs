//! A copy of an open database, as the one file of a closed one.
//!
//! Invariants:
//! * the file appears under its name when it is complete and on stable storage, or not at all;
//! * nothing is overwritten without being told to, and never a database that somebody has open.
//!
//! Must not know: what an image consists of.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::{Area, Backend, FileBackend, FileOptions};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// What follows the name of the file while it is not complete. What has that name already is the rest of one
/// that crashed, and is written over: so it is no name that somebody would give to a backup.
const UNFINISHED: &str = ".unfinished-backup";

/// How to write a backup: made by [`Db::backup`](crate::Db::backup) and
/// [`Snapshot::backup`](crate::Snapshot::backup).
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("spinney-backup-type-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let db = spinney::Db::memory();
/// let backup: spinney::Backup = db.backup();
/// backup.write_to(folder.join("copy.spinney"))?;
/// assert!(spinney::Db::open(folder.join("copy.spinney"))?.check()?.is_clean());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Backup<'a> {
    source: Source<'a>,
    overwrite: bool,
    progress: Box<dyn FnMut(u64, u64) + 'a>,
}

/// What is written.
enum Source<'a> {
    /// What there is when writing begins.
    Now(&'a Db),
    Then(&'a Snapshot),
}

impl Snapshot {
    /// How to write what the snapshot shows into a file of its own: see [`Backup::write_to`]. The snapshot
    /// stays as it is.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-backup-of-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let snapshot = db.snapshot();
    /// db.drop_tree("files")?;
    /// snapshot.backup().write_to(folder.join("then.spinney"))?;
    /// assert_eq!(spinney::Db::open(folder.join("then.spinney"))?.trees()?, ["files"]);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup(&self) -> Backup<'_> {
        Backup::of(Source::Then(self))
    }
}

impl Db {
    /// Writes the database as it is at this moment into a new file, while writers go on: see [`Backup`].
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-backup-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let db = spinney::Db::open(folder.join("catalog.spinney"))?;
    /// db.tree("files")?.put("a/b", "c")?;
    /// db.backup_to(folder.join("copy.spinney"))?;
    /// let copy = spinney::Db::open(folder.join("copy.spinney"))?;
    /// assert!(copy.tree("files")?.contains("a/b")?);
    /// # drop((db, copy));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup_to(&self, path: impl AsRef<Path>) -> Result<()> {
        self.backup().write_to(path)
    }

    /// How to write a backup otherwise than [`Db::backup_to`] does.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-backup-how-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("copy.spinney");
    /// let db = spinney::Db::memory();
    /// db.backup_to(&path)?;
    /// assert!(matches!(db.backup_to(&path), Err(spinney::Error::BackupExists)));
    /// let show = |done_bytes, total_bytes| println!("{}%", done_bytes * 100 / total_bytes);
    /// db.backup().overwrite(true).on_progress(show).write_to(&path)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup(&self) -> Backup<'_> {
        Backup::of(Source::Now(self))
    }
}

impl<'a> Backup<'a> {
    fn of(source: Source<'a>) -> Self {
        Backup { source, overwrite: false, progress: Box::new(|_, _| {}) }
    }

    /// Whether a file that is there is replaced. No, unless you say otherwise.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-backup-overwrite-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("copy.spinney");
    /// # let db = spinney::Db::memory();
    /// db.backup_to(&path)?;
    /// db.tree("files")?.put("a/b", "c")?;
    /// assert!(db.backup().overwrite(false).write_to(&path).is_err());
    /// db.backup().overwrite(true).write_to(&path)?;
    /// assert!(spinney::Db::open(&path)?.tree("files")?.contains("a/b")?);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Is called as the backup goes on, with the bytes that are done and all bytes there are; the last time
    /// with the same number twice.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-backup-progress-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let db = spinney::Db::memory();
    /// let mut last = (0, 0);
    /// let note = |done_bytes, total_bytes| last = (done_bytes, total_bytes);
    /// db.backup().on_progress(note).write_to(folder.join("copy.spinney"))?;
    /// assert!(last.0 > 0 && last.0 == last.1);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(mut self, progress: impl FnMut(u64, u64) + 'a) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Writes the backup: a closed database, complete in its one file, that can be opened and copied.
    ///
    /// It holds every write that had returned before the call, and none that began after it has begun to
    /// write; of a snapshot, what that shows. Writers go on meanwhile; what they change before it is written
    /// is kept in memory, see [`Options::snapshot_bytes`](crate::Options::snapshot_bytes). Beyond that the
    /// backup takes one blob of memory. It reads what is not in memory through the cache.
    ///
    /// The file is written as `path` with `.unfinished-backup` behind it, in the same folder, synced, and
    /// given its name then. So there is never half a backup under the name; after a crash the other file may
    /// stay, and the next backup to the same path writes over it. Nobody may read or write it who may not do
    /// so with the database, or with the file that it replaces.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("spinney-backup-write-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "before")?;
    /// db.backup().write_to(folder.join("copy.spinney"))?;
    /// db.tree("files")?.put("a/b", "after")?;
    /// let copy = spinney::Db::open(folder.join("copy.spinney"))?;
    /// assert_eq!(copy.tree("files")?.get("a/b")?.as_deref(), Some(&b"before"[..]));
    /// # drop(copy);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BackupExists`] if there is a file, and it is not to be overwritten; [`Error::Locked`] if that
    /// file is a database that is open, or another backup to the same path is being written;
    /// [`Error::SnapshotTooOld`] if more was changed meanwhile than may be kept; [`Error::Corrupt`] if what
    /// is read for it is damaged; [`Error::Io`] for a full disk, a folder that is not there, and the like.
    /// Nothing is left behind then, and what was at the path is as it was.
    pub fn write_to(mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let replaced = self.lock_replaced(path)?;
        let unfinished = with_suffix(path, UNFINISHED);
        let mode = self.mode(replaced.as_ref());
        let backend = open(&unfinished, true, mode)?;
        let written = restrict(&unfinished, &backend, mode)
            .and_then(|()| self.write(&backend))
            .and_then(|()| self.put_in_place(&unfinished, path, &backend));
        if written.is_err() {
            // What failed is worth more to be told than this.
            let _ = fs::remove_file(&unfinished);
        }
        drop((backend, replaced));
        written
    }

    /// Makes sure that nobody has the file open that is to be replaced.
    fn lock_replaced(&self, path: &Path) -> Result<Option<FileBackend>> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
            Ok(_) if self.overwrite => open(path, false, 0).map(Some),
            Ok(_) => Err(Error::BackupExists),
        }
    }

    /// The permissions of the copy: nobody sees more of it than of the database, and of what it replaces.
    fn mode(&self, replaced: Option<&FileBackend>) -> u32 {
        let store = match self.source {
            Source::Now(db) => &db.forest().store,
            Source::Then(snapshot) => snapshot.store(),
        };
        let own = store.meter.as_ref().and_then(|meter| meter.permissions());
        let modes = [own, replaced.and_then(Backend::permissions)];
        modes.into_iter().flatten().fold(FileOptions::default().mode, |all, mode| all & mode)
    }

    fn write(&mut self, backend: &FileBackend) -> Result<()> {
        backend.set_len(Area::Data, 0)?;
        match self.source {
            Source::Now(db) => db.write_image(backend, &mut self.progress),
            Source::Then(snapshot) => snapshot.write_image(backend, &mut self.progress),
        }
    }

    fn put_in_place(&self, unfinished: &Path, path: &Path, backend: &FileBackend) -> Result<()> {
        if self.overwrite {
            fs::rename(unfinished, path)?;
        } else {
            // Unlike a renaming, a second name is refused where there is a file.
            match fs::hard_link(unfinished, path) {
                Ok(()) => fs::remove_file(unfinished)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Error::BackupExists),
                // Not every file system knows second names. What is there was looked for at the beginning.
                Err(_) => fs::rename(unfinished, path)?,
            }
        }
        Ok(backend.sync_directory()?)
    }
}

impl std::fmt::Debug for Backup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("overwrite", &self.overwrite).finish_non_exhaustive()
    }
}

fn open(path: &Path, create: bool, mode: u32) -> Result<FileBackend> {
    let options = FileOptions { create, mode, lock_wait: Duration::ZERO, ..FileOptions::default() };
    FileBackend::open(path, &options).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Error::Locked,
        _ => Error::Io(error),
    })
}

/// What an earlier backup has left behind may have been for more people than this one is.
fn restrict(path: &Path, backend: &FileBackend, mode: u32) -> Result<()> {
    match backend.permissions() {
        Some(found) if found & !mode != 0 => {
            Ok(fs::set_permissions(path, fs::Permissions::from_mode(found & mode))?)
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
