//! From a plan to blobs: what has changed is built in scratch frames.

#![forbid(unsafe_code)]

use super::plan::{Kid, Node, Plan};
use crate::error::{Error, Result};
use crate::forest::edits::{Edits, Stop, middle_of};
use crate::forest::router::{Child, fit_base};
use crate::forest::{Forest, HEIGHT_MAX, cut};
use crate::store::ROOT_BLOB;

impl Plan<'_> {
    /// Builds a kid, unless it is what it was. More than one blob comes of it if its keys need more words
    /// than they did: what the routers spelled for it before may have become part of them.
    pub(super) fn emit(&self, edits: &mut Edits<'_>, kid: &Kid, hi: Option<&[u8]>) -> Result<Vec<Child>> {
        match &kid.node {
            Node::Kept(id) => Ok(vec![child(kid, *id)]),
            Node::Range { id: Some(id), list, part }
                if kid.base == kid.base_now && *part == (0..self.lists[*list].len()) =>
            {
                Ok(vec![child(kid, *id)])
            }
            Node::Range { id, list, part } => {
                self.emit_range(edits, *id, *list, part.clone(), &child(kid, 0), hi)
            }
            Node::Router { id, kids, read } => {
                let children = self.emit_all(edits, kids, hi)?;
                match id {
                    Some(id) if kid.base == kid.base_now && children == *read => Ok(vec![child(kid, *id)]),
                    _ => emit_router(edits, *id, &children, kid.base, hi),
                }
            }
        }
    }

    /// The same for neighbours.
    pub(super) fn emit_all(
        &self,
        edits: &mut Edits<'_>,
        kids: &[Kid],
        hi: Option<&[u8]>,
    ) -> Result<Vec<Child>> {
        let mut children = Vec::with_capacity(kids.len());
        for (index, kid) in kids.iter().enumerate() {
            let upper = kids.get(index + 1).map(|next| next.lo.as_slice()).or(hi);
            children.extend(self.emit(edits, kid, upper)?);
        }
        Ok(children)
    }

    /// Builds the root, which stays at its id and gets levels as it needs them.
    pub(super) fn emit_root(&self, edits: &mut Edits<'_>) -> Result<()> {
        let Node::Router { kids, read, .. } = &self.root.node else {
            return Ok(());
        };
        let mut children = self.emit_all(edits, kids, None)?;
        if children == *read {
            return Ok(());
        }
        for _ in self.height..=HEIGHT_MAX {
            match edits.write_router(ROOT_BLOB, &children, 0) {
                Ok(()) => return Ok(()),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::DoesNotFit) => {
                    edits.splits_router = true;
                    children = emit_halves(edits, None, &children, 0, None)?;
                }
            }
        }
        Err(too_large(edits))
    }

    fn emit_range(
        &self,
        edits: &mut Edits<'_>,
        id: Option<u32>,
        list: usize,
        part: std::ops::Range<usize>,
        place: &Child,
        hi: Option<&[u8]>,
    ) -> Result<Vec<Child>> {
        let id = or_fresh(edits, id)?;
        let entries = &self.lists[list];
        match edits.write_range(id, entries, part.clone(), place.base) {
            Ok(()) => return Ok(vec![Child { id, ..place.clone() }]),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::DoesNotFit) if part.len() < 2 => return Err(too_large(edits)),
            Err(Stop::DoesNotFit) => {}
        }
        let at = cut::halve_part(entries, part.clone());
        let separator = entries.separator(at);
        let left = Child { base: fit_base(place.base, &place.lo, Some(&separator)), ..place.clone() };
        let right = Child { base: fit_base(place.base, &separator, hi), lo: separator.into(), id: 0 };
        let mut children = self.emit_range(edits, Some(id), list, part.start..at, &left, Some(&right.lo))?;
        children.extend(self.emit_range(edits, None, list, at..part.end, &right, hi)?);
        Ok(children)
    }
}

fn child(kid: &Kid, id: u32) -> Child {
    Child { lo: kid.lo.clone(), id, base: kid.base }
}

fn or_fresh(edits: &mut Edits<'_>, id: Option<u32>) -> Result<u32> {
    id.map_or_else(|| edits.fresh_id(), Ok)
}

fn emit_router(
    edits: &mut Edits<'_>,
    id: Option<u32>,
    children: &[Child],
    base: usize,
    hi: Option<&[u8]>,
) -> Result<Vec<Child>> {
    let id = or_fresh(edits, id)?;
    match edits.write_router(id, children, base) {
        Ok(()) => Ok(vec![Child { lo: children[0].lo.clone(), id, base }]),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::DoesNotFit) => {
            edits.splits_router = true;
            emit_halves(edits, Some(id), children, base, hi)
        }
    }
}

/// Two routers, or more, where one is too small.
fn emit_halves(
    edits: &mut Edits<'_>,
    id: Option<u32>,
    children: &[Child],
    base: usize,
    hi: Option<&[u8]>,
) -> Result<Vec<Child>> {
    if children.len() < 4 {
        return Err(too_large(edits));
    }
    let middle = middle_of(children);
    let (lo, at) = (&children[0].lo, &children[middle].lo);
    let mut halves = emit_router(edits, id, &children[..middle], fit_base(base, lo, Some(at)), Some(at))?;
    halves.extend(emit_router(edits, None, &children[middle..], fit_base(base, at, hi), hi)?);
    Ok(halves)
}

/// It takes routers full of separators of tens of kilobytes to get here.
fn too_large(edits: &Edits<'_>) -> Error {
    let forest: &Forest = edits.forest;
    Error::OutOfSpace { limit_blobs: forest.store.ids.in_use().0 }
}
