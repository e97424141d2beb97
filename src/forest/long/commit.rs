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
use crate::forest::notes::Seen;
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

/// Long values that were written for a transaction, which has to run again: it will mostly want the same.
///
/// To take them away at once would join the blobs in which they lie with others, and writing them again would
/// cut these, which may be what the transaction has read: it could be in its own way for ever.
#[derive(Default)]
pub(crate) struct Kept(Vec<(Vec<u8>, Pointer)>);

impl Kept {
    fn take(&mut self, value: &[u8]) -> Option<Pointer> {
        let at = self.0.iter().position(|(kept, _)| kept == value)?;
        Some(self.0.swap_remove(at).1)
    }
}

impl Forest {
    /// Applies a batch, if all conditions hold.
    pub(crate) fn commit(&self, batch: &Batch) -> std::result::Result<Applied, Refused> {
        let fresh = self.write_values(batch, &mut Kept::default())?;
        self.commit_with(batch, fresh)
    }

    /// Applies the batch of a transaction, if what was seen is as it was, and all conditions hold. Of a run
    /// before comes `kept`, and to the next one goes what was written for this.
    pub(crate) fn commit_run(
        &self,
        batch: Batch,
        seen: &Seen,
        kept: &mut Kept,
    ) -> std::result::Result<Applied, Refused> {
        let fresh = self.write_values(&batch, kept)?;
        self.give_up(std::mem::take(kept));
        let (outcome, settlement) = self.apply(&batch, seen, &fresh);
        if let Err(Refused::Step { .. } | Refused::Stale) = outcome {
            let pointers = fresh.into_iter().map(|(_, pointer)| pointer);
            kept.0.extend(batch.into_long_values().zip(pointers));
        } else {
            self.clear_up(&fresh, &settlement);
        }
        outcome
    }

    /// Takes away what is kept for a run that will not come.
    fn give_up(&self, kept: Kept) {
        self.reclaim_all(kept.0.into_iter().map(|(_, pointer)| pointer.id));
    }

    /// Runs something that may keep values for a next run of it. When it has ended, even by a panic, there is
    /// none.
    pub(crate) fn keeping<T>(&self, run: impl FnOnce(&mut Kept) -> T) -> T {
        struct Keeper<'f> {
            forest: &'f Forest,
            kept: Kept,
        }
        impl Drop for Keeper<'_> {
            fn drop(&mut self) {
                self.forest.give_up(std::mem::take(&mut self.kept));
            }
        }
        run(&mut Keeper { forest: self, kept: Kept::default() }.kept)
    }

    /// Writes the long values of a batch, but those that are there already: which step puts which.
    fn write_values(&self, batch: &Batch, kept: &mut Kept) -> Result<Vec<(usize, Pointer)>> {
        let mut fresh: Vec<(usize, Pointer)> = Vec::new();
        for (step, value) in batch.long_values() {
            match kept.take(value).map_or_else(|| self.write_value(value), Ok) {
                Ok(pointer) => fresh.push((step, pointer)),
                Err(error) => {
                    self.reclaim_all(fresh.iter().map(|(_, pointer)| pointer.id));
                    return Err(error);
                }
            }
        }
        Ok(fresh)
    }

    /// A batch of one step: none if its condition does not hold.
    pub(super) fn commit_single(
        &self,
        batch: &Batch,
        fresh: Vec<(usize, Pointer)>,
    ) -> Result<Option<Appended>> {
        match self.commit_with(batch, fresh) {
            Ok(applied) => Ok(applied.appended),
            Err(Refused::Step { .. }) => Ok(None),
            Err(Refused::Failed(error)) => Err(error),
            Err(Refused::Stale) => Err(Error::Conflict { tries: 1 }),
        }
    }

    /// The slow way of a put that meets a pointer leaf.
    #[cold]
    #[inline(never)]
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
    #[cold]
    #[inline(never)]
    pub(crate) fn remove_long(&self, key: &[u8], condition: Condition) -> Result<Option<Appended>> {
        let mut batch = Batch::default();
        batch.remove([key, b""], condition);
        self.commit_single(&batch, Vec::new())
    }

    fn commit_with(
        &self,
        batch: &Batch,
        fresh: Vec<(usize, Pointer)>,
    ) -> std::result::Result<Applied, Refused> {
        let (outcome, settlement) = self.apply(batch, &Seen::default(), &fresh);
        self.clear_up(&fresh, &settlement);
        outcome
    }

    /// Applies a batch whose long values are written: which step takes which. Also says what has become of
    /// these, and of others.
    fn apply(
        &self,
        batch: &Batch,
        seen: &Seen,
        fresh: &[(usize, Pointer)],
    ) -> (std::result::Result<Applied, Refused>, Settlement) {
        let installed = fresh.iter().map(|(_, pointer)| pointer.id).collect();
        let mut settlement = Settlement { installed, displaced: Vec::new() };
        settlement.installed.sort_unstable();
        let outcome = loop {
            if !settlement.displaced.is_empty()
                && let Err(error) = self.prepare_long()
            {
                break Err(error.into());
            }
            let whole = settled(batch, fresh, &settlement);
            match self.commit_once(&whole, seen) {
                Ok(Committed::Done(mut applied)) => {
                    applied.effects.truncate(batch.len());
                    return (Ok(applied), settlement);
                }
                Ok(Committed::Unsettled(now)) => settlement = now,
                Err(refused) => break Err(refused),
            }
        };
        (outcome, Settlement::default())
    }

    /// Takes away what was written in vain, and what no leaf refers to any more.
    fn clear_up(&self, fresh: &[(usize, Pointer)], settlement: &Settlement) {
        let fresh = fresh.iter().map(|(_, pointer)| pointer.id);
        let unused = fresh.filter(|id| settlement.installed.binary_search(id).is_err());
        self.reclaim_all(unused.chain(settlement.displaced.iter().copied()));
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
