//! Every call of the disk fails or lies, once or from then on: no panic, no wrong answer, nothing lost that
//! was acknowledged; and of what lies, an error or no harm.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use spinney::backend::sim::{Call, Crash, Done, Fault, FaultBackend, Grain, When};
use spinney::{Durability, Error};

use crate::common::{Random, in_parallel, setting};
use crate::judge::{Flaw, Judge};
use crate::operations::{Operation, hash_of};
use crate::session::{Session, options};
use crate::starts::{Start, start};

use Operation::*;

const ROW: [Operation; 15] = [
    Put,
    Overwrite,
    Batch,
    Sync,
    RenamePrefix,
    Load,
    Put,
    Checkpoint,
    Remove,
    Put,
    Close,
    RemovePrefix,
    Compact,
    Put,
    Close,
];

/// How it ends, and what may be lost then.
#[derive(Clone, Copy, Debug)]
enum End {
    Death,
    Power,
    /// The same in the middle of a call, soon after something went wrong.
    Cut,
    Closed,
}

/// Something that goes wrong in a run.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    name: &'static str,
    fault: Fault,
    of: Option<Call>,
    for_good: bool,
    takes_space: bool,
}

const fn once(name: &'static str, fault: Fault) -> Trouble {
    Trouble { name, fault, of: None, for_good: false, takes_space: false }
}

const fn lie(name: &'static str, fault: Fault, of: Call) -> Trouble {
    Trouble { of: Some(of), ..once(name, fault) }
}

const LOUD: [Trouble; 6] = [
    once("fails", Fault::EIO),
    Trouble { for_good: true, ..once("fails for good", Fault::EIO) },
    once("is short", Fault::SHORT),
    once("is done and fails", Fault::Fails { errno: 5, done: Done::All }),
    Trouble { takes_space: true, ..once("finds the disk full", Fault::ENOSPC) },
    Trouble { takes_space: true, for_good: true, ..once("finds the disk full for good", Fault::ENOSPC) },
];

const SILENT: [Trouble; 10] = [
    lie("tears", Fault::Torn, Call::Write),
    lie("loses", Fault::Lost, Call::Write),
    lie("misdirects", Fault::Misdirected, Call::Write),
    lie("flips at rest", Fault::FlippedAtRest, Call::Write),
    lie("tears", Fault::Torn, Call::WriteDurable),
    lie("loses", Fault::Lost, Call::WriteDurable),
    lie("misdirects", Fault::Misdirected, Call::WriteDurable),
    lie("flips at rest", Fault::FlippedAtRest, Call::WriteDurable),
    lie("is stale", Fault::Stale, Call::Read),
    lie("flips", Fault::FlippedOnRead, Call::Read),
];

impl Trouble {
    fn when(&self, nth: u64) -> When {
        let mut when = When::nth(nth);
        if let Some(call) = self.of {
            when = when.of(call);
        }
        if self.takes_space {
            when = when.taking_space();
        }
        if self.for_good { when.for_good() } else { when }
    }
}

fn is_expected(error: &Error, is_silent: bool) -> bool {
    let damaged = matches!(error, Error::Corrupt { .. } | Error::LogCorrupt { .. } | Error::SideFile { .. });
    matches!(error, Error::Io(_) | Error::Poisoned { .. } | Error::OutcomeUnknown { .. } | Error::Closed)
        || is_silent && (damaged || matches!(error, Error::NotSpinney { .. } | Error::Truncated { .. }))
}

/// What a run has come to.
struct Outcome {
    struck: bool,
    /// Whether any call has told of it.
    told: bool,
}

