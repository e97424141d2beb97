//! Who gets which buffer: a pool of blob-sized I/O buffers with a lock-free free list.
//!
//! Invariants:
//! * a slot is either on the free list or leased, never both;
//! * taking and returning a buffer takes no lock while nobody waits for one;
//! * the last buffer to come back is the first to go out: it is warm, and a pool that never needs
//!   all of its slots never touches the memory of the rest.
//!
//! Must not know: what buffers are used for; how a slot's memory is reached (`buffer` does, and
//! trusts nothing that is decided here).

#![forbid(unsafe_code)]

use std::sync::{Arc, PoisonError};
use std::{fmt, io};

use super::BLOB_BYTES;
use super::buffer::{AlignedBlobBuf, Slab};
use crate::sync::{AtomicU32, AtomicU64, Condvar, Mutex, Ordering, fence};

/// A fixed number of equal buffers ([`AlignedBlobBuf`]) in one piece of memory.
///
/// A clone is another handle to the same pool. The memory is allocated at the first lease, so a
/// pool that nobody uses costs nothing.
///
/// ```
/// use spinney::backend::BlobBufPool;
///
/// let pool = BlobBufPool::new(2);
/// let buf = pool.clone().lease_blocking();
/// assert_eq!(pool.available(), 1);
/// drop(buf);
/// assert_eq!(pool.available(), 2);
/// ```
#[derive(Clone)]
pub struct BlobBufPool {
    shared: Arc<Shared>,
}

impl BlobBufPool {
    /// The most slots a pool can have: 512 MiB, which fits the address space of every target, and
    /// the 1 GiB that io_uring accepts as one registered buffer.
    pub const SLOTS_MAX: usize = 1024;

    /// A pool of `slots` buffers.
    ///
    /// ```
    /// use spinney::backend::BlobBufPool;
    ///
    /// let pool = BlobBufPool::new(BlobBufPool::SLOTS_MAX); // takes no memory yet
    /// assert_eq!(pool.available(), 1024);
    /// ```
    ///
    /// # Panics
    ///
    /// Unless `slots` is in `1..=SLOTS_MAX`.
    pub fn new(slots: usize) -> BlobBufPool {
        assert!((1..=Self::SLOTS_MAX).contains(&slots), "a pool of {slots} slots");
        BlobBufPool { shared: Arc::new(Shared::new(slots)) }
    }

