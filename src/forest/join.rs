//! Joining thin neighbours after removals, and taking away routers that have nothing left to separate.

#![forbid(unsafe_code)]

use super::Forest;
use super::edits::Outcome;
use super::lineage::Lineage;
use super::rearrange::Target;
use super::route::Route;
use super::router::{self, Child, fit_base};
use crate::art::entries::{Entries, Grain};
use crate::blob::header::BlobKind;
use crate::blob::key::KeyBuf;
use crate::blob::{Words, header};
use crate::error::Result;
use crate::store::ROOT_BLOB;
use crate::store::frames::Frame;

/// Two neighbours that together stay below this fill become one, in hundredths.
const JOIN_PERCENT: u64 = 70;
/// A blob below this part of its capacity is joined even when the two together are fuller.
const THIN_PARTS: u64 = 8;
/// How full such a join may be, in hundredths.
const THIN_JOIN_PERCENT: u64 = 85;
/// A removal looks for a neighbour to join once in so many keys.
const LOOK_EVERY_KEYS: u32 = 32;
/// A router with fewer than this part of its children is joined with its neighbour.
const THIN_ROUTER_PARTS: usize = 4;
/// What "its children" means where only the words limit a router.
const ROUTER_CHILDREN_USUAL: usize = 4096;

impl Forest {
    /// Whether a removal in this blob should look for a neighbour to join. Cheap, and a function of the
    /// blob's contents alone.
    pub(crate) fn wants_join(&self, words: Words<'_>) -> bool {
        let keys = header::key_count(words);
        keys == 0 || (self.is_thin(words) && keys.is_multiple_of(LOOK_EVERY_KEYS))
    }

    /// Whether a blob may be thin enough to be joined with a neighbour.
    pub(crate) fn is_thin(&self, words: Words<'_>) -> bool {
        u64::from(header::live_words(words)) * 100 < u64::from(self.shape.range_words) * JOIN_PERCENT / 2
    }

    /// Joins the range blob of `key` with a neighbour, if the two are thin enough. Says whether it did.
    pub(crate) fn join(&self, key: &[u8]) -> Result<bool> {
        let _structure = self.store.lock_structure();
        // Each step enters the gate anew: what it needs must be in memory before.
        // Thin routers come first: the only child of a router has no neighbour to join with.
        self.join_routers(key)?;
        // A writer that interferes here wants the room, or the next removal will look again.
        let joined = self.join_ranges(key)?;
        if joined {
            self.store.counters.joins.add_one();
            self.join_routers(key)?;
        }
        while self.lower_root()? {}
        Ok(joined)
    }

    /// Joins the range blob of `key` with a neighbour. False if there is nothing to join, or a writer
    /// interfered.
    fn join_ranges(&self, key: &[u8]) -> Result<bool> {
        let _pinned = self.pin_around(key)?;
        let _gate = self.store.gate.enter();
        let capacity = u64::from(self.shape.range_words);
        let is_full = |route: &Route<'_>| self.live_words(route.frame.id) * 100 > capacity * JOIN_PERCENT;
        if self.is_on_way(key, is_full) {
            return Ok(false);
        }
        let lineage = self.lineage(key)?;
        match self.left_of_pair(&lineage) {
            Some(left) => self.join_pair(&lineage, left),
            None => Ok(false),
        }
    }

