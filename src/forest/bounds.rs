//! The two separators between which the range of a key lies.
//!
//! Scans ask this once per blob, to find the next one: there are no sibling pointers.

#![forbid(unsafe_code)]

use super::Forest;
use super::route::{Lost, Route};
use crate::blob::fork::Fork;
use crate::blob::{Key, Ref, Torn, Words};

/// Separators longer than any key come from words that are no router.
const SEPARATOR_BYTES_MAX: usize = crate::art::cursor::KEY_BYTES_MAX;

/// A place in a router from which a separator is read.
#[derive(Clone, Copy)]
enum Place {
    /// The separator that ends at this depth of the key.
    Here { depth: usize },
    /// The first or last separator at or below a Fork, whose prefix starts at this depth of the key.
    Below { at: Ref, depth: usize },
    /// The first or last separator at or below a child, whose Fork's prefix ends at this depth.
    Child { at: Ref, index: usize, depth: usize },
}

/// The lower bound, empty for the very first range, and the upper bound, none for the last.
pub(crate) struct Bounds {
    pub(crate) lo: Vec<u8>,
    pub(crate) hi: Option<Vec<u8>>,
}

/// Which range is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The one that holds the key.
    Of,
    /// The one that holds the keys just below it.
    Before,
}

impl Forest {
    /// The bounds of the range that `route` found for `key`. To be validated with the route.
    pub(crate) fn bounds(&self, route: &Route<'_>, key: &Key<'_>) -> Result<Bounds, Lost> {
        self.bounds_on(route, key, Side::Of)
    }

    /// The bounds of the range that `route_before` found for `key`.
    pub(crate) fn bounds_before(&self, route: &Route<'_>, key: &Key<'_>) -> Result<Bounds, Lost> {
        self.bounds_on(route, key, Side::Before)
    }

    fn bounds_on(&self, route: &Route<'_>, key: &Key<'_>, side: Side) -> Result<Bounds, Lost> {
        let mut bounds = Bounds { lo: Vec::new(), hi: None };
        let mut exact = false;
        for step in route.routers() {
            let Some(frame) = self.store.frames.get(step.id) else { return Err(Lost::Restart) };
            let (words, (root, _)) = (frame.words, frame.root());
            let found = if exact {
                // All below lies before the key; its last range starts at the last separator.
                let spelled = bounds.lo[..step.base.min(bounds.lo.len())].to_vec();
                edge(words, spelled, root, false).map(|lo| (Some(lo).filter(|_| root != 0), None, true))
            } else {
                in_router(words, root, key, step.base, side)
            };
            let Ok((lo, hi, is_upper)) = found else {
                // Separators come from routers alone; the blob at the end of the way need not even be there.
                let unchanged = route.routers_unchanged();
                return Err(if unchanged { Lost::Corrupt(step.id) } else { Lost::Restart });
            };
            exact = is_upper;
            // A router further down knows the narrower bounds.
            if let Some(lo) = lo {
                bounds.lo = lo;
            }
            bounds.hi = hi.or(bounds.hi);
        }
        Ok(bounds)
    }
}

/// Lower and upper separator, and whether the upper one is the key itself.
type Separators = (Option<Vec<u8>>, Option<Vec<u8>>, bool);

fn in_router(
    words: Words<'_>,
    root: Ref,
    key: &Key<'_>,
    base: usize,
    side: Side,
) -> Result<Separators, Torn> {
    let (mut lo, mut hi, mut exact) = (None, None, false);
    let (mut at, mut depth) = (root, base);
    while at != 0 {
        let fork = Fork::load(words, at).ok_or(Torn)?;
        let len = fork.prefix_len();
        let common = words.common_with_key(fork.prefix_at(), len, key, depth);
        if common < len {
            let ended = depth + common >= key.len();
            let below = ended || key.byte(depth + common) < words.byte(fork.prefix_at(), common);
            *(if below { &mut hi } else { &mut lo }) = Some(Place::Below { at, depth });
            break;
        }
        depth += len;
        let child = |index: usize| Place::Child { at, index, depth };
        let ends = depth >= key.len();
        if fork.is_separator() {
            if ends && side == Side::Before {
                (hi, exact) = (Some(Place::Here { depth }), true);
                break;
            }
            lo = Some(Place::Here { depth });
        }
        if ends {
            if fork.branches() > 0 {
                hi = Some(child(0));
            }
            break;
        }
        let (index, found) = fork.search(key.byte(depth));
        let ends_there = found && fork.child(index) == 0;
        exact = ends_there && side == Side::Before && depth + 1 == key.len();
        let (below, above) = match (found, exact) {
            (_, true) => (index.checked_sub(1), index),
            (true, _) if ends_there => (Some(index), index + 1),
            (true, _) => (index.checked_sub(1), index + 1),
            (false, _) => (index.checked_sub(1), index),
        };
        lo = below.map(child).or(lo);
        if above < fork.branches() {
            hi = Some(child(above));
        }
        if !found || ends_there {
            break;
        }
        at = fork.child(index);
        depth += 1;
    }
    let lo = lo.map(|place| separator(words, key, place, false)).transpose()?;
    let hi = hi.map(|place| separator(words, key, place, true)).transpose()?;
    Ok((lo, hi, exact))
}

/// Reads the first (or else the last) separator at a place.
fn separator(words: Words<'_>, key: &Key<'_>, place: Place, first: bool) -> Result<Vec<u8>, Torn> {
    match place {
        Place::Here { depth } => Ok(key.bytes()[..depth].to_vec()),
        Place::Below { at, depth } => edge(words, key.bytes()[..depth].to_vec(), at, first),
        Place::Child { at, index, depth } => {
            let fork = Fork::load(words, at).ok_or(Torn)?;
            let mut spelled = key.bytes()[..depth].to_vec();
            spelled.push(fork.byte(index));
            edge(words, spelled, fork.child(index), first)
        }
    }
}

/// Follows the first (or else the last) branch of every Fork from `at` to the end of a separator.
fn edge(words: Words<'_>, mut out: Vec<u8>, mut at: Ref, first: bool) -> Result<Vec<u8>, Torn> {
    while at != 0 {
        let fork = Fork::load(words, at).ok_or(Torn)?;
        fork.append_prefix(&mut out);
        if out.len() > SEPARATOR_BYTES_MAX {
            return Err(Torn);
        }
        let ends_here = if first { fork.is_separator() } else { fork.branches() == 0 };
        if ends_here {
            break;
        }
        let index = if first { 0 } else { fork.branches() - 1 };
        out.push(fork.byte(index));
        at = fork.child(index);
    }
    Ok(out)
}
