//! The parts of the long values of a load, gathered into sheaves of their own: eight of them fill a blob.

#![forbid(unsafe_code)]

use super::sheaf::Sheaf;
use crate::blob::leaf::Payload;
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::long::{IdBlock, Pointer};

/// See the head of this file.
pub(super) struct Parts<'f> {
    forest: &'f Forest,
    seq: u64,
    ids: Option<IdBlock>,
    /// What is not full yet; not empty.
    sheaf: Option<Sheaf<'f>>,
}

impl<'f> Parts<'f> {
    pub(super) fn new(forest: &'f Forest, seq: u64) -> Self {
        Parts { forest, seq, ids: None, sheaf: None }
    }

    /// Takes the parts of a value; hands on the sheaves that are full. Says where the value lies.
    pub(super) fn take_in(
        &mut self,
        value: &[u8],
        hand_on: &mut dyn FnMut(Sheaf<'f>) -> Result<()>,
    ) -> Result<Pointer> {
        let ids = self.ids.get_or_insert_with(|| IdBlock::fresh(self.forest));
        let pointer = ids.next(self.forest, value.len())?;
        for (key, bytes) in pointer.parts_of(value) {
            if let Some(mut full) = self.sheaf.take_if(|sheaf| !sheaf.fits(bytes.len())) {
                full.next_key = Some(key.clone());
                hand_on(full)?;
            }
            let mut sheaf = match self.sheaf.take() {
                Some(begun) => begun,
                None => Sheaf::new(self.forest, self.seq)?,
            };
            let pushed = sheaf.push(&key, Payload::value(bytes));
            self.sheaf = Some(sheaf);
            pushed?;
        }
        Ok(pointer)
    }

    /// The last parts, if there were any.
    pub(super) fn take_rest(&mut self) -> Option<Sheaf<'f>> {
        self.sheaf.take()
    }
}
