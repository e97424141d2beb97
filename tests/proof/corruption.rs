//! Bytes that change where they lie: every bit of every file of a small database, every page exchanged with
//! every other, lost, or as it once was. It ends in an error that names the damage, or in the same answers:
//! at opening, reading, checking, closing, and when it is opened again.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use spinney::backend::sim::{Disk, FaultBackend, Storage};
use spinney::backend::{Area, PAGE_BYTES};
use spinney::{Db, Durability};

use crate::common::{Random, in_parallel, setting};
use crate::judge::{Flaw, check, contents};
use crate::operations::{Operation, State, hash_of};
use crate::session::{Session, TREE, options};
use crate::starts::{Start, start};

/// A file: an area, or the ring.
type File = Option<Area>;

const FILES: [File; 4] = [Some(Area::Data), Some(Area::Log), Some(Area::Journal), None];

/// What happens to a page.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flipped(usize),
    /// With another page, by its number in the list of all.
    Exchanged(usize),
    Zeroed,
    Older,
}

/// What is damaged.
struct Patient {
    name: &'static str,
    now: Storage,
    before: Vec<Storage>,
    /// The last one is what is there. Those before it lack what only the ring has: damage there is not to be
    /// told from a record that was being written when the process died.
    states: Vec<u64>,
    all: Vec<u64>,
    pages: Vec<(File, u64)>,
}

fn page(storage: &Storage, (file, number): (File, u64)) -> Vec<u8> {
    match file {
        Some(area) => storage.page(area, number),
        None => {
            let ring = storage.ring().unwrap_or_default();
            ring.get(number as usize * PAGE_BYTES..).map_or(Vec::new(), |rest| rest[..PAGE_BYTES].to_vec())
        }
    }
}

fn set_page(storage: &mut Storage, (file, number): (File, u64), bytes: &[u8]) {
    match file {
        Some(area) => storage.set_page(area, number, bytes),
        None => {
            let mut ring = storage.ring().unwrap_or_default();
            ring[number as usize * PAGE_BYTES..][..PAGE_BYTES].copy_from_slice(bytes);
            storage.set_ring(Some(&ring));
        }
    }
}

impl Patient {
    /// A small database: what a start has, and a few calls.
    fn new(name: &'static str, from: &str, row: &[Operation], closes: bool) -> Patient {
        let start = Start { prelude: Vec::new(), ..start(from) };
        let disk = FaultBackend::with_disk(1, start.disk.clone());
        let mut session = Session::open(disk.clone(), &start, Durability::Buffered).expect("sound");
        let mut before = Vec::new();
        for &operation in row {
            before.push(disk.storage());
            session.call(operation).expect("sound");
        }
        let (progress, states) = (session.progress(), session.states.clone());
        let mut durable: &[State] = &states[progress.durable..];
        if closes {
            before.push(disk.storage());
            session.finish().expect("sound");
            durable = &states[states.len() - 1..];
        } else {
            drop(session.end());
        }
        let now = disk.storage();
        let used = |file: File| now.used_pages(file).into_iter().map(move |number| (file, number));
        let mut pages: Vec<(File, u64)> = FILES.into_iter().flat_map(used).collect();
        // And one of zeros of each file.
        for file in FILES {
            let used = now.used_pages(file);
            let is_there = |number: u64| page(&now, (file, number)).len() == PAGE_BYTES;
            let end =
                file.map_or(if now.ring().is_some() { 1024 } else { 0 }, |area| now.len_bytes(area) / 4096);
            let blank = (0..end).find(|number| !used.contains(number) && is_there(*number));
            pages.extend(blank.map(|number| (file, number)));
        }
        let all = states.iter().map(hash_of).collect();
        let states = durable.iter().map(hash_of).collect();
        Patient { all, name, now, before, states, pages }
    }

