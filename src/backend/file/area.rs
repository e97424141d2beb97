//! One area as a file: made late, grown, cut off, synced, let go.
//!
//! Invariants:
//! * `len_bytes` is never above the length of the file while somebody may start an operation: it is
//!   lowered before the file is cut off, and raised after it has grown;
//! * whoever writes holds the shape shared, and whoever changes the length or lets the file go holds it
//!   alone: no write can grow a file behind the length's back;
//! * a `sync` that starts after a change of the length makes that change durable, or fails;
//! * the page cache tells only one, whoever asks first, that it has lost something. So nobody asks beside
//!   another, and after one was told, all are.
//!
//! Must not know: in what way bytes are read and written.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::open::{self, Found};
use super::{FileCall, FileOptions, IoUse, fault, locked, syscall};
use crate::backend::{Area, PAGE_BYTES};

/// The held shapes of the areas that a batch of writes touches.
pub(super) type Shapes<'a> = [Option<RwLockReadGuard<'a, ()>>; Area::ALL.len()];

/// An open file of an area.
pub(super) struct AreaFile {
    pub(super) file: File,
    /// Differs between any two files that this process has opened, so that a table of known files can tell
    /// them apart even where the second got the descriptor of the first.
    pub(super) id: u64,
    /// Whether I/O goes around the page cache.
    direct: Mutex<IoUse>,
    /// Why something may be lost that went through the page cache. Held while the system is asked.
    lost: Mutex<Option<String>>,
}

impl AreaFile {
    pub(super) fn new(found: Found) -> AreaFile {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        AreaFile { file: found.file, id, direct: Mutex::new(found.direct), lost: Mutex::default() }
    }

    /// Runs a call of the system that ends when something is on stable storage.
    pub(super) fn make_durable<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if locked(&self.direct).is_on() {
            return call();
        }
        let mut lost = locked(&self.lost);
        if let Some(reason) = &*lost {
            return Err(io::Error::other(format!("an earlier write may be lost: {reason}")));
        }
        call().inspect_err(|error| *lost = Some(error.to_string()))
    }

    /// Goes through the page cache from now on, if the file system takes direct I/O in name only.
    fn probe_direct(&self) {
        let mut direct = locked(&self.direct);
        if direct.is_on() {
            *direct = open::probe_direct(&self.file);
        }
    }
}

/// The place of one area: a path, and a file once there is one.
pub(super) struct AreaSlot {
    area: Area,
    path: PathBuf,
    options: FileOptions,
    /// Permissions of the file, should it be made.
    mode: u32,
    len_bytes: AtomicU64,
    shape: RwLock<()>,
    file: RwLock<Option<Arc<AreaFile>>>,
    /// Changes of the length so far, and how many of them are on stable storage.
    resizes: AtomicU64,
    synced_resizes: AtomicU64,
}

impl AreaSlot {
    pub(super) fn new(area: Area, path: PathBuf, options: &FileOptions, mode: u32) -> AreaSlot {
        AreaSlot {
            area,
            path,
            options: *options,
            mode,
            len_bytes: AtomicU64::new(0),
            shape: RwLock::new(()),
            file: RwLock::new(None),
            resizes: AtomicU64::new(0),
            synced_resizes: AtomicU64::new(0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a file that is there already.
    pub(super) fn attach(&mut self, file: Arc<AreaFile>) -> io::Result<()> {
        // Acquire and Release throughout: who sees a length may use it.
        self.len_bytes.store(file.file.metadata()?.len(), Ordering::Release);
        // What the last process left was perhaps never synced.
        self.resizes.store(1, Ordering::Release);
        *self.file.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// Takes the file at the path of this slot, if there is one.
    pub(super) fn attach_existing(&mut self) -> io::Result<()> {
        match open::open_side(&self.path, &self.options, None) {
            Ok(found) => self.attach(Arc::new(AreaFile::new(found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes.load(Ordering::Acquire)
    }

    pub(super) fn file(&self) -> Option<Arc<AreaFile>> {
        self.file.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn direct(&self) -> IoUse {
        self.file().map_or(IoUse::Unused, |file| *locked(&file.direct))
    }

    /// Keeps the length as it is while the guard lives.
    pub(super) fn hold_shape(&self) -> RwLockReadGuard<'_, ()> {
        self.shape.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the length of the file. Makes it if need be.
    pub(super) fn set_len(&self, bytes: u64) -> io::Result<()> {
        let _shape = self.shape.write().unwrap_or_else(PoisonError::into_inner);
        let file = match self.file() {
            Some(file) => file,
            None if bytes == 0 => return Ok(()),
            None => self.make()?,
        };
        let before_bytes = self.len_bytes();
        if bytes < before_bytes {
            self.len_bytes.store(bytes, Ordering::Release);
        }
        if let Err(error) = fault::meet(FileCall::SetLen).and_then(|()| file.file.set_len(bytes)) {
            self.len_bytes.store(before_bytes, Ordering::Release);
            return Err(error);
        }
        self.resizes.fetch_add(1, Ordering::AcqRel);
        if before_bytes < PAGE_BYTES as u64 {
            // The first page that there is to try it with.
            file.probe_direct();
        }
        self.len_bytes.store(bytes, Ordering::Release);
        Ok(())
    }

    fn make(&self) -> io::Result<Arc<AreaFile>> {
        debug_assert!(self.area != Area::Data, "the data file is made when it is opened");
        let found = open::open_side(&self.path, &self.options, Some(self.mode))?;
        let file = Arc::new(AreaFile::new(found));
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Some(file.clone());
        Ok(file)
    }

    /// Makes the file's contents durable, and its length if that has changed since the last time.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        let Some(file) = self.file() else {
            return Ok(());
        };
        // A counter, not a flag: of two threads that sync, the one that finds the flag already cleared would
        // return before the other's sync is done.
        let resizes = self.resizes.load(Ordering::Acquire);
        if self.synced_resizes.load(Ordering::Acquire) == resizes {
            return file.make_durable(|| syscall::sync_data(&file.file));
        }
        file.make_durable(|| syscall::sync_all(&file.file))?;
        self.synced_resizes.fetch_max(resizes, Ordering::AcqRel);
        Ok(())
    }

    /// Lets the file go and leaves the area empty. `forget` removes it from wherever else it is known.
    pub(super) fn detach(&self, forget: impl FnOnce(&AreaFile)) {
        let _shape = self.shape.write().unwrap_or_else(PoisonError::into_inner);
        self.len_bytes.store(0, Ordering::Release);
        let file = self.file.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(file) = file {
            forget(&file);
        }
    }
}
