//! Frames as one reserved range of addresses: frame address = base + id * 512 KiB.
//!
//! The range is reserved without memory behind it and made usable in chunks as blobs are allocated; pages
//! cost memory when they are first touched. No table stands between an id and its words.

use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::leaving::Run;
use super::{Extent, Frame, Side};
use crate::blob::Words;
use crate::blob::checksum::PAGE_BYTES;
use crate::blob::header::BLOB_PAGES;
use crate::blob::words::{BLOB_BYTES, BlobWords};
use crate::error::{Error, Result};
use crate::store::capture::Captures;

/// Blobs for which addresses are reserved, if the system lets us: 1 TiB.
const LIMIT_FRAMES_MAX: u32 = 1 << 21;
/// With less than this there is no point in going on: 2 GiB.
const LIMIT_FRAMES_MIN: u32 = 1 << 12;
/// Frames made usable at a time.
const CHUNK_FRAMES: u32 = 64;
/// Huge pages want this alignment.
const ALIGNMENT_BYTES: usize = 2 << 20;
const HUGE_PAGE_FRAMES: u32 = (ALIGNMENT_BYTES / BLOB_BYTES) as u32;

const _: () = assert!((CHUNK_FRAMES as usize * BLOB_BYTES).is_multiple_of(ALIGNMENT_BYTES));
const _: () = assert!(size_of::<BlobWords>() == BLOB_BYTES);

/// See the head of this file.
pub(crate) struct Frames {
    frames: Range,
    sides: Range,
    limit: u32,
    /// Frames with a lower id may be touched.
    usable: AtomicU32,
    growing: Mutex<()>,
    /// Huge pages below this one are not asked for ahead any more.
    warm_huge_pages: AtomicU32,
    pub(crate) captures: Captures,
}

/// A reserved range of addresses, given back on drop.
struct Range {
    start: NonNull<u8>,
    mapped: NonNull<u8>,
    mapped_bytes: usize,
}

/// A part of a range.
#[derive(Clone, Copy)]
struct Part {
    offset: usize,
    bytes: usize,
}

/// Parts in one call; the system takes 1024.
#[cfg(target_os = "linux")]
const PARTS_MAX: usize = 1024;
/// The calling process, as what takes a descriptor of one understands it.
#[cfg(target_os = "linux")]
const PIDFD_SELF: libc::c_int = -10_000;

// SAFETY: a range is only a pair of addresses; what lies there is shared as atomics.
unsafe impl Send for Range {}
// SAFETY: as above; nothing in a range is changed through `&self` but by system calls.
unsafe impl Sync for Range {}

impl Range {
    /// Reserves `bytes` at an address that is a multiple of `ALIGNMENT_BYTES`.
    fn reserve(bytes: usize) -> std::io::Result<Range> {
        let mapped_bytes = bytes + ALIGNMENT_BYTES;
        // SAFETY: a fresh anonymous mapping at an address of the system's choice touches nothing of ours.
        let mapped = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped_bytes,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        let Some(mapped) = NonNull::new(mapped.cast::<u8>()).filter(|_| mapped != libc::MAP_FAILED) else {
            return Err(std::io::Error::last_os_error());
        };
        let skip = mapped.as_ptr().align_offset(ALIGNMENT_BYTES);
        // SAFETY: `skip` is below the alignment, which was added to the length.
        let start = unsafe { mapped.add(skip) };
        Ok(Range { start, mapped, mapped_bytes })
    }

    /// Makes `bytes` from `offset` on readable and writable; they read as zeros.
    fn make_usable(&self, offset: usize, bytes: usize) -> std::io::Result<()> {
        assert!(offset + bytes <= self.mapped_bytes - ALIGNMENT_BYTES);
        // SAFETY: the assertion keeps the call inside this mapping.
        let done = unsafe {
            let at = self.start.as_ptr().add(offset).cast();
            libc::mprotect(at, bytes, libc::PROT_READ | libc::PROT_WRITE)
        };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }

