//! A backend whose pages are brought by somebody else: for those who cannot wait inside of a call, as nobody
//! can in a page of a browser.
//!
//! A read of what is not here fails with [`Error::NotFetched`], and what was asked for is noted. Whoever made
//! the call takes the notes, fetches, hands the pages in, and makes the same call again. Who reads pages
//! keeps what it has verified, so that they are soon forgotten here; but not at once, because a call that is
//! made again may begin by reading the same.
//!
//! Invariants:
//! * the data area alone has bytes, and they never change: it is the copy of a closed database;
//! * of a batch that fails all missing pages are noted, so that one round trip brings all of them;
//! * what was handed in and not read yet is bounded; beyond it the oldest pages go.
//!
//! Must not know: where pages come from, and whether they are the right ones. Who reads them verifies them.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Area, Backend, BlobBufPool, PAGE_BYTES, ReadOp, WriteOp};
use crate::error::Error;

const BUFFER_SLOTS: usize = 4;

/// Pages that wait to be read, 8 MiB of them: what one call asks for at most, four times.
const WAITING_PAGES_MAX: usize = 2048;
/// Pages that are kept when they were read.
const READ_PAGES_MAX: usize = 256;

/// The data area of a closed database, of which pages are handed in as they are wanted.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use spinney::backend::FetchedBackend;
/// use spinney::{Db, Error};
/// use std::sync::Arc;
///
/// let image = {
///     let db = Db::memory();
///     db.tree("files")?.put("a/b", "c")?;
///     db.image()?
/// };
/// let backend = Arc::new(FetchedBackend::new(image.len() as u64));
/// // The same for every call: fetch what it wants, and make it again.
/// let db = loop {
///     match Db::builder().open_backend(backend.clone()) {
///         Err(Error::NotFetched) => {
///             for range in backend.take_wanted() {
///                 backend.hand_in(range.start, &image[range.start as usize..range.end as usize])?;
///             }
///         }
///         opened => break opened?,
///     }
/// };
/// # drop(db);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FetchedBackend {
    size_bytes: u64,
    state: Mutex<State>,
    buffers: BlobBufPool,
}

#[derive(Debug, Default)]
struct State {
    /// Pages by their number.
    pages: BTreeMap<u64, Box<[u8]>>,
    /// Their numbers as they came in; some may be gone.
    arrived: VecDeque<u64>,
    /// The numbers of those that were read since.
    read: VecDeque<u64>,
    wanted: BTreeSet<u64>,
}

impl FetchedBackend {
    /// A data area of this length, of which nothing is here.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, FetchedBackend};
    ///
    /// let backend = FetchedBackend::new(1 << 20);
    /// assert_eq!(backend.len(Area::Data)?, 1 << 20);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(size_bytes: u64) -> FetchedBackend {
        FetchedBackend { size_bytes, state: Mutex::default(), buffers: BlobBufPool::new(BUFFER_SLOTS) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that were wanted since the last call, as runs of pages in order that do not touch.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, FetchedBackend, PAGE_BYTES, ReadOp};
    ///
    /// let backend = FetchedBackend::new(1 << 20);
    /// let mut buf = backend.buffers().lease_blocking();
    /// let op = ReadOp { area: Area::Data, offset_bytes: 8192, buf: &mut buf[..PAGE_BYTES] };
    /// assert!(backend.read(&mut [op]).is_err(), "nobody has brought it");
    /// assert_eq!(backend.take_wanted(), [8192..12_288]);
    /// assert!(backend.take_wanted().is_empty());
    /// ```
    pub fn take_wanted(&self) -> Vec<Range<u64>> {
        let mut state = self.state();
        let wanted = std::mem::take(&mut state.wanted);
        let mut runs: Vec<Range<u64>> = Vec::new();
        for page in wanted.into_iter().filter(|page| !state.pages.contains_key(page)) {
            let start = page * PAGE_BYTES as u64;
            let end = start + PAGE_BYTES as u64;
            match runs.last_mut() {
                Some(run) if run.end == start => run.end = end,
                _ => runs.push(start..end),
            }
        }
        runs
    }

