//! Whether several puts fit a blob: they are tried on a copy of it.
//!
//! A put may burst buckets and grow nodes, and what it needs depends on the puts before it. The same puts on
//! the same words always come to the same, so what fits the copy fits the blob, as long as that is what it
//! was.

#![forbid(unsafe_code)]

use crate::art::bound::{self, Bound};
use crate::art::insert::{self, Refused, Shortage};
use crate::blob::header;
use crate::blob::key::KeyBuf;
use crate::blob::leaf::Payload;
use crate::blob::presence::Everything;
use crate::blob::space::Need;
use crate::blob::words::{BLOB_WORDS, Ref};
use crate::forest::Forest;
use crate::forest::route::Route;
use crate::forest::write::{Stop, Try};
use crate::store::frames::Held;
use crate::store::residency::Fault;

/// What does not fit.
pub(super) struct Overflow {
    /// How many puts did.
    pub(super) fitted: usize,
    /// What these and the next one need.
    pub(super) shortage: Shortage,
}

impl Forest {
    /// Whether puts are sure to fit a latched blob. That they are not does not mean that they do not fit.
    pub(super) fn surely_fit<'c>(
        &self,
        held: &Held<'_>,
        base: usize,
        puts: impl Iterator<Item = (&'c [u8], &'c [u8])> + Clone,
    ) -> Try<bool> {
        let count = puts.clone().count();
        if count > bound::PUTS_MAX {
            return Ok(false);
        }
        let words = held.words();
        let mut bound = Bound::new(words, base, count);
        for (key, value) in puts {
            let mut buffer = KeyBuf::empty();
            let added = bound.add(&buffer.fill_whole(key), value.len());
            added.map_err(|_| Stop::Failed(Self::corrupt(held.frame.id)))?;
        }
        Ok(bound.words() + u64::from(self.reserve_words()) <= u64::from(header::free_words(words)))
    }

    /// Tries puts in their order. None if all of them fit the blob in the version that the route has seen.
    pub(super) fn try_on_copy<'c>(
        &self,
        route: &Route<'_>,
        puts: impl Iterator<Item = (&'c [u8], &'c [u8])>,
    ) -> Try<Option<Overflow>> {
        let frame = route.frame;
        if !frame.is_whole() {
            return Err(Stop::Fault(Fault::whole(frame.id)));
        }
        let scratch = self.store.scratches.take()?;
        let words = scratch.words();
        for at in 0..BLOB_WORDS {
            words.store_unnoted(at as Ref, frame.words.load(at as Ref));
        }
        // With them, what the copy holds would be kept for snapshots, as if it were the blob's.
        words.forget_notes();
        if !frame.latch().is_unchanged(route.version) {
            return Err(Stop::Restart);
        }
        let free_words = header::free_words(words);
        for (fitted, (key, value)) in puts.enumerate() {
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(key);
            let reserve = self.reserve_words();
            match insert::prepare(words, &key, route.base, value.len(), reserve, &Everything, || {}) {
                Ok(spot) => {
                    insert::apply(words, spot, &key, route.base, Payload::value(value), 0);
                }
                Err(Refused::Torn) => return Err(Stop::Failed(Self::corrupt(frame.id))),
                Err(Refused::Full(shortage)) => {
                    let taken = free_words.saturating_sub(header::free_words(words));
                    let Need { inner, leaf } = shortage.need;
                    let need = Need { inner, leaf: leaf.saturating_add(taken) };
                    return Ok(Some(Overflow { fitted, shortage: Shortage { need, ..shortage } }));
                }
            }
        }
        Ok(None)
    }
}
