//! Packing all of the forest: neighbours are evened out until blobs are full, garbage goes, and blobs move
//! to lower ids, so that the end of the file falls free. Writers go on; one step holds what any change of the
//! structure holds, and no longer.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::Forest;
use super::cut;
use super::edits::{Outcome, Source};
use super::lineage::Lineage;
use super::rearrange::Target;
use super::router::{Child, fit_base};
use super::shared_key::SharedKey;
use crate::art::entries::{Entries, Grain};
use crate::blob::header;
use crate::error::Result;

/// How full blobs become, in hundredths. What is left takes the next writes.
const FULL_PERCENT: u64 = 94;
/// Two neighbours become one up to this.
const JOIN_PERCENT: u64 = 96;
/// A blob with this part of garbage is built anew.
const GARBAGE_PARTS: u64 = 64;
/// How often a step is tried again that a writer has spoilt.
const TRIES: u32 = 4;

/// What one step has done.
enum Step {
    /// Look at the blob of the same key again.
    Again,
    /// A writer has interfered.
    Interfered,
    /// Go on at this key; at none, if that was the last blob.
    Next(Option<Vec<u8>>),
}

/// Where a blob is found: a key on its way, and for a router its level.
type Place = (SharedKey, Option<usize>);

impl Forest {
    /// Packs all range blobs, from the first to the last, for as long as `goes_on`, which is asked for each.
    pub(crate) fn pack(&self, mut goes_on: impl FnMut() -> bool) -> Result<()> {
        let mut next = Some(Vec::new());
        let mut tries = 0;
        while let Some(key) = next {
            self.store.admit()?;
            next = match self.pack_step(&key, tries < TRIES)? {
                Step::Again => Some(key),
                Step::Interfered => {
                    tries += 1;
                    Some(key)
                }
                Step::Next(after) => {
                    tries = 0;
                    after.filter(|_| goes_on())
                }
            };
        }
        Ok(())
    }

    fn pack_step(&self, key: &[u8], may_change: bool) -> Result<Step> {
        let _structure = self.store.lock_structure();
        let step = {
            let _pinned = self.pin_around(key)?;
            let _gate = self.store.gate.enter();
            let lineage = self.lineage(key)?;
            if !may_change {
                return Ok(Step::Next(lineage.hi));
            }
            self.pack_blob(&lineage)?
        };
        if matches!(step, Step::Again) {
            self.join_routers(key)?;
            while self.lower_root()? {}
        }
        Ok(step)
    }

    fn pack_blob(&self, lineage: &Lineage) -> Result<Step> {
        let capacity = u64::from(self.shape.range_words);
        let source = self.source(lineage.blob.id, false)?;
        let own = u64::from(header::live_words(source.frame.words));
        let garbage = u64::from(header::garbage_words(source.frame.words));
        let next = lineage.bottom().and_then(|router| router.children.get(router.index + 1));
        match next {
            Some(next) if own * 100 < capacity * (FULL_PERCENT - 2) => {
                let words = own + self.live_words(next.id);
                self.fill_from(lineage, source, words)
            }
            _ if garbage * GARBAGE_PARTS >= capacity => self.rebuild(lineage, source),
            _ => Ok(Step::Next(lineage.hi.clone())),
        }
    }

    /// Builds a blob anew, without its garbage.
    fn rebuild(&self, lineage: &Lineage, source: Source<'_>) -> Result<Step> {
        let mut entries = Entries::new();
        if !self.collect(&mut entries, &source, lineage.span(), Grain::Keys)? {
            return Ok(Step::Interfered);
        }
        let blob = &lineage.blob;
        let target = Target { lo: blob.lo.clone(), base: blob.base, part: 0..entries.len() };
        let first = lineage.bottom().map_or(0, |router| router.index);
        let outcome = self.rearrange(lineage, first, vec![source], &entries, &[target])?;
        Ok(if outcome == Outcome::Interfered { Step::Interfered } else { Step::Next(lineage.hi.clone()) })
    }

