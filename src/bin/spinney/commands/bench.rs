//! `bench`: what the basic operations cost on this machine, in a temporary file.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use spinney::{Db, Durability, Tree};

use crate::failure::Result;
use crate::made_up::{Catalog, KEYS_MAX, SHARES, mix};
use crate::output::Output;
use crate::place;
use crate::steps::{Scratch, Steps, expect};

/// Durable puts go on for this long: a slow disk makes them fewer, not the run longer.
const DURABLE: Duration = Duration::from_millis(500);
const DURABLE_MAX: u64 = 20_000;
const LOOKUPS: u64 = 200_000;
const COUNTS: u64 = 1_000;

/// Measure puts, gets, lists, scans and counts on this machine, in a temporary file
#[derive(clap::Args)]
pub struct Args {
    /// So many paths
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(100..=KEYS_MAX))]
    keys: u64,
    /// Where the temporary folder is made: on the disk that is to be measured
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let scratch = Scratch::new("bench", self.folder, false)?;
        let path = scratch.file();
        let db = place::open(&path, Db::builder().durability(Durability::Buffered))?;
        let (files, catalog) = (db.tree("files")?, Catalog { keys: self.keys });
        let mut steps = Steps::new(out)?;
        writes(out, &mut steps, &files, catalog)?;
        lookups(out, &mut steps, &files, catalog)?;
        walks(out, &mut steps, &files, catalog)?;
        let start = Instant::now();
        place::close(&path, db)?;
        steps.add(out, "closed", 1, start)?;
        if out.is_json() {
            out.json(&json!({ "keys": catalog.keys, "steps": steps.into_json() }))?;
        }
        Ok(())
    }
}

fn writes(out: &mut Output, steps: &mut Steps, files: &Tree, catalog: Catalog) -> Result<()> {
    let (mut path, mut value, start) = (String::new(), String::new(), Instant::now());
    for nth in 0..catalog.keys {
        let number = catalog.nth(nth);
        catalog.path(number, &mut path);
        catalog.value(number, &mut value);
        files.put(&path, &value)?;
    }
    steps.add(out, "put, random order, Buffered", catalog.keys, start)?;

    let (durable, start) = (files.with_durability(Durability::Sync), Instant::now());
    let mut done = 0;
    while done < DURABLE_MAX.min(catalog.keys) && start.elapsed() < DURABLE {
        let number = catalog.nth(done);
        catalog.path(number, &mut path);
        catalog.value(number, &mut value);
        durable.put(&path, &value)?;
        done += 1;
    }
    steps.add(out, "put again, Sync: on stable storage, one thread", done, start)
}

fn lookups(out: &mut Output, steps: &mut Steps, files: &Tree, catalog: Catalog) -> Result<()> {
    let count = LOOKUPS.min(catalog.keys);
    // Made beforehand, so that it is not measured.
    let mut paths: Vec<String> = vec![String::new(); count as usize];
    for (nth, path) in paths.iter_mut().enumerate() {
        catalog.path(mix(nth as u64) % catalog.keys, path);
    }
    let (start, mut value) = (Instant::now(), Vec::new());
    for path in &paths {
        expect(files.get_into(path, &mut value)?.is_some(), || format!("{path} is missing"))?;
    }
    steps.add(out, "get, random", count, start)?;

    let start = Instant::now();
    for group in paths.chunks(256) {
        let found = files.get_many(group)?;
        expect(found.iter().all(Option::is_some), || "a path is missing".to_string())?;
    }
    steps.add(out, "get_many, 256 at once", count, start)?;

    paths.iter_mut().for_each(|path| path.push('~'));
    let start = Instant::now();
    for path in &paths {
        expect(!files.contains(path)?, || format!("{path} is there"))?;
    }
    steps.add(out, "contains, a miss", count, start)
}

fn walks(out: &mut Output, steps: &mut Steps, files: &Tree, catalog: Catalog) -> Result<()> {
    let (start, mut seen, mut scan) = (Instant::now(), 0, files.scan(""));
    while scan.next_ref()?.is_some() {
        seen += 1;
    }
    steps.add(out, "scan, all keys with values", seen, start)?;
    expect(seen == catalog.keys, || format!("{seen} keys of {} were seen", catalog.keys))?;

    let mut path = String::new();
    let mut directories = Vec::new();
    for nth in 0..COUNTS {
        catalog.path(mix(nth) % catalog.keys, &mut path);
        directories.push(path[..path.rfind('/').map_or(0, |slash| slash + 1)].to_string());
    }
    let (start, mut children) = (Instant::now(), 0);
    for directory in &directories {
        let mut list = files.list(directory);
        while list.next_ref()?.is_some() {
            children += 1;
        }
    }
    steps.add(out, "list, a child of a directory", children, start)?;

    let (start, mut counted) = (Instant::now(), 0);
    for (directory, _) in SHARES {
        counted += files.count(directory)?;
    }
    steps.add(out, "count, a directory at the top", SHARES.len() as u64, start)?;
    expect(counted == catalog.keys, || format!("{counted} keys of {} were counted", catalog.keys))
}
