//! The memory of the log's ring: words that every writer copies its record into, and that, where the
//! backend can, outlive the process without a system call.
//!
//! Invariants:
//! * words are only ever read and written as atomics, because another process may hold the same file
//!   mapped while it dies, and because the reader of a group and the writer of the next one meet here;
//! * the memory is never given to the kernel as a buffer: a group is copied into a leased buffer first.
//!
//! Must not know: records, positions, what a word means.

#![forbid(unsafe_code)]

use std::sync::atomic::AtomicU64;
use std::{fmt, io};

use super::PAGE_BYTES;

/// Bytes of the ring proper: as many as a segment of the log area has.
pub const RING_BYTES: usize = 4 << 20;

/// Bytes of the ring with its first page, the header.
pub const RING_TOTAL_BYTES: usize = RING_BYTES + PAGE_BYTES;

/// The words of one ring: a page of header, then [`RING_BYTES`].
///
/// ```
/// use spinney::backend::{PrivateRing, RingMemory};
/// use std::sync::atomic::Ordering;
///
/// let ring: &dyn RingMemory = &PrivateRing::new();
/// ring.words()[512].store(7, Ordering::Relaxed);
/// assert_eq!(ring.words()[512].load(Ordering::Relaxed), 7);
/// assert!(!ring.outlives_process());
/// ```
pub trait RingMemory: Send + Sync + fmt::Debug {
    /// All words; `RING_TOTAL_BYTES / 8` of them.
    fn words(&self) -> &[AtomicU64];

    /// Whether what is stored here is still there after the process was killed.
    fn outlives_process(&self) -> bool;
}

/// A ring in memory of this process alone.
///
/// ```
/// use spinney::backend::{PrivateRing, RING_TOTAL_BYTES, RingMemory};
///
/// assert_eq!(PrivateRing::new().words().len() * 8, RING_TOTAL_BYTES);
/// ```
#[derive(Debug)]
pub struct PrivateRing(Box<[AtomicU64]>);

impl PrivateRing {
    /// A ring of zeros.
    ///
    /// ```
    /// use spinney::backend::{PrivateRing, RingMemory};
    /// use std::sync::atomic::Ordering;
    ///
    /// assert!(PrivateRing::new().words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
    /// ```
    pub fn new() -> PrivateRing {
        Self::try_new().expect("memory for a ring")
    }

    /// A ring of zeros, or `OutOfMemory`.
    ///
    /// ```
    /// use spinney::backend::{PrivateRing, RingMemory};
    ///
    /// assert!(!PrivateRing::try_new()?.outlives_process());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_new() -> io::Result<PrivateRing> {
        let mut words = Vec::new();
        words.try_reserve_exact(RING_TOTAL_BYTES / 8)?;
        words.resize_with(RING_TOTAL_BYTES / 8, || AtomicU64::new(0));
        Ok(PrivateRing(words.into_boxed_slice()))
    }
}

impl Default for PrivateRing {
    fn default() -> Self {
        Self::new()
    }
}

impl RingMemory for PrivateRing {
    fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    fn outlives_process(&self) -> bool {
        false
    }
}