/// One run with one trouble, up to one end; or why it is not as it should be.
fn run(
    judge: &Judge,
    (start, durability): (&Start, Durability),
    (trouble, nth): (&Trouble, u64),
    end: End,
    is_silent: bool,
) -> Result<Outcome, String> {
    let disk = FaultBackend::with_disk(nth, start.disk.clone());
    disk.inject(trouble.when(nth), trouble.fault);
    let with_story = |text: String| format!("{text}\n{}", disk.story());
    let unexpected = |error: &Error| with_story(format!("not the error of a bad disk: {error}"));
    let loses_power = matches!(end, End::Power | End::Cut);
    if let End::Cut = end {
        disk.crash_after(nth / 2 + Random::new(nth).next() % 24);
    }
    let mut told = false;
    let mut states: Vec<u64> = start.states.iter().map(hash_of).collect();
    let mut least = if loses_power { 0 } else { states.len() - 1 };
    match Session::open(disk.clone(), start, durability) {
        Err(error) if !is_expected(&error, is_silent) => return Err(unexpected(&error)),
        Err(_) => told = true,
        Ok(mut session) => {
            for &operation in ROW.iter() {
                let Err(error) = session.call(operation) else { continue };
                told = true;
                if !is_expected(&error, is_silent) {
                    return Err(unexpected(&error));
                }
                match session.look() {
                    Ok(()) if operation == Close => break,
                    Ok(()) => {}
                    Err(flaw) if flaw.is_told => break,
                    Err(flaw) => return Err(with_story(flaw.text)),
                }
            }
            match session.found() {
                Err(flaw) if flaw.is_told => told = true,
                Ok(Some((found, wanted))) if found == wanted || told => {}
                Ok(None) => {}
                _ => return Err(with_story("the answers are wrong".into())),
            }
            states = session.states.iter().map(hash_of).collect();
            let progress = session.progress();
            least = if loses_power { progress.durable } else { progress.kept };
            if let End::Closed = end {
                disk.heal();
                drop(session);
            } else {
                drop(session.end());
            }
        }
    }
    disk.heal();
    let crash = if loses_power { Crash::PowerLoss(Grain::Sector) } else { Crash::Death };
    let struck = !disk.struck().is_empty();
    let again = disk.restart(crash);
    match judge.verdict(&again.disk(), start.keeps_changes) {
        Ok(found) if states[least..].contains(&found) => Ok(Outcome { struck, told }),
        Err(Flaw { is_told: true, .. }) if is_silent => Ok(Outcome { struck, told: true }),
        Err(flaw) => Err(format!("afterwards: {flaw}\n{}", again.story())),
        Ok(found) => {
            let is = states.iter().rposition(|&state| state == found);
            let range = least..states.len();
            Err(format!("afterwards it is state {is:?}, not one of {range:?}\n{}", again.story()))
        }
    }
}

/// How many calls there are that a trouble may strike.
fn calls(start: &Start, durability: Durability, trouble: &Trouble) -> u64 {
    let disk = FaultBackend::with_disk(0, start.disk.clone());
    // It strikes nothing, and counts all.
    disk.inject(trouble.when(0).for_good(), Fault::Nothing);
    let mut session = Session::open(disk.clone(), start, durability).expect("nothing fails");
    ROW.iter().for_each(|&operation| session.call(operation).expect("nothing fails"));
    drop(session.end());
    disk.struck().len() as u64
}

fn everywhere(what: &str, troubles: &[Trouble], ends: &[End], is_silent: bool) {
    if std::env::var("SPINNEY_PROOF_ONLY").is_ok() {
        return;
    }
    let (began, judge) = (Instant::now(), Judge::default());
    let every = setting("SPINNEY_PROOF_FAULTS_EVERY", 100);
    let (runs, struck, told) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    for name in ["nothing", "died", "blobs-died"] {
        let start = start(name);
        for durability in [Durability::Sync, Durability::Buffered] {
            for trouble in troubles {
                let calls = calls(&start, durability, trouble);
                let first = Random::new(calls).next() % every;
                in_parallel("call", 0..calls.saturating_sub(first).div_ceil(every), |number| {
                    let nth = first + number * every;
                    for &end in ends {
                        let outcome = run(&judge, (&start, durability), (trouble, nth), end, is_silent);
                        let outcome = outcome.unwrap_or_else(|text| {
                            let of = trouble.of.map_or("call".into(), |call| format!("{call:?}"));
                            let name = trouble.name;
                            panic!("{name}: {of} {nth}, {durability:?}, from {}, {end:?}: {text}", start.name)
                        });
                        runs.fetch_add(1, Ordering::Relaxed);
                        struck.fetch_add(u64::from(outcome.struck), Ordering::Relaxed);
                        told.fetch_add(u64::from(outcome.struck && outcome.told), Ordering::Relaxed);
                    }
                });
            }
        }
    }
    let (runs, struck, told) = (runs.into_inner(), struck.into_inner(), told.into_inner());
    println!(
        "{what}: {runs} runs, {struck} of them struck; {told} were told, {} had the same answers: 100 %, \
         {} s",
        struck - told,
        began.elapsed().as_secs()
    );
    assert!(struck > 0 && told > 0);
}

#[test]
fn whatever_call_fails_nothing_acknowledged_is_lost() {
    everywhere("calls that fail", &LOUD, &[End::Death, End::Power, End::Cut, End::Closed], false);
}

#[test]
fn whatever_call_lies_it_is_told_or_does_no_harm() {
    // A disk that lies and loses power loses what it has lied about, and nobody can tell.
    everywhere("calls that lie", &SILENT, &[End::Death, End::Closed], true);
}

/// Who cannot read a file is not told to put it back.
#[test]
fn a_ring_that_cannot_be_opened_is_not_called_missing() {
    let disk = FaultBackend::with_disk(1, start("died").disk);
    disk.inject(When::nth(0).of(Call::Ring), Fault::EIO);
    let opened = options(false, 5000).open_backend(disk.clone());
    assert!(matches!(opened, Err(Error::Io(_))), "{:?}", opened.err());
    assert!(options(false, 5001).open_backend(disk).is_ok(), "nothing was changed");
}
