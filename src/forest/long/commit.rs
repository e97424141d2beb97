//! Batches that take long values in, or take pointer leaves away: marks go and come in the same batch.
//!
//! Which marks that are is known only when the batch is resolved, and may change until its blobs are latched.
//! So it is guessed; an attempt that comes to something else ends, and says what. The marks are steps of the
//! batch like any other, behind those of its user: the log needs to know nothing about them.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::{Pointer, mark_key};
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::batch::{Applied, Batch, Committed, Refused};
use crate::forest::notes::Note;
use crate::forest::write::Condition;
use crate::log::Appended;

/// What a batch does with long values, as ids in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// Those that were written for it, and that leaves refer to afterwards.
    pub(crate) installed: Vec<u64>,
    /// Those that no leaf refers to any more.
    pub(crate) displaced: Vec<u64>,
}

impl Forest {
    /// Applies a batch, if what was noted is as it was, and all conditions hold.
    pub(crate) fn commit(&self, batch: &Batch, notes: &[Note]) -> std::result::Result<Applied, Refused> {
        let mut fresh: Vec<(usize, Pointer)> = Vec::new();
        for (step, value) in batch.long_values() {
            match self.write_value(value) {
                Ok(pointer) => fresh.push((step, pointer)),
                Err(error) => {
                    self.reclaim_all(fresh.iter().map(|(_, pointer)| pointer.id));
                    return Err(error.into());
                }
            }
        }
        self.commit_with(batch, notes, fresh)
    }

    /// A batch of one step: none if its condition does not hold.
    pub(super) fn commit_single(
        &self,
        batch: &Batch,
        fresh: Vec<(usize, Pointer)>,
    ) -> Result<Option<Appended>> {
        match self.commit_with(batch, &[], fresh) {
            Ok(applied) => Ok(applied.appended),
            Err(Refused::Step { .. }) => Ok(None),
            Err(Refused::Failed(error)) => Err(error),
            Err(Refused::Stale) => Err(Error::Conflict { tries: 1 }),
        }
    }

    /// The slow way of a put that meets a pointer leaf.
    pub(crate) fn put_over_long(
        &self,
        key: &[u8],
        value: &[u8],
        condition: Condition,
    ) -> Result<Option<Appended>> {
        let mut batch = Batch::default();
        batch.put([key, b""], value, condition);
        self.commit_single(&batch, Vec::new())
    }

    /// The slow way of a removal that meets a pointer leaf.
    pub(crate) fn remove_long(&self, key: &[u8], condition: Condition) -> Result<Option<Appended>> {
        let mut batch = Batch::default();
        batch.remove([key, b""], condition);
        self.commit_single(&batch, Vec::new())
    }

    /// Applies a batch whose long values are written: which step takes which.
    fn commit_with(
        &self,
        batch: &Batch,
        notes: &[Note],
        fresh: Vec<(usize, Pointer)>,
    ) -> std::result::Result<Applied, Refused> {
        let ids: Vec<u64> = fresh.iter().map(|(_, pointer)| pointer.id).collect();
        let mut settlement = Settlement { installed: ids.clone(), displaced: Vec::new() };
        let outcome = loop {
            if !settlement.displaced.is_empty() {
                self.prepare_long()?;
            }
            let whole = settled(batch, &fresh, &settlement);
            match self.commit_once(&whole, notes) {
                Ok(Committed::Done(mut applied)) => {
                    applied.effects.truncate(batch.len());
                    break Ok(applied);
                }
                Ok(Committed::Unsettled(now)) => settlement = now,
                Err(refused) => {
                    settlement = Settlement::default();
                    break Err(refused);
                }
            }
        };
        let unused = ids.into_iter().filter(|id| settlement.installed.binary_search(id).is_err());
        self.reclaim_all(unused.chain(settlement.displaced.iter().copied()));
        outcome
    }

    /// Takes away what nothing refers to. What fails here is done by the next opening.
    fn reclaim_all(&self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            let _ = self.reclaim(id);
        }
    }
}

/// A batch with the places of its long values, and with the marks.
fn settled<'b>(batch: &'b Batch, fresh: &[(usize, Pointer)], settlement: &Settlement) -> Cow<'b, Batch> {
    if fresh.is_empty() && *settlement == Settlement::default() {
        return Cow::Borrowed(batch);
    }
    let mut whole = batch.with_pointers(fresh, settlement);
    for id in &settlement.installed {
        whole.remove([&mark_key(*id), b""], Condition::Always);
    }
    for id in &settlement.displaced {
        whole.put([&mark_key(*id), b""], b"", Condition::Always);
    }
    Cow::Owned(whole)
}
