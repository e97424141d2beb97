//! Frames as a table of separately allocated blobs that never move: for every system. There is no `unsafe`
//! here; in WebAssembly the memory comes from `fresh`.

#![forbid(unsafe_code)]

use std::sync::OnceLock;

use super::leaving::Run;
use super::{Frame, Side};
use crate::blob::Words;
use crate::error::{Error, Result};
use crate::store::capture::Captures;

cfg_if::cfg_if! {
    if #[cfg(target_arch = "wasm32")] {
        use super::fresh::{Memory, zeros};
    } else {
        use crate::blob::words::{BlobWords, try_boxed_words as zeros};
        type Memory = Box<BlobWords>;
    }
}

const SEGMENT_FRAMES: usize = 256;
const SEGMENTS: usize = 256;
const LIMIT_FRAMES: u32 = (SEGMENT_FRAMES * SEGMENTS) as u32;

struct Slot {
    words: Memory,
    side: Side,
}

type Segment = Box<[OnceLock<Slot>]>;

/// See the head of this file.
pub(crate) struct Frames {
    segments: Box<[OnceLock<Segment>]>,
    pub(crate) captures: Captures,
}

impl Frames {
    pub(crate) fn new() -> Self {
        let segments = (0..SEGMENTS).map(|_| OnceLock::new()).collect();
        Frames { segments, captures: Captures::default() }
    }

    /// The frame of a blob, if there is one.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<Frame<'_>> {
        let segment = self.segments.get(id as usize / SEGMENT_FRAMES)?.get()?;
        let slot = segment[id as usize % SEGMENT_FRAMES].get()?;
        Some(Frame { id, words: Words::new(&slot.words), side: &slot.side, captures: &self.captures })
    }

    /// The frame of a blob, made if need be.
    pub(crate) fn commit(&self, id: u32) -> Result<Frame<'_>> {
        self.make(id, Side::new)
    }

    fn make(&self, id: u32, side: fn() -> Side) -> Result<Frame<'_>> {
        let Some(segment) = self.segments.get(id as usize / SEGMENT_FRAMES) else {
            return Err(Error::OutOfSpace { limit_blobs: LIMIT_FRAMES });
        };
        let segment = segment.get_or_init(|| (0..SEGMENT_FRAMES).map(|_| OnceLock::new()).collect());
        let place = &segment[id as usize % SEGMENT_FRAMES];
        let slot = match place.get() {
            Some(slot) => slot,
            None => {
                let words = zeros()?;
                place.get_or_init(|| Slot { words, side: side() })
            }
        };
        Ok(Frame { id, words: Words::new(&slot.words), side: &slot.side, captures: &self.captures })
    }

    /// Nothing to do: here a frame's memory is touched when it is made.
    pub(crate) fn warm(&self, _id: u32) {}

    /// Gets ready for cold frames of these ids, which rise. Here they are made when they are loaded.
    pub(crate) fn open_cold(&self, _ids: &mut dyn Iterator<Item = u32>) -> Result<()> {
        Ok(())
    }

    /// The frame of a blob that `open_cold` was told of.
    pub(crate) fn cold(&self, id: u32) -> Result<Frame<'_>> {
        self.make(id, Side::cold)
    }

    /// Gives the memory of pages back. Frames never move here, so all it does is to fill them with zeros.
    pub(super) fn release(&self, runs: &[Run<'_>]) {
        runs.iter().for_each(Run::zero);
    }

    /// Nothing here knows of huge pages.
    pub(crate) fn prefer_small_pages(&self) {}

    /// How many frames there can be.
    pub(crate) fn limit(&self) -> u32 {
        LIMIT_FRAMES
    }
}
