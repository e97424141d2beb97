//! What a batch does to long values: which that were written for it leaves refer to afterwards, and to which
//! none refers any more.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::attempt::Blobs;
use super::resolve::{Change, Stored};
use super::{Batch, Commit};
use crate::blob::header;
use crate::forest::long::{Pointer, Settlement, is_aside};
use crate::forest::write::Try;

impl Batch {
    /// Marks a batch that was in the log.
    pub(crate) fn replayed(mut self) -> Self {
        self.is_replayed = true;
        self
    }

    /// The values that are too long for leaves, with their steps.
    pub(crate) fn long_values(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.long.iter().map(|(step, value)| (*step, value.as_slice()))
    }

    /// The same values, in the same order.
    pub(crate) fn into_long_values(self) -> impl Iterator<Item = Vec<u8>> {
        self.long.into_iter().map(|(_, value)| value)
    }

    /// A copy in which these steps put these pointers, and that says what it does to long values.
    pub(crate) fn with_pointers(&self, fresh: &[(usize, Pointer)], settlement: &Settlement) -> Batch {
        let mut whole = Batch {
            writes: self.writes.clone(),
            guards: self.guards.clone(),
            steps: self.steps.clone(),
            settlement: settlement.clone(),
            fresh: fresh.iter().map(|(_, pointer)| pointer.id).collect(),
            ..Batch::default()
        };
        whole.fresh.sort_unstable();
        for (step, pointer) in fresh {
            let place = whole.steps[*step].second.clone();
            whole.writes[place].copy_from_slice(&pointer.encode());
        }
        whole
    }
}

impl Commit<'_, '_> {
    /// What the batch would do to long values, if that is not what it says.
    pub(super) fn unsettled(&self, blobs: &Blobs<'_, '_>, changes: &[Change<'_>]) -> Try<Option<Settlement>> {
        let batch = self.plan.batch;
        let has_pointers =
            blobs.groups.iter().any(|group| header::pointer_leaves(group.route.frame.words) > 0);
        if batch.is_replayed {
            return Ok(None);
        }
        let mut settlement = Settlement::default();
        if batch.fresh.is_empty() && !has_pointers {
            // The usual case: nothing to look at.
            return Ok(Some(settlement).filter(|settlement| *settlement != batch.settlement));
        }
        let put = changes.iter().filter_map(|change| change.value.as_ref()?.pointer());
        let put: BTreeSet<u64> = put.map(|pointer| pointer.id).collect();
        settlement.installed.extend(batch.fresh.iter().filter(|id| put.contains(id)));
        let may_displace = |change: &&Change<'_>| has_pointers && !is_aside(self.plan.keys[change.key]);
        for change in changes.iter().filter(may_displace) {
            let stored = blobs.value(change.key)?;
            settlement.displaced.extend(stored.pointer().map(|it| it.id).filter(|id| !put.contains(id)));
        }
        settlement.displaced.sort_unstable();
        Ok(Some(settlement).filter(|settlement| *settlement != batch.settlement))
    }
}
