//! The one way in which keys move between neighbouring blobs: some range blobs are replaced by others with
//! the same keys, and the routers above learn about it.
//!
//! Everything new is built in scratch frames first, while readers and writers go on. Then the blobs
//! concerned are latched, unless a writer has changed one meanwhile, the routers above are latched, and
//! the scratch frames are copied to their places (see `edits`).

#![forbid(unsafe_code)]

use std::ops::Range;

use super::edits::{Edits, Outcome, Source, Stop, middle_of};
use super::lineage::Lineage;
use super::router::{Child, fit_base};
use super::shared_key::SharedKey;
use super::{Forest, HEIGHT_MAX};
use crate::art::entries::Entries;
use crate::error::Result;
use crate::store::ROOT_BLOB;

/// A range blob that is to be.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) lo: SharedKey,
    pub(crate) base: usize,
    /// Which entries of the list it gets.
    pub(crate) part: Range<usize>,
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

    /// Gives a range blob another id, a free one; says which. None if a writer has interfered, or nothing is
    /// won by it.
    pub(crate) fn move_range<'a>(
        &'a self,
        lineage: &Lineage,
        source: Source<'a>,
        entries: &Entries<'_>,
    ) -> Result<Option<u32>> {
        let mut edits = self.no_edits();
        let (old, base) = (source.frame.id, lineage.blob.base);
        let moved = edits.move_to_free(lineage, lineage.routers.len(), old, |edits, id| {
            edits.write_range(id, entries, 0..entries.len(), base)
        });
        edits.finish_move(moved, vec![source])
    }

    /// The same for a router that is not the root.
    pub(crate) fn move_router(
        &self,
        lineage: &Lineage,
        level: usize,
        children: &[Child],
    ) -> Result<Option<u32>> {
        let mut edits = self.no_edits();
        let view = &lineage.routers[level];
        let moved = edits
            .move_to_free(lineage, level, view.id, |edits, id| edits.write_router(id, children, view.base));
        edits.finish_move(moved, Vec::new())
    }

    /// Makes the root a range blob with the keys of `source`, which falls free.
    pub(crate) fn replace_root<'a>(&'a self, source: Source<'a>, entries: &Entries<'_>) -> Result<Outcome> {
        let mut edits = self.no_edits();
        edits.freed.push(source.frame.id);
        let prepared = edits.write_range(ROOT_BLOB, entries, 0..entries.len(), 0);
        edits.finish(prepared, vec![source])
    }
}

impl<'a> Edits<'a> {
    /// Writes a blob `level` routers below the root under a free id instead of `old`, and that into the
    /// router above.
    fn move_to_free(
        &mut self,
        lineage: &Lineage,
        level: usize,
        old: u32,
        write: impl FnOnce(&mut Self, u32) -> std::result::Result<(), Stop>,
    ) -> std::result::Result<u32, Stop> {
        let id = self.fresh_id()?;
        if id > old || level == 0 {
            return Err(Stop::DoesNotFit);
        }
        write(self, id)?;
        self.freed.push(old);
        self.router(lineage, level - 1, &lineage.children_with(level - 1, id))?;
        Ok(id)
    }

    fn finish_move(
        self,
        moved: std::result::Result<u32, Stop>,
        sources: Vec<Source<'a>>,
    ) -> Result<Option<u32>> {
        let id = moved.as_ref().ok().copied();
        let outcome = self.finish(moved.map(|_| ()), sources)?;
        Ok(id.filter(|_| outcome == Outcome::Done))
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

    /// Gives the router at `level` these children; cuts it in two if they are too many.
    pub(super) fn router(
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
}