    /// Allocates the memory of all buffers now, if nothing has yet: leasing would end the process if there is
    /// none. Databases do this first when they are opened.
    ///
    /// ```
    /// use spinney::backend::BlobBufPool;
    ///
    /// let pool = BlobBufPool::new(2);
    /// pool.reserve()?;
    /// assert!(pool.lease().is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub fn reserve(&self) -> io::Result<()> {
        self.shared.slab.reserve()
    }

    /// Takes a buffer, or returns `None` if all are out.
    ///
    /// ```
    /// use spinney::backend::BlobBufPool;
    ///
    /// let pool = BlobBufPool::new(1);
    /// let only = pool.lease();
    /// assert!(only.is_some() && pool.lease().is_none());
    /// ```
    pub fn lease(&self) -> Option<AlignedBlobBuf> {
        let slot = self.shared.free.pop()?;
        Some(AlignedBlobBuf::new(self.shared.clone(), slot))
    }

    /// Takes a buffer; if all are out, waits until one comes back.
    ///
    /// The caller must hold nothing that the holders of the other buffers may need, and not all of
    /// the buffers itself.
    ///
    /// On wasm32 nobody else could ever return one, so there this never waits: it makes a buffer
    /// beside the pool, which is freed when it is dropped. That one lies outside
    /// [`slab`](Self::slab) and is not counted.
    ///
    /// ```
    /// use spinney::backend::BlobBufPool;
    ///
    /// let pool = BlobBufPool::new(1);
    /// let (mut buf, other) = (pool.lease_blocking(), pool.clone());
    /// let waiting = std::thread::spawn(move || other.lease_blocking()[0]);
    /// buf[0] = 7;
    /// drop(buf);
    /// assert_eq!(waiting.join().expect("no panic"), 7);
    /// ```
    pub fn lease_blocking(&self) -> AlignedBlobBuf {
        match self.lease() {
            Some(buf) => buf,
            None if cfg!(target_arch = "wasm32") => Self::lease_beside(),
            None => self.wait(),
        }
    }

    /// A buffer that is a pool of its own, kept alive by its only lease.
    fn lease_beside() -> AlignedBlobBuf {
        AlignedBlobBuf::new(Arc::new(Shared::new_leased(1)), 0)
    }

    fn wait(&self) -> AlignedBlobBuf {
        let shared = &*self.shared;
        let mut guard = shared.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        shared.waiters.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence in `put_back`: of a waiter and a returner at least one sees the other,
        // the waiter the slot or the returner the waiter.
        fence(Ordering::SeqCst);
        let buf = loop {
            if let Some(buf) = self.lease() {
                break buf;
            }
            guard = shared.returned.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        shared.waiters.fetch_sub(1, Ordering::Relaxed);
        buf
    }

    /// How many buffers are not leased. Only a hint while other threads use the pool.
    ///
    /// ```
    /// use spinney::backend::BlobBufPool;
    ///
    /// let pool = BlobBufPool::new(3);
    /// let buf = pool.lease_blocking();
    /// assert_eq!(pool.available(), 2);
    /// # drop(buf);
    /// ```
    pub fn available(&self) -> usize {
        self.slots() - self.shared.slab.claimed()
    }

    /// How many buffers there are.
    ///
    /// ```
    /// use spinney::backend::BlobBufPool;
    ///
    /// let pool = BlobBufPool::new(3);
    /// let buf = pool.lease_blocking();
    /// assert_eq!(pool.slots(), 3, "leased or not");
    /// # drop(buf);
    /// ```
    pub fn slots(&self) -> usize {
        self.shared.slab.slots()
    }

    /// Address and length of the memory that holds all buffers, for registering it with a kernel.
    ///
    /// Allocates it, if nothing was leased before. It stays where it is for the life of the pool.
    ///
    /// ```
    /// use spinney::backend::{BLOB_BYTES, BlobBufPool};
    ///
    /// let pool = BlobBufPool::new(3);
    /// let (address, len_bytes) = pool.slab();
    /// assert_eq!(len_bytes, 3 * BLOB_BYTES);
    /// let buf = pool.lease_blocking();
    /// assert!((address..address + len_bytes).contains(&buf.as_ptr().addr()));
    /// ```
    pub fn slab(&self) -> (usize, usize) {
        (self.shared.slab.base_address(), self.slots() * BLOB_BYTES)
    }
}

impl fmt::Debug for BlobBufPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("BlobBufPool");
        out.field("slots", &self.slots()).field("available", &self.available()).finish()
    }
}

/// What the handles of a pool and its leases share.
pub(super) struct Shared {
    slab: Slab,
    free: FreeList,
    /// Threads in `wait`, so that returning a buffer takes the mutex only if there are any.
    waiters: AtomicU32,
    mutex: Mutex<()>,
    returned: Condvar,
}

impl Shared {
    pub(super) fn new(slots: usize) -> Shared {
        let shared = Shared::new_leased(slots);
        // Backwards, so that the first leases get the first slots.
        (0..slots as u32).rev().for_each(|slot| shared.free.push(slot));
        shared
    }

    /// With every slot off the free list.
    fn new_leased(slots: usize) -> Shared {
        Shared {
            slab: Slab::new(slots),
            free: FreeList::new(slots),
            waiters: AtomicU32::new(0),
            mutex: Mutex::new(()),
            returned: Condvar::new(),
        }
    }

    pub(super) fn slab(&self) -> &Slab {
        &self.slab
    }

    /// Takes back a slot whose lease has ended.
    pub(super) fn put_back(&self, slot: u32) {
        self.free.push(slot);
        // Pairs with the fence in `wait`.
        fence(Ordering::SeqCst);
        if self.waiters.load(Ordering::Relaxed) > 0 {
            // A waiter holds the mutex from counting itself to falling asleep. Passing through it
            // means that whoever was counted is asleep now, or has looked again.
            drop(self.mutex.lock().unwrap_or_else(PoisonError::into_inner));
            // One is enough: if another thread snatches the slot from the one that wakes up, it will
            // come by here when it returns it.
            self.returned.notify_one();
        }
    }
}

/// A stack of free slots, as a linked list through an array.
///
/// A link is a slot's index plus one, 0 is the end. `head` holds the link to the top in its low half
/// and a *tag* in its high half.
///
/// Why a tag: `pop` reads the top `a` and its successor `b`, then swings the head from `a` to `b`. If
/// in between others take `a`, take `b` and return `a`, the head holds `a` again and a bare
/// compare-and-swap would succeed, though `b` is leased (the ABA problem). Every pop raises the tag,
/// so the head never looks the same after a slot has been away: at least not before 2^32 pops happen
/// within one attempt.
struct FreeList {
    head: AtomicU64,
    next: Box<[AtomicU32]>,
}