    /// What may be left. If ring and log are damaged together, nothing vouches for the last group; nor for
    /// the one before it, if pages of both are exchanged and there is no ring.
    fn allowed(&self, nth: usize, damage: Damage) -> &[u64] {
        let Damage::Exchanged(other) = damage else { return &self.states };
        match (self.pages[nth].0, self.pages[other].0) {
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
    fn damaged(&self, nth: usize, damage: Damage) -> Option<Storage> {
        let place = self.pages[nth];
        let mut storage = self.now.clone();
        let mut bytes = page(&storage, place);
        match damage {
            Damage::Flipped(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            Damage::Zeroed => bytes.fill(0),
            Damage::Exchanged(other) => {
                let other = self.pages[other];
                set_page(&mut storage, other, &bytes);
                bytes = page(&self.now, other);
            }
            Damage::Older => {
                let mut older = self.before.iter().map(|storage| page(storage, place));
                bytes = older.rfind(|page| page.len() == PAGE_BYTES && *page != bytes)?;
            }
        }
        set_page(&mut storage, place, &bytes);
        (storage != self.now).then_some(storage)
    }
}

/// Groups of which nothing tells that they were durable.
const LAST_GROUPS: usize = 2;

/// States that a group of the log makes here: a call, and the sync that is counted as one.
const GROUP_STATES: usize = 2;

/// How it was noticed.
type Noticed = Option<&'static str>;

/// Lives on with damaged storage. An answer that is wrong, and not told before, is a failure.
fn live_on(patient: &Patient, allowed: &[u64], storage: Storage) -> Result<Noticed, Flaw> {
    let disk = FaultBackend::with_disk(1, Disk::new(storage));
    disk.forget();
    let mut life = 5000;
    let mut open = || {
        life += 1;
        options(false, life).open_backend(disk.clone())
    };
    let wrong = |text: &str| Flaw { is_told: false, text: text.into() };
    let Ok(db) = open() else { return Ok(Some("opening")) };
    let found = match contents(&db) {
        Ok(found) => Some(found),
        Err(flaw) if flaw.is_told => None,
        Err(flaw) => return Err(flaw),
    };
    if found.is_some_and(|found| !allowed.contains(&found)) {
        let is = patient.all.iter().rposition(|&state| Some(state) == found);
        let text = format!("the answers are those of state {is:?} of {}", patient.all.len());
        return Err(wrong(&text));
    }
    let is_clean = check(&db).is_ok();
    if found.is_none() && is_clean {
        return Err(wrong("reading has told of damage, and the check has not"));
    }
    let put = db.tree(TREE).and_then(|tree| tree.put("~probe", "1"));
    let closed = db.close();
    if found.is_some() && is_clean && (put.is_err() || closed.is_err()) {
        return Ok(Some("going on"));
    }
    disk.heal();
    let Ok(db) = open() else { return Ok(Some("opening again")) };
    let again: Result<u64, Flaw> = without_probe(&db);
    disk.crash();
    match (again, found) {
        (Err(flaw), _) if !flaw.is_told => Err(flaw),
        (Ok(again), Some(found)) if again != found => Err(wrong("opened again the answers are wrong")),
        (Ok(again), None) if !allowed.contains(&again) => {
            Err(wrong("opened again it has lost what it had told to be damaged"))
        }
        (Err(_), Some(_)) if is_clean => Ok(Some("opening again")),
        _ if found.is_none() => Ok(Some("reading")),
        _ if !is_clean => Ok(Some("the check")),
        _ => Ok(None),
    }
}

fn without_probe(db: &Db) -> Result<u64, Flaw> {
    let told = |error: spinney::Error| Flaw { is_told: true, text: error.to_string() };
    db.tree(TREE).and_then(|tree| tree.remove("~probe")).map_err(told)?;
    contents(db)
}

fn damages(patient: &Patient, bits_every: usize) -> Vec<(usize, Damage)> {
    let mut all = Vec::new();
    let mut random = Random::new(7);
    for nth in 0..patient.pages.len() {
        all.extend([(nth, Damage::Zeroed), (nth, Damage::Older)]);
        all.extend((0..nth).map(|other| (nth, Damage::Exchanged(other))));
        let mut bit = random.below(bits_every);
        while bit < PAGE_BYTES * 8 {
            all.push((nth, Damage::Flipped(bit)));
            bit += bits_every;
        }
    }
    all
}

fn damage_all(patient: &Patient) {
    let began = Instant::now();
    let bits_every = setting("SPINNEY_PROOF_BITS_EVERY", 4001) as usize;
    let pairs_every = setting("SPINNEY_PROOF_PAIRS_EVERY", 7) as usize;
    let mut all = damages(patient, bits_every);
    let mut nth = 0;
    all.retain(|(_, damage)| {
        nth += 1;
        !matches!(damage, Damage::Exchanged(_)) || nth % pairs_every == 0
    });
    let counts: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let same = AtomicU64::new(0);
    in_parallel("damage", 0..all.len() as u64, |number| {
        let (nth, damage) = all[number as usize];
        let Some(storage) = patient.damaged(nth, damage) else { return };
        let noticed = live_on(patient, patient.allowed(nth, damage), storage).unwrap_or_else(|flaw| {
            let other = if let Damage::Exchanged(other) = damage { Some(patient.pages[other]) } else { None };
            panic!("{}: {:?}, {damage:?} {other:?}: {flaw}", patient.name, patient.pages[nth]);
        });
        match noticed {
            Some(how) => *counts.lock().expect("no panic").entry(how).or_default() += 1,
            None => drop(same.fetch_add(1, Ordering::Relaxed)),
        }
    });
    let (counts, same) = (counts.into_inner().expect("no panic"), same.into_inner());
    let told: u64 = counts.values().sum();
    println!(
        "{}: {} pages of {} files; of {} damages {told} were told {counts:?}, {same} had the same answers: \
         100 %, {} s",
        patient.name,
        patient.pages.len(),
        FILES.into_iter().filter(|file| patient.pages.iter().any(|(other, _)| other == file)).count(),
        told + same,
        began.elapsed().as_secs()
    );
    assert!(told > 0);
}

#[test]
fn any_damage_to_a_closed_database_is_told_or_does_no_harm() {
    use Operation::{Overwrite, Put, Remove};
    damage_all(&Patient::new("closed", "closed", &[Put, Overwrite, Remove], true));
}

#[test]
fn any_damage_to_a_database_that_was_not_closed_is_told_or_does_no_harm() {
    use Operation::{Batch, Checkpoint, Overwrite, Put, RenamePrefix, Sync};
    let row = [Put, Overwrite, Checkpoint, Batch, Sync, RenamePrefix, Sync, Put, Overwrite];
    damage_all(&Patient::new("not closed", "died", &row, false));
}

/// The same, as the computer comes back after a loss of power: the ring is as old as can be.
#[test]
fn any_damage_without_the_ring_of_the_last_process_is_told_or_does_no_harm() {
    use Operation::{Batch, Checkpoint, Overwrite, Put, Sync};
    let row = [Put, Checkpoint, Batch, Sync, Overwrite, Sync, Put, Sync];
    let mut patient = Patient::new("without power", "died", &row, false);
    // The last record says nothing of itself, and the one before it nothing of its own group: nobody knows
    // that these were durable, and damage there is taken for a torn end.
    patient.states = patient.all[patient.all.len() - 1 - LAST_GROUPS..].to_vec();
    let ring = patient.now.ring().map(|ring| vec![0; ring.len()]);
    patient.now.set_ring(ring.as_deref());
    patient.pages.retain(|(file, _)| file.is_some());
    damage_all(&patient);
}
