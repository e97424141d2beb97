//! Blobs that were built in scratch frames, and become the forest's all at once.
//!
//! Whoever changes which keys a blob holds collects the new blobs here, while readers and writers go on.
//! Nothing has happened until `apply`, which cannot fail but because a writer was faster.
//!
//! Deadlock is impossible: routers are latched only here, under the structure mutex, after the ranges;
//! and nobody waits for anything while it holds a range.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::Forest;
use super::router::{self, Child};
use crate::art::build::{self, DoesNotFit};
use crate::art::entries::Entries;
use crate::blob::key::common_prefix;
use crate::blob::node::run_words;
use crate::blob::replace;
use crate::error::Result;
use crate::store::frames::{Frame, Held};
use crate::store::latch::Version;
use crate::store::scratch::Scratch;

/// A range blob that is to be replaced, as of a version; or held already.
pub(crate) struct Source<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) version: Version,
    pub(crate) held: Option<Held<'a>>,
}

/// How a rearrangement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// A writer was faster; nothing has changed.
    Interfered,
    /// A target needs more words than a blob has; nothing has changed.
    DoesNotFit,
}

/// Blobs that are ready to be copied to their places.
pub(crate) struct Edits<'a> {
    pub(super) forest: &'a Forest,
    writes: Vec<(u32, Scratch<'a>)>,
    /// Ids that were allocated for this, and go back if it comes to nothing.
    fresh: Vec<u32>,
    /// Ids that fall free.
    pub(super) freed: Vec<u32>,
    pub(super) splits_router: bool,
    /// Keys come or go somewhere else without a new version.
    pub(super) moves_keys: bool,
}

/// Why preparing stopped.
pub(crate) enum Stop {
    DoesNotFit,
    Failed(crate::error::Error),
}

impl From<DoesNotFit> for Stop {
    fn from(_: DoesNotFit) -> Self {
        Stop::DoesNotFit
    }
}

impl From<crate::error::Error> for Stop {
    fn from(error: crate::error::Error) -> Self {
        Stop::Failed(error)
    }
}

impl Forest {
    pub(super) fn no_edits(&self) -> Edits<'_> {
        Edits {
            forest: self,
            writes: Vec::new(),
            fresh: Vec::new(),
            freed: Vec::new(),
            splits_router: false,
            moves_keys: false,
        }
    }
}

impl<'a> Edits<'a> {
    pub(super) fn fresh_id(&mut self) -> Result<u32> {
        let id = self.forest.store.allocate_blob()?.id;
        self.fresh.push(id);
        Ok(id)
    }

    pub(super) fn finish(
        self,
        prepared: std::result::Result<(), Stop>,
        sources: Vec<Source<'a>>,
    ) -> Result<Outcome> {
        match prepared {
            Ok(()) => Ok(self.apply(sources)),
            Err(stop) => {
                self.give_up();
                match stop {
                    Stop::DoesNotFit => Ok(Outcome::DoesNotFit),
                    Stop::Failed(error) => Err(error),
                }
            }
        }
    }

    pub(super) fn give_up(self) {
        for id in self.fresh {
            self.forest.store.ids.free(id);
        }
    }

    pub(super) fn write_range(
        &mut self,
        id: u32,
        entries: &Entries<'_>,
        part: Range<usize>,
        base: usize,
    ) -> std::result::Result<(), Stop> {
        let scratch = self.forest.store.scratches.take()?;
        build::build(scratch.words(), id, entries, part, base)?;
        self.writes.push((id, scratch));
        Ok(())
    }

    pub(super) fn write_router(
        &mut self,
        id: u32,
        children: &[Child],
        base: usize,
    ) -> std::result::Result<(), Stop> {
        if children.len() > self.forest.shape.router_children {
            return Err(Stop::DoesNotFit);
        }
        let scratch = self.forest.store.scratches.take()?;
        router::build(scratch.words(), id, children, base)?;
        self.writes.push((id, scratch));
        Ok(())
    }

    /// Latches everything concerned and copies. Nothing can fail once the sources are held.
    pub(super) fn apply(self, sources: Vec<Source<'a>>) -> Outcome {
        let store = &self.forest.store;
        let mut held: Vec<Held<'a>> = Vec::new();
        for source in sources {
            match source.held.or_else(|| source.frame.try_hold(source.version)) {
                Some(hold) => held.push(hold),
                None => {
                    drop(held);
                    self.give_up();
                    return Outcome::Interfered;
                }
            }
        }
        let others = self.writes.iter().map(|(id, _)| *id).chain(self.freed.iter().copied());
        for id in others {
            if held.iter().all(|hold| hold.frame.id != id) {
                held.extend(store.frames.get(id).map(Frame::hold));
            }
        }
        if self.moves_keys {
            // Who sees the new number waits for the latches; who has seen the old one sees it change.
            store.count_move();
        }
        for hold in &mut held {
            let id = hold.frame.id;
            if let Some((_, scratch)) = self.writes.iter().find(|(written, _)| *written == id) {
                replace::replace(hold.change(), scratch.words());
            }
        }
        drop(held);
        for &id in &self.freed {
            store.ids.free(id);
        }
        store.discard(&self.freed);
        if self.splits_router {
            store.counters.router_splits.add_one();
        }
        Outcome::Done
    }
}

/// Where to cut a router's children so that both halves take about as many words: separators may be a few
/// bytes long, or thousands.
pub(super) fn middle_of(children: &[Child]) -> usize {
    const WORDS_PER_CHILD: usize = 4;
    let words = |index: usize| {
        let common = common_prefix(&children[index - 1].lo, &children[index].lo);
        WORDS_PER_CHILD + run_words(children[index].lo.len() - common)
    };
    let half = (1..children.len()).map(words).sum::<usize>() / 2;
    let mut left = 0;
    let middle = (1..children.len()).find(|&index| {
        left += words(index);
        left >= half
    });
    middle.unwrap_or(children.len() / 2).clamp(2, children.len() - 2)
}