const LINK_BITS: u32 = 32;
const TAG_ONE: u64 = 1 << LINK_BITS;
const TAG_MASK: u64 = !(TAG_ONE - 1);

impl FreeList {
    /// An empty list with room for `slots` slots.
    fn new(slots: usize) -> FreeList {
        let next = (0..slots).map(|_| AtomicU32::new(0)).collect();
        FreeList { head: AtomicU64::new(0), next }
    }

    fn pop(&self) -> Option<u32> {
        // Acquire: pairs with every push so far (the head only changes by read-modify-writes, which
        // carry on each other's release sequences), so the link read below is the one that was
        // pushed with this top. If it is younger than `head`, the tag has moved on.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let slot = (head as u32).checked_sub(1)?;
            let link = self.next[slot as usize].load(Ordering::Relaxed);
            let popped = (head & TAG_MASK).wrapping_add(TAG_ONE) | u64::from(link);
            match self.replace(head, popped, Ordering::Acquire) {
                Ok(_) => return Some(slot),
                Err(now) => head = now,
            }
        }
    }

    fn push(&self, slot: u32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            self.next[slot as usize].store(head as u32, Ordering::Relaxed);
            let pushed = (head & TAG_MASK) | u64::from(slot + 1);
            // Release: publishes the link, and all that the last holder did with the slot.
            match self.replace(head, pushed, Ordering::Release) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    fn replace(&self, from: u64, to: u64, success: Ordering) -> Result<u64, u64> {
        self.head.compare_exchange_weak(from, to, success, Ordering::Acquire)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::thread;
    use std::time::Duration;

    const ROUNDS: u8 = if cfg!(miri) { 3 } else { 200 };

    #[test]
    fn a_pool_runs_out_and_refills() {
        let pool = BlobBufPool::new(3);
        assert_eq!((pool.slots(), pool.available()), (3, 3));
        let mut bufs: Vec<_> = (0..3).map(|_| pool.lease().unwrap()).collect();
        assert!(pool.lease().is_none());
        assert_eq!(pool.available(), 0);
        bufs.pop();
        assert_eq!(pool.available(), 1);
        bufs.push(pool.clone().lease().unwrap());
        assert!(pool.lease().is_none());
        drop(bufs);
        assert_eq!(pool.available(), 3);
    }

    #[test]
    fn the_warmest_buffer_goes_out_first() {
        let pool = BlobBufPool::new(4);
        let (first, second) = (pool.lease().unwrap(), pool.lease().unwrap());
        assert_eq!(first.as_ptr().addr(), pool.slab().0);
        let address = second.as_ptr().addr();
        drop(second);
        assert_eq!(pool.lease().unwrap().as_ptr().addr(), address);
    }

    #[test]
    fn every_buffer_lies_in_the_slab_once() {
        let pool = BlobBufPool::new(5);
        let (base, len_bytes) = pool.slab();
        let bufs: Vec<_> = (0..5).map(|_| pool.lease().unwrap()).collect();
        let starts: BTreeSet<_> = bufs.iter().map(|buf| buf.as_ptr().addr()).collect();
        let wanted: BTreeSet<_> = (base..base + len_bytes).step_by(BLOB_BYTES).collect();
        assert_eq!(starts, wanted);
        assert_eq!(pool.slab(), (base, len_bytes));
    }

    #[test]
    #[should_panic(expected = "a pool of 0 slots")]
    fn an_empty_pool_is_refused() {
        BlobBufPool::new(0);
    }

    #[test]
    #[should_panic(expected = "slots")]
    fn a_pool_beyond_the_limit_is_refused() {
        BlobBufPool::new(BlobBufPool::SLOTS_MAX + 1);
    }

    #[test]
    fn debug_shows_counts() {
        let pool = BlobBufPool::new(2);
        let buf = pool.lease().unwrap();
        assert_eq!(format!("{pool:?}"), "BlobBufPool { slots: 2, available: 1 }");
        assert_eq!(format!("{buf:?}"), "AlignedBlobBuf { slot: 0, .. }");
    }

    #[test]
    fn a_buffer_beside_the_pool_is_like_any_other() {
        let mut beside = BlobBufPool::lease_beside();
        assert_eq!(beside.len(), BLOB_BYTES);
        assert_eq!(beside.as_ptr().addr() % super::super::PAGE_BYTES, 0);
        beside.fill(1);
    }

    /// Fills a buffer with this thread's mark, lets others run, and finds every mark unharmed.
    fn mark_and_verify(mut buf: AlignedBlobBuf, mark: u8) {
        // Miri takes its time over every byte.
        let step = if cfg!(miri) { 4099 } else { 61 };
        buf.iter_mut().step_by(step).for_each(|byte| *byte = mark);
        thread::yield_now();
        assert!(buf.iter().step_by(step).all(|&byte| byte == mark), "two leases overlap");
    }

    #[test]
    fn leases_of_many_threads_never_overlap() {
        let pool = BlobBufPool::new(3);
        thread::scope(|scope| {
            for thread in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let Some(buf) = pool.lease() else { continue };
                        mark_and_verify(buf, round.wrapping_mul(4).wrapping_add(thread));
                    }
                });
            }
        });
        assert_eq!(pool.available(), 3);
        assert_eq!((0..4).map_while(|_| pool.lease()).collect::<Vec<_>>().len(), 3);
    }

    #[test]
    fn waiters_all_get_their_turn() {
        let pool = BlobBufPool::new(2);
        thread::scope(|scope| {
            for thread in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        mark_and_verify(pool.lease_blocking(), round.wrapping_mul(6).wrapping_add(thread));
                    }
                });
            }
        });
        assert_eq!(pool.available(), 2);
    }

    #[test]
    fn a_parked_waiter_is_woken() {
        let pool = BlobBufPool::new(1);
        let only = pool.lease().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.lease_blocking().len());
            thread::sleep(Duration::from_millis(20));
            assert!(!waiter.is_finished());
            drop(only);
            assert_eq!(waiter.join().unwrap(), BLOB_BYTES);
        });
    }
}

