//! Frames as a table of separately allocated blobs that never move: for every system, without `unsafe`.

#![forbid(unsafe_code)]

use std::sync::OnceLock;

use super::{Frame, Side};
use crate::blob::Words;
use crate::blob::words::{BlobWords, boxed_words};
use crate::error::{Error, Result};

const SEGMENT_FRAMES: usize = 256;
const SEGMENTS: usize = 256;
const LIMIT_FRAMES: u32 = (SEGMENT_FRAMES * SEGMENTS) as u32;

struct Slot {
    words: Box<BlobWords>,
    side: Side,
}

type Segment = Box<[OnceLock<Slot>]>;

/// See the head of this file.
pub(crate) struct Frames {
    segments: Box<[OnceLock<Segment>]>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Frames { segments: (0..SEGMENTS).map(|_| OnceLock::new()).collect() }
    }

    /// The frame of a blob, if there is one.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<Frame<'_>> {
        let segment = self.segments.get(id as usize / SEGMENT_FRAMES)?.get()?;
        let slot = segment[id as usize % SEGMENT_FRAMES].get()?;
        Some(Frame { id, words: Words::new(&slot.words), side: &slot.side })
    }

    /// The frame of a blob, made if need be.
    pub(crate) fn commit(&self, id: u32) -> Result<Frame<'_>> {
        let Some(segment) = self.segments.get(id as usize / SEGMENT_FRAMES) else {
            return Err(Error::OutOfSpace { limit_blobs: LIMIT_FRAMES });
        };
        let segment = segment.get_or_init(|| (0..SEGMENT_FRAMES).map(|_| OnceLock::new()).collect());
        let slot = segment[id as usize % SEGMENT_FRAMES]
            .get_or_init(|| Slot { words: boxed_words(), side: Side::new() });
        Ok(Frame { id, words: Words::new(&slot.words), side: &slot.side })
    }
}
