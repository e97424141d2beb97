//! Drawing the border between two blobs anew, where it is longer than it has to be.
//!
//! A border is as short as the keys on both sides allow when it is drawn. When long keys have gone, it stays
//! as long as they were. A router spells it; if that is not the one right above the two blobs, the border is
//! brought down first, one router at a time: the two children next to it get a router of their own.

#![forbid(unsafe_code)]

use super::Forest;
use super::cut::halve_part;
use super::edits::{Outcome, Stop};
use super::lineage::{Lineage, RouterView};
use super::rearrange::Target;
use super::router::{self, Child, fit_base};
use crate::art::entries::{Entries, Grain};
use crate::error::{Error, Result};

/// Preparations that a writer may spoil before the blobs are latched first.
const FREE_ATTEMPTS: u32 = 2;

impl Forest {
    /// Draws a border anew, or brings it one router further down. False if it is none any more.
    pub(super) fn draw_border_anew(&self, border: &[u8]) -> Result<bool> {
        let _structure = self.store.lock_structure();
        let _pinned = self.pin_around(border)?;
        let _gate = self.store.gate.enter();
        for attempt in 0.. {
            let lineage = self.lineage(border)?;
            let spells =
                |view: &RouterView| view.index > 0 && view.children[view.index].lo.as_slice() == border;
            let Some(level) = lineage.routers.iter().position(spells) else {
                return Ok(false);
            };
            let outcome = match level + 1 == lineage.routers.len() {
                true => self.cut_pair_anew(&lineage, attempt >= FREE_ATTEMPTS)?,
                false => self.bring_down(&lineage, level)?,
            };
            match outcome {
                Outcome::Done => break,
                Outcome::Interfered => {}
                Outcome::DoesNotFit => {
                    return Err(Error::OutOfSpace { limit_blobs: self.store.ids.in_use().0 });
                }
            }
        }
        Ok(true)
    }

    /// The blob of the lineage and the one before it get a border that is as short as their keys allow.
    fn cut_pair_anew(&self, lineage: &Lineage, latch_first: bool) -> Result<Outcome> {
        let outcome = self.cut_pair(lineage, latch_first, false)?;
        // Each blob may have to spell more of its keys itself, which a full one has no room for.
        if outcome == Outcome::DoesNotFit { self.cut_pair(lineage, latch_first, true) } else { Ok(outcome) }
    }

    fn cut_pair(&self, lineage: &Lineage, latch_first: bool, in_four: bool) -> Result<Outcome> {
        let Some(router) = lineage.bottom() else {
            return Ok(Outcome::DoesNotFit);
        };
        let first = router.index - 1;
        let mut entries = Entries::new();
        let (mut sources, mut at) = (Vec::new(), 0);
        for index in [first, router.index] {
            let source = self.source(router.children[index].id, latch_first)?;
            at = entries.len();
            let grain = if in_four { Grain::Keys } else { self.whole_buckets() };
            if !self.collect(&mut entries, &source, router.span_of(index), grain)? {
                return Ok(Outcome::Interfered);
            }
            sources.push(source);
        }
        let len = entries.len();
        let mut cuts = vec![0, at, len];
        if in_four {
            cuts.extend([halve_part(&entries, 0..at), halve_part(&entries, at..len)]);
        }
        let mut targets: Vec<Target> = Vec::new();
        let mut from = 0;
        while from < len || targets.is_empty() {
            let to = cuts.iter().copied().filter(|&cut| cut > from).min().unwrap_or(len);
            let lo = if from == 0 {
                router.children[first].lo.clone()
            } else {
                entries.separator(from)[..].into()
            };
            let hi = (to < len).then(|| entries.separator(to));
            let old = &router.children[if from < at { first } else { router.index }];
            let base = fit_base(old.base, &lo, hi.as_deref().or(router.hi_of(router.index)));
            targets.push(Target { lo, base, part: from..to });
            from = to;
        }
        self.rearrange(lineage, first, sources, &entries, &targets)
    }

    /// The two children next to a border between two routers get a router of their own between these.
    fn bring_down(&self, lineage: &Lineage, level: usize) -> Result<Outcome> {
        let view = &lineage.routers[level];
        let (first, second) = (&view.children[view.index - 1], &view.children[view.index]);
        let mut left = self.children_of(first)?;
        let mut right = self.children_of(second)?;
        let between: Vec<Child> =
            left.pop().into_iter().chain((!right.is_empty()).then(|| right.remove(0))).collect();
        let base = first.base.min(second.base);
        let mut edits = self.no_edits();
        let write = || -> std::result::Result<(), Stop> {
            let mut ids = vec![second.id, first.id];
            let parts = [(left, first.base), (between, base), (right, second.base)];
            let parts: Vec<_> = parts.into_iter().filter(|(children, _)| !children.is_empty()).collect();
            let mut routers: Vec<Child> = Vec::new();
            for (at, (children, base)) in parts.iter().enumerate() {
                let lo = children[0].lo.clone();
                let next = parts.get(at + 1).map(|(children, _)| children[0].lo.as_slice());
                let base = fit_base(*base, &lo, next.or(view.hi_of(view.index)));
                let id = ids.pop().map_or_else(|| edits.fresh_id(), Ok)?;
                edits.write_router(id, children, base)?;
                routers.push(Child { lo, id, base });
            }
            edits.freed.extend(ids);
            let mut all = view.children.clone();
            all.splice(view.index - 1..=view.index, routers);
            edits.router(lineage, level, &all)
        };
        let written = write();
        edits.finish(written, Vec::new())
    }

    fn children_of(&self, child: &Child) -> Result<Vec<Child>> {
        let frame = self.store.frames.get(child.id).ok_or_else(|| Self::corrupt(child.id))?;
        router::read(frame.words, child.base, &child.lo).map_err(|_| Self::corrupt(child.id))
    }
}
