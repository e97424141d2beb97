//! Bulk loading: blobs are packed from keys in order, and tied in all at once.
//!
//! Whoever calls gathers the keys of the next blobs, while a thread packs the last ones. With a backend the
//! blobs are written straight to their places, by another thread. What makes them count is a checkpoint,
//! during which writers wait: a crash leaves all of the keys or none, and the log has nothing to do again.

#![forbid(unsafe_code)]

mod arrivals;
mod pack;
mod sheaf;

use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread::ScopedJoinHandle;

use self::arrivals::Arrivals;
use self::pack::{Packer, Places};
use self::sheaf::Sheaf;
use super::Forest;
use super::router::Child;
use super::scan::successor;
use crate::error::{Error, Result};
use crate::log::Appended;
use crate::store::adopt::{Outgoing, Reservation};

/// Blobs on their way to the disk.
const OUTGOING_MAX: usize = 3;
/// Sheaves on their way to be packed.
const SHEAVES_MAX: usize = 1;

/// What was packed so far.
#[derive(Default)]
pub(super) struct Run {
    pub(super) children: Vec<Child>,
    /// An id that is reserved for the next blob.
    spare_id: Option<u32>,
    /// Ids and checksums of blobs in storage.
    pub(super) stored: Vec<(u32, u64)>,
    pub(super) keys: u64,
    pub(super) key_bytes_max: usize,
}

/// A load that is under way. If it comes to nothing, or whoever gives the keys panics, what was made for it
/// is given back.
struct Unfinished<'f> {
    forest: &'f Forest,
    run: Run,
    reservation: Reservation,
}

impl<'f> Unfinished<'f> {
    fn begin(forest: &'f Forest) -> Result<Self> {
        Ok(Unfinished { forest, run: Run::default(), reservation: forest.store.begin_reserving()? })
    }

    /// No blob is made any more.
    fn end_reserving(&mut self) {
        self.forest.store.end_reserving(std::mem::take(&mut self.reservation));
    }

    /// What was packed is tied in.
    fn finish(mut self) -> Run {
        std::mem::take(&mut self.run)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.end_reserving();
        let ids = self.run.children.iter().map(|child| child.id).chain(self.run.spare_id);
        let ids: Vec<u32> = ids.collect();
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
        // Before it is seen that there are no keys: none can have been there with this version.
        let seq = self.store.last_seq();
        if self.count(prefix, &end)? > 0 {
            return Err(Error::TargetExists);
        }
        let mut load = Unfinished::begin(self)?;
        self.pack_all((prefix, &end), seq, items, progress, &mut load)?;
        load.end_reserving();
        if load.run.keys == 0 {
            return Ok((0, None));
        }
        let appended = self.tie_loaded(prefix, &end, &load.run)?;
        Ok((load.finish().keys, appended))
    }

    fn pack_all<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        bounds: (&[u8], &[u8]),
        seq: u64,
        items: impl Iterator<Item = (K, V)>,
        progress: &mut dyn FnMut(u64) -> bool,
        load: &mut Unfinished<'_>,
    ) -> Result<()> {
        let Unfinished { run, reservation, .. } = load;
        let mut arrivals = Arrivals::new(bounds.0, items)?;
        if arrivals.next().is_none() {
            return Ok(());
        }
        let done = std::thread::scope(|scope| {
            let (outgoing, receiver) = sync_channel(OUTGOING_MAX);
            let writer = self.store.durable.get().map(|_| scope.spawn(|| self.write_all(receiver)));
            let outgoing = Some(outgoing).filter(|_| writer.is_some());
            let (wanted, orders) = channel();
            let mut packer = Packer::new(self, bounds, Places { run, reservation, outgoing }, wanted);
            let mut keys = 0;
            let mut gather = || {
                // Without an order packing has failed, which says why.
                let words_wanted = orders.recv().map_err(|_| Error::Closed)?;
                let sheaf = Sheaf::gather(self, &mut arrivals, words_wanted, seq)?;
                keys += sheaf.len() as u64;
                if progress(keys) { Ok(sheaf) } else { Err(Error::Cancelled) }
            };
            let packed = gather().and_then(|first| {
                if first.next_key.is_none() || cfg!(target_family = "wasm") {
                    return each_sheaf(first, &mut gather, |sheaf| packer.take(sheaf));
                }
                let (sender, sheaves) = sync_channel(SHEAVES_MAX);
                let packing =
                    scope.spawn(move || sheaves.into_iter().try_for_each(|sheaf| packer.take(sheaf)));
                let sent =
                    each_sheaf(first, &mut gather, |sheaf| sender.send(sheaf).map_err(|_| Error::Closed));
                drop(sender);
                joined(packing).and(sent)
            });
            writer.map_or(Ok(()), joined).and(packed)
        });
        run.key_bytes_max = arrivals.key_bytes_max;
        done
    }

    fn write_all(&self, outgoing: Receiver<Outgoing>) -> Result<()> {
        outgoing.iter().try_for_each(|blob| self.store.write_out(&blob))
    }
}

/// Hands on the first sheaf, and all after it.
fn each_sheaf<'f>(
    first: Sheaf<'f>,
    mut gather: impl FnMut() -> Result<Sheaf<'f>>,
    mut hand_on: impl FnMut(Sheaf<'f>) -> Result<()>,
) -> Result<()> {
    let mut sheaf = first;
    loop {
        let is_last = sheaf.next_key.is_none();
        hand_on(sheaf)?;
        if is_last {
            return Ok(());
        }
        sheaf = gather()?;
    }
}

/// What a thread has come to; if it has panicked, so does this one.
fn joined(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
