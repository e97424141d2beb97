//! From a backend to a database that is open for writing, and back to a closed one.
//!
//! The order of things, so that a crash at any point loses nothing and confuses nobody:
//!
//! * opening a closed database writes nothing. The first write makes log, journal and ring anew, makes them
//!   durable, and only then names them in the superblocks: see `wake`;
//! * opening one that was not closed replays the log, and commits a checkpoint under the next incarnation
//!   before log and ring are touched. So a second crash finds the first one's log as it was;
//! * closing makes a checkpoint, takes the log's name out of the superblocks, and only then removes the log.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use super::committed::Committed;
use super::directory::Directory;
use super::durable::{Durable, Limits};
use super::frames::Frames;
use super::page_writer::PageWriter;
use super::residency::Residency;
use super::superblock::Superblock;
use crate::backend::{Area, Backend, PAGE_BYTES, RingMemory};
use crate::blob::words::BLOB_BYTES;
use crate::error::{Error, Result};
use crate::log::history::{History, Missing};
use crate::log::record::Identity;
use crate::log::replay::Replayed;
use crate::log::ring::{self, SEGMENT_BYTES};
use crate::log::segments::Room;
use crate::log::{Log, Start};

/// What snapshots may keep at least, unless told otherwise: a small cache says little about what changes.
const SNAPSHOT_BYTES_MIN: u64 = 16 << 20;

/// What may have changed before writers wait for a checkpoint. Without threads one of them makes it itself,
/// and should not be busy for long.
const CHANGED_BYTES_MAX: u64 = if cfg!(target_arch = "wasm32") { 32 << 20 } else { 512 << 20 };

/// What the face can choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) cache_bytes: u64,
    pub(crate) log_bytes: u64,
    /// How much of the log is kept beyond what recovery needs.
    pub(crate) keep_changes_bytes: u64,
    /// A part of the cache if none.
    pub(crate) snapshot_bytes: Option<u64>,
    /// Of a new database; random if none.
    pub(crate) database_id: Option<u128>,
    /// The number of this life: for tests in which nothing is random, and where the system has no random
    /// numbers. Nothing goes on in the background then.
    pub(crate) repeatable: Option<u64>,
}

impl Settings {
    fn room(self) -> Room {
        let segments_max = (self.log_bytes / SEGMENT_BYTES) as usize;
        Room { segments_max, kept_bytes: self.keep_changes_bytes }
    }

