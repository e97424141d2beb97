//! A backend in memory: for databases without a file, for images, for tests, for plain wasm.
//!
//! Invariants:
//! * an area is a length and a sparse set of 512 KiB chunks. What no chunk holds reads as zeros, so
//!   growing copies and allocates nothing;
//! * bytes of a chunk beyond the length of its area are zeros: growing again shows no old bytes;
//! * a chunk that cannot be allocated is an error, like a full disk; it does not end the process.
//!
//! Must not know: anything that a file backend would not know either. The same calls leave the same
//! bytes in both.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{fmt, io, mem};

use super::{Area, BLOB_BYTES, Backend, BlobBufPool, PAGE_BYTES, ReadOp, WriteOp, check_len, room};

/// I/O buffers of a memory backend. Few on wasm, where memory once used is never given back.
const BUFFER_SLOTS: usize = if cfg!(target_arch = "wasm32") { 4 } else { 16 };

/// Three areas in memory. `sync` has nothing to do.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use spinney::{Db, backend::MemoryBackend};
/// use std::sync::Arc;
///
/// let backend = Arc::new(MemoryBackend::new());
/// Db::builder().open_backend(backend.clone())?.tree("files")?.put("a/b", "c")?;
/// // The database was closed, what it has stored is there.
/// assert!(Db::builder().open_backend(backend)?.tree("files")?.contains("a/b")?);
/// # Ok(())
/// # }
/// ```
pub struct MemoryBackend {
    /// Locked one by one, and only for one operation of a batch at a time: a long batch of writes to
    /// one area must not hold up reads.
    areas: [RwLock<Run>; Area::ALL.len()],
    buffers: BlobBufPool,
}

impl MemoryBackend {
    /// Three empty areas.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, MemoryBackend};
    ///
    /// let backend = MemoryBackend::new();
    /// for area in Area::ALL {
    ///     assert_eq!(backend.len(area)?, 0);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> MemoryBackend {
        let areas = Area::ALL.map(|_| RwLock::default());
        MemoryBackend { areas, buffers: BlobBufPool::new(BUFFER_SLOTS) }
    }

    /// A data area that holds a copy of `data`; the other areas are empty.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, MemoryBackend};
    ///
    /// let backend = MemoryBackend::from_bytes(&[7; 8192])?;
    /// assert_eq!((backend.len(Area::Data)?, backend.len(Area::Log)?), (8192, 0));
    /// assert!(MemoryBackend::from_bytes(&[7; 5000]).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidData` unless `data` is whole pages; `OutOfMemory`.
    pub fn from_bytes(data: &[u8]) -> io::Result<MemoryBackend> {
        if !data.len().is_multiple_of(PAGE_BYTES) {
            let text = format!("an image of {} bytes is not a row of 4096-byte pages", data.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let backend = MemoryBackend::new();
        let mut run = backend.run_mut(Area::Data);
        run.set_len(data.len() as u64);
        run.write(0, data)?;
        drop(run);
        Ok(backend)
    }

    /// A copy of a whole area.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use spinney::{Db, backend::{Area, MemoryBackend}};
    /// use std::sync::Arc;
    ///
    /// let backend = Arc::new(MemoryBackend::new());
    /// Db::builder().open_backend(backend.clone())?.tree("files")?.put("a/b", "c")?;
    /// let copy = Db::from_image(backend.to_bytes(Area::Data))?;
    /// assert!(copy.tree("files")?.contains("a/b")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_bytes(&self, area: Area) -> Vec<u8> {
        let run = self.run(area);
        let len_bytes = usize::try_from(run.len_bytes).expect("an area that fits in memory");
        let mut bytes = vec![0; len_bytes];
        run.read(0, &mut bytes);
        bytes
    }

    /// The data area that `write` makes of an empty backend.
    pub(crate) fn image_of<E>(write: impl FnOnce(&Self) -> Result<(), E>) -> Result<Vec<u8>, E> {
        let backend = Self::new();
        write(&backend)?;
        Ok(backend.to_bytes(Area::Data))
    }

    // A panic under a lock (out of memory in the map, at worst) leaves whole chunks behind, as an
    // interrupted batch may: poisoning would add nothing.
    fn run(&self, area: Area) -> RwLockReadGuard<'_, Run> {
        self.areas[area as usize].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_mut(&self, area: Area) -> RwLockWriteGuard<'_, Run> {
        self.areas[area as usize].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("MemoryBackend");
        for area in Area::ALL {
            out.field(&format!("{area:?}"), &self.run(area).len_bytes);
        }
        out.finish()
    }
}

impl Backend for MemoryBackend {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(self.run(area).len_bytes)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        check_len(area, bytes)?;
        self.run_mut(area).set_len(bytes);
        Ok(())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        batch.iter().try_for_each(|op| op.check(self.run(op.area).len_bytes))?;
        for op in batch {
            let run = self.run(op.area);
            // Again: another thread may have cut the area off since the check of the whole batch.
            op.check(run.len_bytes)?;
            run.read(op.offset_bytes, op.buf);
        }
        Ok(())
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        batch.iter().try_for_each(|op| op.check(self.run(op.area).len_bytes))?;
        for op in batch {
            let mut run = self.run_mut(op.area);
            op.check(run.len_bytes)?;
            run.write(op.offset_bytes, op.buf)?;
        }
        Ok(())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}

