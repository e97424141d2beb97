//! Bulk loading: blobs are packed from keys in order, and tied in all at once.
//!
//! With a backend the blobs are written straight to their places, by a thread of their own while the next
//! ones are packed. What makes them count is a checkpoint, during which writers wait: a crash leaves all of
//! the keys or none, and the log has nothing to do again.

#![forbid(unsafe_code)]

mod arrivals;
mod pack;

use std::sync::mpsc::{Receiver, sync_channel};

use self::arrivals::Arrivals;
use self::pack::Packer;
use super::Forest;
use super::router::Child;
use super::scan::successor;
use crate::error::{Error, Result};
use crate::log::Appended;
use crate::store::adopt::{Outgoing, Reservation};

/// Blobs on their way to the disk.
const OUTGOING_MAX: usize = 3;

/// What was packed so far.
#[derive(Default)]
pub(super) struct Run {
    pub(super) children: Vec<Child>,
    /// Ids and checksums of blobs in storage.
    pub(super) stored: Vec<(u32, u64)>,
    pub(super) keys: u64,
    pub(super) key_bytes_max: usize,
}

impl Forest {
    /// Loads keys that all begin with `prefix`, of which there is none yet. Returns how many that were, and
    /// the record of it. `progress` is told the number of keys so far, and may end it with `false`.
    pub(crate) fn load<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        prefix: &[u8],
        items: impl Iterator<Item = (K, V)>,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(u64, Option<Appended>)> {
        self.store.allow_write()?;
        let _loading = self.store.loading.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(end) = successor(prefix) else {
            return Err(Self::corrupt(crate::store::ROOT_BLOB));
        };
        if self.count(prefix, &end)? > 0 {
            return Err(Error::TargetExists);
        }
        let mut run = Run::default();
        let mut reservation = self.store.begin_reserving()?;
        let packed = self.pack_all(prefix, &end, items, progress, &mut run, &mut reservation);
        self.store.end_reserving(reservation);
        let done =
            packed.and_then(|()| if run.keys == 0 { Ok(None) } else { self.tie_loaded(prefix, &end, &run) });
        match done {
            Ok(appended) => Ok((run.keys, appended)),
            Err(error) => {
                let ids: Vec<u32> = run.children.iter().map(|child| child.id).collect();
                self.store.give_back(&ids);
                Err(error)
            }
        }
    }

    fn pack_all<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        prefix: &[u8],
        end: &[u8],
        items: impl Iterator<Item = (K, V)>,
        progress: &mut dyn FnMut(u64) -> bool,
        run: &mut Run,
        reservation: &mut Reservation,
    ) -> Result<()> {
        let mut arrivals = Arrivals::new(prefix, items)?;
        let mut packer = Packer::new(self, self.store.last_seq());
        let (sender, receiver) = sync_channel(OUTGOING_MAX);
        std::thread::scope(|scope| {
            let writer = self.store.durable.get().map(|_| scope.spawn(|| self.write_all(receiver)));
            let mut next = Some(prefix.to_vec()).filter(|_| arrivals.next().is_some());
            let mut pack_one = |lo: Vec<u8>| {
                let id = self.store.reserve_blob(reservation)?;
                // Noted at once: whatever happens, it is given back.
                run.children.push(Child { lo, id, base: 0 });
                let (next, outgoing) = self.pack_last(run, &mut packer, &mut arrivals, end)?;
                // The writer has ended only if it failed; it says why.
                let goes_on = outgoing.is_none_or(|outgoing| sender.send(outgoing).is_ok());
                if !progress(run.keys) {
                    return Err(Error::Cancelled);
                }
                Ok(next.filter(|_| goes_on))
            };
            let packed = loop {
                let Some(lo) = next else { break Ok(()) };
                match pack_one(lo) {
                    Ok(then) => next = then,
                    Err(error) => break Err(error),
                }
            };
            drop(sender);
            let written = writer.map_or(Ok(()), |writer| writer.join().unwrap_or(Err(Error::Closed)));
            run.key_bytes_max = arrivals.key_bytes_max;
            written.and(packed)
        })
    }

    /// Fills the last blob of a run with what is next. Returns the lower bound of the blob after it, and what
    /// is to be written.
    fn pack_last<I, K, V>(
        &self,
        run: &mut Run,
        packer: &mut Packer<'_>,
        arrivals: &mut Arrivals<'_, I, V>,
        end: &[u8],
    ) -> Result<(Option<Vec<u8>>, Option<Outgoing>)>
    where
        I: Iterator<Item = (K, V)>,
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let Some(child) = run.children.last_mut() else { return Ok((None, None)) };
        let packed = packer.pack(arrivals, child.id, &child.lo, end)?;
        let outgoing = self.store.settle_words(child.id, packed.scratch.words())?;
        child.base = packed.base;
        run.keys += packed.keys;
        run.stored.extend(outgoing.as_ref().map(|outgoing| (child.id, outgoing.checksum)));
        Ok((packed.next, outgoing))
    }

    fn write_all(&self, outgoing: Receiver<Outgoing>) -> Result<()> {
        outgoing.iter().try_for_each(|blob| self.store.write_out(&blob))
    }
}
