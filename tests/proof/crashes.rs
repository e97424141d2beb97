//! Crashing what was recorded: after every moment, in every kind, with all that may be left of it.

#![forbid(unsafe_code)]

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use spinney::backend::sim::{Choices, Crash, Disk, FaultBackend, Grain, Kind, Moment};

use crate::common::Random;
use crate::judge::{Judge, RECOVERY};
use crate::operations::hash_of;
use crate::session::{Progress, Recorded, options};

pub const CRASHES: [(&str, Crash); 3] = [
    ("death", Crash::Death),
    ("sectors", Crash::PowerLoss(Grain::Sector)),
    ("pages", Crash::PowerLoss(Grain::Page)),
];

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Up to so many ways all are tried; of more so many.
    pub ways: u64,
    /// One crash in so many is followed by crashes everywhere in its recovery.
    pub inside_every: u64,
    pub inside_ways: u64,
}

/// The ways to try: all, or the outermost and some at random.
fn picks(choices: &Choices, ways: u64, seed: u64) -> Vec<Vec<usize>> {
    let counts = choices.counts();
    let mut all = Vec::new();
    if choices.ways() <= ways {
        let mut picks = vec![0; counts.len()];
        loop {
            all.push(picks.clone());
            let Some(at) = (0..picks.len()).find(|&at| picks[at] + 1 < counts[at]) else { return all };
            picks[at] += 1;
            picks[..at].fill(0);
        }
    }
    let newest: Vec<usize> = counts.iter().map(|count| count - 1).collect();
    all.push(vec![0; counts.len()]);
    all.push(newest.clone());
    let mut random = Random::new(seed);
    while (all.len() as u64) < ways {
        let at = random.below(counts.len());
        let mut some = match all.len() % 4 {
            // One thing alone is there, or missing.
            0 => vec![0; counts.len()],
            1 => newest.clone(),
            _ => choices.random_picks(random.next()),
        };
        some[at] = if all.len() % 4 == 0 { newest[at] } else { 0 };
        all.push(some);
    }
    all.sort();
    all.dedup();
    all
}

/// The moment before the call that has just returned, or before the note.
pub fn before(moments: &[Moment], at: usize) -> &Moment {
    // Where a write has two moments the first one is not what was before it.
    let earlier = moments[..at].iter().rev().find(|other| other.kind != Kind::UnderWay);
    earlier.unwrap_or(&moments[at])
}

/// What has to be there after the death of a process: between two calls what was acknowledged last may not
/// have been, unless all of it was done.
pub fn kept(progress: &[Progress], moments: &[Moment], at: usize, is_whole: bool) -> usize {
    let of = |moment: &Moment| progress[moment.note as usize].kept;
    if is_whole { of(&moments[at]) } else { of(before(moments, at)) }
}

fn written(picks: &[usize]) -> String {
    let numbers: Vec<String> = picks.iter().map(usize::to_string).collect();
    if numbers.is_empty() { "-".into() } else { numbers.join("-") }
}

/// One crash of a row, or one in the recovery from it, as it is written in a replay.
pub struct Only<'a> {
    moment: usize,
    crash: &'a str,
    picks: Vec<usize>,
    inside: Option<Box<Only<'a>>>,
}

impl<'a> Only<'a> {
    pub fn read(parts: &[&'a str]) -> Option<Only<'a>> {
        let [moment, crash, picks, inside @ ..] = parts else { return None };
        let picks = picks.split('-').filter_map(|number| number.parse().ok()).collect();
        let inside = Only::read(inside).map(Box::new);
        Some(Only { moment: moment.parse().expect("a number"), crash, picks, inside })
    }
}

/// What is crashed, and how it is judged.
pub struct Crashes<'a> {
    pub judge: &'a Judge,
    pub effort: Effort,
    pub keeps_changes: bool,
    pub only: Option<&'a Only<'a>>,
}

/// The numbers of the states that may be there, and what each comes to.
struct Allowed<'a> {
    states: &'a [u64],
    range: RangeInclusive<usize>,
}

impl Allowed<'_> {
    fn place(&self, found: u64) -> Option<usize> {
        self.range.clone().rev().find(|&at| self.states[at] == found)
    }
}