#[cfg(all(test, loom))]
mod models {
    //! Checked by breaking them: each of these fails a model: no tag; either fence gone; waking
    //! without passing through the mutex; a relaxed head; a slot pushed before its claim is released.

    use super::*;
    use loom::thread;

    /// Explores every interleaving with at most this many forced switches between threads.
    fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    /// Counts the holders of each slot with separate loads and stores: a holder that does not
    /// happen after the last one loses a count.
    struct Tally {
        pool: BlobBufPool,
        holders: Vec<AtomicU32>,
    }

    impl Tally {
        fn new(slots: usize) -> Arc<Tally> {
            let holders = (0..slots).map(|_| AtomicU32::new(0)).collect();
            Arc::new(Tally { pool: BlobBufPool::new(slots), holders })
        }

        fn hold(&self, buf: AlignedBlobBuf) {
            let slot = (buf.as_ptr().addr() - self.pool.slab().0) / BLOB_BYTES;
            let count = self.holders[slot].load(Ordering::Relaxed);
            self.holders[slot].store(count + 1, Ordering::Relaxed);
        }

        /// All slots are back, and this many leases have been.
        fn finish(&self, leases: u32) {
            let slots = self.holders.len();
            assert_eq!(self.pool.available(), slots);
            let all: Vec<_> = (0..slots).map(|_| self.pool.lease().expect("a lost slot")).collect();
            assert!(self.pool.lease().is_none());
            drop(all);
            let counted: u32 = self.holders.iter().map(|c| c.load(Ordering::Relaxed)).sum();
            assert_eq!(counted, leases);
        }
    }

    #[test]
    fn three_threads_lease_and_drop_two_slots() {
        explore(2, || {
            let tally = Tally::new(2);
            let work = |tally: &Tally| {
                let leases = (0..2).filter_map(|_| tally.pool.lease());
                leases.map(|buf| tally.hold(buf)).count() as u32
            };
            let threads = [(); 2].map(|()| {
                let tally = tally.clone();
                thread::spawn(move || work(&tally))
            });
            let mine = work(&tally);
            let leases = mine + threads.into_iter().map(|t| t.join().unwrap()).sum::<u32>();
            tally.finish(leases);
        });
    }

    #[test]
    fn no_waiter_sleeps_on() {
        explore(3, || {
            let tally = Tally::new(1);
            let threads = [(); 2].map(|()| {
                let tally = tally.clone();
                thread::spawn(move || tally.hold(tally.pool.lease_blocking()))
            });
            tally.hold(tally.pool.lease_blocking());
            threads.into_iter().for_each(|t| t.join().unwrap());
            tally.finish(3);
        });
    }
}
