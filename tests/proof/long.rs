//! Many lives of one database, each a long row of calls at random and ended by a crash at random. Nothing
//! that one life has dropped comes back in a later one.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use spinney::Durability;
use spinney::backend::sim::{Crash, FaultBackend};

use crate::common::{Random, in_parallel, setting};
use crate::crashes::{CRASHES, before, kept};
use crate::judge::Judge;
use crate::operations::{ALL, hash_of};
use crate::session::{Recorded, Session};
use crate::starts::{NAMES, Start, start};

/// One life up to its natural end.
fn live(start: &Start, random: &mut Random, label: &str) -> Recorded {
    let durability = if random.percent(30) { Durability::Sync } else { Durability::Buffered };
    let disk = FaultBackend::with_disk(1, start.disk.clone());
    disk.record();
    let mut session =
        Session::open(disk, start, durability).unwrap_or_else(|error| panic!("{label}: {error}"));
    for nth in 0..1 + random.below(16) {
        let operation = *random.pick(&ALL);
        session.call(operation).unwrap_or_else(|error| panic!("{label}, {nth}, {operation:?}: {error}"));
    }
    session.end()
}

fn lives(seed: u64, count: u64, judge: &Judge) {
    let mut random = Random::new(seed);
    let mut start = start(random.pick::<&str>(&NAMES));
    start.prelude.clear();
    for life in 0..count {
        let label = format!("seed {seed}, life {life}, from {}", start.name);
        let recorded = live(&start, &mut random, &label);
        let states: Vec<u64> = recorded.states.iter().map(hash_of).collect();
        let mut next = None;
        // The last of these crashes is the one after which life goes on.
        for nth in 0..4 {
            let at = random.below(recorded.moments.len());
            let (name, crash) = *random.pick(&CRASHES);
            let progress = recorded.progress[recorded.moments[at].note as usize];
            let disk = &before(&recorded.moments, at).disk;
            let choices = disk.ends(&recorded.moments[at].disk, crash);
            let picks = choices.random_picks(random.next());
            let left = disk.left(&choices.pick(&picks), crash);
            let is_whole = left.storage() == recorded.moments[at].disk.storage();
            let least = match crash {
                Crash::Death => kept(&recorded.progress, &recorded.moments, at, is_whole),
                _ => progress.durable,
            };
            let told = || {
                let described = choices.describe(&picks).join("\n  ");
                let what = &recorded.moments[at].what;
                format!("{label}, crash {nth} ({name}) at moment {at}, {what}\n  {described}")
            };
            let found = judge.verdict(&left, start.keeps_changes);
            let found = found.unwrap_or_else(|error| panic!("{error}\n{}", told()));
            let place = (least..=progress.begun).rev().find(|&place| states[place] == found);
            let place = place.unwrap_or_else(|| {
                let is = states.iter().rposition(|&state| state == found);
                panic!("state {is:?}, not one of {least}..={}\n{}", progress.begun, told())
            });
            // The power may still take what a process has left unsynced.
            let first = if crash == Crash::Death { progress.durable.min(place) } else { place };
            next = Some((left, recorded.states[first..=place].to_vec()));
        }
        let Some((disk, states)) = next else { return };
        start = Start { disk, states, life: recorded.life, ..start };
    }
}

#[test]
fn long_rows_of_calls_and_many_lives_survive_crashes() {
    if std::env::var("SPINNEY_PROOF_ONLY").is_ok() {
        return;
    }
    let (began, judge, seeds) = (Instant::now(), Judge::default(), setting("SPINNEY_PROOF_SEEDS", 8));
    let first = setting("SPINNEY_PROOF_FIRST", 0);
    let done = AtomicU64::new(0);
    in_parallel("SPINNEY_PROOF_SEEDS=1 SPINNEY_PROOF_FIRST =", first..first + seeds, |seed| {
        lives(seed, setting("SPINNEY_PROOF_LIVES", 8), &judge);
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(100) {
            println!("{count} of {seeds} databases, {} s", began.elapsed().as_secs());
        }
    });
    println!(
        "{} databases with {} lives each, {} distinct states of storage after crashes, {} s",
        done.into_inner(),
        setting("SPINNEY_PROOF_LIVES", 8),
        judge.distinct(),
        began.elapsed().as_secs()
    );
}

/// In these the power took a superblock that a process had written and not synced, when the next one had
/// already used the journal again.
#[test]
fn lives_that_have_lost_all_once() {
    let judge = Judge::default();
    [439, 510].into_iter().for_each(|seed| lives(seed, 9, &judge));
}
