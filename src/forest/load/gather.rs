//! Sheaves from the keys that arrive. What is too long for a leaf goes to sheaves of parts, and its leaf says
//! where.

#![forbid(unsafe_code)]

use std::sync::mpsc::Receiver;

use super::arrivals::Arrivals;
use super::packers::Gathered;
use super::parts::Parts;
use super::sheaf::Sheaf;
use crate::blob::leaf::Payload;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::long::POINTER_BYTES;
use crate::limits::SHORT_VALUE_BYTES_MAX;

/// See the head of this file.
pub(super) struct Gatherer<'f, 'g, 'p, I, V> {
    forest: &'f Forest,
    arrivals: &'g mut Arrivals<'p, I, V>,
    parts: Parts<'f>,
    /// How many words each sheaf of keys is to have.
    orders: Receiver<u64>,
    /// The version of all keys.
    seq: u64,
    /// Is told how many keys there were so far, and says whether to go on.
    progress: &'g mut dyn FnMut(u64) -> bool,
    keys: u64,
}

impl<'f, 'g, 'p, I, K, V> Gatherer<'f, 'g, 'p, I, V>
where
    I: Iterator<Item = (K, V)>,
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    pub(super) fn new(
        forest: &'f Forest,
        arrivals: &'g mut Arrivals<'p, I, V>,
        orders: Receiver<u64>,
        seq: u64,
        progress: &'g mut dyn FnMut(u64) -> bool,
    ) -> Self {
        Gatherer { forest, arrivals, parts: Parts::new(forest, seq), orders, seq, progress, keys: 0 }
    }

    /// Hands all keys on, those that are last at the end.
    pub(super) fn gather(mut self, hand_on: &mut dyn FnMut(Gathered<'f>) -> Result<()>) -> Result<()> {
        loop {
            // Without an order packing has failed, which says why.
            let words_wanted = self.orders.recv().map_err(|_| Error::Closed)?;
            let sheaf = self.gather_keys(words_wanted, hand_on)?;
            self.keys += sheaf.len() as u64;
            go_on(self.progress, self.keys)?;
            let is_last = sheaf.next_key.is_none();
            if is_last && let Some(parts) = self.parts.take_rest() {
                hand_on(Gathered::Parts(parts))?;
            }
            hand_on(Gathered::Keys(sheaf))?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Takes keys until they take so many words, or no value fits the frame any more; one at least.
    fn gather_keys(
        &mut self,
        words_wanted: u64,
        hand_on: &mut dyn FnMut(Gathered<'f>) -> Result<()>,
    ) -> Result<Sheaf<'f>> {
        let mut sheaf = Sheaf::new(self.forest, self.seq)?;
        while let Some((key, value)) = self.arrivals.next() {
            let is_long = value.len() > SHORT_VALUE_BYTES_MAX;
            let leaf_bytes = if is_long { POINTER_BYTES } else { value.len() };
            let is_full = sheaf.words_taken() >= words_wanted && sheaf.len() > 0;
            if is_full || !sheaf.fits(leaf_bytes) {
                break;
            }
            if is_long {
                let keys = self.keys + sheaf.len() as u64;
                let pointer = self.parts.take_in(value, &mut |parts| {
                    hand_on(Gathered::Parts(parts))?;
                    go_on(self.progress, keys)
                })?;
                sheaf.push(key, Payload { bytes: &pointer.encode(), is_pointer: true })?;
            } else {
                sheaf.push(key, Payload::value(value))?;
            }
            self.arrivals.advance()?;
        }
        sheaf.next_key = self.arrivals.next().map(|(key, _)| key.to_vec());
        Ok(sheaf)
    }
}

fn go_on(progress: &mut dyn FnMut(u64) -> bool, keys: u64) -> Result<()> {
    if progress(keys) { Ok(()) } else { Err(Error::Cancelled) }
}