    /// Asks for huge pages: a lookup in random memory gains 11 to 22 %. Refusal is no error.
    fn prefer_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: advice about our own mapping, which has this start and at least this length.
        unsafe {
            let bytes = self.mapped_bytes - ALIGNMENT_BYTES;
            libc::madvise(self.start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
        }
    }

    /// Has the system find memory for what lies at `offset`, which is usable. Refusal is no error.
    fn populate(&self, offset: usize) {
        assert!(offset < self.mapped_bytes - ALIGNMENT_BYTES);
        #[cfg(target_os = "linux")]
        // SAFETY: the assertion keeps the page inside this mapping. Populating it leaves its words alone.
        unsafe {
            let at = self.start.as_ptr().add(offset).cast();
            libc::madvise(at, PAGE_BYTES, libc::MADV_POPULATE_WRITE);
        }
    }
}

/// Giving memory back. A range is private and anonymous, so that its pages read as zeros afterwards: to
/// others this is as if each atomic word had been stored to, which they are ready for. No reference is
/// formed.
impl Range {
    /// Whether the system took it. Memory that the process has locked stays as it is; and only Linux takes
    /// the advice at once.
    fn release(&self, part: Part) -> bool {
        self.check(part);
        // SAFETY: the part lies inside this mapping, in usable memory, which stays mapped.
        let advised = unsafe {
            let at = self.start.as_ptr().add(part.offset).cast();
            libc::madvise(at, part.bytes, libc::MADV_DONTNEED)
        };
        advised == 0 && cfg!(target_os = "linux")
    }

    /// Releases several parts with one call, for which the system stops the other processors but once (from
    /// Linux 6.16 on; before, there is no such call or no such name for the process). Says how many it took.
    #[cfg(target_os = "linux")]
    fn release_together(&self, parts: &[Part]) -> usize {
        use std::sync::atomic::AtomicBool;

        static IS_REFUSED: AtomicBool = AtomicBool::new(false);
        if parts.len() < 2 || IS_REFUSED.load(Ordering::Relaxed) {
            return 0;
        }
        let mut taken = 0;
        for some in parts.chunks(PARTS_MAX) {
            some.iter().for_each(|part| self.check(*part));
            // SAFETY: as in `release`, for each of the parts; the list of them is read only during the call.
            let advised_bytes = unsafe {
                let vector = some.iter().map(|part| libc::iovec {
                    iov_base: self.start.as_ptr().add(part.offset).cast(),
                    iov_len: part.bytes,
                });
                let vector = vector.collect::<Vec<_>>();
                let (at, count) = (vector.as_ptr(), vector.len());
                libc::syscall(libc::SYS_process_madvise, PIDFD_SELF, at, count, libc::MADV_DONTNEED, 0)
            };
            if advised_bytes < 0 {
                IS_REFUSED.store(true, Ordering::Relaxed);
                return taken;
            }
            let mut left_bytes = advised_bytes as usize;
            for part in some {
                let Some(left) = left_bytes.checked_sub(part.bytes) else { return taken };
                left_bytes = left;
                taken += 1;
            }
        }
        taken
    }

    #[cfg(not(target_os = "linux"))]
    fn release_together(&self, _parts: &[Part]) -> usize {
        0
    }

    fn check(&self, part: Part) {
        assert!(part.offset + part.bytes <= self.mapped_bytes - ALIGNMENT_BYTES);
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever borrowed from it borrowed the `Frames` too.
        unsafe {
            libc::munmap(self.mapped.as_ptr().cast(), self.mapped_bytes);
        }
    }
}