    /// Whether this can be said of the way to a key. To read all routers on it takes much longer, and most
    /// often there is nothing to join.
    fn is_on_way(&self, key: &[u8], holds: impl Fn(&Route<'_>) -> bool) -> bool {
        let mut buffer = KeyBuf::empty();
        self.route(&buffer.fill_whole(key)).is_ok_and(|route| holds(&route))
    }

    /// The left one of two neighbours that should become one, the blob of the lineage among them.
    fn left_of_pair(&self, lineage: &Lineage) -> Option<usize> {
        let router = lineage.bottom()?;
        let capacity = u64::from(self.shape.range_words);
        let own = self.live_words(lineage.blob.id);
        let limit = match own {
            0 => 100,
            own if own * THIN_PARTS < capacity => THIN_JOIN_PERCENT,
            _ => JOIN_PERCENT,
        };
        let around = [router.index.checked_sub(1), Some(router.index + 1)];
        let known = around.into_iter().flatten().filter(|&index| index < router.children.len());
        let (words, index) = known.map(|index| (self.live_words(router.children[index].id), index)).min()?;
        ((own + words) * 100 <= capacity * limit).then_some(index.min(router.index))
    }

    fn join_pair(&self, lineage: &Lineage, left: usize) -> Result<bool> {
        let Some(router) = lineage.bottom() else {
            return Ok(false);
        };
        let pair = [&router.children[left], &router.children[left + 1]];
        let mut entries = Entries::new();
        let mut sources = Vec::new();
        for (index, child) in (left..).zip(pair) {
            let source = self.source(child.id, false)?;
            if !self.collect(&mut entries, &source, router.span_of(index), self.whole_buckets())? {
                return Ok(false);
            }
            sources.push(source);
        }
        let base = fit_base(pair[0].base.min(pair[1].base), &pair[0].lo, router.hi_of(left + 1));
        let target = Target { lo: pair[0].lo.clone(), base, part: 0..entries.len() };
        Ok(self.rearrange(lineage, left, sources, &entries, &[target])? == Outcome::Done)
    }

    /// Joins thin routers on the way to `key` with a neighbour, from the bottom up.
    pub(super) fn join_routers(&self, key: &[u8]) -> Result<()> {
        while self.join_two_routers(key)? {}
        Ok(())
    }

    /// One step of it. False when there is nothing left to join.
    fn join_two_routers(&self, key: &[u8]) -> Result<bool> {
        let usual = self.shape.router_children.min(ROUTER_CHILDREN_USUAL);
        let _pinned = self.pin_around(key)?;
        let _gate = self.store.gate.enter();
        if self.is_on_way(key, |route| route.height() < 2) {
            return Ok(false);
        }
        let lineage = self.lineage(key)?;
        let thin = (1..lineage.routers.len()).rev().find_map(|level| {
            let view = &lineage.routers[level];
            if view.children.len() * THIN_ROUTER_PARTS > usual {
                return None;
            }
            self.router_pair(&lineage, level, usual)
        });
        let Some((level, left, children)) = thin else {
            return Ok(false);
        };
        let above = &lineage.routers[level - 1];
        let pair = [&above.children[left], &above.children[left + 1]];
        let base = fit_base(pair[0].base.min(pair[1].base), &pair[0].lo, above.hi_of(left + 1));
        self.replace_router_pair(&lineage, level, left, base, &children)
    }

    /// A neighbour of the router at `level` that can take its children: the left one's index in the router
    /// above, and the children of both.
    fn router_pair(
        &self,
        lineage: &Lineage,
        level: usize,
        usual: usize,
    ) -> Option<(usize, usize, Vec<Child>)> {
        let above = &lineage.routers[level - 1];
        let around = [above.index.checked_sub(1), Some(above.index + 1)];
        around.into_iter().flatten().filter(|&index| index < above.children.len()).find_map(|index| {
            let left = index.min(above.index);
            let mut children = Vec::new();
            for child in &above.children[left..left + 2] {
                let frame = self.store.frames.get(child.id)?;
                children.extend(router::read(frame.words, child.base, &child.lo).ok()?);
            }
            // A router with a single child goes wherever there is a place: its range has no neighbour.
            let lonely = lineage.routers[level].children.len() == 1 && children.len() <= usual;
            (lonely || children.len() * 4 <= usual * 3).then_some((level, left, children))
        })
    }

    fn replace_router_pair(
        &self,
        lineage: &Lineage,
        level: usize,
        left: usize,
        base: usize,
        children: &[Child],
    ) -> Result<bool> {
        let above = &lineage.routers[level - 1];
        let (keep, drop) = (&above.children[left], &above.children[left + 1]);
        let joined = Child { lo: keep.lo.clone(), id: keep.id, base };
        let mut all = above.children.clone();
        all.splice(left..left + 2, [joined.clone()]);
        let outcome = self.rewrite_routers(lineage, level - 1, &all, Some((&joined, children)), drop.id)?;
        Ok(outcome == Outcome::Done)
    }

    /// A root router with a single child takes that child's place. False if it has more, or a writer
    /// interfered.
    pub(super) fn lower_root(&self) -> Result<bool> {
        let _pinned = self.pin_around(b"")?;
        let _gate = self.store.gate.enter();
        let has_many =
            |root: Frame<'_>| root.root().1 == Some(BlobKind::Router) && header::key_count(root.words) > 1;
        if self.store.frames.get(ROOT_BLOB).is_some_and(has_many) {
            return Ok(false);
        }
        let lineage = self.lineage(b"")?;
        let Some(root) = lineage.routers.first().filter(|root| root.children.len() == 1) else {
            return Ok(false);
        };
        let child = &root.children[0];
        let Some(frame) = self.store.frames.get(child.id) else {
            return Err(Self::corrupt(child.id));
        };
        if frame.root().1 == Some(BlobKind::Router) {
            let children = &lineage.routers[1].children;
            return Ok(self.rewrite_routers(&lineage, 0, children, None, child.id)? == Outcome::Done);
        }
        self.pull_up_range(&lineage)
    }

    /// The only range blob below the root router becomes the root.
    fn pull_up_range(&self, lineage: &Lineage) -> Result<bool> {
        let blob = &lineage.blob;
        let source = self.source(blob.id, false)?;
        let mut entries = Entries::new();
        if !self.collect(&mut entries, &source, lineage.span(), Grain::Keys)? {
            return Ok(false);
        }
        Ok(self.replace_root(source, &entries)? == Outcome::Done)
    }
}
