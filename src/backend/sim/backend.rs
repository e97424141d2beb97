//! A simulated disk as a backend: carries calls out, lets them fail, dies, and remembers.
//!
//! Invariants:
//! * a call is checked as every backend checks it, before anything may go wrong with it;
//! * after the crash nothing changes any more, and every call but `len` fails.
//!
//! Must not know: what would survive; `disk` does.

#![forbid(unsafe_code)]

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use super::disk::Disk;
use super::fault::{Call, Done, Fault, Rule, When};
use super::page::{Page, SECTORS};
use super::random::Random;
use super::ring::Words;
use super::storage::Storage;
use super::{Crash, SECTOR_BYTES};
use crate::backend::{Area, Backend, BlobBufPool, PAGE_BYTES, ReadOp, RingMemory, WriteOp, check_len};

const PAGE: u64 = PAGE_BYTES as u64;

thread_local! {
    /// Buffers are needed for the length of a call: the disks of one thread share them.
    static BUFFERS: BlobBufPool = BlobBufPool::new(16);
}

/// The disk right after a change, or when something was noted.
/// ```
/// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
/// disk.record();
/// assert!(disk.sync(Area::Data).is_ok());
/// assert_eq!(disk.record()[0].what, "sync Data");
/// ```
#[derive(Clone, Debug)]
pub struct Moment {
    /// What was done, in words.
    pub what: String,
    /// The last number that was noted before.
    pub note: u64,
    /// Whether this is a note, or that a call was under way; else a call has returned.
    pub kind: Kind,
    /// What there was.
    pub disk: Disk,
}

/// What a [`Moment`] is.
/// ```
/// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
/// disk.record();
/// assert!(disk.sync(Area::Data).is_ok());
/// assert_eq!(disk.record()[0].kind, Kind::Returned);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number was noted.
    Note,
    /// A call was carried out, and not yet made stable.
    UnderWay,
    /// A call has returned.
    Returned,
}

/// A simulated disk: see [the module](super).
/// ```
/// let disk = spinney::backend::sim::FaultBackend::new(1);
/// assert!(spinney::Db::builder().open_backend(disk.clone()).is_ok() && disk.calls() > 0);
/// ```
pub struct FaultBackend {
    state: Mutex<State>,
    buffers: BlobBufPool,
}

struct State {
    seed: u64,
    random: Random,
    disk: Disk,
    ring: Option<Arc<Words>>,
    rules: Vec<Rule>,
    calls: u64,
    /// So many changes of storage are left.
    changes_left: Option<u64>,
    is_dead: bool,
    /// Whether earlier versions of the ring are of no interest.
    forgets: bool,
    /// What there was before the call that was under way at the end.
    before_end: Option<Box<Disk>>,
    moments: Option<Vec<Moment>>,
    note: u64,
    struck: Vec<(Call, Option<Area>, Fault)>,
    story: String,
}

impl FaultBackend {
    /// An empty disk. All that happens by chance follows from `seed`.
    /// ```
    /// let disk = spinney::backend::sim::FaultBackend::new(1);
    /// assert_eq!(disk.storage(), Default::default());
    /// ```
    pub fn new(seed: u64) -> Arc<FaultBackend> {
        FaultBackend::with_disk(seed, Disk::default())
    }

