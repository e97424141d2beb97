//! The memory behind a pool of buffers, and the lease of one buffer: the only unsafe code of the pool.
//!
//! A slab is one allocation, cut into slots of [`BLOB_BYTES`]. Whoever holds an [`AlignedBlobBuf`]
//! is the only one who can reach the bytes of its slot.
//!
//! Invariants:
//! * one claim flag per slot says whether a lease of it exists, and is tested whenever one is made.
//!   So no mistake in the free list, which is safe code in another file, can turn into two `&mut` to
//!   the same bytes; it can only turn into a panic. One swap per lease is nothing beside its I/O;
//! * no reference to more than one slot is ever formed, and every pointer into a slot derives from
//!   the allocation's own pointer, so leases never invalidate each other.
//!
//! Must not know: in which order slots are reused, what waits for them, what their bytes mean.

// The one file of `backend` that lifts the `deny` of its parent.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};
use std::{fmt, io, slice};

use super::pool::Shared;
use super::{BLOB_BYTES, PAGE_BYTES};
use crate::sync::{AtomicU32, Ordering};

const FREE: u32 = 0;
const CLAIMED: u32 = 1;

/// A row of slots, of which each is claimed by at most one lease. Allocates at the first claim.
pub(super) struct Slab {
    /// `CLAIMED` while a lease of the slot exists, else `FREE`.
    claims: Box<[AtomicU32]>,
    memory: OnceLock<Memory>,
}

impl Slab {
    /// A slab of `slots` slots, without memory as yet.
    pub(super) fn new(slots: usize) -> Slab {
        let claims = (0..slots).map(|_| AtomicU32::new(FREE)).collect();
        Slab { claims, memory: OnceLock::new() }
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.claims.len()
    }

    /// How many slots are claimed, if nobody claims or releases one meanwhile.
    pub(super) fn claimed(&self) -> usize {
        self.claims.iter().filter(|claim| claim.load(Ordering::Relaxed) == CLAIMED).count()
    }

    /// The address of the first slot. Allocates, if nothing has yet.
    pub(super) fn base_address(&self) -> usize {
        self.memory().base.addr().get()
    }

    /// Allocates, if nothing has yet.
    pub(super) fn reserve(&self) -> io::Result<()> {
        if self.memory.get().is_none() {
            // If another was first, this one is given back.
            let _ = self.memory.set(Memory::new(self.slots())?);
        }
        Ok(())
    }

    fn memory(&self) -> &Memory {
        self.memory.get_or_init(|| match Memory::new(self.slots()) {
            Ok(memory) => memory,
            Err(_) => handle_alloc_error(Memory::layout(self.slots())),
        })
    }

    /// Makes the caller the only owner of a slot, and returns its start.
    ///
    /// # Panics
    ///
    /// If the slot does not exist or is claimed.
    fn claim(&self, slot: u32) -> NonNull<u8> {
        // Acquire: pairs with `release`, so that this owner comes after all the last one did.
        let before = self.claims[slot as usize].swap(CLAIMED, Ordering::Acquire);
        assert_eq!(before, FREE, "slot {slot} of a buffer pool was handed out twice");
        // SAFETY: the index above was checked against `claims.len()`, the number of slots for which
        // `memory` was made, so the slot's start lies inside the allocation.
        unsafe { self.memory().base.add(slot as usize * BLOB_BYTES) }
    }

    fn release(&self, slot: u32) {
        self.claims[slot as usize].store(FREE, Ordering::Release);
    }
}

/// One allocation with an aligned run of slots in it. Knows nothing of who may use which slot.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
    /// `start`, rounded up to a page.
    base: NonNull<u8>,
}

// SAFETY: `Memory` owns its allocation, as a `Box` would, and never reads or writes a byte of it.
unsafe impl Send for Memory {}
// SAFETY: sharing it gives away two addresses and nothing else; bytes are reached through claims.
unsafe impl Sync for Memory {}

impl Memory {
    /// Aligned by hand inside one page more, because the system's allocator answers an aligned zeroed request
    /// by touching all of it. Asked like this, it maps untouched zero pages, and a slot that is never leased
    /// costs address space only.
    fn layout(slots: usize) -> Layout {
        let bytes = slots * BLOB_BYTES + (PAGE_BYTES - 1);
        Layout::from_size_align(bytes, 1).expect("the pool bounds its slots")
    }

