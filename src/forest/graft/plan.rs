//! The part of a forest that a graft changes, as a tree of lists in memory: what is not looked at stays a
//! name.
//!
//! The three rules that keep every key findable are here. `split` cuts a subtree in two at a key, at every
//! level. `fit` gives a blob a base that its bounds allow. `adjust_upper` does so all the way down the right
//! edge of a subtree whose upper bound has moved. Leaving out one level of one of them loses keys.
//!
//! Nothing is written here. Whatever is not in memory ends the planning, with the name of the blob.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::art::entries::{Entries, Span};
use crate::blob::header::{self, BlobKind};
use crate::blob::key::common_prefix;
use crate::error::Error;
use crate::forest::router::{self, Child, common_of_range};
use crate::forest::shared_key::SharedKey;
use crate::forest::walk::Bound;
use crate::forest::{Forest, HEIGHT_MAX};
use crate::log::ring::Full;
use crate::store::ROOT_BLOB;
use crate::store::frames::Frame;

/// Why planning has stopped; nothing has changed.
pub(super) enum Stop {
    /// All of this blob has to be in memory, and stay there.
    Missing(u32),
    /// The log has no space at the moment.
    LogFull(Full),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

pub(super) type Try<T> = Result<T, Stop>;

/// What is known of a blob of the plan. A blob without an id is a part of another that was cut.
pub(super) enum Node {
    /// It stays as it is, under this id.
    Kept(u32),
    Router {
        id: Option<u32>,
        kids: Vec<Kid>,
        /// What it is now.
        read: Vec<Child>,
    },
    Range {
        id: Option<u32>,
        /// Which list of the plan holds its keys, and which of them are its.
        list: usize,
        part: Range<usize>,
    },
}

/// A blob of the plan, with its lower bound. The upper one is the next kid's, or that of the router.
pub(super) struct Kid {
    pub(super) lo: SharedKey,
    pub(super) base: usize,
    /// The base that its words were built with.
    pub(super) base_now: usize,
    pub(super) node: Node,
}

impl Kid {
    pub(super) fn kept(child: Child) -> Self {
        let Child { lo, id, base } = child;
        Kid { lo, base, base_now: base, node: Node::Kept(id) }
    }

    /// Whether the keys from `first` up to `end` lie inside. At the start there must be others before them
    /// if `strictly`.
    pub(super) fn holds(&self, hi: Option<&[u8]>, first: &[u8], end: &[u8], strictly: bool) -> bool {
        let begins = if strictly { self.lo.as_slice() < first } else { self.lo.as_slice() <= first };
        begins && hi.is_none_or(|hi| end <= hi)
    }
}

/// The kid whose range holds `key`, and the upper bound of that.
pub(super) fn kid_of<'k>(kids: &'k [Kid], hi: Option<&'k [u8]>, key: &[u8]) -> (usize, Option<&'k [u8]>) {
    let index = kids.partition_point(|kid| kid.lo.as_slice() <= key).saturating_sub(1);
    (index, kids.get(index + 1).map(|next| next.lo.as_slice()).or(hi))
}

/// See the head of this file.
pub(super) struct Plan<'a> {
    pub(super) forest: &'a Forest,
    /// The blobs that are in memory and stay there; where all are, it is not asked.
    pinned: &'a [u32],
    /// Where range blobs are cut, each time that any is. Their buckets stay whole elsewhere.
    cuts: &'a [&'a [u8]],
    /// The keys of range blobs, one list each.
    pub(super) lists: Vec<Entries<'a>>,
    pub(super) root: Kid,
    /// Levels of routers above the range blobs.
    pub(super) height: usize,
    /// Blobs that nothing names any more.
    pub(super) freed: Vec<u32>,
}