    fn log_id(self) -> u64 {
        let number = self.repeatable.map_or_else(random, |life| life.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        number.max(1)
    }

    /// What snapshots may keep.
    pub(crate) fn snapshot_bytes(self) -> u64 {
        self.snapshot_bytes.unwrap_or((self.cache_bytes / 4).max(SNAPSHOT_BYTES_MIN))
    }

    /// Changed pages stay in memory until they are stored, so the cache bounds them; and what a checkpoint
    /// has to write should not be more than the log has.
    fn limits(self) -> Limits {
        let changed_bytes_max = (self.cache_bytes / 2).clamp(8 << 20, CHANGED_BYTES_MAX);
        let changed_pages_max = changed_bytes_max / PAGE_BYTES as u64;
        Limits { changed_pages_wanted: changed_pages_max / 2, changed_pages_max }
    }
}

/// A store for a new database, without blobs.
pub(crate) fn new_store(backend: &Arc<dyn Backend>, settings: Settings) -> Store {
    let id = settings.database_id.unwrap_or_else(|| u128::from(random()) << 64 | u128::from(random()));
    let mut store = Store::new(Frames::new(), id);
    store.residency = Some(Residency::new(backend.clone(), Directory::new(), 1, settings.cache_bytes));
    store
}

/// Writes the pages that a recovery has found missing.
pub(crate) fn put_in_place(backend: &dyn Backend, pages: &BTreeMap<u64, Vec<u8>>) -> Result<()> {
    let Some((&last, _)) = pages.last_key_value() else {
        return Ok(());
    };
    // What is written in place must not outlive the journal that it comes from.
    if backend.len(Area::Journal)? > 0 {
        backend.sync(Area::Journal)?;
    }
    let end = ((last + 1) * PAGE_BYTES as u64).next_multiple_of(BLOB_BYTES as u64);
    if backend.len(Area::Data)? < end {
        backend.set_len(Area::Data, end)?;
    }
    let mut writer = PageWriter::new(backend);
    for (number, bytes) in pages {
        writer.put(Area::Data, number * PAGE_BYTES as u64, bytes)?;
    }
    writer.flush()?;
    Ok(backend.sync(Area::Data)?)
}

/// The side files of a database that was not closed.
pub(crate) struct SideFiles {
    pub(crate) ring: Option<Arc<dyn RingMemory>>,
}

impl SideFiles {
    /// Finds all of them, or says which is missing.
    pub(crate) fn find(backend: &dyn Backend, superblock: &Superblock) -> Result<SideFiles> {
        // The log has a whole segment before it is named.
        for (area, file, least) in [(Area::Log, "log", SEGMENT_BYTES), (Area::Journal, "journal", 1)] {
            if backend.len(area)? < least {
                return Err(Error::SideFile { file });
            }
        }
        let ring = match backend.ring(false) {
            Ok(ring) => Some(ring),
            Err(_) if !superblock.has_ring => None,
            // Not there, or of another length.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
                return Err(Error::SideFile { file: "ring" });
            }
            Err(error) => return Err(error.into()),
        };
        let left = ring.as_deref().and_then(ring::left_behind).map(|left| left.identity);
        // A ring that was never used is no contradiction: its pages may reach the disk late. One of an
        // earlier incarnation has not been taken over yet.
        let is_ours = |left: Identity| {
            let later = left.incarnation.wrapping_sub(superblock.incarnation) as i32;
            left.log_id == superblock.log_id && later <= 0
        };
        if superblock.has_ring && left.is_some_and(|left| !is_ours(left)) {
            return Err(Error::SideFile { file: "ring" });
        }
        Ok(SideFiles { ring })
    }
}

impl Store {
    /// Makes a new database ready for writing.
    pub(crate) fn begin_new(&self, backend: Arc<dyn Backend>, settings: Settings) -> Result<()> {
        self.sleep(backend, Committed::new(self.first_superblock()), settings)?;
        self.wake()?;
        self.checkpoint()
    }

    /// Lets a closed database be written, without writing anything.
    pub(crate) fn begin(
        &self,
        backend: Arc<dyn Backend>,
        superblock: Superblock,
        settings: Settings,
    ) -> Result<()> {
        self.sleep(backend, Committed::unread(superblock), settings)
    }

    fn sleep(&self, backend: Arc<dyn Backend>, committed: Committed, settings: Settings) -> Result<()> {
        let position = (committed.superblock.log_position / SEGMENT_BYTES + 1) * SEGMENT_BYTES;
        let identity = Identity {
            log_id: settings.log_id(),
            incarnation: committed.superblock.incarnation.wrapping_add(1),
        };
        let start = Start { identity, position, last_seq: self.last_seq(), history: History::default() };
        let log = Log::new(backend.clone(), start, settings.room())?;
        self.set_durable(Durable::new(backend, log, settings.limits(), committed).asleep());
        Ok(())
    }

    /// Goes on with a database that was not closed, and whose log has been replayed.
    pub(crate) fn go_on(
        &self,
        backend: Arc<dyn Backend>,
        superblock: Superblock,
        ring: Option<Arc<dyn RingMemory>>,
        replayed: &Replayed,
        settings: Settings,
    ) -> Result<()> {
        let ring = match ring {
            Some(ring) => ring,
            None => {
                let ring = backend.ring(true)?;
                backend.sync_directory()?;
                ring
            }
        };
        // A process that died may have written a superblock and not synced it, and the journal is about to
        // be used again.
        backend.sync(Area::Data)?;
        let mut committed = Committed::read(&*backend, superblock)?;
        committed.superblock.has_ring = ring.outlives_process();
        let before = Identity { log_id: superblock.log_id, incarnation: superblock.incarnation };
        let identity = Identity { incarnation: superblock.incarnation.wrapping_add(1), ..before };
        let position = (replayed.end / SEGMENT_BYTES + 1) * SEGMENT_BYTES;
        let (mut history, mut missing) = (History::default(), Missing::default());
        if settings.keep_changes_bytes > 0 {
            history = History::find(&*backend, before, replayed)?;
            missing = history.missing(replayed);
        }
        let start = Start { identity, position, last_seq: replayed.seq, history };
        let log = Log::new(backend.clone(), start, settings.room())?;
        log.make_first_place()?;
        self.set_durable(Durable::new(backend.clone(), log, settings.limits(), committed));
        self.checkpoint()?;
        // Not before the checkpoint has committed: until then log and ring stay as they are.
        missing.write(&*backend)?;
        if let Some(durable) = self.durable.get() {
            durable.log.take_ring(ring);
            durable.log.begin();
        }
        Ok(())
    }

