//! From the root to the range blob of a key, without a latch: the path and its versions.

#![forbid(unsafe_code)]

use super::walk::{walk, walk_before};
use super::{Forest, HEIGHT_MAX};
use crate::blob::header::BlobKind;
use crate::blob::{Key, Ref, Torn};
use crate::store::ROOT_BLOB;
use crate::store::frames::{Frame, Held};
use crate::store::latch::Version;

/// One router on the path.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) version: Version,
    pub(crate) base: usize,
}

/// A path from the root to a range blob. What was read by it counts only after `is_unchanged`.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    steps: [Option<Step<'a>>; HEIGHT_MAX],
    height: usize,
    /// The range blob.
    pub(crate) frame: Frame<'a>,
    pub(crate) version: Version,
    /// The root of its tree.
    pub(crate) root: Ref,
    /// The key bytes that the path spells for it.
    pub(crate) base: usize,
}

impl<'a> Route<'a> {
    /// The routers from the root down.
    pub(crate) fn routers(&self) -> impl DoubleEndedIterator<Item = Step<'a>> {
        self.steps[..self.height].iter().copied().flatten()
    }

    /// Routers above the range blob.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Whether no router of the path has changed.
    #[inline(always)]
    pub(crate) fn routers_unchanged(&self) -> bool {
        self.routers()
            .all(|step| step.frame.latch().is_unchanged(step.version))
    }

    /// Whether nothing on the path has changed: then what was read from it is true.
    #[inline(always)]
    pub(crate) fn is_unchanged(&self) -> bool {
        self.frame.latch().is_unchanged(self.version) && self.routers_unchanged()
    }

    /// Latches the range blob, if nothing on the path has changed.
    #[inline]
    pub(crate) fn hold(&self) -> Option<Held<'a>> {
        let held = self.frame.try_hold(self.version)?;
        self.routers_unchanged().then_some(held)
    }
}

/// Why a route did not arrive.
pub(crate) enum Lost {
    /// The path was changing: try again.
    Restart,
    /// The path did not change, and makes no sense.
    Corrupt(u32),
}

impl Forest {
    /// Finds the range blob of `key`.
    #[inline(always)]
    pub(crate) fn route(&self, key: &Key<'_>) -> Result<Route<'_>, Lost> {
        self.descend(|words, root, base| {
            let (id, base) = walk(words, root, key, base)?.follow(words)?;
            // Every key of a range begins with what is spelled for it.
            if base <= key.len() {
                Ok((id, base))
            } else {
                Err(Torn)
            }
        })
    }

    /// Finds the range blob of the keys just below `key`; the flag says that `key` is its upper bound.
    pub(crate) fn route_before(&self, key: &Key<'_>) -> Result<(Route<'_>, bool), Lost> {
        let mut exact = false;
        let route = self.descend(|words, root, base| {
            if exact {
                // Everything below lies before the key: the last child of every router holds the last.
                let bound = super::router::last_bound(words, root, base);
                return bound.follow(words);
            }
            let (bound, is_upper) = walk_before(words, root, key, base)?;
            exact = is_upper;
            let (id, base) = bound.follow(words)?;
            if exact || base <= key.len() {
                Ok((id, base))
            } else {
                Err(Torn)
            }
        })?;
        Ok((route, exact))
    }

    #[inline(always)]
    fn descend(
        &self,
        mut choose: impl FnMut(crate::blob::Words<'_>, Ref, usize) -> Result<(u32, usize), Torn>,
    ) -> Result<Route<'_>, Lost> {
        let mut steps: [Option<Step<'_>>; HEIGHT_MAX] = [None; HEIGHT_MAX];
        let (mut id, mut base, mut height) = (ROOT_BLOB, 0, 0);
        loop {
            let Some(frame) = self.store.frames.get(id) else {
                return Err(lost(&steps[..height], id));
            };
            let version = frame.latch().read();
            let (root, kind) = frame.root();
            match kind {
                Some(BlobKind::Range) => {
                    return Ok(Route {
                        steps,
                        height,
                        frame,
                        version,
                        root,
                        base,
                    });
                }
                Some(BlobKind::Router) if height < HEIGHT_MAX => {
                    steps[height] = Some(Step { frame, version, base });
                    height += 1;
                    match choose(frame.words, root, base) {
                        Ok(next) => (id, base) = next,
                        Err(Torn) => return Err(lost(&steps[..height], id)),
                    }
                }
                _ => return Err(lost(&steps[..height], id)),
            }
        }
    }
}

#[cold]
fn lost(steps: &[Option<Step<'_>>], id: u32) -> Lost {
    let unchanged = steps
        .iter()
        .flatten()
        .all(|step| step.frame.latch().is_unchanged(step.version));
    if unchanged {
        Lost::Corrupt(id)
    } else {
        Lost::Restart
    }
}
