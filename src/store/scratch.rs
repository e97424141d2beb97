//! Private frames in which blobs are built before they are copied to their place.

#![forbid(unsafe_code)]

use std::sync::Mutex;

use crate::blob::Words;
use crate::blob::words::{BlobWords, try_boxed_words};
use crate::error::Result;

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

    pub(crate) fn take(&self) -> Result<Scratch<'_>> {
        let kept = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let words = match kept {
            Some(words) => words,
            None => try_boxed_words()?,
        };
        Ok(Scratch { pool: self, words: Some(words) })
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
