//! Small databases to be damaged, and what is done to their bytes: every bit, word and page of every file.
//!
//! Must not know: what becomes of it.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use spinney::Durability;
use spinney::backend::sim::{Crash, FaultBackend, Grain, Storage};
use spinney::backend::{Area, PAGE_BYTES, RING_TOTAL_BYTES};

use crate::common::Random;
use crate::operations::{Operation, State, hash_of};
use crate::session::Session;
use crate::starts::{Start, start};

/// A file: an area, or the ring.
pub type File = Option<Area>;

pub const FILES: [File; 4] = [Some(Area::Data), Some(Area::Log), Some(Area::Journal), None];

const PAGE_BITS: usize = PAGE_BYTES * 8;
const PAGE_WORDS: usize = PAGE_BYTES / 8;

/// Groups of which nothing tells that they were durable.
const LAST_GROUPS: usize = 2;

/// States that a group of the log makes here: a call, and the sync that is counted as one.
const GROUP_STATES: usize = 2;

/// What happens to a page.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    /// One bit of it.
    Flipped(usize),
    /// All bits of a word: of a length, a position, a checksum.
    Inverted(usize),
    /// A word is lost.
    Blanked(usize),
    /// With another page, by its number in the list of all.
    Exchanged(usize),
    Zeroed,
    /// As it was so many versions ago, counted from the first one.
    Older(usize),
}

/// One of how many things is done.
#[derive(Clone, Copy)]
pub struct Sample {
    pub seed: u64,
    pub bits_every: usize,
    pub words_every: usize,
    pub pairs_every: usize,
    /// Bits of pages that are nothing but zeros.
    pub blanks_every: usize,
}

/// What is damaged.
pub struct Patient {
    pub name: &'static str,
    now: Storage,
    before: Vec<Storage>,
    /// The last one is what is there. Those before it lack what only the ring has: damage there is not to be
    /// told from a record that was being written when the process died.
    states: Vec<u64>,
    pub all: Vec<u64>,
    /// Those that hold something, and one of zeros of each file.
    pub pages: Vec<(File, u64)>,
    /// All other pages of zeros.
    blanks: Vec<(File, u64)>,
}

/// What a row of calls has left behind.
struct Left {
    now: Storage,
    before: Vec<Storage>,
    states: Vec<State>,
    durable: usize,
}

/// What a start has, and a few calls.
fn live(start: &Start, row: &[Operation], closes: bool) -> Left {
    let disk = FaultBackend::with_disk(1, start.disk.clone());
    let mut session = Session::open(disk.clone(), start, Durability::Buffered).expect("sound");
    let mut before = Vec::new();
    for &operation in row {
        before.push(disk.storage());
        session.call(operation).expect("sound");
    }
    let (mut durable, states) = (session.progress().durable, session.states.clone());
    if closes {
        before.push(disk.storage());
        session.finish().expect("sound");
        durable = states.len() - 1;
    } else {
        drop(session.end());
    }
    Left { now: disk.storage(), before, states, durable }
}

/// The same, and then the power fails in a checkpoint: while it writes the journal, or, behind that, the same
/// pages to their places. Some of them are there.
fn live_into_checkpoint(start: &Start, row: &[Operation], in_place: bool) -> Left {
    let disk = FaultBackend::with_disk(1, start.disk.clone());
    let mut session = Session::open(disk.clone(), start, Durability::Sync).expect("sound");
    let mut before = Vec::new();
    for &operation in row {
        before.push(disk.storage());
        session.call(operation).expect("sound");
    }
    before.push(disk.storage());
    let (states, _) = (session.states.clone(), disk.record());
    session.call(Operation::Checkpoint).expect("sound");
    let moments = session.end().moments;
    let is_write = |what: &str, area: &str| what.starts_with("write pages") && what.ends_with(area);
    let commit = moments.iter().position(|moment| moment.what == "sync Journal").expect("it commits");
    let mut writes = (1..moments.len()).filter(|&at| {
        let what = &moments[at].what;
        if in_place { at > commit && is_write(what, "Data") } else { is_write(what, "Journal") }
    });
    let at = writes.next().expect("it writes");
    let (crash, earlier) = (Crash::PowerLoss(Grain::Page), &moments[at - 1].disk);
    // Half of the pages, more or less.
    let now = earlier.ends(&moments[at].disk, crash).at_random(3);
    let durable = states.len() - 1;
    Left { now, before, states, durable }
}

impl Patient {
    fn new(name: &'static str, left: Left) -> Patient {
        let Left { now, before, states, durable } = left;
        let used = |file: File| now.used_pages(file).into_iter().map(move |number| (file, number));
        let mut pages: Vec<(File, u64)> = FILES.into_iter().flat_map(used).collect();
        let mut blanks = Vec::new();
        for file in FILES {
            let used: BTreeSet<u64> = now.used_pages(file).into_iter().collect();
            let ring_bytes = if now.ring().is_some() { RING_TOTAL_BYTES as u64 } else { 0 };
            let end = file.map_or(ring_bytes, |area| now.len_bytes(area)) / PAGE_BYTES as u64;
            let mut blank = (0..end).filter(|number| !used.contains(number)).map(|number| (file, number));
            pages.extend(blank.next());
            blanks.extend(blank);
        }
        let all: Vec<u64> = states.iter().map(hash_of).collect();
        Patient { states: all[durable..].to_vec(), all, name, now, before, pages, blanks }
    }

