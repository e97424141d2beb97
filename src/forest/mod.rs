//! Many blobs as one tree: a B+tree whose pages are radix trees.
//!
//! Range blobs hold the keys of one contiguous range each; router blobs hold the separators between
//! them. A full range blob is cut in key order (`room`), thin neighbours are joined (`join`). Readers take
//! no latch: they remember the versions of the blobs on their path and look at them again before they
//! return anything. No I/O happens here.

#![forbid(unsafe_code)]

pub(crate) mod ahead;
pub(crate) mod batch;
mod border;
pub(crate) mod bounds;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod count;
pub(crate) mod cut;
pub(crate) mod edits;
pub(crate) mod graft;
pub(crate) mod join;
pub(crate) mod lineage;
pub(crate) mod load;
pub(crate) mod long;
pub(crate) mod many;
pub(crate) mod notes;
pub(crate) mod pins;
pub(crate) mod read;
pub(crate) mod rearrange;
pub(crate) mod replay;
pub(crate) mod room;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod scan;
pub(crate) mod shared_key;
pub(crate) mod walk;
pub(crate) mod write;

use crate::blob::header::{self, BlobKind};
use crate::error::{Error, Result};
use crate::store::background::HasStore;
use crate::store::frames::Frames;
use crate::store::{ROOT_BLOB, Store};

/// Router blobs above a range blob, at most. Four suffice for more blobs than ids can name; small limits
/// in tests need more.
pub(crate) const HEIGHT_MAX: usize = 10;

/// The limits that shape the forest. Tests make them small, so that a few keys give many blobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Words of a range blob that may be filled.
    pub(crate) range_words: u32,
    /// Children of one router.
    pub(crate) router_children: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { range_words: header::CAPACITY_WORDS, router_children: usize::MAX }
    }
}

/// The forest of one database.
pub(crate) struct Forest {
    pub(crate) store: Store,
    pub(crate) shape: Shape,
}

impl Forest {
    /// A forest of one empty blob.
    pub(crate) fn new(database_id: u128, shape: Shape) -> Result<Self> {
        Self::with_root(Store::new(Frames::new(), database_id), shape)
    }

    /// A forest of one empty blob in a store that has none.
    pub(crate) fn with_root(store: Store, shape: Shape) -> Result<Self> {
        let root = store.allocate_blob()?;
        debug_assert_eq!(root.id, ROOT_BLOB);
        header::format(root.hold().change(), ROOT_BLOB, BlobKind::Range);
        Ok(Forest { store, shape })
    }

    /// The forest in frames that were loaded.
    pub(crate) fn from_store(store: Store) -> Self {
        Forest { store, shape: Shape::default() }
    }

    pub(crate) fn corrupt(id: u32) -> Error {
        Error::corrupt(id, "the structure makes no sense")
    }
}

impl HasStore for Forest {
    fn store(&self) -> &Store {
        &self.store
    }
}