impl Frames {
    /// Reserves addresses; with less if the system's limits want that.
    pub(crate) fn new() -> Self {
        let mut limit = LIMIT_FRAMES_MAX;
        loop {
            let frames = Range::reserve(limit as usize * BLOB_BYTES);
            let sides = Range::reserve(limit as usize * size_of::<Side>());
            if let (Ok(frames), Ok(sides)) = (frames, sides) {
                frames.prefer_huge_pages();
                return Frames {
                    frames,
                    sides,
                    limit,
                    usable: AtomicU32::new(0),
                    growing: Mutex::new(()),
                    warm_huge_pages: AtomicU32::new(0),
                    captures: Captures::default(),
                };
            }
            assert!(limit > LIMIT_FRAMES_MIN, "the system refuses to reserve 2 GiB of addresses");
            limit /= 2;
        }
    }

    /// The frame of a blob, if there is one.
    #[inline(always)]
    pub(crate) fn get(&self, id: u32) -> Option<Frame<'_>> {
        // Acquire pairs with the release in `commit`: below `usable` the memory is there.
        (id < self.usable.load(Ordering::Acquire)).then(|| self.frame(id))
    }

    #[inline(always)]
    fn frame(&self, id: u32) -> Frame<'_> {
        debug_assert!(id < self.limit);
        // SAFETY: `id` is below `usable`, so both addresses lie in readable and writable memory that stays
        // mapped as long as `self`. Fresh memory is zero, which is a valid value for atomics, and nobody
        // ever forms another kind of reference to it. The starts are aligned to 2 MiB.
        let (words, side) = unsafe {
            let words = self.frames.start.as_ptr().add(id as usize * BLOB_BYTES).cast::<BlobWords>();
            let side = self.sides.start.as_ptr().add(id as usize * size_of::<Side>()).cast::<Side>();
            (&*words, &*side)
        };
        Frame { id, words: Words::new(words), side, captures: &self.captures }
    }

    /// The frame of a blob, made usable if need be.
    pub(crate) fn commit(&self, id: u32) -> Result<Frame<'_>> {
        if let Some(frame) = self.get(id) {
            return Ok(frame);
        }
        if id >= self.limit {
            return Err(Error::OutOfSpace { limit_blobs: self.limit });
        }
        let _growing = self.growing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let from = self.usable.load(Ordering::Relaxed);
        let to = ((id / CHUNK_FRAMES + 1) * CHUNK_FRAMES).min(self.limit);
        if to > from {
            let (offset, count) = (from as usize, (to - from) as usize);
            self.frames.make_usable(offset * BLOB_BYTES, count * BLOB_BYTES)?;
            self.sides.make_usable(offset * size_of::<Side>(), count * size_of::<Side>())?;
            self.usable.store(to, Ordering::Release);
        }
        Ok(self.frame(id))
    }

    /// Lets the system find memory for a frame that will be needed soon. To clear a huge page takes it up to
    /// four milliseconds (measured on a virtual machine whose host had to find the memory, too), and so who
    /// needs the frame does not wait for that. Failure is no error.
    pub(crate) fn warm(&self, id: u32) {
        let huge_page = id / HUGE_PAGE_FRAMES;
        let is_new = huge_page >= self.warm_huge_pages.fetch_max(huge_page + 1, Ordering::Relaxed);
        if is_new && self.commit(id).is_ok() {
            self.frames.populate(huge_page as usize * ALIGNMENT_BYTES);
        }
    }

    /// Makes cold frames for these ids, which rise. Nobody else sees the frames yet.
    pub(crate) fn open_cold(&self, ids: &mut dyn Iterator<Item = u32>) -> Result<()> {
        for id in ids {
            self.commit(id)?.set_root(0, None, Extent::Cold);
        }
        Ok(())
    }

    /// The frame of a blob that `open_cold` was told of.
    pub(crate) fn cold(&self, id: u32) -> Result<Frame<'_>> {
        self.get(id).ok_or(Error::corrupt(id, "there is no such blob"))
    }

    /// Gives the memory of pages back. Whoever still reads there sees the old words, or zeros.
    pub(super) fn release(&self, runs: &[Run<'_>]) {
        let parts = runs.iter().map(|run| self.part_of(run)).collect::<Vec<_>>();
        let released = self.frames.release_together(&parts);
        for (run, part) in runs.iter().zip(parts).skip(released) {
            if !self.frames.release(part) {
                run.zero();
            }
        }
    }

    /// Where the words of a run lie, counted from the start of the frames.
    fn part_of(&self, run: &Run<'_>) -> Part {
        assert!(run.first + run.count <= BLOB_PAGES && run.frame.id < self.usable.load(Ordering::Acquire));
        let offset = run.frame.id as usize * BLOB_BYTES + run.first * PAGE_BYTES;
        Part { offset, bytes: run.count * PAGE_BYTES }
    }

    /// Asks for pages of 4 KiB: else installing one may cost 2 MiB.
    pub(crate) fn prefer_small_pages(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: advice about our own mapping, which has this start and at least this length.
        unsafe {
            let bytes = self.frames.mapped_bytes - ALIGNMENT_BYTES;
            libc::madvise(self.frames.start.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE);
        }
    }

    /// How many frames there can be.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Ref;
    use crate::blob::words::PAGE_WORDS;

    #[test]
    fn frames_appear_zeroed_and_never_move() {
        let frames = Frames::new();
        assert!(frames.get(0).is_none());
        let first = frames.commit(3).expect("room").words;
        first.store(77, 42);
        assert_eq!(frames.commit(200).expect("room").words.load(65_535), 0);
        assert_eq!(first.load(77), 42);
        assert_eq!(frames.get(3).expect("there").words.load(77), 42);
        assert!(frames.get(CHUNK_FRAMES * 4).is_none());
        assert!(matches!(frames.commit(u32::MAX), Err(Error::OutOfSpace { .. })));
    }

    #[test]
    fn runs_that_are_released_hold_zeros_and_their_neighbours_what_they_held() {
        let frames = Frames::new();
        frames.prefer_small_pages();
        for id in 0..40 {
            let words = frames.commit(id).expect("room").words;
            (0..BLOB_PAGES).for_each(|page| words.store((page * PAGE_WORDS) as Ref, 7));
        }
        // One alone, and as many as there may be, each next to another.
        for ids in [0..1, 1..40] {
            let run = |id| Run { frame: frames.get(id).expect("there"), first: id as usize, count: 2 };
            frames.release(&ids.map(run).collect::<Vec<_>>());
        }
        for id in 0..40 {
            let words = frames.get(id).expect("there").words;
            for page in 0..BLOB_PAGES {
                let is_released = (id as usize..id as usize + 2).contains(&page);
                let expected = if is_released { 0 } else { 7 };
                assert_eq!(words.load((page * PAGE_WORDS) as Ref), expected, "blob {id}, page {page}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_system_refuses_to_release_together_is_said() {
        let range = Range::reserve(ALIGNMENT_BYTES).expect("addresses");
        range.make_usable(0, ALIGNMENT_BYTES).expect("memory");
        let part = |number: usize| Part { offset: number * 2 * PAGE_BYTES, bytes: PAGE_BYTES };
        let parts: Vec<Part> = (0..20).map(part).collect();
        // All of them, or none on a system that has no such call.
        let released = range.release_together(&parts);
        assert!([0, parts.len()].contains(&released), "{released}");
        assert_eq!(range.release_together(&parts[..1]), 0, "one alone is not worth it");
        assert!(parts.iter().all(|part| range.release(*part)));
    }

    #[test]
    fn a_frame_that_is_warmed_is_usable_and_keeps_its_words() {
        let frames = Frames::new();
        frames.warm(70);
        assert_eq!(frames.get(70).expect("usable").words.load(0), 0);
        let words = frames.commit(75).expect("room").words;
        words.store(5, 42);
        frames.warm(74);
        frames.warm(75);
        assert_eq!(words.load(5), 42);
        // Beyond the limit there is nothing to find memory for.
        frames.warm(u32::MAX);
        assert!(frames.get(u32::MAX).is_none());
    }
}
