//! Bulk loading: blobs are packed from keys in order, and tied in all at once.
//!
//! Whoever calls gathers the keys of the next blobs, while a thread packs the last ones. With a backend the
//! blobs are written straight to their places, by another thread. What makes them count is a checkpoint,
//! during which writers wait: a crash leaves all of the keys or none, and the log has nothing to do again.

#![forbid(unsafe_code)]

mod arrivals;
mod gather;
mod pack;
mod packers;
mod packing;
mod parts;
mod sheaf;

use std::sync::mpsc::{Receiver, channel, sync_channel};

use self::arrivals::Arrivals;
use self::gather::Gatherer;
use self::pack::Places;
use self::packers::Packers;
use self::packing::{Packing, joined};
use super::Forest;
use super::router::Child;
use super::scan::successor;
use crate::error::{Error, Result};
use crate::log::Appended;
use crate::store::adopt::{Outgoing, Reservation};

/// Blobs on their way to the disk.
const OUTGOING_MAX: usize = 3;
/// How often to look again whether there is no key, if others write meanwhile.
const SEQ_TRIES_MAX: usize = 100;

/// The blobs of a part of the keys, packed so far.
#[derive(Default)]
pub(super) struct Run {
    /// All of the keys, and no others, lie from here up to `end`.
    pub(super) prefix: Vec<u8>,
    pub(super) end: Vec<u8>,
    pub(super) children: Vec<Child>,
    /// An id that is reserved for the next blob.
    spare_id: Option<u32>,
    /// Ids and checksums of blobs in storage.
    pub(super) stored: Vec<(u32, u64)>,
    pub(super) keys: u64,
    pub(super) key_bytes_max: usize,
}

/// All that a load makes.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) keys: Run,
    /// The parts of long values, if there are any.
    pub(super) parts: Run,
}

impl Runs {
    /// Those with keys.
    pub(super) fn each(&self) -> impl Iterator<Item = &Run> + Clone {
        [&self.keys, &self.parts].into_iter().filter(|run| run.keys > 0)
    }
}

/// A load that is under way. If it comes to nothing, or whoever gives the keys panics, what was made for it
/// is given back.
struct Unfinished<'f> {
    forest: &'f Forest,
    runs: Runs,
    reservation: Reservation,
}

impl<'f> Unfinished<'f> {
    fn begin(forest: &'f Forest, prefix: &[u8], end: &[u8]) -> Result<Self> {
        let keys = Run { prefix: prefix.to_vec(), end: end.to_vec(), ..Run::default() };
        let runs = Runs { keys, parts: Run::default() };
        Ok(Unfinished { forest, runs, reservation: forest.store.begin_reserving()? })
    }

    /// No blob is made any more.
    fn end_reserving(&mut self) {
        self.forest.store.end_reserving(std::mem::take(&mut self.reservation));
    }

    /// What was packed is tied in.
    fn finish(mut self) -> Runs {
        std::mem::take(&mut self.runs)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.end_reserving();
        let ids_of = |run: &Run| run.children.iter().map(|child| child.id).chain(run.spare_id).collect();
        let ids: [Vec<u32>; 2] = [ids_of(&self.runs.keys), ids_of(&self.runs.parts)];
        let ids = ids.concat();
        if !ids.is_empty() {
            self.forest.store.give_back(&ids);
        }
    }
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
        // Which may write, and so does not belong between the blobs of a load: their ids would depend on it.
        self.prepare_long()?;
        let seq = self.seq_of_absence(prefix, &end)?;
        let mut load = Unfinished::begin(self, prefix, &end)?;
        self.pack_all(seq, items, progress, &mut load)?;
        load.end_reserving();
        if load.runs.keys.keys == 0 {
            return Ok((0, None));
        }
        let appended = self.tie_loaded(&load.runs)?;
        Ok((load.finish().keys.keys, appended))
    }

    /// The version for the keys of a load: none of those that are gone by now has had it.
    fn seq_of_absence(&self, prefix: &[u8], end: &[u8]) -> Result<u64> {
        let mut seq = self.store.last_seq();
        for _ in 0..SEQ_TRIES_MAX {
            if self.count(prefix, end)? > 0 {
                return Err(Error::TargetExists);
            }
            // Else one with this version may have been there, and was removed before it was counted.
            let before = std::mem::replace(&mut seq, self.store.last_seq());
            if before == seq {
                break;
            }
        }
        Ok(seq)
    }

    fn pack_all<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        seq: u64,
        items: impl Iterator<Item = (K, V)>,
        progress: &mut dyn FnMut(u64) -> bool,
        load: &mut Unfinished<'_>,
    ) -> Result<()> {
        let Unfinished { runs, reservation, .. } = load;
        let prefix = runs.keys.prefix.clone();
        let mut arrivals = Arrivals::new(&prefix, items)?;
        if arrivals.next().is_none() {
            return Ok(());
        }
        let done = std::thread::scope(|scope| {
            let (outgoing, receiver) = sync_channel(OUTGOING_MAX);
            let durable = self.store.durable.get().filter(|_| !cfg!(target_family = "wasm"));
            let writer = durable.map(|_| scope.spawn(|| self.write_all(receiver)));
            let places = Places { reservation, outgoing: Some(outgoing).filter(|_| writer.is_some()) };
            let (wanted, orders) = channel();
            let mut packing = Packing::new(scope, Packers::new(self, runs, places, wanted)?);
            let gatherer = Gatherer::new(self, &mut arrivals, orders, seq, progress);
            let gathered = gatherer.gather(&mut |gathered| packing.take(gathered));
            let packed = packing.finish();
            // What another has failed with says why nothing could be handed on.
            writer.map_or(Ok(()), joined).and(packed).and(gathered)
        });
        runs.keys.key_bytes_max = arrivals.key_bytes_max;
        done
    }

    fn write_all(&self, outgoing: Receiver<Outgoing>) -> Result<()> {
        outgoing.iter().try_for_each(|blob| self.store.write_out(&blob))
    }
}
