//! From the root to the range blob of a key, without a latch: the path and its versions.

#![forbid(unsafe_code)]

use super::router::last_bound;
use super::walk::{walk, walk_before};
use super::{Forest, HEIGHT_MAX};
use crate::blob::header::BlobKind;
use crate::blob::{Key, Ref, Torn, Words};
use crate::store::ROOT_BLOB;
use crate::store::frames::{Extent, Frame, Held};
use crate::store::latch::{Latch, Version};

/// One router on the path. (Its id and its latch, not its frame: that was taken from memory in other pieces
/// than it was put there, for which processors wait: 2 to 3 % of a hit among few keys.)
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) id: u32,
    pub(crate) version: Version,
    pub(crate) base: usize,
    latch: &'a Latch,
}

/// The routers of a path. Almost always there is at most one, rarely two; more of them live on the heap,
/// so that a lookup does not carry room for ten.
pub(crate) struct Steps<'a> {
    first: Option<Step<'a>>,
    second: Option<Step<'a>>,
    further: Vec<Step<'a>>,
}

impl<'a> Steps<'a> {
    #[inline(always)]
    fn push(&mut self, step: Step<'a>) {
        if self.first.is_none() {
            self.first = Some(step);
        } else if self.second.is_none() {
            self.second = Some(step);
        } else {
            self.further.push(step);
        }
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = &Step<'a>> {
        self.first.iter().chain(&self.second).chain(&self.further)
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + usize::from(self.second.is_some()) + self.further.len()
    }

    #[inline(always)]
    fn are_unchanged(&self) -> bool {
        let same = |step: &Step<'a>| step.latch.is_unchanged(step.version);
        self.first.as_ref().is_none_or(same)
            && self.second.as_ref().is_none_or(|second| same(second) && self.further.iter().all(same))
    }
}

/// A path from the root to a range blob. What was read by it counts only after `is_unchanged`.
pub(crate) struct Route<'a> {
    steps: Steps<'a>,
    /// The range blob.
    pub(crate) frame: Frame<'a>,
    pub(crate) version: Version,
    /// The root of its tree.
    pub(crate) root: Ref,
    /// The key bytes that the path spells for it.
    pub(crate) base: usize,
    /// Whether all of the range blob is in memory; else its inner nodes are.
    pub(crate) is_whole: bool,
}

impl<'a> Route<'a> {
    /// The routers from the root down.
    pub(crate) fn routers(&self) -> impl Iterator<Item = &Step<'a>> {
        self.steps.iter()
    }

    /// Routers above the range blob.
    pub(crate) fn height(&self) -> usize {
        self.steps.len()
    }

    /// Whether no router of the path has changed.
    #[inline(always)]
    pub(crate) fn routers_unchanged(&self) -> bool {
        self.steps.are_unchanged()
    }

    /// Whether nothing on the path has changed: then what was read from it is true.
    #[inline(always)]
    pub(crate) fn is_unchanged(&self) -> bool {
        self.frame.latch().is_unchanged(self.version) && self.routers_unchanged()
    }

    /// Latches the range blob, if nothing on the path has changed.
    #[inline]
    pub(crate) fn hold(&self) -> Option<Held<'a>> {
        let held = self.frame.try_hold(self.version)?;
        self.routers_unchanged().then_some(held)
    }
}

/// Why a route did not arrive.
pub(crate) enum Lost {
    /// The path was changing: try again.
    Restart,
    /// The path did not change, and makes no sense.
    Corrupt(u32),
    /// The path did not change, and goes on in a blob that is not in memory.
    Absent(u32),
    /// The route has arrived, but some leaves of the range blob are not in memory.
    Partial,
}

