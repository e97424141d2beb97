//! What a structure change may touch, made whole and kept in memory before it enters the gate.

#![forbid(unsafe_code)]

use super::router;
use super::shared_key::SharedKey;
use super::{Forest, HEIGHT_MAX};
use crate::blob::header::BlobKind;
use crate::error::Result;
use crate::store::ROOT_BLOB;
use crate::store::residency::Pinned;

impl Forest {
    /// Keeps the path of `key` in memory, and the two neighbours of each blob on it. The caller holds the
    /// structure mutex, so that the path stays what it is, and not the gate. Where all blobs are in memory
    /// anyway there is nothing to do.
    pub(crate) fn pin_around(&self, key: &[u8]) -> Result<Vec<Pinned<'_>>> {
        let mut pins = Vec::new();
        if self.store.residency.is_none() {
            return Ok(pins);
        }
        let (mut id, mut base, mut lo) = (ROOT_BLOB, 0, SharedKey::default());
        for _ in 0..=HEIGHT_MAX {
            pins.push(self.store.pin_whole(id)?);
            let Some(frame) = self.store.frames.get(id) else {
                return Err(Self::corrupt(id));
            };
            if frame.root().1 != Some(BlobKind::Router) {
                break;
            }
            let children = router::read(frame.words, base, &lo).map_err(|_| Self::corrupt(id))?;
            let index = children.partition_point(|child| child.lo.as_slice() <= key).saturating_sub(1);
            for neighbour in [index.wrapping_sub(1), index + 1] {
                if let Some(child) = children.get(neighbour) {
                    pins.push(self.store.pin_whole(child.id)?);
                }
            }
            (id, base) = (children[index].id, children[index].base);
            lo = children[index].lo.clone();
        }
        Ok(pins)
    }
}