    /// Fills a blob with what its right neighbour holds, or with all of that. Both take `words` now.
    fn fill_from(&self, lineage: &Lineage, source: Source<'_>, words: u64) -> Result<Step> {
        let Some(router) = lineage.bottom() else {
            return Ok(Step::Next(None));
        };
        let (index, capacity) = (router.index, u64::from(self.shape.range_words));
        let (left, right) = (&router.children[index], &router.children[index + 1]);
        let neighbour = self.source(right.id, false)?;
        let mut entries = Entries::new();
        if !self.collect(&mut entries, &source, router.span_of(index), Grain::Keys)? {
            return Ok(Step::Interfered);
        }
        let own_entries = entries.len();
        if !self.collect(&mut entries, &neighbour, router.span_of(index + 1), Grain::Keys)? {
            return Ok(Step::Interfered);
        }
        let hi = router.hi_of(index + 1);
        let mut targets = Vec::new();
        if words * 100 <= capacity * JOIN_PERCENT {
            let base = fit_base(left.base.min(right.base), &left.lo, hi);
            targets.push(Target { lo: left.lo.clone(), base, part: 0..entries.len() });
        } else {
            // What a list says of words is rough, but in proportion.
            let all = cut::words_of(&entries, 0..entries.len());
            let at = cut::cut_near(&entries, 0..entries.len(), all * capacity * FULL_PERCENT / 100 / words);
            if at <= own_entries {
                return self.rebuild(lineage, source);
            }
            let separator = entries.separator(at);
            let base = fit_base(left.base, &left.lo, Some(&separator));
            targets.push(Target { lo: left.lo.clone(), base, part: 0..at });
            let base = fit_base(right.base, &separator, hi);
            targets.push(Target { lo: separator.into(), base, part: at..entries.len() });
        }
        let after = targets.get(1).map(|target| target.lo.clone());
        match self.rearrange(lineage, index, vec![source, neighbour], &entries, &targets)? {
            Outcome::Done => Ok(after.map_or(Step::Again, |after| Step::Next(Some(after.to_vec())))),
            Outcome::Interfered => Ok(Step::Interfered),
            Outcome::DoesNotFit => Ok(Step::Next(lineage.hi.clone())),
        }
    }

    /// Moves blobs from the end to ids that are free, until there are none before the last blob, or it is not
    /// to go on.
    pub(crate) fn move_down(&self, mut goes_on: impl FnMut() -> bool) -> Result<()> {
        let mut places = self.places()?;
        let mut tries = 0;
        while let Some(last) = self.store.ids.last_behind_a_gap().filter(|_| goes_on()) {
            self.store.admit()?;
            let place = places.get(&last).filter(|_| tries < TRIES);
            let Some((key, level)) = place.cloned() else {
                if tries >= TRIES {
                    // It has come to be while blobs were moved, or it changes all the time.
                    return Ok(());
                }
                places = self.places()?;
                tries = TRIES;
                continue;
            };
            match self.move_blob(last, &key, level)? {
                Some(id) => {
                    places.insert(id, (key, level));
                    tries = 0;
                }
                None => tries += 1,
            }
        }
        Ok(())
    }

    /// Every blob but the root.
    fn places(&self) -> Result<BTreeMap<u32, Place>> {
        let mut places = BTreeMap::new();
        let mut next = Some(Vec::new());
        while let Some(key) = next {
            let _structure = self.store.lock_structure();
            let _pinned = self.pin_around(&key)?;
            let lineage = self.lineage(&key)?;
            for (level, router) in lineage.routers.iter().enumerate().skip(1) {
                places.insert(router.id, (key.as_slice().into(), Some(level)));
            }
            let children = lineage.bottom().map_or(&[][..], |router| &router.children);
            places.extend(children.iter().map(|child| (child.id, (child.lo.clone(), None))));
            next = lineage.bottom().and_then(|router| router.hi.clone());
        }
        Ok(places)
    }

    /// Gives a blob a lower id. None if it is not there any more, or a writer has interfered.
    fn move_blob(&self, id: u32, key: &[u8], level: Option<usize>) -> Result<Option<u32>> {
        let _structure = self.store.lock_structure();
        let _pinned = self.pin_around(key)?;
        let _gate = self.store.gate.enter();
        let lineage = self.lineage(key)?;
        if let Some(level) = level {
            let Some(view) = lineage.routers.get(level).filter(|view| view.id == id) else {
                return Ok(None);
            };
            let children = view.children.clone();
            return self.move_router(&lineage, level, &children);
        }
        if lineage.blob.id != id {
            return Ok(None);
        }
        let source = self.source(id, false)?;
        let mut entries = Entries::new();
        if !self.collect(&mut entries, &source, lineage.span(), Grain::Keys)? {
            return Ok(None);
        }
        self.move_range(&lineage, source, &entries)
    }
}

impl Lineage {
    /// The children of the router at `level`, with another id for the one on the way.
    pub(super) fn children_with(&self, level: usize, id: u32) -> Vec<Child> {
        let view = &self.routers[level];
        let mut children = view.children.clone();
        children[view.index].id = id;
        children
    }
}
