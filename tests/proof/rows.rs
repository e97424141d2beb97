//! Every row of up to so many calls from every start, and long rows at random.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use spinney::Durability;
use spinney::backend::sim::FaultBackend;

use crate::common::{Random, in_parallel, setting};
use crate::crashes::{Crashes, Effort, Only};
use crate::judge::Judge;
use crate::operations::{ALL, Operation};
use crate::session::{Recorded, Session};
use crate::starts::{NAMES, Start, start};

/// All rows of three calls take an hour or more.
const TOLD_EVERY_ROWS: u64 = 2000;

const MODES: [(&str, Durability); 2] = [("sync", Durability::Sync), ("buffered", Durability::Buffered)];

fn record(start: &Start, durability: Durability, row: &[Operation], label: &str) -> Recorded {
    let disk = FaultBackend::with_disk(1, start.disk.clone());
    disk.record();
    let fail = |error| panic!("{label}: {error}");
    let mut session = Session::open(disk.clone(), start, durability).unwrap_or_else(fail);
    let opening = disk.record();
    for &operation in &start.prelude {
        session.call(operation).unwrap_or_else(|error| panic!("{label}: before the row: {error}"));
    }
    if row.is_empty() {
        return Recorded { moments: opening, ..session.end() };
    }
    // What came before the row belongs to shorter ones.
    disk.record();
    for &operation in row {
        session.step(operation).unwrap_or_else(|error| panic!("{label}: {operation:?}: {error}"));
    }
    session.end()
}

/// All rows of this length, by their number.
fn row(length: u32, mut number: u64) -> Vec<Operation> {
    let one = |_| {
        let operation = ALL[(number % ALL.len() as u64) as usize];
        number /= ALL.len() as u64;
        operation
    };
    (0..length).map(one).collect()
}

fn label(start: &str, mode: &str, row: &[Operation]) -> String {
    let names: Vec<String> = row.iter().map(|operation| format!("{operation:?}")).collect();
    format!("{start}/{mode}/{}", names.join("."))
}

/// Does one crash again, as a failure has written it down.
fn again(text: &str) {
    let parts: Vec<&str> = text.split('/').collect();
    let [start_name, mode, row, rest @ ..] = &parts[..] else { panic!("{text} names no row") };
    let row: Vec<Operation> = row.split('.').filter(|name| !name.is_empty()).map(Operation::named).collect();
    let durability = MODES.iter().find(|(name, _)| name == mode).expect("a mode").1;
    let start = start(start_name);
    let recorded = record(&start, durability, &row, text);
    for (at, moment) in recorded.moments.iter().enumerate() {
        println!("{at} {:?}: {}, {:?}", moment.kind, moment.what, recorded.progress[moment.note as usize]);
    }
    let (judge, only) = (Judge::default(), Only::read(rest));
    let effort = Effort { ways: 1 << 12, inside_every: u64::MAX, inside_ways: 1 << 8 };
    let keeps_changes = start.keeps_changes;
    let crashes = Crashes { judge: &judge, effort, keeps_changes, only: only.as_ref() };
    crashes.of_row(&recorded, 0..=row.len(), &label(start.name, mode, &row));
}

fn effort() -> Effort {
    Effort {
        ways: setting("SPINNEY_PROOF_WAYS", 4),
        inside_every: setting("SPINNEY_PROOF_INSIDE_EVERY", 200),
        inside_ways: setting("SPINNEY_PROOF_INSIDE_WAYS", 2),
    }
}

fn tell(what: &str, rows: u64, judge: &Judge, began: Instant) {
    let (ends, inside) = (judge.ends.load(Ordering::Relaxed), judge.inside.load(Ordering::Relaxed));
    println!(
        "{what}: {rows} rows of calls, {ends} ends of crashes, {inside} of them within a recovery, {} \
         distinct states of storage, {} s",
        judge.distinct(),
        began.elapsed().as_secs()
    );
}

#[test]
fn every_short_row_of_calls_survives_every_crash() {
    if let Ok(text) = std::env::var("SPINNEY_PROOF_ONLY") {
        return again(&text);
    }
    let began = Instant::now();
    let (judge, rows) = (Judge::default(), AtomicU64::new(0));
    let starts: Vec<Start> = NAMES.into_iter().map(start).collect();
    let length_max = setting("SPINNEY_PROOF_LENGTH", 1) as u32;
    for length in 0..=length_max {
        // Of the longest rows, of which there are most, perhaps not all.
        let every = if length == length_max { setting("SPINNEY_PROOF_EVERY", 4) } else { 1 };
        let all = (ALL.len() as u64).pow(length) * (starts.len() * MODES.len()) as u64;
        in_parallel("row", 0..all.div_ceil(every), |nth| {
            let number = nth * every + Random::new(nth).next() % every;
            if number >= all {
                return;
            }
            let start = &starts[(number % starts.len() as u64) as usize];
            let number = number / starts.len() as u64;
            let (mode, durability) = MODES[(number % 2) as usize];
            let row = row(length, number / 2);
            let label = label(start.name, mode, &row);
            let recorded = record(start, durability, &row, &label);
            let keeps_changes = start.keeps_changes;
            let crashes = Crashes { judge: &judge, effort: effort(), keeps_changes, only: None };
            crashes.of_row(&recorded, row.len()..=row.len(), &label);
            let done = rows.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(TOLD_EVERY_ROWS) {
                tell(&format!("{length} calls, under way"), done, &judge, began);
            }
        });
        tell(&format!("up to {length} calls"), rows.load(Ordering::Relaxed), &judge, began);
    }
}
