//! The memory of one blob where the module's memory is all there is: WebAssembly.
//!
//! Pages that the memory grows by hold zeros, and cost nothing until they are touched. An allocator does
//! not know which of its bytes are such, and fills all that is to be zero: 128 pages for a blob of which a
//! lookup needs ten. For a listing that went to a hundred cold blobs that was two thirds of its time.
//!
//! Invariants:
//! * memory that was grown here belongs to a blob, or waits in `FREE` for the next one: it is never given
//!   back, because no module can, and nobody else ever has it;
//! * what is handed out holds zeros.

use std::io;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::blob::words::{BLOB_BYTES, BlobWords};

/// What the memory of a module grows by.
const GROWTH_BYTES: usize = 64 << 10;
const _: () = assert!(BLOB_BYTES.is_multiple_of(GROWTH_BYTES) && align_of::<BlobWords>() <= GROWTH_BYTES);
const _: () = assert!(size_of::<BlobWords>() == BLOB_BYTES);

/// Memory that belonged to blobs which are gone.
static FREE: Mutex<Vec<&'static BlobWords>> = Mutex::new(Vec::new());

fn free() -> MutexGuard<'static, Vec<&'static BlobWords>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory of one blob, zero at first. Whoever has this is its only owner.
pub(super) struct Memory(&'static BlobWords);

/// Memory for a blob. An error if the module has none left.
pub(super) fn zeros() -> io::Result<Memory> {
    let used = free().pop();
    Ok(Memory(match used {
        Some(words) => {
            words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            words
        }
        None => grown()?,
    }))
}

impl Deref for Memory {
    type Target = BlobWords;

    #[inline(always)]
    fn deref(&self) -> &BlobWords {
        self.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        free().push(self.0);
    }
}

/// New memory of the module, as large as a blob.
fn grown() -> io::Result<&'static BlobWords> {
    let pages_before = core::arch::wasm32::memory_grow::<0>(BLOB_BYTES / GROWTH_BYTES);
    if pages_before == usize::MAX {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    // SAFETY: the memory was grown by as many bytes as a blob has, from this address on: so they are there
    // for as long as the module, are zeros, and are nobody else's, because allocators too have only what
    // they have grown it by. It is aligned to 64 KiB, and never null, because a module has memory when it
    // starts. Any bits are atomic words, and there is no other reference to them.
    Ok(unsafe { &*core::ptr::with_exposed_provenance::<BlobWords>(pages_before * GROWTH_BYTES) })
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// Of what the memory of the module consists.
    fn pages() -> usize {
        core::arch::wasm32::memory_size::<0>()
    }

    #[wasm_bindgen_test]
    fn memory_is_grown_by_blobs_used_again_and_zero() {
        const COUNT: usize = 5;
        let waiting = free().len();
        let before = pages();
        let memories: Vec<Memory> = (0..COUNT + waiting).map(|_| zeros().expect("memory")).collect();
        assert_eq!(pages() - before, COUNT * BLOB_BYTES / GROWTH_BYTES, "nothing but what they need");
        for words in &memories {
            assert!(words.iter().all(|word| word.swap(u64::MAX, Ordering::Relaxed) == 0));
        }
        drop(memories);
        let again: Vec<Memory> = (0..COUNT + waiting).map(|_| zeros().expect("memory")).collect();
        assert_eq!(pages() - before, COUNT * BLOB_BYTES / GROWTH_BYTES, "none is left behind");
        for words in &again {
            assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }
}
