//! Detaching all keys with a prefix from a plan, and tying them in elsewhere.
//!
//! Both happen in one router each, at the same height: so all range blobs stay at the same depth. The run
//! that moves is cut at exactly the prefix and its successor. Its own blobs keep their words: below the cut
//! they do not spell the prefix.

#![forbid(unsafe_code)]

use super::plan::{Kid, Node, Plan, Stop, Try, kid_of};
use crate::error::Error;
use crate::forest::router::Child;
use crate::forest::shared_key::SharedKey;

/// All keys that begin with a prefix: from the prefix itself up to its successor.
#[derive(Clone, Copy)]
pub(super) struct Subtree<'p> {
    pub(super) prefix: &'p [u8],
    pub(super) end: &'p [u8],
}

/// What was cut out: neighbouring kids of one router at `height`.
pub(super) struct Cutting {
    pub(super) kids: Vec<Kid>,
    pub(super) height: usize,
}

impl Plan<'_> {
    /// The lowest height at which a router holds all of a subtree; with other keys before it if `strictly`.
    pub(super) fn height_of(&mut self, subtree: Subtree<'_>, strictly: bool) -> Try<usize> {
        let mut lowest = self.height;
        let mut root = self.take_root();
        let height = self.height;
        let walked = self.walk_down(&mut root, height, None, subtree.prefix, &mut |kid, height, hi| {
            let holds = kid.holds(hi, subtree.prefix, subtree.end, strictly);
            if holds {
                lowest = height;
            }
            holds && height > 1
        });
        self.root = root;
        walked.map(|()| lowest)
    }

    /// Goes down towards `key`, for as long as `goes_on`.
    fn walk_down(
        &mut self,
        kid: &mut Kid,
        height: usize,
        hi: Option<&[u8]>,
        key: &[u8],
        goes_on: &mut impl FnMut(&Kid, usize, Option<&[u8]>) -> bool,
    ) -> Try<()> {
        if !goes_on(kid, height, hi) {
            return Ok(());
        }
        let kids = self.kids(kid, height, hi)?;
        let (index, upper) = kid_of(kids, hi, key);
        let upper = upper.map(<[u8]>::to_vec);
        self.walk_down(&mut kids[index], height - 1, upper.as_deref(), key, goes_on)
    }

    fn take_root(&mut self) -> Kid {
        let nothing = Child { lo: SharedKey::default(), id: 0, base: 0 };
        std::mem::replace(&mut self.root, Kid::kept(nothing))
    }

    /// Runs `change` on the kids of the router at `height` that holds `key`.
    fn at_height<T>(
        &mut self,
        height: usize,
        key: &[u8],
        change: impl FnOnce(&mut Self, &mut Vec<Kid>, Option<&[u8]>) -> Try<T>,
    ) -> Try<T> {
        let mut root = self.take_root();
        let mut kid = &mut root;
        let mut hi: Option<Vec<u8>> = None;
        let mut at = self.height;
        while at > height {
            let kids = self.kids(kid, at, hi.as_deref())?;
            let (index, upper) = kid_of(kids, hi.as_deref(), key);
            let upper = upper.map(<[u8]>::to_vec);
            kid = &mut kids[index];
            hi = upper;
            at -= 1;
        }
        let kids = self.kids(kid, at, hi.as_deref())?;
        let changed = change(self, kids, hi.as_deref());
        self.root = root;
        changed
    }

    /// Cuts a subtree out of the routers at `height`, one of which holds it and other keys before it.
    pub(super) fn detach(&mut self, subtree: Subtree<'_>, height: usize) -> Try<Cutting> {
        let Subtree { prefix, end } = subtree;
        let below = height - 1;
        let kids = self.at_height(height, prefix, |plan, kids, hi| {
            plan.cut(kids, below, hi, prefix)?;
            plan.cut(kids, below, hi, end)?;
            let from = kids.partition_point(|kid| kid.lo.as_slice() < prefix);
            let to = kids.partition_point(|kid| kid.lo.as_slice() < end);
            let mut run: Vec<Kid> = kids.drain(from..to).collect();
            let upper = kids.get(from).map(|next| next.lo.clone()).or_else(|| hi.map(SharedKey::from));
            if let Some(left) = from.checked_sub(1) {
                plan.adjust_upper(&mut kids[left], below, upper.as_deref())?;
            }
            if let Some(last) = run.last_mut() {
                plan.strip(last, below, Some(end), prefix.len())?;
            }
            debug_assert!(run.iter().all(|kid| kid.base >= prefix.len()), "all of it is spelled above");
            Ok(run)
        })?;
        Ok(Cutting { kids, height: below })
    }

    /// Whether what was cut out holds a key.
    pub(super) fn is_empty(&mut self, cutting: &mut Cutting, end: &[u8]) -> Try<bool> {
        for index in 0..cutting.kids.len() {
            let (low, high) = cutting.kids.split_at_mut(index + 1);
            let hi = high.first().map_or(end, |next| next.lo.as_slice());
            if self.has_keys(&mut low[index], cutting.height, Some(hi))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Range blobs as kids for a router at `height`: below routers of their own, if that is a higher one.
    pub(super) fn raise(&mut self, children: &[Child], subtree: Subtree<'_>, height: usize) -> Try<Vec<Kid>> {
        let mut kids: Vec<Kid> = children.iter().cloned().map(Kid::kept).collect();
        for _ in 1..height {
            let lowest = kids.iter().map(|kid| kid.base).min().unwrap_or(0);
            let base = lowest.min(subtree.prefix.len());
            let node = Node::Router { id: None, kids, read: Vec::new() };
            kids = vec![Kid { lo: subtree.prefix.into(), base, base_now: base, node }];
        }
        Ok(kids)
    }

    /// Ties blobs in where `subtree` is: there must be no key.
    pub(super) fn tie(&mut self, subtree: Subtree<'_>, height: usize, run: Vec<Kid>) -> Try<()> {
        let Subtree { prefix, end } = subtree;
        let below = height - 1;
        self.at_height(height, prefix, |plan, kids, hi| {
            plan.cut(kids, below, hi, prefix)?;
            plan.cut(kids, below, hi, end)?;
            let from = kids.partition_point(|kid| kid.lo.as_slice() < prefix);
            let to = kids.partition_point(|kid| kid.lo.as_slice() < end);
            let mut gone = Cutting { kids: kids.splice(from..to, run).collect(), height: below };
            if !plan.is_empty(&mut gone, end)? {
                return Err(Stop::Failed(Error::TargetExists));
            }
            plan.free(gone.kids, below)
        })
    }
}