impl<'a> Plan<'a> {
    /// The plan in which nothing changes. It has a router at the top, even if the forest has none yet.
    pub(super) fn new(forest: &'a Forest, pinned: &'a [u32], cuts: &'a [&'a [u8]]) -> Try<Self> {
        let root = Kid::kept(Child { lo: SharedKey::default(), id: ROOT_BLOB, base: 0 });
        let mut plan = Plan { forest, pinned, cuts, lists: Vec::new(), root, height: 0, freed: Vec::new() };
        plan.height = plan.count_levels()?;
        let mut root = Kid::kept(Child { lo: SharedKey::default(), id: ROOT_BLOB, base: 0 });
        plan.open(&mut root, plan.height, None)?;
        if let Node::Range { id, .. } = &mut root.node {
            // The root stays where it is: when it stops being a range, its keys go elsewhere.
            *id = None;
            let node = Node::Router { id: Some(ROOT_BLOB), kids: vec![root], read: Vec::new() };
            root = Kid { lo: SharedKey::default(), base: 0, base_now: 0, node };
            plan.height = 1;
        }
        plan.root = root;
        Ok(plan)
    }

    fn frame(&self, id: u32) -> Try<Frame<'a>> {
        if self.forest.store.residency.is_some() && !self.pinned.contains(&id) {
            return Err(Stop::Missing(id));
        }
        self.forest.store.frames.get(id).ok_or_else(|| Forest::corrupt(id).into())
    }

    fn count_levels(&self) -> Try<usize> {
        let (mut id, mut base) = (ROOT_BLOB, 0);
        for level in 0..=HEIGHT_MAX {
            let frame = self.frame(id)?;
            match frame.root().1 {
                Some(BlobKind::Range) => return Ok(level),
                Some(BlobKind::Router) => {}
                _ => break,
            }
            (id, base) = Bound::first(base).follow(frame.words).map_err(|_| Forest::corrupt(id))?;
        }
        Err(Forest::corrupt(id).into())
    }

    /// Reads what a kid consists of. `height` counts the levels from the range blobs up.
    pub(super) fn open(&mut self, kid: &mut Kid, height: usize, hi: Option<&[u8]>) -> Try<()> {
        let Node::Kept(id) = kid.node else {
            return Ok(());
        };
        let frame = self.frame(id)?;
        let kind = frame.root().1;
        kid.node = if height > 0 && kind == Some(BlobKind::Router) {
            let read = router::read(frame.words, kid.base, &kid.lo).map_err(|_| Forest::corrupt(id))?;
            Node::Router { id: Some(id), kids: read.iter().cloned().map(Kid::kept).collect(), read }
        } else if height == 0 && kind == Some(BlobKind::Range) {
            let mut list = Entries::new();
            let span = Span { lo: &kid.lo, base: kid.base, hi, cuts: self.cuts };
            let grain = self.forest.whole_buckets();
            list.add_blob(frame.words, span, grain).map_err(|_| Forest::corrupt(id))?;
            let part = 0..list.len();
            self.lists.push(list);
            Node::Range { id: Some(id), list: self.lists.len() - 1, part }
        } else {
            return Err(Forest::corrupt(id).into());
        };
        Ok(())
    }

    /// The same for a router: its kids.
    pub(super) fn kids<'k>(
        &mut self,
        kid: &'k mut Kid,
        height: usize,
        hi: Option<&[u8]>,
    ) -> Try<&'k mut Vec<Kid>> {
        self.open(kid, height, hi)?;
        match &mut kid.node {
            Node::Router { kids, .. } => Ok(kids),
            _ => Err(Forest::corrupt(ROOT_BLOB).into()),
        }
    }

    /// Whether there is a key below.
    pub(super) fn has_keys(&mut self, kid: &mut Kid, height: usize, hi: Option<&[u8]>) -> Try<bool> {
        if height > 0 {
            let kids = self.kids(kid, height, hi)?;
            for index in 0..kids.len() {
                let (low, high) = kids.split_at_mut(index + 1);
                let hi = high.first().map(|next| next.lo.as_slice()).or(hi);
                if self.has_keys(&mut low[index], height - 1, hi)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        match &kid.node {
            Node::Range { part, .. } => Ok(!part.is_empty()),
            Node::Kept(id) => Ok(header::key_count(self.frame(*id)?.words) > 0),
            Node::Router { .. } => Ok(false),
        }
    }

    /// Cuts a kid in two at a key inside its bounds. What is left keeps the id.
    pub(super) fn split(
        &mut self,
        mut kid: Kid,
        height: usize,
        hi: Option<&[u8]>,
        at: &[u8],
    ) -> Try<(Kid, Kid)> {
        self.open(&mut kid, height, hi)?;
        let node = match &mut kid.node {
            Node::Range { list, part, .. } => {
                // No bucket that holds a cut was taken whole.
                let middle = self.lists[*list].position(at).ok_or_else(|| Forest::corrupt(ROOT_BLOB))?;
                let middle = middle.clamp(part.start, part.end);
                let right = middle..part.end;
                part.end = middle;
                Node::Range { id: None, list: *list, part: right }
            }
            Node::Router { kids, .. } => {
                let (index, upper) = kid_of(kids, hi, at);
                let upper = upper.map(<[u8]>::to_vec);
                if *kids[index].lo != *at {
                    let (left, right) = self.split(kids.remove(index), height - 1, upper.as_deref(), at)?;
                    kids.splice(index..index, [left, right]);
                }
                let from = kids.partition_point(|kid| kid.lo.as_slice() < at);
                Node::Router { id: None, kids: kids.split_off(from), read: Vec::new() }
            }
            Node::Kept(id) => return Err(Forest::corrupt(*id).into()),
        };
        let mut right = Kid { lo: at.into(), base: kid.base, base_now: kid.base_now, node };
        self.fit(&mut kid, height, Some(at))?;
        self.fit(&mut right, height, hi)?;
        Ok((kid, right))
    }

    /// Makes `at` the lower bound of one of the kids, if it is not.
    pub(super) fn cut(
        &mut self,
        kids: &mut Vec<Kid>,
        height: usize,
        hi: Option<&[u8]>,
        at: &[u8],
    ) -> Try<()> {
        let (index, upper) = kid_of(kids, hi, at);
        if *kids[index].lo != *at && upper.is_none_or(|upper| at < upper) {
            let upper = upper.map(<[u8]>::to_vec);
            let (left, right) = self.split(kids.remove(index), height, upper.as_deref(), at)?;
            kids.splice(index..index, [left, right]);
        }
        Ok(())
    }

    /// Gives a kid with new bounds a base: the old one, as far as they allow.
    fn fit(&mut self, kid: &mut Kid, height: usize, hi: Option<&[u8]>) -> Try<()> {
        let mut most = common_of_range(&kid.lo, hi);
        if let Node::Router { kids, .. } = &kid.node {
            most = kids.iter().map(|kid| kid.base).fold(most, usize::min);
        }
        let least = hi.map_or(0, |hi| common_prefix(&kid.lo, hi));
        self.rebase(kid, height, hi, kid.base.clamp(least, most.max(least)))
    }

    fn rebase(&mut self, kid: &mut Kid, height: usize, hi: Option<&[u8]>, base: usize) -> Try<()> {
        if base != kid.base {
            self.open(kid, height, hi)?;
            kid.base = base;
        }
        Ok(())
    }

    /// The upper bound of a kid has become `hi`: all along its right edge.
    pub(super) fn adjust_upper(&mut self, kid: &mut Kid, height: usize, hi: Option<&[u8]>) -> Try<()> {
        if height > 0
            && let Some(last) = self.kids(kid, height, hi)?.last_mut()
        {
            self.adjust_upper(last, height - 1, hi)?;
        }
        self.fit(kid, height, hi)
    }

    /// Everything along the right edge of a kid is to be spelled from `len` bytes on, at least: all its keys
    /// share these.
    pub(super) fn strip(&mut self, kid: &mut Kid, height: usize, hi: Option<&[u8]>, len: usize) -> Try<()> {
        if height > 0
            && let Some(last) = self.kids(kid, height, hi)?.last_mut()
        {
            self.strip(last, height - 1, hi, len)?;
        }
        self.rebase(kid, height, hi, kid.base.max(len))
    }

    /// Gives back the ids of everything below kids that leave the forest.
    pub(super) fn free(&mut self, kids: Vec<Kid>, height: usize) -> Try<()> {
        for mut kid in kids {
            if height == 0 {
                if let Node::Kept(id) | Node::Range { id: Some(id), .. } = kid.node {
                    self.freed.push(id);
                }
                continue;
            }
            let below = std::mem::take(self.kids(&mut kid, height, None)?);
            self.free(below, height - 1)?;
            if let Node::Router { id: Some(id), .. } = kid.node {
                self.freed.push(id);
            }
        }
        Ok(())
    }
}
