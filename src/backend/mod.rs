//! Where pages live: the trait that every storage medium implements, and its vocabulary.
//!
//! A database is three flat *areas* of 4 KiB pages. A backend moves pages between an area and a
//! caller's buffer, in batches, and makes them durable on request. That is all it does.
//!
//! Invariants:
//! * offset and length of every operation are multiples of [`PAGE_BYTES`], and so is the address of
//!   its buffer (direct I/O asks for all three). [`ReadOp::check`] and [`WriteOp::check`] hold this,
//!   so that a caller's mistake is the same error on every backend;
//! * a batch with such a mistake in it changes nothing: backends check all of it first;
//! * buffers are private memory, never a frame: readers race over frames, `&mut [u8]` must not.
//!
//! Must not know: nodes, kinds of blobs, keys, logs as sequences of records, or anything else that
//! gives a byte in an area its meaning.

// Not `forbid`, which would reach down into `buffer`, the one file here that needs unsafe code.
#![deny(unsafe_code)]

mod buffer;
#[cfg(all(test, not(loom)))]
pub(crate) mod contract;
mod fetched;
#[cfg(unix)]
mod file;
mod io_path;
mod memory;
mod metered;
#[cfg(all(feature = "object-store", unix))]
mod object;
mod operation;
mod pool;
mod ring;
pub(crate) mod room;
#[cfg(feature = "sim")]
pub mod sim;
mod zeros;

use std::io;
use std::sync::Arc;

pub use buffer::AlignedBlobBuf;
pub use fetched::FetchedBackend;
#[cfg(unix)]
pub use file::{FileBackend, FileOptions};
#[cfg(all(unix, feature = "sim"))]
pub use file::{FileCall, FileFaults};
pub use io_path::{IoChoice, IoPath, IoUse};
pub use memory::MemoryBackend;
pub use metered::AreaCounts;
pub(crate) use metered::Metered;
#[cfg(all(feature = "object-store", unix))]
pub use object::{ObjectBackend, ObjectPlace, Upload};
pub use operation::{ReadOp, WriteOp, check_len};
pub use pool::BlobBufPool;
pub use ring::{PrivateRing, RING_BYTES, RING_TOTAL_BYTES, RingMemory};

/// Bytes of one page: the unit of reading, writing and checksums.
pub const PAGE_BYTES: usize = 4096;

/// Bytes of one blob, and of every buffer that a [`BlobBufPool`] leases.
pub const BLOB_BYTES: usize = 512 * 1024;

const _: () = assert!(PAGE_BYTES.is_power_of_two() && BLOB_BYTES.is_multiple_of(PAGE_BYTES));

/// One flat run of pages in a backend.
///
/// ```
/// use spinney::backend::{Area, Backend, MemoryBackend};
///
/// let backend = MemoryBackend::new();
/// for area in Area::ALL {
///     assert_eq!(backend.len(area)?, 0, "nothing was written to the {area:?} area yet");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// The blobs. The only area that is left after a clean close.
    Data,
    /// The redo log.
    Log,
    /// The pages of the checkpoint that is being written in place.
    Journal,
}

impl Area {
    /// Every area; `ALL[area as usize] == area`.
    pub const ALL: [Area; 3] = [Area::Data, Area::Log, Area::Journal];
}

/// A medium that holds the three areas of one database.
///
/// Calls may come from many threads at once. The operations of one batch are carried out in any
/// order, and so are concurrent batches: a read that races with a write of the same page may see
/// any mixture of old and new bytes (checksums above tell), and two writes of one page in flight
/// leave any mixture of both. What has returned is seen by every later call.
///
/// A mistake of the caller (see [`ReadOp::check`], [`WriteOp::check`]) is found before anything is
/// done. After any other error an unknown part of the batch was carried out.
///
/// A backend of your own wraps another, or speaks to a medium of its own. This one counts what it writes:
///
/// ```
/// use spinney::Db;
/// use spinney::backend::{Area, Backend, BlobBufPool, MemoryBackend, ReadOp, WriteOp};
/// use std::io;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// struct Counting {
///     inner: MemoryBackend,
///     writes: Arc<AtomicUsize>,
/// }
///
/// impl Backend for Counting {
///     fn len(&self, area: Area) -> io::Result<u64> {
///         self.inner.len(area)
///     }
///     fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
///         self.inner.set_len(area, bytes)
///     }
///     fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
///         self.inner.read(batch)
///     }
///     fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
///         self.writes.fetch_add(batch.len(), Ordering::Relaxed);
///         self.inner.write(batch)
///     }
///     fn sync(&self, area: Area) -> io::Result<()> {
///         self.inner.sync(area)
///     }
///     fn buffers(&self) -> &BlobBufPool {
///         self.inner.buffers()
///     }
/// }
///
/// # fn main() -> spinney::Result<()> {
/// let writes = Arc::new(AtomicUsize::new(0));
/// let backend = Counting { inner: MemoryBackend::new(), writes: writes.clone() };
/// let db = Db::builder().open_backend(Arc::new(backend))?;
/// db.tree("files")?.put("a/b.txt", "hello")?;
/// db.close()?;
/// assert!(writes.load(Ordering::Relaxed) > 0);
/// # Ok(())
/// # }
/// ```
pub trait Backend: Send + Sync {
    /// The length of an area; 0 if it was never made.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend};
    /// assert_eq!(MemoryBackend::new().len(Area::Journal)?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn len(&self, area: Area) -> io::Result<u64>;