impl Crashes<'_> {
    /// Crashes all moments of the steps that are wanted. The label is that of the row.
    pub fn of_row(&self, recorded: &Recorded, steps: RangeInclusive<usize>, label: &str) {
        let states: Vec<u64> = recorded.states.iter().map(hash_of).collect();
        for at in 0..recorded.moments.len() {
            let step = recorded.progress[recorded.moments[at].note as usize].step;
            if steps.contains(&step) {
                self.of_moment(recorded, at, &states, label);
            }
        }
    }

    fn of_moment(&self, recorded: &Recorded, at: usize, states: &[u64], label: &str) {
        let moments = &recorded.moments;
        let progress = recorded.progress[moments[at].note as usize];
        if self.only.is_some_and(|only| only.moment != at) {
            return;
        }
        for (name, crash) in CRASHES {
            if self.only.is_some_and(|only| only.crash != name) {
                continue;
            }
            for (left, picks) in self.ends(moments, at, crash, self.effort.ways, self.only) {
                let is_whole = left.storage() == moments[at].disk.storage();
                let least = match crash {
                    Crash::Death => kept(&recorded.progress, moments, at, is_whole),
                    _ => progress.durable,
                };
                let allowed = Allowed { states, range: least..=progress.begun };
                let label = format!("{label}/{at}/{name}/{}", written(&picks));
                let place = self.assert_allowed(&left, &allowed, &label);
                let chance = Random::new(left.storage().hash()).next();
                if self.only.is_none() && chance.is_multiple_of(self.effort.inside_every)
                    || self.only.is_some_and(|only| only.inside.is_some())
                {
                    // What only the cache has may still go with the power.
                    let least = if crash == Crash::Death { progress.durable.min(place) } else { place };
                    self.inside(&left, states, place, least, &label);
                }
            }
        }
    }

    /// All that may be left after a moment, and the choice that leads there.
    fn ends(
        &self,
        moments: &[Moment],
        at: usize,
        crash: Crash,
        ways: u64,
        only: Option<&Only<'_>>,
    ) -> Vec<(Disk, Vec<usize>)> {
        if crash == Crash::Death && moments[at].kind == Kind::UnderWay {
            return Vec::new();
        }
        let before = &before(moments, at).disk;
        let choices = before.ends(&moments[at].disk, crash);
        let all = match only {
            Some(only) => vec![only.picks.clone()],
            None => picks(&choices, ways, at as u64),
        };
        if let Some(only) = only {
            println!("{at}: {}\n  {}", moments[at].what, choices.describe(&only.picks).join("\n  "));
        }
        all.into_iter().map(|picks| (before.left(&choices.pick(&picks), crash), picks)).collect()
    }

    fn assert_allowed(&self, left: &Disk, allowed: &Allowed<'_>, label: &str) -> usize {
        let replay = format!("SPINNEY_PROOF_ONLY={label} does it again");
        let verdict = self.judge.verdict(left, self.keeps_changes);
        let found = verdict.unwrap_or_else(|error| panic!("{error}\n{replay}"));
        allowed.place(found).unwrap_or_else(|| {
            let is = allowed.states.iter().rposition(|&state| state == found);
            let range = &allowed.range;
            panic!("what is there is state {is:?}, not one of {range:?}\n{replay}")
        })
    }

    /// The recovery from a crash is crashed at all of its moments. What it comes to is known.
    fn inside(&self, left: &Disk, states: &[u64], place: usize, least: usize, label: &str) {
        let disk = FaultBackend::with_disk(9, left.clone());
        disk.record();
        disk.note(0);
        let db = options(self.keeps_changes, RECOVERY).open_backend(disk.clone());
        let db = db.unwrap_or_else(|error| panic!("{label}: {error}"));
        disk.note(1);
        let moments = disk.record();
        disk.crash();
        drop(db);
        let only = self.only.and_then(|only| only.inside.as_deref());
        for at in 0..moments.len() {
            if only.is_some_and(|only| only.moment != at) {
                continue;
            }
            for (name, crash) in CRASHES {
                if only.is_some_and(|only| only.crash != name) {
                    continue;
                }
                let is_open = moments[at].note == 1;
                let least = if crash == Crash::Death || is_open { place } else { least };
                let allowed = Allowed { states, range: least..=place };
                for (left, picks) in self.ends(&moments, at, crash, self.effort.inside_ways, only) {
                    let label = format!("{label}/{at}/{name}/{}", written(&picks));
                    self.assert_allowed(&left, &allowed, &label);
                    self.judge.inside.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}
