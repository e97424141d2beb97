//! The one way in which keys move between blobs: some neighbouring range blobs are replaced by others
//! with the same keys, and the routers above learn about it.
//!
//! Everything new is built in scratch frames first, while readers and writers go on. Then the blobs
//! concerned are latched, unless a writer has changed one meanwhile, the routers above are latched, and
//! the scratch frames are copied to their places.
//!
//! Deadlock is impossible: routers are latched only here, under the structure mutex, after the ranges;
//! and nobody waits for anything while it holds a range.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::lineage::Lineage;
use super::router::{self, Child, fit_base};
use super::{Forest, HEIGHT_MAX};
use crate::art::build::{self, DoesNotFit};
use crate::art::entries::Entries;
use crate::blob::key::common_prefix;
use crate::blob::node::run_words;
use crate::blob::replace;
use crate::error::Result;
use crate::store::ROOT_BLOB;
use crate::store::frames::{Frame, Held};
use crate::store::latch::Version;
use crate::store::scratch::Scratch;

/// A range blob that is to be replaced, as of a version; or held already.
pub(crate) struct Source<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) version: Version,
    pub(crate) held: Option<Held<'a>>,
}

/// A range blob that is to be.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) lo: Vec<u8>,
    pub(crate) base: usize,
    /// Which entries of the list it gets.
    pub(crate) part: Range<usize>,
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
struct Edits<'a> {
    forest: &'a Forest,
    writes: Vec<(u32, Scratch<'a>)>,
    /// Ids that were allocated for this, and go back if it comes to nothing.
    fresh: Vec<u32>,
    /// Ids that fall free.
    freed: Vec<u32>,
    splits_router: bool,
}

/// Why preparing stopped.
enum Stop {
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
    /// Replaces `sources`, the children of the bottom router from `first` on, by `targets`. The caller
    /// holds the structure mutex, and has read `entries` from the sources.
    pub(crate) fn rearrange<'a>(
        &'a self,
        lineage: &Lineage,
        first: usize,
        sources: Vec<Source<'a>>,
        entries: &Entries<'_>,
        targets: &[Target],
    ) -> Result<Outcome> {
        let mut edits = self.no_edits();
        let prepared = edits.prepare(lineage, first, &sources, entries, targets);
        edits.finish(prepared, sources)
    }

    /// Gives the router at `level` other children, without touching a range. `also` is a router below
    /// that changes with it; `freed` are routers that nothing names any more.
    pub(crate) fn rewrite_routers(
        &self,
        lineage: &Lineage,
        level: usize,
        children: &[Child],
        also: Option<(&Child, &[Child])>,
        freed: u32,
    ) -> Result<Outcome> {
        let mut edits = self.no_edits();
        edits.freed.push(freed);
        let below = also.map_or(Ok(()), |(router, list)| edits.write_router(router.id, list, router.base));
        let prepared = below.and_then(|()| edits.router(lineage, level, children));
        edits.finish(prepared, Vec::new())
    }

    /// Makes the root a range blob with the keys of `source`, which falls free.
    pub(crate) fn replace_root<'a>(&'a self, source: Source<'a>, entries: &Entries<'_>) -> Result<Outcome> {
        let mut edits = self.no_edits();
        edits.freed.push(source.frame.id);
        let prepared = edits.write_range(ROOT_BLOB, entries, 0..entries.len(), 0);
        edits.finish(prepared, vec![source])
    }

    fn no_edits(&self) -> Edits<'_> {
        Edits { forest: self, writes: Vec::new(), fresh: Vec::new(), freed: Vec::new(), splits_router: false }
    }
}

impl<'a> Edits<'a> {
    fn fresh_id(&mut self) -> Result<u32> {
        let id = self.forest.store.allocate_blob()?.id;
        self.fresh.push(id);
        Ok(id)
    }

