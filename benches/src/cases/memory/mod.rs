//! Everything in memory: puts, gets, removals, scans, lists, pages, threads, space.
//!
//! Every store is built anew in each build round, random and sorted order; then the read phases run in rounds
//! over all stores (`rounds`, `phases`). What is measured is in `metrics`, what it should come to in `goals`,
//! and each operation is timed in a file of its own. Reads come from a list of queries that was laid out
//! before (`world`). Phases of one thread are timed by the process's processor time (`--wall` for the other
//! clock), those of several by both. The store's answers are verified: each get within the timed loop,
//! everything once outside (`verify`).

#![forbid(unsafe_code)]

mod beside;
mod contestant;
mod gets;
mod goals;
mod lists;
mod metrics;
mod overwrites;
mod pages;
mod phases;
mod puts;
mod readers;
mod removes;
mod rounds;
mod scans;
mod verify;
mod world;

use super::session::Session;
use super::{Case, Verdict, families};
use crate::keys::{Family, VALUE_LEN};
use crate::options::Options;
use crate::report::{Notes, Table};
use crate::stores::{self, Result};
use contestant::contestants;
use world::World;

pub const CASE: Case = Case {
    name: "memory",
    about: "everything in memory: puts, gets, scans, lists, pages, threads, space (20000 to 1000000 keys)",
    takes: &[
        "--keys",
        "--filter",
        "--families",
        "--paths",
        "--rounds",
        "--builds",
        "--seed",
        "--wall",
        "--json",
    ],
    run,
};

/// Keys of a family, where the command line names no sizes.
const SIZES: &[usize] = &[20_000, 100_000, 1_000_000];
/// Of fewer keys the caches hold everything, and the clock tells little.
const KEYS_MIN: usize = 100;

fn run(options: &Options) -> Result<Verdict> {
    let names = stores::names(options)?;
    let mut session = Session::start(CASE.name, options, &names);
    families::each(options, SIZES, |family| {
        if family.len() < KEYS_MIN {
            return Err(format!("too few keys: {KEYS_MIN} at least").into());
        }
        session.say(&heading(&family));
        session.count_too_long(&family);
        let table = Table::new(CASE.name, family.name, family.len(), family.raw_bytes(), names.clone());
        session.table(table, |notes| measure_all(family, options, notes));
        Ok(())
    })?;
    Ok(session.finish(goals::goals))
}

fn heading(family: &Family) -> String {
    let directories = &family.directories;
    format!(
        "{}: {} keys of {:.1} bytes, values of {VALUE_LEN}, {:.1} MB raw; \
         {} directories of 100, flat ones of {} keys",
        family.name,
        family.len(),
        family.sorted.total_bytes() as f64 / family.len() as f64,
        family.raw_bytes() as f64 / 1e6,
        directories.hundreds.len(),
        directories.flat.first().map_or(0, |directory| directory.keys),
    )
}

fn measure_all(family: Family, options: &Options, notes: &mut Notes<'_>) {
    let world = World::new(family);
    let mut contestants = contestants(options);
    rounds::build(&mut contestants, &world, options, notes);
    let rounds = rounds::rounds(options, world.family.len());
    for round in 0..rounds {
        rounds::read(&mut contestants, &world, round, notes);
    }
    // Threads meet the same latches whatever the keys are.
    if world.family.is_paths {
        for round in 0..rounds {
            let share = (round + 1) as f64 / rounds as f64;
            rounds::threads(&mut contestants, &world, round, share, notes);
        }
        rounds::verify_after_writers(&contestants, &world, notes);
    }
    // Last, because what is put again lies elsewhere than before.
    for round in 0..rounds {
        rounds::removes(&mut contestants, &world, round, notes);
    }
    rounds::verify_after_writers(&contestants, &world, notes);
}