    fn new(slots: usize) -> io::Result<Memory> {
        let layout = Memory::layout(slots);
        // SAFETY: the layout is not empty: at least `PAGE_BYTES - 1` bytes.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        let pad_bytes = start.addr().get().wrapping_neg() % PAGE_BYTES;
        // SAFETY: the pad is at most `PAGE_BYTES - 1`, so it lies inside the allocation, and so do
        // `slots * BLOB_BYTES` bytes after it.
        let base = unsafe { start.add(pad_bytes) };
        Ok(Memory { start, layout, base })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `start` came from the same allocator with this layout and is given back once.
        // No lease is left: each holds an `Arc` of what owns this.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// A lease of one buffer of [`BLOB_BYTES`] bytes, aligned to [`PAGE_BYTES`].
///
/// Dereferences to its bytes, and goes back to its [`BlobBufPool`](super::BlobBufPool) when it is
/// dropped. A fresh lease holds whatever the last holder left, or zeros.
///
/// ```
/// use spinney::backend::{BLOB_BYTES, BlobBufPool, PAGE_BYTES};
///
/// let pool = BlobBufPool::new(1);
/// let mut buf = pool.lease_blocking();
/// assert_eq!((buf.len(), buf.as_ptr().addr() % PAGE_BYTES), (BLOB_BYTES, 0));
/// buf[0] = 7;
/// drop(buf);
/// assert_eq!(pool.lease_blocking()[0], 7, "it is the same buffer again");
/// ```
pub struct AlignedBlobBuf {
    home: Arc<Shared>,
    slot: u32,
    start: NonNull<u8>,
}

// SAFETY: a lease is the only way to its slot's bytes, as a `Box<[u8]>` is to its own; `home` is
// itself `Send` and `Sync`.
unsafe impl Send for AlignedBlobBuf {}
// SAFETY: as above: shared, it lends `&[u8]` only.
unsafe impl Sync for AlignedBlobBuf {}

impl AlignedBlobBuf {
    /// Leases `slot` of `home`, which must have taken it off its free list.
    ///
    /// # Panics
    ///
    /// If a lease of that slot exists.
    pub(super) fn new(home: Arc<Shared>, slot: u32) -> AlignedBlobBuf {
        let start = home.slab().claim(slot);
        AlignedBlobBuf { home, slot, start }
    }
}

impl Deref for AlignedBlobBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` begins a slot of `BLOB_BYTES` bytes, zeroed when allocated and alive while
        // `home` is. This lease claimed it, so only `deref_mut` of this very value could write to
        // it, and that would need this borrow to have ended.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), BLOB_BYTES) }
    }
}

impl DerefMut for AlignedBlobBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; and this borrow is the only one of the only lease of the slot.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), BLOB_BYTES) }
    }
}

impl Drop for AlignedBlobBuf {
    fn drop(&mut self) {
        // In this order: once on the free list, the slot may be claimed at once.
        self.home.slab().release(self.slot);
        self.home.put_back(self.slot);
    }
}

impl fmt::Debug for AlignedBlobBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBlobBuf").field("slot", &self.slot).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_aligned_adjacent_and_zeroed() {
        let home = Arc::new(Shared::new(3));
        let bufs: Vec<_> = (0..3).map(|slot| AlignedBlobBuf::new(home.clone(), slot)).collect();
        for (slot, buf) in bufs.iter().enumerate() {
            assert_eq!(buf.as_ptr().addr(), home.slab().base_address() + slot * BLOB_BYTES);
            assert_eq!(buf.as_ptr().addr() % PAGE_BYTES, 0);
            assert_eq!(buf.len(), BLOB_BYTES);
            assert!(buf.iter().step_by(509).all(|&byte| byte == 0));
        }
    }

    #[test]
    fn memory_comes_with_the_first_claim() {
        let home = Arc::new(Shared::new(1));
        assert!(home.slab().memory.get().is_none());
        drop(AlignedBlobBuf::new(home.clone(), 0));
        assert!(home.slab().memory.get().is_some());
    }

    #[test]
    #[should_panic(expected = "handed out twice")]
    fn a_wrong_free_list_panics_before_two_leases_overlap() {
        let home = Arc::new(Shared::new(2));
        let _first = AlignedBlobBuf::new(home.clone(), 1);
        let _second = AlignedBlobBuf::new(home, 1);
    }

    #[test]
    fn a_lease_outlives_its_pool_and_moves_between_threads() {
        let mut buf = AlignedBlobBuf::new(Arc::new(Shared::new(1)), 0);
        buf.fill(7);
        let last = std::thread::spawn(move || buf[BLOB_BYTES - 1]).join().unwrap();
        assert_eq!(last, 7);
    }

    #[test]
    fn borrows_of_neighbours_live_side_by_side() {
        let home = Arc::new(Shared::new(2));
        let mut left = AlignedBlobBuf::new(home.clone(), 0);
        let mut right = AlignedBlobBuf::new(home, 1);
        let (left, right) = (&mut left[BLOB_BYTES - 1..], &mut right[..1]);
        left[0] = 1;
        right[0] = 2;
        std::mem::swap(&mut left[0], &mut right[0]);
        assert_eq!((left[0], right[0]), (2, 1));
    }
}
