//! Private frames in which blobs are built before they are copied to their place.

#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use crate::blob::Words;
use crate::blob::words::{BLOB_WORDS, BlobWords};

/// Frames that are kept for the next structure change.
const KEPT_MAX: usize = 4;

/// A pool of frames.
pub(crate) struct Scratches(Mutex<Vec<Box<BlobWords>>>);

/// A frame with whatever it held before; goes back to the pool when dropped.
pub(crate) struct Scratch<'a> {
    pool: &'a Scratches,
    words: Option<Box<BlobWords>>,
}

impl Scratches {
    pub(crate) fn new() -> Self {
        Scratches(Mutex::new(Vec::new()))
    }

    pub(crate) fn take(&self) -> Scratch<'_> {
        let kept = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        Scratch { pool: self, words: Some(kept.unwrap_or_else(zeroed_words)) }
    }
}

impl Scratch<'_> {
    pub(crate) fn words(&self) -> Words<'_> {
        match &self.words {
            Some(words) => Words::new(words),
            None => unreachable!("only drop takes the words"),
        }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        let mut kept = self.pool.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if kept.len() < KEPT_MAX {
            kept.extend(self.words.take());
        }
    }
}

/// One blob of zeros on the heap, without passing over the stack.
pub(crate) fn zeroed_words() -> Box<BlobWords> {
    let words: Box<[AtomicU64]> = (0..BLOB_WORDS).map(|_| AtomicU64::new(0)).collect();
    match words.try_into() {
        Ok(words) => words,
        Err(_) => unreachable!("the length is that of a blob"),
    }
}