    /// A database that was closed, or whose process has died.
    pub fn living(name: &'static str, from: &str, row: &[Operation], closes: bool) -> Patient {
        Patient::new(name, live(&Start { prelude: Vec::new(), ..start(from) }, row, closes))
    }

    /// One whose values lie in parts, closed.
    pub fn with_long_values(name: &'static str, row: &[Operation]) -> Patient {
        Patient::new(name, live(&Start { bytes: 70_000, ..start("closed") }, row, true))
    }

    /// One that lost power in a checkpoint: in the journal, or in place.
    pub fn in_checkpoint(name: &'static str, from: &str, row: &[Operation], in_place: bool) -> Patient {
        let start = Start { prelude: Vec::new(), ..start(from) };
        Patient::new(name, live_into_checkpoint(&start, row, in_place))
    }

    /// The same, as the computer comes back after a loss of power: the ring is as old as can be.
    pub fn without_ring(mut self) -> Patient {
        // The last record says nothing of itself, and the one before it nothing of its own group: nobody
        // knows that these were durable, and damage there is taken for a torn end.
        self.states = self.all[self.all.len() - 1 - LAST_GROUPS..].to_vec();
        let ring = self.now.ring().map(|ring| vec![0; ring.len()]);
        self.now.set_ring(ring.as_deref());
        self.pages.retain(|(file, _)| file.is_some());
        self.blanks.retain(|(file, _)| file.is_some());
        self
    }

    pub fn files(&self) -> usize {
        FILES.into_iter().filter(|file| self.pages.iter().any(|(other, _)| other == file)).count()
    }

    /// A page by its number in the list: those that hold something come first.
    pub fn place(&self, nth: usize) -> (File, u64) {
        *self.pages.get(nth).unwrap_or_else(|| &self.blanks[nth - self.pages.len()])
    }

    /// What may be left. If ring and log are damaged together, nothing vouches for the last group; nor for
    /// the one before it, if pages of both are exchanged and there is no ring.
    pub fn allowed(&self, nth: usize, damage: Damage) -> &[u64] {
        let Damage::Exchanged(other) = damage else { return &self.states };
        match (self.place(nth).0, self.place(other).0) {
            (None, Some(Area::Log)) | (Some(Area::Log), None) => self.allowed_without_group(),
            (Some(Area::Log), Some(Area::Log)) if self.is_without_ring() => self.allowed_without_group(),
            _ => &self.states,
        }
    }

    /// One group less than else.
    fn allowed_without_group(&self) -> &[u64] {
        let first = self.all.len() - self.states.len();
        &self.all[first.saturating_sub(GROUP_STATES)..]
    }

    fn is_without_ring(&self) -> bool {
        !self.pages.iter().any(|(file, _)| file.is_none())
    }

    /// The storage with the damage, if that makes a difference.
    pub fn damaged(&self, nth: usize, damage: Damage) -> Option<Storage> {
        let place = self.place(nth);
        let mut storage = self.now.clone();
        let mut bytes = storage.page(place.0, place.1);
        match damage {
            Damage::Flipped(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            Damage::Inverted(word) => bytes[word * 8..][..8].iter_mut().for_each(|byte| *byte = !*byte),
            Damage::Blanked(word) => bytes[word * 8..][..8].fill(0),
            Damage::Zeroed => bytes.fill(0),
            Damage::Exchanged(other) => {
                let other = self.place(other);
                storage.set_page(other.0, other.1, &bytes);
                bytes = self.now.page(other.0, other.1);
            }
            Damage::Older(version) => bytes = self.versions(place).get(version)?.clone(),
        }
        storage.set_page(place.0, place.1, &bytes);
        (storage != self.now).then_some(storage)
    }

    /// What a page has been, as far as that is not what it is.
    fn versions(&self, place: (File, u64)) -> Vec<Vec<u8>> {
        let now = self.now.page(place.0, place.1);
        let mut versions: Vec<Vec<u8>> =
            self.before.iter().map(|storage| storage.page(place.0, place.1)).collect();
        versions.retain(|bytes| bytes.len() == PAGE_BYTES && *bytes != now);
        versions.dedup();
        versions
    }

    /// All that is done to it: everything, or one of so many, drawn from a seed.
    pub fn damages(&self, sample: Sample) -> Vec<(usize, Damage)> {
        let mut all = Vec::new();
        let mut random = Random::new(sample.seed);
        for nth in 0..self.pages.len() {
            all.push((nth, Damage::Zeroed));
            all.extend((0..self.versions(self.pages[nth]).len()).map(|at| (nth, Damage::Older(at))));
            let others = (0..nth).filter(|_| random.below(sample.pairs_every) == 0);
            all.extend(others.map(|other| (nth, Damage::Exchanged(other))).collect::<Vec<_>>());
            let mut each = |end: usize, every: usize, damage: fn(usize) -> Damage| {
                // One in each stretch, so that no part of a page is left out.
                for from in (0..end).step_by(every) {
                    let at = from + random.below(every.min(end - from));
                    all.push((nth, damage(at)));
                }
            };
            each(PAGE_BITS, sample.bits_every, Damage::Flipped);
            each(PAGE_WORDS, sample.words_every, Damage::Inverted);
            each(PAGE_WORDS, sample.words_every, Damage::Blanked);
        }
        let blank_bits = self.blanks.len() * PAGE_BITS;
        for from in (0..blank_bits).step_by(sample.blanks_every) {
            let bit = from + random.below(sample.blanks_every.min(blank_bits - from));
            all.push((self.pages.len() + bit / PAGE_BITS, Damage::Flipped(bit % PAGE_BITS)));
        }
        all
    }
}