/// One area: its length, and the chunks of it that were ever written, by number.
#[derive(Default)]
struct Run {
    len_bytes: u64,
    chunks: BTreeMap<u64, Box<[u8]>>,
}

/// As large as a blob, so that a blob that is written whole is one chunk and one copy.
const CHUNK_BYTES: usize = BLOB_BYTES;

impl Run {
    fn set_len(&mut self, bytes: u64) {
        let (chunk, at) = locate(bytes);
        if bytes < self.len_bytes {
            let mut cut = self.chunks.split_off(&chunk);
            if at > 0
                && let Some(mut last) = cut.remove(&chunk)
            {
                last[at..].fill(0);
                self.chunks.insert(chunk, last);
            }
        }
        self.len_bytes = bytes;
    }

    /// Fills `buf` from `offset_bytes` on. The caller has checked that it ends inside the area.
    fn read(&self, mut offset_bytes: u64, mut buf: &mut [u8]) {
        while !buf.is_empty() {
            let (chunk, at) = locate(offset_bytes);
            let step_bytes = buf.len().min(CHUNK_BYTES - at);
            let (piece, rest) = mem::take(&mut buf).split_at_mut(step_bytes);
            match self.chunks.get(&chunk) {
                Some(bytes) => piece.copy_from_slice(&bytes[at..at + step_bytes]),
                None => piece.fill(0),
            }
            offset_bytes += step_bytes as u64;
            buf = rest;
        }
    }

    /// Stores `buf` from `offset_bytes` on. The caller has checked that it ends inside the area.
    fn write(&mut self, mut offset_bytes: u64, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let (chunk, at) = locate(offset_bytes);
            let step_bytes = buf.len().min(CHUNK_BYTES - at);
            let (piece, rest) = buf.split_at(step_bytes);
            let bytes = match self.chunks.entry(chunk) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(zeroed_chunk()?),
            };
            bytes[at..at + step_bytes].copy_from_slice(piece);
            offset_bytes += step_bytes as u64;
            buf = rest;
        }
        Ok(())
    }
}

/// The chunk that holds the byte at an offset, and where in it.
fn locate(offset_bytes: u64) -> (u64, usize) {
    (offset_bytes / CHUNK_BYTES as u64, (offset_bytes % CHUNK_BYTES as u64) as usize)
}

fn zeroed_chunk() -> io::Result<Box<[u8]>> {
    Ok(room::zeros(CHUNK_BYTES)?.into_boxed_slice())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::contract::{demands, read, write};
    use io::ErrorKind::InvalidData;

    const PAGE: u64 = PAGE_BYTES as u64;
    const CHUNK: u64 = CHUNK_BYTES as u64;

    #[test]
    fn a_memory_backend_keeps_the_contract() {
        demands().iter().for_each(|demand| demand(&MemoryBackend::new()));
    }

    #[test]
    fn an_operation_spans_whole_chunks() {
        let mut image = vec![0; 3 * CHUNK_BYTES];
        for (mark, page) in (0..).zip(image.chunks_mut(PAGE_BYTES)) {
            page.fill((mark % 251) as u8);
        }
        let backend = MemoryBackend::from_bytes(&image).unwrap();
        assert!(backend.to_bytes(Area::Data) == image);
        assert_eq!(backend.run(Area::Data).chunks.len(), 3);
    }

    #[test]
    fn growth_is_sparse_and_zero() {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Data, u64::MAX - PAGE + 1).unwrap();
        assert_eq!(read(&backend, Area::Data, 1 << 50, 2), [0, 0]);
        write(&backend, Area::Data, 1 << 50, 9, 1);
        assert_eq!(read(&backend, Area::Data, 1 << 50, 2), [9, 0]);
        assert_eq!(backend.run(Area::Data).chunks.len(), 1);
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let backend = MemoryBackend::new();
        backend.set_len(Area::Data, 2 * CHUNK).unwrap();
        write(&backend, Area::Data, CHUNK - 2 * PAGE, 7, 4);
        backend.set_len(Area::Data, CHUNK - PAGE).unwrap();
        backend.set_len(Area::Data, 2 * CHUNK).unwrap();
        assert_eq!(read(&backend, Area::Data, CHUNK - 2 * PAGE, 4), [7, 0, 0, 0]);
        backend.set_len(Area::Data, 0).unwrap();
        assert!(backend.run(Area::Data).chunks.is_empty());
        assert!(backend.to_bytes(Area::Data).is_empty());
    }

    #[test]
    fn an_image_goes_in_and_out() {
        let mut image = vec![0; CHUNK_BYTES + 2 * PAGE_BYTES];
        image[..PAGE_BYTES].fill(1);
        image[CHUNK_BYTES..CHUNK_BYTES + PAGE_BYTES].fill(2);
        let backend = MemoryBackend::from_bytes(&image).unwrap();
        assert!(backend.to_bytes(Area::Data) == image);
        assert_eq!(read(&backend, Area::Data, CHUNK - PAGE, 3), [0, 2, 0]);
        assert!(backend.to_bytes(Area::Log).is_empty());
        assert_eq!(format!("{backend:?}"), "MemoryBackend { Data: 532480, Log: 0, Journal: 0 }");
    }

    #[test]
    fn an_image_is_whole_pages() {
        assert!(MemoryBackend::from_bytes(&[]).is_ok());
        let error = MemoryBackend::from_bytes(&[0; PAGE_BYTES - 1]).unwrap_err();
        assert_eq!(error.kind(), InvalidData);
    }
}
