//! The npm package in Chromium, beside a `Map` with its keys sorted, SQLite and IndexedDB.
//!
//! What is done there is JavaScript, in `benches/browser`; its `run` builds the package, fetches the peers,
//! starts the browser and prints a line for each sample (`lines`). They become tables here: one for what is
//! in memory and one for what is in files, for each number of paths. What is measured is in `metrics`, what
//! it should come to in `goals`.

#![forbid(unsafe_code)]

mod goals;
mod lines;
mod metrics;

use super::session::Session;
use super::{Case, Verdict};
use crate::options::Options;
use crate::report::{HOME, Notes, Table};
use crate::stores::Result;
use lines::{Line, Lines};
use std::process::{Command, Stdio};

pub const CASE: Case = Case {
    name: "browser",
    about: "the npm package in Chromium beside a Map, SQLite and IndexedDB (100000 and 1000000 paths)",
    takes: &["--keys", "--rounds", "--builds", "--dir", "--json", "--quick"],
    run,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/run");

const SIZES: &[usize] = &[100_000, 1_000_000];
const SIZES_QUICK: &[usize] = &[100_000];
/// There are rows enough behind each place that is read.
const KEYS_MIN: usize = 20_000;
const ROUNDS: usize = 9;
const ROUNDS_QUICK: usize = 3;
const BUILDS: usize = 3;

const MEMORY: &str = "memory";
const FILES: &str = "files";

const STORES: &[&str] = &[HOME, "map", "indexeddb", "sqlite", "by hand"];

/// The columns of a table: who keeps things in that place.
fn stores_in(place: &str) -> Vec<&'static str> {
    let absent: &[&str] = if place == MEMORY { &["indexeddb", "by hand"] } else { &["map"] };
    STORES.iter().copied().filter(|name| !absent.contains(name)).collect()
}

fn run(options: &Options) -> Result<Verdict> {
    let sizes = if options.quick { SIZES_QUICK } else { SIZES };
    let sizes = if options.keys.is_empty() { sizes } else { &options.keys };
    if sizes.iter().any(|&keys| keys < KEYS_MIN) {
        return Err(format!("too few keys: {KEYS_MIN} at least").into());
    }
    let keys: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let rounds = options.rounds.unwrap_or(if options.quick { ROUNDS_QUICK } else { ROUNDS });
    let builds = options.builds.unwrap_or(if options.quick { 1 } else { BUILDS });

    let mut session = Session::start(CASE.name, options, STORES);
    let mut command = Command::new(SCRIPT);
    command.args([keys.join(","), rounds.to_string(), builds.to_string()]);
    if let Some(folder) = &options.dir {
        command.env("SPINNEY_BENCH_FOLDER", std::path::absolute(folder)?);
    }
    let mut script = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let printed = script.stdout.take().ok_or("the script has no output")?;
    let told = tell(Lines::new(std::io::BufReader::new(printed)), &mut session);
    if told.is_err() {
        // It writes on into nothing otherwise.
        let _ = script.kill();
    }
    let status = script.wait()?;
    let tables = told?;
    if !status.success() {
        return Err(format!("{SCRIPT}: {status}").into());
    }
    if tables != 2 * sizes.len() {
        return Err(format!("{SCRIPT} has printed {tables} tables with samples").into());
    }
    Ok(session.finish(goals::goals))
}

/// Makes tables of what the script prints, each as soon as it is complete; says how many had samples.
fn tell(lines: impl Iterator<Item = Result<Line>>, session: &mut Session) -> Result<usize> {
    let mut lines = lines.peekable();
    let mut tables = 0;
    while let Some(line) = lines.next() {
        let Line::Table { place, keys, bytes } = line? else {
            return Err("the script printed a sample before the first table".into());
        };
        session.say(&format!("{place}: {keys} paths, {:.1} MB with their values", bytes as f64 / 1e6));
        let (mut result, mut samples) = (Ok(()), 0);
        session.table(Table::new(CASE.name, place, keys, bytes, stores_in(place)), |notes| {
            while let Some(line) = lines.next_if(|line| !matches!(line, Ok(Line::Table { .. }))) {
                match line {
                    Ok(line) => {
                        samples += usize::from(matches!(line, Line::Sample { .. }));
                        note(line, notes);
                    }
                    Err(error) => result = Err(error),
                }
            }
        });
        result?;
        tables += usize::from(samples > 0);
    }
    Ok(tables)
}

fn note(line: Line, notes: &mut Notes<'_>) {
    match line {
        Line::Sample { metric, store, number } => notes.table.add(metric, store, number),
        Line::Wrong { store, what } => {
            notes.take::<(), _>(store, "an answer", Err(what));
        }
        Line::Table { .. } => unreachable!("a table begins where another ends"),
    }
}
