//! Moving and removing keys that lie in one blob: it is built anew without them, and the blob that they go
//! to with them. The routers stay as they are.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::subtree::Subtree;
use crate::art::entries::{Entries, Span};
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::edits::{Edits, Stop};
use crate::forest::lineage::Lineage;

/// What has become of it.
pub(super) enum Inside {
    /// The new blobs are built.
    Ready,
    /// There is no such key.
    Nothing,
    /// More blobs are concerned, or have to be.
    DoesNotFit,
}

impl Subtree<'_> {
    fn lies_in(self, lineage: &Lineage) -> bool {
        lineage.hi.as_deref().is_none_or(|hi| self.end <= hi)
    }
}

impl Forest {
    pub(super) fn remove_inside<'a>(&'a self, edits: &mut Edits<'a>, subtree: Subtree<'_>) -> Result<Inside> {
        let lineage = self.lineage(subtree.prefix)?;
        if !subtree.lies_in(&lineage) {
            return Ok(Inside::DoesNotFit);
        }
        let (list, [part]) = self.list_around(&lineage, [subtree])?;
        if part.is_empty() {
            return Ok(Inside::Nothing);
        }
        let (before, after) = (0..part.start, part.end..list.len());
        let kept = join(&lineage, &[(&list, before, None), (&list, after, None)])?;
        write(edits, &lineage, &kept)
    }

    pub(super) fn move_inside<'a>(
        &'a self,
        edits: &mut Edits<'a>,
        from: Subtree<'_>,
        to: Subtree<'_>,
    ) -> Result<Inside> {
        let (source, target) = (self.lineage(from.prefix)?, self.lineage(to.prefix)?);
        if !from.lies_in(&source) || !to.lies_in(&target) {
            return Ok(Inside::DoesNotFit);
        }
        let prefix = Some((from.prefix.len(), to.prefix));
        if source.blob.id == target.blob.id {
            let (list, [moved, place]) = self.list_around(&source, [from, to])?;
            if moved.is_empty() {
                return Ok(Inside::Nothing);
            }
            // What moves does not stand in its own way.
            let in_the_way = place.clone().filter(|index| !moved.contains(index)).count();
            if in_the_way > 0 {
                return Err(Error::TargetExists);
            }
            let all = if place.start <= moved.start {
                let (before, between) = (0..place.start, place.start..moved.start);
                let after = moved.end..list.len();
                [(&list, before, None), (&list, moved, prefix), (&list, between, None), (&list, after, None)]
            } else {
                let (before, between) = (0..moved.start, moved.end..place.start);
                let after = place.start..list.len();
                [(&list, before, None), (&list, between, None), (&list, moved, prefix), (&list, after, None)]
            };
            let all = join(&source, &all)?;
            return write(edits, &source, &all);
        }
        let (list, [moved]) = self.list_around(&source, [from])?;
        if moved.is_empty() {
            return Ok(Inside::Nothing);
        }
        let (others, [place]) = self.list_around(&target, [to])?;
        if !place.is_empty() {
            return Err(Error::TargetExists);
        }
        let (before, after) = (0..moved.start, moved.end..list.len());
        let kept = join(&source, &[(&list, before, None), (&list, after, None)])?;
        let (before, after) = (0..place.start, place.start..others.len());
        let with = join(&target, &[(&others, before, None), (&list, moved, prefix), (&others, after, None)])?;
        match write(edits, &target, &with)? {
            Inside::Ready => write(edits, &source, &kept),
            other => Ok(other),
        }
    }

    /// The keys of a blob, and which of them lie in the subtrees.
    fn list_around<'a, const N: usize>(
        &'a self,
        lineage: &Lineage,
        subtrees: [Subtree<'_>; N],
    ) -> Result<(Entries<'a>, [Range<usize>; N])> {
        let id = lineage.blob.id;
        let Some(frame) = self.store.frames.get(id) else {
            return Err(Self::corrupt(id));
        };
        let cuts = subtrees.map(|subtree| [subtree.prefix, subtree.end]);
        let span = Span { cuts: cuts.as_flattened(), ..lineage.span() };
        let mut list = Entries::new();
        list.add_blob(frame.words, span, self.whole_buckets()).map_err(|_| Self::corrupt(id))?;
        // No bucket that holds a cut was taken whole.
        let position = |cut| list.position(cut).ok_or_else(|| Self::corrupt(id));
        let mut parts = [const { 0..0 }; N];
        for (part, subtree) in parts.iter_mut().zip(subtrees) {
            *part = position(subtree.prefix)?..position(subtree.end)?;
        }
        Ok((list, parts))
    }
}

/// Part of a list, with a prefix that takes the place of so many bytes.
type Piece<'p, 'a> = (&'p Entries<'a>, Range<usize>, Option<(usize, &'p [u8])>);

/// One list of several pieces, whose keys ascend from each to the next.
fn join<'a>(lineage: &Lineage, pieces: &[Piece<'_, 'a>]) -> Result<Entries<'a>> {
    let mut joined = Entries::new();
    for (list, part, prefix) in pieces {
        joined.append(list, part.clone(), *prefix).map_err(|_| Forest::corrupt(lineage.blob.id))?;
    }
    Ok(joined)
}

fn write(edits: &mut Edits<'_>, lineage: &Lineage, list: &Entries<'_>) -> Result<Inside> {
    match edits.write_range(lineage.blob.id, list, 0..list.len(), lineage.blob.base) {
        Ok(()) => Ok(Inside::Ready),
        Err(Stop::DoesNotFit) => Ok(Inside::DoesNotFit),
        Err(Stop::Failed(error)) => Err(error),
    }
}