    /// Takes pages in, wanted or not.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, FetchedBackend, PAGE_BYTES, ReadOp};
    ///
    /// let backend = FetchedBackend::new(1 << 20);
    /// backend.hand_in(8192, &[7; PAGE_BYTES])?;
    /// let mut buf = backend.buffers().lease_blocking();
    /// backend.read(&mut [ReadOp { area: Area::Data, offset_bytes: 8192, buf: &mut buf[..PAGE_BYTES] }])?;
    /// assert_eq!(buf[..PAGE_BYTES], [7; PAGE_BYTES]);
    /// assert!(backend.hand_in(8192, &[7; 100]).is_err(), "that is no page");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless they are whole pages of the area.
    pub fn hand_in(&self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let page_bytes = PAGE_BYTES as u64;
        let end = offset_bytes.checked_add(bytes.len() as u64);
        let is_whole = offset_bytes.is_multiple_of(page_bytes) && bytes.len().is_multiple_of(PAGE_BYTES);
        if !is_whole || end.is_none_or(|end| end > self.size_bytes) {
            let text = format!("{} bytes at offset {offset_bytes} are no pages of it", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut state = self.state();
        for (page, bytes) in (offset_bytes / page_bytes..).zip(bytes.chunks_exact(PAGE_BYTES)) {
            if state.pages.insert(page, bytes.into()).is_none() {
                state.arrived.push_back(page);
            }
            while state.pages.len() > WAITING_PAGES_MAX {
                let Some(oldest) = state.arrived.pop_front() else { break };
                state.pages.remove(&oldest);
            }
        }
        // Numbers of pages that were read are only dropped here.
        if state.arrived.len() > 2 * WAITING_PAGES_MAX {
            let State { pages, arrived, .. } = &mut *state;
            arrived.retain(|page| pages.contains_key(page));
        }
        Ok(())
    }
}

impl State {
    /// Notes which of these pages are not here. Whether there are any.
    fn want(&mut self, offset_bytes: u64, len_bytes: u64) -> bool {
        let mut is_missing = false;
        for page in pages_of(offset_bytes, len_bytes) {
            if !self.pages.contains_key(&page) {
                self.wanted.insert(page);
                is_missing = true;
            }
        }
        is_missing
    }
}

fn pages_of(offset_bytes: u64, len_bytes: u64) -> Range<u64> {
    let page_bytes = PAGE_BYTES as u64;
    offset_bytes / page_bytes..(offset_bytes + len_bytes).div_ceil(page_bytes)
}

impl Backend for FetchedBackend {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(if area == Area::Data { self.size_bytes } else { 0 })
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        for op in batch.iter() {
            op.check(self.len(op.area)?)?;
        }
        let mut state = self.state();
        let mut is_here = true;
        for op in batch.iter() {
            is_here &= !state.want(op.offset_bytes, op.buf.len() as u64);
        }
        if !is_here {
            return Err(io::Error::other(Error::NotFetched));
        }
        for op in batch {
            let numbers = pages_of(op.offset_bytes, op.buf.len() as u64);
            for (page, buf) in numbers.zip(op.buf.chunks_exact_mut(PAGE_BYTES)) {
                if let Some(bytes) = state.pages.get(&page) {
                    buf.copy_from_slice(bytes);
                    state.read.push_back(page);
                }
            }
        }
        while state.read.len() > READ_PAGES_MAX {
            let Some(oldest) = state.read.pop_front() else { break };
            state.pages.remove(&oldest);
        }
        Ok(())
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn will_need(&self, offset_bytes: u64, len_bytes: u64) {
        let end = offset_bytes.saturating_add(len_bytes).min(self.size_bytes);
        let len_bytes = end.saturating_sub(offset_bytes);
        self.state().want(offset_bytes, len_bytes);
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_BYTES as u64;

    fn read(backend: &FetchedBackend, first: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut buffer = backend.buffers().lease_blocking();
        let buf = &mut buffer[..count * PAGE_BYTES];
        backend.read(&mut [ReadOp { area: Area::Data, offset_bytes: first * PAGE, buf }])?;
        Ok(buffer[..count * PAGE_BYTES].to_vec())
    }

    fn is_not_fetched(error: io::Error) -> bool {
        matches!(Error::from(error), Error::NotFetched)
    }

    /// What was announced and has come is not fetched again when it has been read and forgotten.
    #[test]
    fn what_is_here_is_not_wanted() {
        let backend = FetchedBackend::new(1000 * PAGE);
        let pages = READ_PAGES_MAX + 9;
        backend.hand_in(0, &vec![7; pages * PAGE_BYTES]).unwrap();
        backend.will_need(0, (pages + 1) as u64 * PAGE);
        for page in 0..pages {
            read(&backend, page as u64, 1).unwrap();
        }
        assert!(is_not_fetched(read(&backend, 0, 1).unwrap_err()), "it is forgotten");
        let missing = pages as u64 * PAGE;
        assert_eq!(backend.take_wanted(), [0..PAGE, missing..missing + PAGE]);
    }

    #[test]
    fn all_that_a_batch_misses_is_wanted_as_few_runs() {
        let backend = FetchedBackend::new(100 * PAGE);
        let mut buffers = [backend.buffers().lease_blocking(), backend.buffers().lease_blocking()];
        let [one, other] = &mut buffers;
        let mut batch = [(7, &mut one[..3 * PAGE_BYTES]), (9, &mut other[..2 * PAGE_BYTES])]
            .map(|(page, buf)| ReadOp { area: Area::Data, offset_bytes: page * PAGE, buf });
        assert!(is_not_fetched(backend.read(&mut batch).expect_err("nothing is here")));
        backend.will_need(98 * PAGE, 9 * PAGE);
        assert_eq!(backend.take_wanted(), [7 * PAGE..11 * PAGE, 98 * PAGE..100 * PAGE]);
        assert!(backend.take_wanted().is_empty());
    }

    #[test]
    fn what_was_handed_in_can_be_read_for_a_while() {
        let backend = FetchedBackend::new(100 * PAGE);
        let bytes: Vec<u8> = (0..3 * PAGE_BYTES).map(|at| (at / PAGE_BYTES) as u8).collect();
        backend.hand_in(5 * PAGE, &bytes).expect("pages of it");
        assert!(is_not_fetched(read(&backend, 6, 3).expect_err("page 8 is missing")));
        assert_eq!(backend.take_wanted().first(), Some(&(8 * PAGE..9 * PAGE)));
        assert_eq!(read(&backend, 5, 3).expect("all are here"), bytes);
        assert_eq!(read(&backend, 5, 3).expect("a call was made again"), bytes);
        backend.hand_in(8 * PAGE, &bytes).expect("pages of it");
        (0..READ_PAGES_MAX / 3).for_each(|_| drop(read(&backend, 8, 3).expect("all are here")));
        assert!(read(&backend, 5, 1).is_err(), "it has gone");
        assert!(backend.hand_in(1, &bytes).is_err() && backend.hand_in(98 * PAGE, &bytes).is_err());
        assert!(backend.hand_in(0, &bytes[1..]).is_err());
    }

    #[test]
    fn what_nobody_reads_is_bounded() {
        let pages = 3 * WAITING_PAGES_MAX as u64;
        let backend = FetchedBackend::new(pages * PAGE);
        for page in 0..pages {
            backend.hand_in(page * PAGE, &[7; PAGE_BYTES]).expect("a page of it");
        }
        assert_eq!(backend.state().pages.len(), WAITING_PAGES_MAX);
        assert!(backend.state().arrived.len() <= 2 * WAITING_PAGES_MAX);
        assert!(read(&backend, 0, 1).is_err());
        assert!(read(&backend, pages - 1, 1).is_ok());
    }
}
