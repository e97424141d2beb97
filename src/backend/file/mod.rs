//! A backend over files: `x.spinney` with the blobs and, while the database is open or after it died,
//! `x.spinney-log`, `x.spinney-journal` and `x.spinney-ring` beside it.
//!
//! Invariants:
//! * the data file is locked from before its first byte is read until the backend is dropped, so nobody
//!   else changes any of the four files;
//! * opening makes no side file: log and journal appear with their first [`set_len`](Backend::set_len),
//!   the ring with [`ring`](Backend::ring);
//! * every operation is checked against the length that this backend keeps itself; no operation asks the
//!   system for it;
//! * each way of I/O leaves the same bytes. What the system refuses is replaced and reported.
//!
//! Must not know: what the bytes of any area mean.

// The one module of `backend` besides `buffer` with unsafe code below it.

mod area;
mod fault;
mod lock;
mod open;
mod plain;
mod ring;
mod syscall;
// Miri has none of the calls that this is about.
#[cfg(all(test, not(any(loom, miri))))]
mod tests;

cfg_if::cfg_if! {
    // The processors that the crate `io-uring` knows.
    if #[cfg(all(
        target_os = "linux",
        feature = "io-uring",
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64",
            target_arch = "loongarch64",
            target_arch = "powerpc64"
        )
    ))] {
        mod uring;
    } else {
        mod uring_off;
        use uring_off as uring;
    }
}

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use super::{Area, Backend, BlobBufPool, IoChoice, IoPath, IoUse, ReadOp, RingMemory, WriteOp};
use area::{AreaFile, AreaSlot};
#[cfg(not(feature = "sim"))]
use fault::FileCall;
#[cfg(feature = "sim")]
pub use fault::{FileCall, FileFaults};

/// I/O buffers of a file backend: 6 MiB, so that registering them with the kernel fits the 8 MiB of locked
/// memory that a system commonly allows each user.
const BUFFER_SLOTS: usize = 12;

/// How to open a [`FileBackend`].
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("spinney-file-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("catalog.spinney");
/// use spinney::backend::{FileBackend, FileOptions};
///
/// let found_only = FileOptions { create: false, ..FileOptions::default() };
/// assert!(FileBackend::open(&path, &found_only).is_err());
/// assert!(FileBackend::open(&path, &FileOptions::default()).is_ok());
/// assert!(FileBackend::open(&path, &found_only).is_ok());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// Never change a file. Any number of such openers may share a database, but not with a writer.
    pub read_only: bool,
    /// Make the data file if it is missing. Without effect for a read-only opener.
    pub create: bool,
    /// How long to try while another process holds the lock. A killed process may hold it for a moment,
    /// until the kernel has ended its I/O (up to 125 ms were seen), so this should not be zero.
    pub lock_wait: Duration,
    /// Which ways of I/O to use.
    pub io: IoChoice,
    /// The permissions of a data file that is made, before the mask of the process is applied. The files
    /// beside it get those of the data file.
    pub mode: u32,
}

impl Default for FileOptions {
    fn default() -> Self {
        let (lock_wait, io, mode) = (Duration::from_secs(2), IoChoice::Auto, open::MODE);
        FileOptions { read_only: false, create: true, lock_wait, io, mode }
    }
}

/// The three areas and the ring as files: `x.spinney`, and beside it `x.spinney-log`, `x.spinney-journal` and
/// `x.spinney-ring` while they are needed.
///
/// The data file is locked until this is dropped, so nobody else may change any of the four meanwhile;
/// cutting off the ring by force would kill the process.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("spinney-file-backend-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("catalog.spinney");
/// use spinney::backend::{FileBackend, FileOptions};
///
/// let backend = FileBackend::open(&path, &FileOptions::default())?;
/// let db = spinney::Db::builder().open_backend(std::sync::Arc::new(backend))?;
/// db.tree("files")?.put("a/b", "c")?;
/// assert!(folder.join("catalog.spinney-log").exists());
/// db.close()?;
/// assert!(!folder.join("catalog.spinney-log").exists());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
pub struct FileBackend {
    // Dropped in this order: the lock is free only when nothing refers to the files any more.
    rings: uring::Rings,
    areas: [AreaSlot; Area::ALL.len()],
    lock: lock::Held,
    ring_path: PathBuf,
    options: FileOptions,
    write_through: Mutex<IoUse>,
    mapped_ring: Mutex<IoUse>,
    buffers: BlobBufPool,
}