    fn finish(self, prepared: std::result::Result<(), Stop>, sources: Vec<Source<'a>>) -> Result<Outcome> {
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

    fn give_up(self) {
        for id in self.fresh {
            self.forest.store.ids.free(id);
        }
    }

    fn prepare(
        &mut self,
        lineage: &Lineage,
        first: usize,
        sources: &[Source<'_>],
        entries: &Entries<'_>,
        targets: &[Target],
    ) -> std::result::Result<(), Stop> {
        // The root stays at its id: when it stops being a range, its keys go elsewhere.
        let grows = lineage.routers.is_empty() && targets.len() > 1;
        let mut old_ids = sources.iter().map(|source| source.frame.id).filter(|_| !grows);
        let mut children = Vec::new();
        for target in targets {
            let id = match old_ids.next() {
                Some(id) => id,
                None => self.fresh_id()?,
            };
            self.write_range(id, entries, target.part.clone(), target.base)?;
            children.push(Child { lo: target.lo.clone(), id, base: target.base });
        }
        self.freed.extend(old_ids);
        let Some(bottom) = lineage.bottom() else {
            return if grows { self.new_root(&children) } else { Ok(()) };
        };
        let replaced = first..first + sources.len();
        if bottom.children[replaced.clone()] == children[..] {
            return Ok(());
        }
        let mut all = bottom.children.clone();
        all.splice(replaced, children);
        self.router(lineage, lineage.routers.len() - 1, &all)
    }

    fn write_range(
        &mut self,
        id: u32,
        entries: &Entries<'_>,
        part: Range<usize>,
        base: usize,
    ) -> std::result::Result<(), Stop> {
        let scratch = self.forest.store.scratches.take();
        build::build(scratch.words(), id, entries, part, base)?;
        self.writes.push((id, scratch));
        Ok(())
    }

    fn write_router(&mut self, id: u32, children: &[Child], base: usize) -> std::result::Result<(), Stop> {
        if children.len() > self.forest.shape.router_children {
            return Err(Stop::DoesNotFit);
        }
        let scratch = self.forest.store.scratches.take();
        router::build(scratch.words(), id, children, base)?;
        self.writes.push((id, scratch));
        Ok(())
    }

    /// Gives the router at `level` these children; cuts it in two if they are too many.
    fn router(
        &mut self,
        lineage: &Lineage,
        level: usize,
        children: &[Child],
    ) -> std::result::Result<(), Stop> {
        let view = &lineage.routers[level];
        match self.write_router(view.id, children, view.base) {
            Err(Stop::DoesNotFit) if children.len() >= 4 => {}
            done => return done,
        }
        self.splits_router = true;
        let middle = middle_of(children);
        let lo = &children[0].lo;
        let cut = &children[middle].lo;
        let left_base = fit_base(view.base, lo, Some(cut));
        let right_base = fit_base(view.base, cut, view.hi.as_deref());
        let left_id = if level == 0 { self.fresh_id()? } else { view.id };
        let right_id = self.fresh_id()?;
        self.write_router(left_id, &children[..middle], left_base)?;
        self.write_router(right_id, &children[middle..], right_base)?;
        let halves = [
            Child { lo: lo.clone(), id: left_id, base: left_base },
            Child { lo: cut.clone(), id: right_id, base: right_base },
        ];
        if level == 0 {
            if lineage.routers.len() >= HEIGHT_MAX {
                return Err(Stop::DoesNotFit);
            }
            return self.new_root(&halves);
        }
        let above = &lineage.routers[level - 1];
        let mut all = above.children.clone();
        all.splice(above.index..=above.index, halves);
        self.router(lineage, level - 1, &all)
    }

    /// Makes the root a router above these.
    fn new_root(&mut self, children: &[Child]) -> std::result::Result<(), Stop> {
        self.write_router(ROOT_BLOB, children, 0)
    }

    /// Latches everything concerned and copies. Nothing can fail once the sources are held.
    fn apply(self, sources: Vec<Source<'a>>) -> Outcome {
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
        for hold in &mut held {
            let id = hold.frame.id;
            if let Some((_, scratch)) = self.writes.iter().find(|(written, _)| *written == id) {
                replace::replace(hold.change(), scratch.words());
            } else if self.freed.contains(&id) {
                replace::clear(hold.change());
            }
        }
        drop(held);
        for id in self.freed {
            store.ids.free(id);
        }
        if self.splits_router {
            store.counters.router_splits.add_one();
        }
        Outcome::Done
    }
}

/// Where to cut a router's children so that both halves take about as many words: separators may be a few
/// bytes long, or thousands.
fn middle_of(children: &[Child]) -> usize {
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
