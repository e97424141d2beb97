//! Who packs what: the keys of a load, and the parts of its long values, one after the other. So the ids of
//! their blobs do not depend on how fast threads are.

#![forbid(unsafe_code)]

use std::sync::mpsc::Sender;

use super::pack::{Packer, Places};
use super::sheaf::Sheaf;
use super::{Run, Runs};
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::long::{IdBlock, PART_KEY_BYTES};
use crate::forest::scan::successor;
use crate::store::ROOT_BLOB;

/// A sheaf that is to be packed.
pub(super) enum Gathered<'f> {
    Keys(Sheaf<'f>),
    Parts(Sheaf<'f>),
}

impl Gathered<'_> {
    /// Nothing comes after it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Gathered::Keys(sheaf) if sheaf.next_key.is_none())
    }
}

/// See the head of this file.
pub(super) struct Packers<'f, 'r> {
    forest: &'f Forest,
    places: Places<'r>,
    keys: Packer<'f, 'r>,
    parts: Option<Packer<'f, 'r>>,
    /// For the parts, until there are any.
    parts_run: Option<&'r mut Run>,
}

impl<'f, 'r> Packers<'f, 'r> {
    pub(super) fn new(
        forest: &'f Forest,
        runs: &'r mut Runs,
        places: Places<'r>,
        wanted: Sender<u64>,
    ) -> Result<Self> {
        let keys = Packer::new(forest, &mut runs.keys, Some(wanted))?;
        Ok(Packers { forest, places, keys, parts: None, parts_run: Some(&mut runs.parts) })
    }

    pub(super) fn take(&mut self, gathered: Gathered<'f>) -> Result<()> {
        match gathered {
            Gathered::Keys(sheaf) => self.keys.take(sheaf, &mut self.places),
            Gathered::Parts(sheaf) => {
                if let Some(run) = self.parts_run.take() {
                    run.prefix = IdBlock::prefix_of(&sheaf.first_key());
                    run.end = successor(&run.prefix).ok_or_else(|| Forest::corrupt(ROOT_BLOB))?;
                    run.key_bytes_max = PART_KEY_BYTES;
                    self.parts = Some(Packer::new(self.forest, run, None)?);
                }
                self.parts.as_mut().map_or(Ok(()), |packer| packer.take(sheaf, &mut self.places))
            }
        }
    }
}