impl FileBackend {
    /// Opens the files of a database, and locks it: for this process alone, or shared with other readers if
    /// `options.read_only`.
    ///
    /// Symbolic links are followed first: the side files lie beside the file that `path` leads to.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("spinney-file-open-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// use spinney::backend::{Area, Backend, FileBackend, FileOptions};
    /// use std::time::Duration;
    ///
    /// let options = FileOptions { lock_wait: Duration::from_millis(10), ..FileOptions::default() };
    /// let first = FileBackend::open(&path, &options)?;
    /// first.set_len(Area::Data, 8192)?;
    /// assert!(FileBackend::open(&path, &options).is_err(), "it is locked");
    /// drop(first);
    /// assert_eq!(FileBackend::open(&path, &options)?.len(Area::Data)?, 8192);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no file and none is to be made; `IsADirectory`, or `InvalidInput` for
    /// anything else that is not a file; `PermissionDenied`; `WouldBlock` if somebody else holds the lock
    /// and did not let go in time; and whatever else the system answers.
    pub fn open(path: &Path, options: &FileOptions) -> io::Result<FileBackend> {
        let (data, path) = open::open_locked(path, options)?;
        let mode = open::mode_of(&data.file)?;
        let mut areas = Area::ALL.map(|area| AreaSlot::new(area, side_path(&path, area), options, mode));
        let data = Arc::new(data);
        areas[Area::Data as usize].attach(data.clone())?;
        for area in [Area::Log, Area::Journal] {
            areas[area as usize].attach_existing()?;
        }
        Ok(FileBackend {
            rings: uring::Rings::new(options.io),
            areas,
            lock: lock::Held::new(data),
            ring_path: with_suffix(&path, "-ring"),
            options: *options,
            write_through: Mutex::default(),
            mapped_ring: Mutex::default(),
            buffers: BlobBufPool::new(BUFFER_SLOTS),
        })
    }