impl<'a> Route<'a> {
    /// Goes down from the root, in place: a route is large, and a lookup does not move it.
    #[inline(always)]
    fn descend(
        &mut self,
        forest: &'a Forest,
        mut choose: impl FnMut(Words<'_>, Ref, usize) -> Result<(u32, usize), Torn>,
    ) -> Result<(), Lost> {
        self.steps = Steps { first: None, second: None, further: Vec::new() };
        let (mut id, mut base) = (ROOT_BLOB, 0);
        loop {
            let Some(frame) = forest.store.frames.get(id) else {
                return Err(no_frame(forest, &self.steps, id));
            };
            let version = frame.latch().read();
            let (root, kind) = frame.root();
            match kind {
                Some(BlobKind::Range) => {
                    (self.frame, self.version, self.root, self.base) = (frame, version, root, base);
                    return Ok(());
                }
                Some(BlobKind::Router) if self.steps.further.len() < HEIGHT_MAX - 2 => {
                    self.steps.push(Step { id, version, base, latch: frame.latch() });
                    match choose(frame.words, root, base) {
                        Ok(next) => (id, base) = next,
                        Err(Torn) => return Err(lost(&self.steps, id)),
                    }
                }
                None => {
                    let (root, extent) = frame.root_and_extent();
                    // The route ends here, too.
                    (self.frame, self.version, self.root, self.base) = (frame, version, root, base);
                    self.is_whole = false;
                    return Err(stop(&self.steps, frame, version, extent));
                }
                _ => return Err(lost(&self.steps, id)),
            }
        }
    }

    /// Finds the range blob of `key`.
    #[inline(always)]
    pub(crate) fn find(&mut self, forest: &'a Forest, key: &Key<'_>) -> Result<(), Lost> {
        self.descend(forest, |words, root, base| {
            let (id, base) = walk(words, root, key, base)?.follow(words)?;
            // Every key of a range begins with what is spelled for it.
            if base <= key.len() { Ok((id, base)) } else { Err(Torn) }
        })
    }
}

impl Forest {
    /// A route that leads nowhere yet.
    #[inline(always)]
    pub(crate) fn start(&self) -> Result<Route<'_>, Lost> {
        let steps = Steps { first: None, second: None, further: Vec::new() };
        match self.store.frames.get(ROOT_BLOB) {
            Some(frame) => Ok(Route { steps, frame, version: 0, root: 0, base: 0, is_whole: true }),
            None if self.store.is_stored(ROOT_BLOB) => Err(Lost::Absent(ROOT_BLOB)),
            None => Err(Lost::Corrupt(ROOT_BLOB)),
        }
    }

    /// Finds the range blob of `key`; perhaps not all of it is in memory.
    #[inline]
    pub(crate) fn route(&self, key: &Key<'_>) -> Result<Route<'_>, Lost> {
        let mut route = self.start()?;
        match route.find(self, key) {
            Ok(()) | Err(Lost::Partial) => Ok(route),
            Err(lost) => Err(lost),
        }
    }

    /// How many routers there are above the range of `key`, as far as they are in memory.
    pub(crate) fn routers_in_memory(&self, key: &Key<'_>) -> u32 {
        match self.start() {
            Ok(mut route) => {
                // Wherever the way ends: a reader that wants to know the height can do without the rest.
                let _ = route.find(self, key);
                route.height() as u32
            }
            Err(_) => 0,
        }
    }

    /// Finds the range blob of the keys just below `key`, of which perhaps not all is in memory; the flag
    /// says that `key` is its upper bound.
    pub(crate) fn route_before(&self, key: &Key<'_>) -> Result<(Route<'_>, bool), Lost> {
        let mut route = self.start()?;
        let mut exact = false;
        match route.find_before(self, key, &mut exact) {
            Ok(()) | Err(Lost::Partial) => Ok((route, exact)),
            Err(lost) => Err(lost),
        }
    }
}

impl<'a> Route<'a> {
    /// Finds the range blob of the keys just below `key`, and whether that is its upper bound.
    pub(crate) fn find_before(
        &mut self,
        forest: &'a Forest,
        key: &Key<'_>,
        exact: &mut bool,
    ) -> Result<(), Lost> {
        self.descend(forest, |words, root, base| {
            if *exact {
                // Everything below lies before the key: the last child of every router holds the last.
                return last_bound(words, root, base).follow(words);
            }
            let (bound, is_upper) = walk_before(words, root, key, base)?;
            *exact = is_upper;
            let (id, base) = bound.follow(words)?;
            if *exact || base <= key.len() { Ok((id, base)) } else { Err(Torn) }
        })
    }
}

#[cold]
fn lost(steps: &Steps<'_>, id: u32) -> Lost {
    let unchanged = steps.are_unchanged();
    if unchanged { Lost::Corrupt(id) } else { Lost::Restart }
}

/// Says why a way ends at a frame without a kind.
#[cold]
fn stop(steps: &Steps<'_>, frame: Frame<'_>, version: Version, extent: Extent) -> Lost {
    match extent {
        // It counts only after validation, like every arrival.
        Extent::Partial => Lost::Partial,
        _ if !frame.latch().is_unchanged(version) || !steps.are_unchanged() => Lost::Restart,
        Extent::Cold => Lost::Absent(frame.id),
        // Pages may have arrived since the kind was looked at: the version says nothing of that.
        Extent::Whole if frame.root().1.is_some() => Lost::Restart,
        Extent::Whole => Lost::Corrupt(frame.id),
    }
}

/// There is no frame of that id: it may be that of a blob that was never loaded.
#[cold]
fn no_frame(forest: &Forest, steps: &Steps<'_>, id: u32) -> Lost {
    match lost(steps, id) {
        Lost::Corrupt(id) if forest.store.is_stored(id) => Lost::Absent(id),
        lost => lost,
    }
}
