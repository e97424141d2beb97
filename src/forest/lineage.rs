//! A range blob with everything above it, for whoever holds the structure mutex.
//!
//! Routers change only under that mutex, so what is read here stays true as long as it is held.

#![forbid(unsafe_code)]

use super::router::{self, Child};
use super::shared_key::SharedKey;
use super::{Forest, HEIGHT_MAX};
use crate::art::entries::Span;
use crate::blob::header::BlobKind;
use crate::error::Result;
use crate::store::ROOT_BLOB;

/// One router on the way down.
pub(crate) struct RouterView {
    pub(crate) id: u32,
    pub(crate) base: usize,
    pub(crate) hi: Option<Vec<u8>>,
    pub(crate) children: Vec<Child>,
    /// The child that the way goes on to.
    pub(crate) index: usize,
}

impl RouterView {
    /// The keys of a child.
    pub(crate) fn span_of(&self, index: usize) -> Span<'_> {
        let child = &self.children[index];
        Span { lo: &child.lo, base: child.base, hi: self.hi_of(index), cuts: &[] }
    }

    /// The upper bound of a child.
    pub(crate) fn hi_of(&self, index: usize) -> Option<&[u8]> {
        self.children.get(index + 1).map(|child| child.lo.as_slice()).or(self.hi.as_deref())
    }
}

/// A range blob and its routers, from the root down.
pub(crate) struct Lineage {
    pub(crate) routers: Vec<RouterView>,
    /// The range blob itself, with its lower bound and its base.
    pub(crate) blob: Child,
    pub(crate) hi: Option<Vec<u8>>,
}

impl Lineage {
    /// The router right above the range blob; none if the root is the range blob.
    pub(crate) fn bottom(&self) -> Option<&RouterView> {
        self.routers.last()
    }

    /// The keys of the range blob.
    pub(crate) fn span(&self) -> Span<'_> {
        Span { lo: &self.blob.lo, base: self.blob.base, hi: self.hi.as_deref(), cuts: &[] }
    }
}

impl Forest {
    /// The lineage of the range that holds `key`. The caller holds the structure mutex.
    pub(crate) fn lineage(&self, key: &[u8]) -> Result<Lineage> {
        let mut blob = Child { lo: SharedKey::default(), id: ROOT_BLOB, base: 0 };
        let mut hi = None;
        let mut routers = Vec::new();
        loop {
            let Some(frame) = self.store.frames.get(blob.id) else {
                return Err(Self::corrupt(blob.id));
            };
            match frame.root().1 {
                Some(BlobKind::Range) => return Ok(Lineage { routers, blob, hi }),
                Some(BlobKind::Router) if routers.len() < HEIGHT_MAX => {}
                _ => return Err(Self::corrupt(blob.id)),
            }
            let read = router::read(frame.words, blob.base, &blob.lo);
            let children = read.map_err(|_| Self::corrupt(blob.id))?;
            let index = children.partition_point(|child| child.lo.as_slice() <= key).saturating_sub(1);
            let view = RouterView { id: blob.id, base: blob.base, hi, children, index };
            hi = view.hi_of(index).map(<[u8]>::to_vec);
            blob = view.children[index].clone();
            routers.push(view);
        }
    }
}
