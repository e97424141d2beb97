//! What stands in for io_uring where it is not built in.
//!
//! Invariants: every batch is refused, so that it is carried out plainly.
//!
//! Must not know: anything.

#![forbid(unsafe_code)]

use std::io;

use super::area::AreaFile;
use super::{Files, Filled, IoChoice, IoUse};
use crate::backend::{BlobBufPool, ReadOp, WriteOp};

/// No rings.
pub(super) struct Rings(IoUse);

impl Rings {
    pub(super) fn new(choice: IoChoice) -> Rings {
        Rings(if choice == IoChoice::Auto { IoUse::NotBuilt } else { IoUse::NotChosen })
    }

    pub(super) fn read(
        &self,
        _pool: &BlobBufPool,
        _files: &Files,
        _batch: &mut [ReadOp<'_>],
        _filled: &mut Option<Filled<'_>>,
    ) -> Option<io::Result<()>> {
        None
    }

    pub(super) fn write(
        &self,
        _pool: &BlobBufPool,
        _files: &Files,
        _batch: &[WriteOp<'_>],
    ) -> Option<io::Result<()>> {
        None
    }

    pub(super) fn forget(&self, file: &AreaFile) {
        // No table knows it by its number.
        debug_assert_ne!(file.id, 0);
    }

    pub(super) fn state(&self, _pool: &BlobBufPool) -> (IoUse, IoUse) {
        (self.0, self.0)
    }
}