    /// Grows an area with zeros or cuts it off, to a multiple of [`PAGE_BYTES`].
    ///
    /// Growing may leave holes, so a later write can still fail for want of space.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES};
    /// let backend = MemoryBackend::new();
    /// backend.set_len(Area::Data, 2 * PAGE_BYTES as u64)?;
    /// assert_eq!(backend.len(Area::Data)?, 8192);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()>;

    /// Fills the buffer of every operation; all or an error, never a short read.
    ///
    /// A read beyond the end of its area is an `UnexpectedEof` error.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, ReadOp};
    /// let backend = MemoryBackend::new();
    /// backend.set_len(Area::Data, PAGE_BYTES as u64)?;
    /// let mut buf = backend.buffers().lease_blocking();
    /// backend.read(&mut [ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut buf[..PAGE_BYTES] }])?;
    /// assert!(buf[..PAGE_BYTES].iter().all(|&byte| byte == 0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()>;

    /// The same, and shows every buffer as soon as it is full, by its place in the batch: what is done with
    /// it then may overlap with the reads that are still under way.
    ///
    /// A buffer may be shown twice, and before an error that comes later.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, ReadOp};
    /// let backend = MemoryBackend::new();
    /// backend.set_len(Area::Data, 2 * PAGE_BYTES as u64)?;
    /// let mut buf = backend.buffers().lease_blocking();
    /// let pages = buf.chunks_exact_mut(PAGE_BYTES).take(2).enumerate();
    /// let mut batch: Vec<_> = pages
    ///     .map(|(page, buf)| ReadOp { area: Area::Data, offset_bytes: (page * PAGE_BYTES) as u64, buf })
    ///     .collect();
    /// let mut seen = [false; 2];
    /// backend.read_each(&mut batch, &mut |place, _bytes| seen[place] = true)?;
    /// assert_eq!(seen, [true; 2]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn read_each(&self, batch: &mut [ReadOp<'_>], filled: &mut dyn FnMut(usize, &[u8])) -> io::Result<()> {
        self.read(batch)?;
        batch.iter().enumerate().for_each(|(place, op)| filled(place, op.buf));
        Ok(())
    }

    /// Writes the buffer of every operation; all or an error, never a short write.
    ///
    /// A write beyond the end of its area is an `InvalidInput` error.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, WriteOp};
    /// let backend = MemoryBackend::new();
    /// let buf = backend.buffers().lease_blocking();
    /// let op = WriteOp { area: Area::Data, offset_bytes: 0, buf: &buf[..PAGE_BYTES] };
    /// assert!(backend.write(&[op]).is_err(), "only set_len makes an area longer");
    /// backend.set_len(Area::Data, PAGE_BYTES as u64)?;
    /// backend.write(&[op])?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()>;

    /// Returns when every `write` and `set_len` of this area that returned before this call is on
    /// stable storage.
    ///
    /// After a failure nothing is known about those writes, and asking again will not tell.
    ///
    /// ```no_run
    /// # use spinney::backend::{Area, Backend, FileBackend, FileOptions, PAGE_BYTES};
    /// # fn main() -> std::io::Result<()> {
    /// let backend = FileBackend::open(std::path::Path::new("catalog.spinney"), &FileOptions::default())?;
    /// backend.set_len(Area::Data, PAGE_BYTES as u64)?;
    /// backend.sync(Area::Data)?; // from here on the length survives a loss of power
    /// # Ok(())
    /// # }
    /// ```
    fn sync(&self, area: Area) -> io::Result<()>;

    /// Writes one operation, and returns when it is on stable storage.
    ///
    /// After a failure nothing is known about the page, and asking again will not tell.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, WriteOp};
    /// let backend = MemoryBackend::new();
    /// backend.set_len(Area::Log, PAGE_BYTES as u64)?;
    /// let buf = backend.buffers().lease_blocking();
    /// backend.write_durable(WriteOp { area: Area::Log, offset_bytes: 0, buf: &buf[..PAGE_BYTES] })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn write_durable(&self, op: WriteOp<'_>) -> io::Result<()> {
        self.write(&[op])?;
        self.sync(op.area)
    }

    /// Writes zeros over part of an area, really: afterwards every page there has its place on the medium,
    /// so that writing it again allocates nothing. The same rules hold as for [`write`](Self::write).
    ///
    /// Takes one buffer from [`buffers`](Self::buffers), and waits if all are out.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend};
    /// let backend = MemoryBackend::new();
    /// backend.set_len(Area::Log, 4 << 20)?;
    /// backend.write_zeros(Area::Log, 0, 4 << 20)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn write_zeros(&self, area: Area, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
        zeros::write(self, area, offset_bytes, len_bytes)
    }

    /// Closes and deletes the log, the journal and the ring, and makes that durable as
    /// [`sync_directory`](Self::sync_directory) does. The areas are empty afterwards.
    ///
    /// A ring that somebody still holds stays usable, but its words no longer outlive the process.
    ///
    /// Areas without files of their own stay as they are: they vanish by themselves.
    ///
    /// ```
    /// # use spinney::backend::{Area, Backend, MemoryBackend};
    /// # let backend = MemoryBackend::new();
    /// backend.remove_side_files()?;
    /// assert_eq!(backend.len(Area::Log)?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn remove_side_files(&self) -> io::Result<()> {
        Ok(())
    }

    /// Returns when the files that were made or deleted so far, as such, are on stable storage. Their
    /// contents are the business of [`sync`](Self::sync).
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend};
    /// MemoryBackend::new().sync_directory()?; // there are no files
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Lets others have the medium: the database on it was closed. What is read from now on may be theirs.
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend};
    /// MemoryBackend::new().let_go()?; // nobody else could have it
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn let_go(&self) -> io::Result<()> {
        Ok(())
    }

    /// Which way I/O takes, for statistics.
    ///
    /// ```
    /// # use spinney::backend::{Backend, IoPath, MemoryBackend};
    /// assert_eq!(MemoryBackend::new().io_path(), IoPath::default());
    /// ```
    fn io_path(&self) -> IoPath {
        IoPath::default()
    }

    /// The memory of the log's ring. With `fresh` it is made anew, full of zeros; otherwise it is what the
    /// last process left, and `NotFound` if there is none.
    ///
    /// A backend without a ring that outlives the process gives private memory: then only what was synced
    /// survives.
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend, RING_TOTAL_BYTES, RingMemory};
    /// let ring = MemoryBackend::new().ring(true)?;
    /// assert_eq!(ring.words().len() * 8, RING_TOTAL_BYTES);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        if fresh { Ok(Arc::new(PrivateRing::try_new()?)) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether `write` and `set_len` always fail.
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend};
    /// assert!(!MemoryBackend::new().is_read_only());
    /// ```
    fn is_read_only(&self) -> bool {
        false
    }

    /// Whether the data area is that of a closed database somewhere else, of which every read is a trip. Then
    /// a database is opened without reading more of it than it takes, and reads as much at once as it knows
    /// that it will need.
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend};
    /// assert!(!MemoryBackend::new().is_remote(), "memory is read page by page");
    /// ```
    fn is_remote(&self) -> bool {
        false
    }

    /// These bytes of the data area will be read soon, if nothing comes between. May do nothing.
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend};
    /// MemoryBackend::new().will_need(0, 1 << 20); // it has everything at hand
    /// ```
    fn will_need(&self, _offset_bytes: u64, _len_bytes: u64) {}

    /// Who may read and write the data area, in the bits of a Unix file mode, if it is a file: a copy of it
    /// is for nobody else.
    ///
    /// ```
    /// # use spinney::backend::{Backend, MemoryBackend};
    /// assert_eq!(MemoryBackend::new().permissions(), None);
    /// ```
    fn permissions(&self) -> Option<u32> {
        None
    }

    /// The buffers to use for operations on this backend; it may know their memory in advance.
    ///
    /// ```
    /// # use spinney::backend::{BLOB_BYTES, Backend, MemoryBackend};
    /// let backend = MemoryBackend::new();
    /// let buf = backend.buffers().lease_blocking();
    /// assert_eq!(buf.len(), BLOB_BYTES);
    /// ```
    fn buffers(&self) -> &BlobBufPool;
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![forbid(unsafe_code)]

    use super::*;

    #[test]
    fn areas_index_their_own_list() {
        for area in Area::ALL {
            assert_eq!(Area::ALL[area as usize], area);
        }
    }

    #[test]
    fn the_trait_is_usable_as_an_object() {
        let backend: Box<dyn Backend> = Box::new(MemoryBackend::new());
        assert_eq!(backend.len(Area::Data).unwrap(), 0);
        assert!(!backend.is_read_only());
    }
}
