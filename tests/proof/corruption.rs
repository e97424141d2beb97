//! Bytes that change where they lie: every bit and word of every file of a small database, every page
//! exchanged with every other, lost, or as it once was. It ends in an error that names the damage, or in the
//! same answers: at opening, reading, checking, closing, and when it is opened again.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use spinney::backend::sim::{Disk, FaultBackend, Storage};

use crate::common::{in_parallel, setting};
use crate::judge::{Flaw, check, contents, contents_every_way};
use crate::operations::Operation::{Batch, Checkpoint, Overwrite, Put, Remove, RenamePrefix, Sync};
use crate::patient::{Damage, Patient, Sample};
use crate::session::{TREE, options};

/// So many failures are shown.
const SHOWN_MAX: usize = 5;

/// How it was noticed.
type Noticed = Option<&'static str>;

/// What was found when storage was opened again after closing: nearly always it is what it was for another
/// damage, byte for byte.
type Again = Mutex<HashMap<u64, Result<u64, Flaw>>>;

/// Lives on with damaged storage. An answer that is wrong, and not told before, is a failure.
fn live_on(patient: &Patient, allowed: &[u64], storage: Storage, known: &Again) -> Result<Noticed, Flaw> {
    let disk = FaultBackend::with_disk(1, Disk::new(storage));
    disk.forget();
    let wrong = |text: &str| Flaw { is_told: false, text: text.into() };
    let Ok(db) = options(false, 5001).open_backend(disk.clone()) else { return Ok(Some("opening")) };
    let found = match contents_every_way(&db) {
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
    let again = opened_again(&disk, known);
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

fn opened_again(disk: &std::sync::Arc<FaultBackend>, known: &Again) -> Result<u64, Flaw> {
    let told = |error: spinney::Error| Flaw { is_told: true, text: error.to_string() };
    let storage = disk.storage().hash();
    let found = known.lock().expect("no panic").get(&storage).cloned();
    found.unwrap_or_else(|| {
        let again = options(false, 5002).open_backend(disk.clone()).map_err(told).and_then(|db| {
            db.tree(TREE).and_then(|tree| tree.remove("~probe")).map_err(told)?;
            contents(&db)
        });
        disk.crash();
        known.lock().expect("no panic").insert(storage, again.clone());
        again
    })
}

/// What came of all the damage to one database.
#[derive(Default)]
struct Outcomes {
    told: Mutex<BTreeMap<&'static str, u64>>,
    same: AtomicU64,
    /// Wrong answers and panics, which there must not be.
    others: Mutex<Vec<String>>,
    again: Again,
}

impl Outcomes {
    fn add(&self, patient: &Patient, (nth, damage): (usize, Damage)) {
        let Some(storage) = patient.damaged(nth, damage) else { return };
        let allowed = patient.allowed(nth, damage);
        let outcome = catch_unwind(AssertUnwindSafe(|| live_on(patient, allowed, storage, &self.again)));
        let text = match outcome {
            Ok(Ok(None)) => {
                self.same.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(Ok(Some(how))) => return *self.told.lock().expect("no panic").entry(how).or_default() += 1,
            Ok(Err(flaw)) => flaw.to_string(),
            Err(_) => "it panics".into(),
        };
        let other = if let Damage::Exchanged(other) = damage { Some(patient.place(other)) } else { None };
        let place = patient.place(nth);
        let text = format!("{}: {place:?}, {damage:?} {other:?}: {text}", patient.name);
        self.others.lock().expect("no panic").push(text);
    }
}

fn damage_all(patient: &Patient) {
    let began = Instant::now();
    let every = |name: &str, default| setting(&format!("SPINNEY_PROOF_{name}"), default) as usize;
    let bits_every = every("BITS_EVERY", 4001);
    let all = patient.damages(Sample {
        seed: setting("SPINNEY_PROOF_FIRST", 0),
        bits_every,
        words_every: every("WORDS_EVERY", 256),
        pairs_every: every("PAIRS_EVERY", 7),
        blanks_every: every("BLANKS_EVERY", 1_000_003),
    });
    let outcomes = Outcomes::default();
    in_parallel("damage", 0..all.len() as u64, |number| outcomes.add(patient, all[number as usize]));
    let told = outcomes.told.into_inner().expect("no panic");
    let (same, others) = (outcomes.same.into_inner(), outcomes.others.into_inner().expect("no panic"));
    let sum: u64 = told.values().sum();
    let damages = sum + same + others.len() as u64;
    println!(
        "{}: {} pages of {} files, one bit in {bits_every}: {damages} damages, {sum} told {told:?}, \
         {same} the same answers, {} others, {} s",
        patient.name,
        patient.pages.len(),
        patient.files(),
        others.len(),
        began.elapsed().as_secs()
    );
    assert!(others.is_empty(), "{:#?}", &others[..others.len().min(SHOWN_MAX)]);
    assert!(sum > 0);
}

#[test]
fn any_damage_to_a_closed_database_is_told_or_does_no_harm() {
    damage_all(&Patient::living("closed", "closed", &[Put, Overwrite, Remove], true));
}

#[test]
fn any_damage_to_long_values_is_told_or_does_no_harm() {
    damage_all(&Patient::with_long_values("long values", &[Put]));
}

#[test]
fn any_damage_to_a_database_that_was_not_closed_is_told_or_does_no_harm() {
    let row = [Put, Overwrite, Checkpoint, Batch, Sync, RenamePrefix, Sync, Put, Overwrite];
    damage_all(&Patient::living("not closed", "died", &row, false));
}

#[test]
fn any_damage_without_the_ring_of_the_last_process_is_told_or_does_no_harm() {
    let row = [Put, Checkpoint, Batch, Sync, Overwrite, Sync, Put, Sync];
    damage_all(&Patient::living("without power", "died", &row, false).without_ring());
}

#[test]
fn any_damage_while_a_journal_is_written_is_told_or_does_no_harm() {
    damage_all(&Patient::in_checkpoint("journal half written", "died", &[Put, Remove], false));
}

#[test]
fn any_damage_while_a_journal_is_put_in_place_is_told_or_does_no_harm() {
    damage_all(&Patient::in_checkpoint("journal half in place", "died", &[Put, Remove], true));
}