    fn set_durable(&self, durable: Durable) {
        assert!(self.durable.set(durable).is_ok(), "a database is opened once");
    }

    fn first_superblock(&self) -> Superblock {
        Superblock {
            generation: 0,
            database_id: self.database_id,
            log_position: 0,
            next_seq: 1,
            incarnation: 0,
            unused_is_zero: false,
            has_ring: false,
            log_id: 0,
            blobs: 1,
            next_tree: 1,
            key_bytes_max: 0,
        }
    }

    /// Brings everything into the data area and removes what lies beside it. After a failure it may be tried
    /// again.
    pub(crate) fn close(&self) -> Result<()> {
        let Some(durable) = self.durable.get() else {
            self.closed.store(true, Ordering::Relaxed);
            return Ok(());
        };
        let stored = match durable.has_ended() {
            // By an attempt that has stopped behind that, or is about to be through.
            true => Ok(()),
            false => self.store_for_good(durable),
        };
        let mut committed = durable.committed();
        if durable.is_let_go.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Once it has ended all is stored, and only the files are to be put in order.
        if !durable.has_ended() {
            stored?;
            if durable.log.is_poisoned() {
                // Somebody has tried to wake it since, and nobody knows what the superblocks name.
                return Err(durable.log.poisoned());
            }
            durable.end();
        }
        let backend = &*durable.backend;
        if !durable.is_asleep() {
            // The next log has another id. How far this one came depends on who waited for whom.
            committed.superblock.log_id = 0;
            committed.superblock.log_position = 0;
            committed.superblock.has_ring = false;
            store_superblocks(backend, &mut committed)?;
        }
        let data_bytes = u64::from(committed.superblock.blobs) * BLOB_BYTES as u64;
        if backend.len(Area::Data)? > data_bytes {
            backend.set_len(Area::Data, data_bytes)?;
            backend.sync(Area::Data)?;
        }
        backend.remove_side_files()?;
        // From now on the file may be another's. What is in memory can still be read.
        if let Some(residency) = &self.residency {
            residency.cut_off();
        }
        backend.let_go()?;
        durable.is_let_go.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses writes from now on, and stores all that there were.
    fn store_for_good(&self, durable: &Durable) -> Result<()> {
        durable.begin_close();
        // Whoever has not seen that is through with its write, and has woken the log before.
        drop(self.gate.enter_alone());
        let stored = self.checkpoint();
        // Those who still wait for the log are not to find it gone; and if there was no checkpoint, buffered
        // writes have nothing but the log.
        let flushed = durable.log.wait_durable(durable.log.end());
        stored.and(flushed)
    }
}

/// Writes the two superblocks one after the other, so that one of them is always whole.
pub(super) fn store_superblocks(backend: &dyn Backend, committed: &mut Committed) -> Result<()> {
    committed.superblock.generation += 1;
    committed.superblock.may_be_stored()?;
    for (number, bytes) in committed.seal()? {
        let mut writer = PageWriter::new(backend);
        writer.put(Area::Data, number * PAGE_BYTES as u64, bytes)?;
        writer.flush()?;
        backend.sync(Area::Data)?;
    }
    Ok(())
}

/// A number that no other database has. The standard library seeds its hashers from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