    /// Which way I/O takes. Tries io_uring out, if nothing has used it yet.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("spinney-file-io-path-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("catalog.spinney");
    /// use spinney::backend::{Area, FileBackend, FileOptions, IoChoice, IoUse};
    ///
    /// let options = FileOptions { io: IoChoice::Buffered, ..FileOptions::default() };
    /// let io = FileBackend::open(&path, &options)?.io_path();
    /// assert_eq!(io.direct[Area::Data as usize], IoUse::NotChosen);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn io_path(&self) -> IoPath {
        let (io_uring, registered_buffers) = self.rings.state(&self.buffers);
        IoPath {
            io_uring,
            registered_buffers,
            direct: Area::ALL.map(|area| self.slot(area).direct()),
            write_through: *locked(&self.write_through),
            mapped_ring: *locked(&self.mapped_ring),
        }
    }

    fn slot(&self, area: Area) -> &AreaSlot {
        &self.areas[area as usize]
    }

    fn refuse_if_read_only(&self, verb: &str) -> io::Result<()> {
        if !self.options.read_only {
            return Ok(());
        }
        let text = format!("cannot {verb}: the database was opened read-only");
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }

    /// Deletes a file beside the data file, if it is there.
    fn remove(path: &Path) -> io::Result<()> {
        match fault::meet(FileCall::Remove).and_then(|()| std::fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What a buffer is shown to as soon as it is full, with its place in the batch.
type Filled<'a> = &'a mut dyn FnMut(usize, &[u8]);

impl FileBackend {
    fn read_and(&self, batch: &mut [ReadOp<'_>], filled: &mut Option<Filled<'_>>) -> io::Result<()> {
        for op in &*batch {
            op.check(self.slot(op.area).len_bytes())?;
        }
        let files = self.files_of(batch.iter().map(|op| op.area));
        match self.rings.read(&self.buffers, &files, batch, filled) {
            Some(result) => result,
            None => plain::read(&files, batch, filled),
        }
    }
}

impl Backend for FileBackend {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(self.slot(area).len_bytes())
    }

    /// Grows by a hole: the space is taken when it is written, so a later write can meet a full disk. What
    /// must not, is written full of zeros first ([`write_zeros`](Backend::write_zeros)).
    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        super::check_len(area, bytes)?;
        self.refuse_if_read_only("change the length of an area")?;
        self.slot(area).set_len(bytes)
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        self.read_and(batch, &mut None)
    }

    fn read_each(&self, batch: &mut [ReadOp<'_>], filled: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
        self.read_and(batch, &mut Some(filled))
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        self.refuse_if_read_only("write")?;
        // Held to the end, so that no area is cut off between the check and the write, which would grow it
        // again.
        let _shapes = self.shapes_of(batch.iter().map(|op| op.area));
        for op in batch {
            op.check(self.slot(op.area).len_bytes())?;
        }
        let files = self.files_of(batch.iter().map(|op| op.area));
        match self.rings.write(&self.buffers, &files, batch) {
            Some(result) => result,
            None => plain::write(&files, batch),
        }
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        self.slot(area).sync()
    }

    fn write_durable(&self, op: WriteOp<'_>) -> io::Result<()> {
        self.refuse_if_read_only("write")?;
        let slot = self.slot(op.area);
        let _shape = slot.hold_shape();
        op.check(slot.len_bytes())?;
        let file = slot.file().ok_or(io::ErrorKind::InvalidInput)?;
        // Never by io_uring: it did not win for one small write, at any number of threads.
        if file.make_durable(|| plain::write_through(&file, &op, &self.write_through))? {
            return Ok(());
        }
        let files = self.files_of([op.area].into_iter());
        plain::write(&files, &[op])?;
        slot.sync()
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        let (ring, mapped) = ring::open(&self.ring_path, self.lock.file(), fresh, self.options.read_only)?;
        *locked(&self.mapped_ring) = mapped;
        Ok(ring)
    }

    fn remove_side_files(&self) -> io::Result<()> {
        self.refuse_if_read_only("delete files")?;
        let data = self.slot(Area::Data);
        if !open::is_still_at(self.lock.file(), data.path())? {
            let path = data.path().display();
            let text = format!("{path} was deleted or replaced while it was open: what lies beside it stays");
            return Err(io::Error::other(text));
        }
        for area in [Area::Log, Area::Journal] {
            let slot = self.slot(area);
            slot.detach(|file| self.rings.forget(file));
            FileBackend::remove(slot.path())?;
        }
        FileBackend::remove(&self.ring_path)?;
        *locked(&self.mapped_ring) = IoUse::Unused;
        self.sync_directory()
    }

    fn let_go(&self) -> io::Result<()> {
        self.lock.let_go()
    }

    fn sync_directory(&self) -> io::Result<()> {
        open::sync_folder_of(&self.ring_path)
    }

    fn io_path(&self) -> IoPath {
        FileBackend::io_path(self)
    }

    fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    fn permissions(&self) -> Option<u32> {
        open::mode_of(&self.slot(Area::Data).file()?.file).ok()
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}

/// One file for each area that a batch touches.
type Files = [Option<Arc<AreaFile>>; Area::ALL.len()];

impl FileBackend {
    fn files_of(&self, areas: impl Iterator<Item = Area>) -> Files {
        let mut files = Files::default();
        for area in areas {
            if files[area as usize].is_none() {
                files[area as usize] = self.slot(area).file();
            }
        }
        files
    }

    fn shapes_of(&self, areas: impl Iterator<Item = Area>) -> area::Shapes<'_> {
        let mut used = [false; Area::ALL.len()];
        areas.for_each(|area| used[area as usize] = true);
        // In the order of the areas, as everybody does who holds several.
        Area::ALL.map(|area| used[area as usize].then(|| self.slot(area).hold_shape()))
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("FileBackend");
        out.field("path", &self.slot(Area::Data).path());
        for area in Area::ALL {
            out.field(&format!("{area:?}"), &self.slot(area).len_bytes());
        }
        out.finish()
    }
}

/// The path of an area's file.
fn side_path(data_path: &Path, area: Area) -> PathBuf {
    with_suffix(
        data_path,
        match area {
            Area::Data => "",
            Area::Log => "-log",
            Area::Journal => "-journal",
        },
    )
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_os_string();
    path.push(suffix);
    PathBuf::from(path)
}

/// A lock whose holders leave whole values behind, even where they panic.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
