//! The walk through one router: which link serves a key.
//!
//! The walk goes down the trie of separators with two bounds in hand: `lo`, the link of the range that
//! ends before everything below, and `hi`, that of the range behind it.

#![forbid(unsafe_code)]

use crate::blob::fork::{Fork, Link};
use crate::blob::header::{FIRST_LINK_AT, LAST_LINK_AT};
use crate::blob::{Key, Ref, Torn, Words};

/// A link and the depth of its owner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) link_at: Ref,
    pub(crate) depth: usize,
}

impl Bound {
    /// The router's link `first`, whose owner is the router itself.
    pub(crate) fn first(base: usize) -> Self {
        Bound { link_at: FIRST_LINK_AT, depth: base }
    }

    /// The router's link `last`.
    pub(crate) fn last(base: usize) -> Self {
        Bound { link_at: LAST_LINK_AT, depth: base }
    }

    /// The blob that the link names, and that blob's base.
    #[inline(always)]
    pub(crate) fn follow(self, words: Words<'_>) -> Result<(u32, usize), Torn> {
        let link = Link::load(words, self.link_at).ok_or(Torn)?;
        Ok((link.id, self.depth + usize::from(link.skip)))
    }
}

/// Finds the link of the range that holds `key`. Every step spells a byte, so this ends on any words.
#[inline(always)]
pub(crate) fn walk(words: Words<'_>, root: Ref, key: &Key<'_>, base: usize) -> Result<Bound, Torn> {
    let mut lo = Bound::first(base);
    if root == 0 {
        return Ok(lo);
    }
    let mut hi = Bound::last(base);
    let (mut at, mut depth) = (root, base);
    loop {
        let fork = Fork::load(words, at).ok_or(Torn)?;
        let len = fork.prefix_len();
        let common = words.common_with_key(fork.prefix_at(), len, key, depth);
        if common < len {
            let ended = depth + common >= key.len();
            let below = ended || key.byte(depth + common) < words.byte(fork.prefix_at(), common);
            return Ok(if below { lo } else { hi });
        }
        depth += len;
        let branches = fork.branches();
        let gap = |index: usize| match index {
            _ if index >= branches => hi,
            0 if fork.gap(0) == 0 => lo,
            _ => Bound { link_at: fork.gap(index), depth },
        };
        if depth >= key.len() {
            return Ok(gap(0));
        }
        let (index, found) = fork.search(key.byte(depth));
        if !found {
            return Ok(gap(index));
        }
        let child = fork.child(index);
        if child == 0 {
            return Ok(gap(index + 1));
        }
        (lo, hi) = (gap(index), gap(index + 1));
        at = child;
        depth += 1;
    }
}

/// Finds the link of the range that holds the keys just below `key`, and whether `key` is that range's
/// upper bound. If it is, everything below that link lies before the key, which need not share its base.
pub(crate) fn walk_before(
    words: Words<'_>,
    root: Ref,
    key: &Key<'_>,
    base: usize,
) -> Result<(Bound, bool), Torn> {
    let mut lo = Bound::first(base);
    if root == 0 {
        return Ok((lo, false));
    }
    let mut hi = Bound::last(base);
    let (mut at, mut depth) = (root, base);
    loop {
        let fork = Fork::load(words, at).ok_or(Torn)?;
        let len = fork.prefix_len();
        let common = words.common_with_key(fork.prefix_at(), len, key, depth);
        if common < len {
            let ended = depth + common >= key.len();
            let below = ended || key.byte(depth + common) < words.byte(fork.prefix_at(), common);
            return Ok((if below { lo } else { hi }, false));
        }
        depth += len;
        let branches = fork.branches();
        let gap = |index: usize| match index {
            _ if index >= branches => hi,
            0 if fork.gap(0) == 0 => lo,
            _ => Bound { link_at: fork.gap(index), depth },
        };
        if depth >= key.len() {
            // Keys below this one are below everything here, a separator that ends here included.
            return Ok((lo, fork.is_separator()));
        }
        let (index, found) = fork.search(key.byte(depth));
        if !found {
            return Ok((gap(index), false));
        }
        let child = fork.child(index);
        if child == 0 {
            let exact = depth + 1 == key.len();
            return Ok((gap(if exact { index } else { index + 1 }), exact));
        }
        (lo, hi) = (gap(index), gap(index + 1));
        at = child;
        depth += 1;
    }
}