    /// A disk that goes on from a moment.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// assert!(disk.set_len(Area::Data, 4096).is_ok());
    /// assert_eq!(FaultBackend::with_disk(2, disk.disk()).storage(), disk.storage());
    /// ```
    pub fn with_disk(seed: u64, disk: Disk) -> Arc<FaultBackend> {
        let ring = disk.storage().ring.as_ref().map(|pages| Arc::new(Words::new(pages)));
        let state = State {
            seed,
            random: Random::new(seed),
            disk,
            ring,
            rules: Vec::new(),
            calls: 0,
            changes_left: None,
            is_dead: false,
            forgets: false,
            before_end: None,
            moments: None,
            note: 0,
            struck: Vec::new(),
            story: format!("seed {seed}\n"),
        };
        Arc::new(FaultBackend { state: Mutex::new(state), buffers: BUFFERS.with(Clone::clone) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.is_dead { Err(gone()) } else { Ok(state) }
    }

    /// Lets calls fail from now on. Of several faults that strike the same call the first one counts.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(0), Fault::EIO);
    /// assert!(disk.sync(Area::Data).is_err());
    /// ```
    pub fn inject(&self, when: When, fault: Fault) {
        self.state().rules.push(Rule::new(when, fault));
    }

    /// No more faults.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(0).for_good(), Fault::EIO);
    /// disk.heal();
    /// assert!(disk.sync(Area::Data).is_ok());
    /// ```
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    /// What has been struck, in order.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(0), Fault::EIO);
    /// assert!(disk.sync(Area::Log).is_err());
    /// assert_eq!(disk.struck(), [(Call::Sync, Some(Area::Log), Fault::EIO)]);
    /// ```
    pub fn struck(&self) -> Vec<(Call, Option<Area>, Fault)> {
        self.state().struck.clone()
    }

    /// How many calls there were, `len` aside.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// assert!(disk.sync(Area::Data).is_ok() && disk.calls() == 1);
    /// ```
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The process dies at a change of storage: so many more are carried out, and the next one is under way
    /// at the end. A change is a call that writes, syncs, or makes or deletes a file.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.crash_after(1);
    /// assert!(disk.sync(Area::Data).is_ok() && disk.sync(Area::Data).is_err());
    /// ```
    pub fn crash_after(&self, changes: u64) {
        self.state().changes_left = Some(changes);
    }

    /// The process dies at once, with no call under way.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.crash();
    /// assert!(disk.sync(Area::Data).is_err());
    /// ```
    pub fn crash(&self) {
        let mut state = self.state();
        state.notice_ring();
        state.is_dead = true;
    }

    /// Whether the process is gone.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// assert!(!disk.has_crashed());
    /// disk.crash();
    /// assert!(disk.has_crashed());
    /// ```
    pub fn has_crashed(&self) -> bool {
        self.state().is_dead
    }

    /// The disk when everything is running again, after a crash at this moment if there was none before. What
    /// is left is chosen from the seed.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// let again = disk.restart(Crash::Death);
    /// assert!(disk.has_crashed() && !again.has_crashed());
    /// ```
    pub fn restart(&self, crash: Crash) -> Arc<FaultBackend> {
        self.crash();
        let mut state = self.state();
        let before = state.before_end.take().unwrap_or_else(|| Box::new(state.disk.clone()));
        let choices = before.ends(&state.disk, crash);
        let picks = choices.random_picks(state.random.next());
        let seed = state.random.next();
        let again = FaultBackend::with_disk(seed, before.left(&choices.pick(&picks), crash));
        let lines = choices.describe(&picks).join("\n  ");
        again.state().story = format!("{}{crash:?}, then seed {seed}\n  {lines}\n", state.story);
        again
    }

    /// What has gone wrong so far, and how, from the seed on.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// assert_eq!(disk.story(), "seed 1\n");
    /// ```
    pub fn story(&self) -> String {
        self.state().story.clone()
    }

    /// The disk at this moment.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// let before = disk.disk();
    /// assert!(disk.set_len(Area::Data, 4096).is_ok() && *before.storage() != disk.storage());
    /// ```
    pub fn disk(&self) -> Disk {
        let mut state = self.state();
        state.notice_ring();
        state.disk.clone()
    }

    /// What a reader would see at this moment.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// assert!(disk.set_len(Area::Data, 4096).is_ok() && disk.storage().len_bytes(Area::Data) == 4096);
    /// ```
    pub fn storage(&self) -> Storage {
        self.disk().storage().clone()
    }

    /// Remembers every moment from now on; returns those remembered so far.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// assert!(disk.record().is_empty() && disk.sync(Area::Data).is_ok());
    /// assert_eq!(disk.record().len(), 1);
    /// ```
    pub fn record(&self) -> Vec<Moment> {
        let mut state = self.state();
        state.notice_ring();
        state.moments.replace(Vec::new()).unwrap_or_default()
    }

    /// Earlier versions of the ring are of no interest from now on: calls are much faster, and a loss of
    /// power leaves what the ring holds when it happens.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.forget();
    /// assert!(spinney::Db::builder().open_backend(disk).is_ok());
    /// ```
    pub fn forget(&self) {
        self.state().forgets = true;
    }

    /// Remembers a number with the moments that follow, and this moment, too.
    /// ```
    /// # use spinney::backend::{Area, Backend, sim::*}; let disk = FaultBackend::new(1);
    /// disk.record();
    /// disk.note(7);
    /// assert_eq!(disk.record()[0].note, 7);
    /// ```
    pub fn note(&self, number: u64) {
        let mut state = self.state();
        if !state.is_dead {
            state.note = number;
            state.remember(Kind::Note, || format!("noted {number}"));
        }
    }

    /// Carries a change out, if the process lives so long.
    fn change(
        &self,
        call: Call,
        area: Option<Area>,
        what: impl FnOnce() -> String,
        change: impl FnOnce(&mut State, Option<Fault>),
    ) -> io::Result<()> {
        let mut state = self.alive()?;
        let fault = state.strike(call, area);
        state.step(what, |state| change(state, fault))?;
        match fault {
            Some(Fault::Fails { errno, .. }) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }
}

impl State {
    fn strike(&mut self, call: Call, area: Option<Area>) -> Option<Fault> {
        let number = self.calls;
        self.calls += 1;
        // Every rule counts every call.
        let met: Vec<Fault> = self.rules.iter_mut().filter_map(|rule| rule.meet(call, area)).collect();
        let fault = *met.first()?;
        self.struck.push((call, area, fault));
        if fault == Fault::Nothing {
            return None;
        }
        let _ = writeln!(self.story, "call {number}, {call:?} of {area:?}: {fault:?}");
        Some(fault)
    }

    /// One change, or the end.
    fn step(&mut self, what: impl FnOnce() -> String, change: impl FnOnce(&mut State)) -> io::Result<()> {
        // Whoever remembers the moment looks at the ring behind it.
        let looks_later = self.moments.is_some() && self.changes_left.is_none();
        if !self.forgets && !looks_later {
            self.notice_ring();
        }
        if self.changes_left == Some(0) {
            self.before_end = Some(Box::new(self.disk.clone()));
            change(self);
            self.is_dead = true;
            let _ = writeln!(self.story, "the end, during: {}", what());
            return Err(gone());
        }
        self.changes_left = self.changes_left.map(|left| left - 1);
        change(self);
        self.remember(Kind::Returned, what);
        Ok(())
    }

    fn remember(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        if self.moments.is_none() {
            return;
        }
        self.notice_ring();
        let moment = Moment { what: what(), note: self.note, kind, disk: self.disk.clone() };
        self.moments.get_or_insert_default().push(moment);
    }

    /// Brings what is known of the ring up to date.
    fn notice_ring(&mut self) {
        if let (Some(words), Some(known)) = (&self.ring, &self.disk.storage().ring) {
            for (number, page) in words.changed(known) {
                self.disk.write_ring(number, page);
            }
        }
    }

    fn write(&mut self, op: &WriteOp<'_>, fault: Option<Fault>) {
        let mut first = op.offset_bytes / PAGE;
        match fault {
            Some(Fault::Fails { done: Done::Nothing, .. } | Fault::Lost) => return,
            Some(Fault::Misdirected) => {
                let pages = self.disk.storage().len_bytes(op.area) / PAGE;
                let places = (pages + 1 - (op.buf.len() / PAGE_BYTES) as u64) as usize;
                let other = self.random.below(places) as u64;
                first = if other == first { (other + 1) % places as u64 } else { other };
                let _ = writeln!(self.story, "  it went to page {first} of {:?}", op.area);
            }
            _ => {}
        }
        let is_torn = matches!(fault, Some(Fault::Torn | Fault::Fails { done: Done::Part, .. }));
        for (number, bytes) in (first..).zip(op.buf.chunks_exact(PAGE_BYTES)) {
            let mut page = Page::new(bytes);
            if is_torn {
                let before = self.disk.storage().areas[op.area as usize].page(number);
                let kept = self.random.next();
                for sector in (0..SECTORS).filter(|sector| kept >> sector & 1 == 0) {
                    page = page.with_sector(sector, &before);
                }
            }
            self.disk.write_page(op.area, number, page);
        }
        if fault == Some(Fault::FlippedAtRest) {
            self.flip(op.area, op.offset_bytes, op.buf.len());
        }
    }

    /// Flips one bit of a run of an area, past the cache.
    fn flip(&mut self, area: Area, offset_bytes: u64, len_bytes: usize) {
        let at = offset_bytes + self.random.below(len_bytes) as u64;
        let bit = self.random.below(8);
        let _ = writeln!(self.story, "  bit {bit} of byte {at} of {area:?} has flipped");
        let mut bytes = *self.disk.storage().areas[area as usize].page(at / PAGE).bytes();
        bytes[(at % PAGE) as usize] ^= 1 << bit;
        self.disk.write_page(area, at / PAGE, Page::new(&bytes));
    }

    fn read(&mut self, op: &mut ReadOp<'_>, fault: Option<Fault>) {
        if fault == Some(Fault::FlippedAtRest) {
            self.flip(op.area, op.offset_bytes, op.buf.len());
        }
        let first = op.offset_bytes / PAGE;
        for (number, bytes) in (first..).zip(op.buf.chunks_exact_mut(PAGE_BYTES)) {
            let page = match fault {
                Some(Fault::Stale) => self.disk.before_last_write(op.area, number),
                _ => self.disk.storage().areas[op.area as usize].page(number),
            };
            bytes.copy_from_slice(page.bytes());
        }
        if fault == Some(Fault::FlippedOnRead) {
            let (at, bit) = (self.random.below(op.buf.len()), self.random.below(8));
            op.buf[at] ^= 1 << bit;
            let _ = writeln!(self.story, "  bit {bit} of byte {at} of what was read has flipped");
        }
        if matches!(fault, Some(Fault::Fails { done: Done::Part, .. })) {
            let kept = self.random.below(op.buf.len() / SECTOR_BYTES) * SECTOR_BYTES;
            op.buf[kept..].fill(0xEE);
        }
    }
}

impl Backend for FaultBackend {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(self.state().disk.storage().len_bytes(area))
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        check_len(area, bytes)?;
        let what = || format!("set the length of {area:?} to {bytes}");
        self.change(Call::SetLen, Some(area), what, |state, fault| {
            if !matches!(fault, Some(Fault::Fails { done: Done::Nothing | Done::Part, .. } | Fault::Lost)) {
                state.disk.set_len(area, bytes);
            }
        })
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        let mut state = self.alive()?;
        for op in &*batch {
            op.check(state.disk.storage().len_bytes(op.area))?;
        }
        let fault = state.strike(Call::Read, batch.first().map(|op| op.area));
        for (nth, op) in batch.iter_mut().enumerate() {
            // What goes wrong silently does so in one place.
            let is_struck = nth == 0 || matches!(fault, Some(Fault::Fails { .. }));
            state.read(op, fault.filter(|_| is_struck));
        }
        match fault {
            Some(Fault::Fails { errno, .. }) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        for op in batch {
            op.check(self.len(op.area)?)?;
        }
        let Some(area) = batch.first().map(|op| op.area) else { return Ok(()) };
        let what = || {
            let place =
                |op: &WriteOp<'_>| format!("{}+{}", op.offset_bytes / PAGE, op.buf.len() / PAGE_BYTES);
            let places: Vec<String> = batch.iter().take(8).map(place).collect();
            format!("write pages {} of {area:?}", places.join(" "))
        };
        self.change(Call::Write, Some(area), what, |state, fault| {
            for (nth, op) in batch.iter().enumerate() {
                let is_struck = nth == 0 || matches!(fault, Some(Fault::Fails { .. }));
                state.write(op, fault.filter(|_| is_struck));
            }
        })
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        let what = || format!("sync {area:?}");
        self.change(Call::Sync, Some(area), what, |state, fault| match fault {
            Some(Fault::Fails { done: Done::All, .. }) | None => state.disk.sync(area),
            Some(Fault::Fails { .. }) => state.disk.fail_sync(area),
            Some(Fault::Lost) => {}
            Some(_) => state.disk.sync(area),
        })
    }

    fn write_durable(&self, op: WriteOp<'_>) -> io::Result<()> {
        op.check(self.len(op.area)?)?;
        let what = || {
            let (first, pages) = (op.offset_bytes / PAGE, op.buf.len() / PAGE_BYTES);
            format!("write pages {first}+{pages} of {:?} durably", op.area)
        };
        self.change(Call::WriteDurable, Some(op.area), what, |state, fault| {
            state.write(&op, fault);
            state.remember(Kind::UnderWay, what);
            if !matches!(fault, Some(Fault::Fails { done: Done::Nothing | Done::Part, .. })) {
                let pages = (op.buf.len() / PAGE_BYTES) as u64;
                let first = op.offset_bytes / PAGE;
                (first..first + pages).for_each(|number| state.disk.write_through(op.area, number));
            }
        })
    }

    fn remove_side_files(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        let fault = state.strike(Call::RemoveSideFiles, None);
        let end = match fault {
            Some(Fault::Fails { done: Done::Nothing, .. } | Fault::Lost) => 0,
            Some(Fault::Fails { done: Done::Part, .. }) => 2,
            _ => 3,
        };
        for (nth, name) in ["log", "journal", "ring"].into_iter().enumerate().take(end) {
            state.step(
                || format!("delete the {name}"),
                |state| {
                    state.disk.remove_side_file(nth);
                    if nth == 2 {
                        state.ring = None;
                    }
                },
            )?;
        }
        match fault {
            Some(Fault::Fails { errno, .. }) => Err(io::Error::from_raw_os_error(errno)),
            _ => state.step(|| "sync the directory".into(), |state| state.disk.sync_directory()),
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.change(
            Call::SyncDirectory,
            None,
            || "sync the directory".into(),
            |state, fault| {
                if !matches!(fault, Some(Fault::Fails { done: Done::Nothing | Done::Part, .. } | Fault::Lost))
                {
                    state.disk.sync_directory();
                }
            },
        )
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        if fresh {
            self.change(
                Call::Ring,
                None,
                || "make a ring".into(),
                |state, fault| {
                    if !matches!(fault, Some(Fault::Fails { .. })) {
                        state.disk.make_ring();
                        state.ring = Some(Arc::new(Words::new(&Default::default())));
                    }
                },
            )?;
        }
        let mut state = self.alive()?;
        if !fresh && let Some(Fault::Fails { errno, .. }) = state.strike(Call::Ring, None) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let ring = state.ring.clone();
        ring.map(|ring| ring as Arc<dyn RingMemory>).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}

impl fmt::Debug for FaultBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut out = f.debug_struct("FaultBackend");
        out.field("seed", &state.seed).field("calls", &state.calls).field("is_dead", &state.is_dead).finish()
    }
}

fn gone() -> io::Error {
    io::Error::other("the process is gone")
}
