//! `demo`: a catalog of a million paths, what can be done with it, and what is left of it after a kill.
//!
//! Invariant: everything that it shows has been verified, or it ends with an error.

#![forbid(unsafe_code)]

mod killed;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use spinney::{Db, Durability, ListRef, Tree};

use crate::failure::Result;
use crate::made_up::{Catalog, KEYS_MAX, SHARES, mix};
use crate::output::Output;
use crate::place;
use crate::steps::{Scratch, Steps, expect};
use crate::text::{size, thousands};

const LOOKUPS: u64 = 200_000;
const LISTINGS: u64 = 1_000;

/// Show what a database does with a million paths, and with kill -9
#[derive(clap::Args)]
pub struct Args {
    /// So many paths
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=KEYS_MAX))]
    keys: u64,
    /// Leave the database there, to look into it
    #[arg(long)]
    keep: bool,
    /// Where the temporary folder is made
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Be the process that is killed
    #[arg(long, value_name = "FILE", hide = true)]
    child: Option<PathBuf>,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        if let Some(path) = self.child {
            return killed::write_until_killed(&path);
        }
        let scratch = Scratch::new("demo", self.folder, self.keep)?;
        let (path, catalog) = (scratch.file(), Catalog { keys: self.keys });
        let mut steps = Steps::new(out)?;
        let db = place::open(&path, Db::builder())?;
        let files = db.tree("files")?.with_durability(Durability::Buffered);
        let mut demo = Demo { out, steps: &mut steps, catalog, files };
        demo.build(&db)?;
        demo.look_up()?;
        demo.list()?;
        demo.move_and_remove()?;
        demo.save(db, &path)?;
        drop(demo);
        let left = catalog.keys - catalog.keys_in(LOGS);
        let killed = killed::kill_and_recover(out, &mut steps, &path, left)?;
        if out.is_json() {
            out.json(&json!({
                "keys": catalog.keys,
                "steps": steps.into_json(),
                "acknowledged": killed.acknowledged,
                "recovered": killed.recovered,
                "file": self.keep.then(|| path.display().to_string()),
            }))?;
        } else {
            out.line("\nEverything above was verified: every count, and every value that was read.")?;
            if self.keep {
                out.line(format!("Look into it: spinney ls -l {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// The indices of two directories in [`SHARES`]: the one that moves, and the one that goes.
const PHOTOS: usize = 0;
const LOGS: usize = 1;
const PHOTOS_MOVED: &str = "archive/photos/";

struct Demo<'a> {
    out: &'a mut Output,
    steps: &'a mut Steps,
    catalog: Catalog,
    files: Tree,
}

impl Demo<'_> {
    fn build(&mut self, db: &Db) -> Result<()> {
        let (start, keys) = (Instant::now(), self.catalog.keys);
        let (mut path, mut value) = (String::new(), String::new());
        for nth in 0..keys {
            let number = self.catalog.nth(nth);
            self.catalog.path(number, &mut path);
            self.catalog.value(number, &mut value);
            self.files.put(&path, &value)?;
        }
        self.steps.add(self.out, "paths put in random order (Buffered)", keys, start)?;
        let start = Instant::now();
        db.sync()?;
        self.steps.add(self.out, "all of it on stable storage (sync)", 1, start)?;
        let start = Instant::now();
        let counted = self.files.count("")?;
        let what = format!("keys counted: {}", thousands(counted));
        self.steps.add(self.out, &what, 1, start)?;
        expect(counted == keys, || format!("{keys} were put, {counted} are there"))
    }

    fn look_up(&mut self) -> Result<()> {
        let (mut path, mut value, mut found) = (String::new(), String::new(), Vec::new());
        let lookups = LOOKUPS.min(self.catalog.keys);
        let start = Instant::now();
        for nth in 0..lookups {
            let number = mix(nth) % self.catalog.keys;
            self.catalog.path(number, &mut path);
            self.catalog.value(number, &mut value);
            let version = self.files.get_into(&path, &mut found)?;
            expect(version.is_some() && found == value.as_bytes(), || format!("{path} has another value"))?;
        }
        self.steps.add(self.out, "random paths looked up, values compared", lookups, start)?;
        let start = Instant::now();
        for nth in 0..lookups {
            self.catalog.path(mix(nth) % self.catalog.keys, &mut path);
            path.push('~');
            expect(!self.files.contains(&path)?, || format!("{path} was never put, and is there"))?;
        }
        self.steps.add(self.out, "paths looked up that are not there", lookups, start)
    }

    fn list(&mut self) -> Result<()> {
        // Listing only: what a directory must hold is found out by counting it beforehand.
        let mut directories: Vec<(String, u64)> = Vec::new();
        let mut path = String::new();
        for nth in 0..LISTINGS.min(self.catalog.keys) {
            self.catalog.path(mix(nth) % self.catalog.keys, &mut path);
            let end = path.rfind('/').map_or(0, |slash| slash + 1);
            let directory = path[..end].to_string();
            let keys = self.files.count(&directory)?;
            directories.push((directory, keys));
        }
        let (start, mut children) = (Instant::now(), 0);
        for (directory, keys) in &directories {
            let (mut list, mut found) = (self.files.list(directory), 0);
            while let Some(child) = list.next_ref()? {
                found += u64::from(matches!(child, ListRef::Key { .. }));
            }
            expect(found == *keys, || format!("{directory} has {keys} files and lists {found}"))?;
            children += found;
        }
        let what = format!("directories listed ({} files)", thousands(children));
        self.steps.add(self.out, &what, directories.len() as u64, start)?;
        let start = Instant::now();
        let tops =
            self.files.list("").filter(|child| child.as_ref().is_ok_and(|child| child.is_prefix())).count();
        self.steps.add(self.out, "the top directory listed", 1, start)?;
        let expected = (0..SHARES.len()).filter(|&index| self.catalog.keys_in(index) > 0).count();
        expect(tops == expected, || format!("there are {expected} directories at the top, not {tops}"))
    }

    fn move_and_remove(&mut self) -> Result<()> {
        let (photos, logs) = (SHARES[PHOTOS].0, SHARES[LOGS].0);
        let (in_photos, in_logs) = (self.catalog.keys_in(PHOTOS), self.catalog.keys_in(LOGS));

        let start = Instant::now();
        let moved = self.files.rename_prefix(photos, PHOTOS_MOVED)?;
        let what = format!("{photos} renamed ({} keys)", thousands(in_photos));
        self.steps.add(self.out, &what, 1, start)?;
        let start = Instant::now();
        let counted = (self.files.count(photos)?, self.files.count(PHOTOS_MOVED)?);
        self.steps.add(self.out, "counted at both places", 2, start)?;
        expect(moved.is_some() && counted == (0, in_photos), || {
            format!("{in_photos} keys should have moved; there are {counted:?} at the old and the new place")
        })?;
        self.compare_some(photos, PHOTOS_MOVED)?;

        let start = Instant::now();
        let removed = self.files.remove_prefix(logs)?;
        let what = format!("{logs} removed ({} keys)", thousands(in_logs));
        self.steps.add(self.out, &what, 1, start)?;
        let left = self.files.count("")?;
        expect(removed.is_some() && left == self.catalog.keys - in_logs, || {
            format!("{left} keys are left after removing {in_logs} of {}", self.catalog.keys)
        })?;
        let ghost = self.files.scan(logs).next().transpose()?;
        expect(ghost.is_none(), || format!("there is still a key in {logs}"))
    }

    /// Looks up some keys of a directory that has moved, at both places.
    fn compare_some(&self, from: &str, to: &str) -> Result<()> {
        let (mut path, mut value) = (String::new(), String::new());
        for nth in 0..LOOKUPS.min(self.catalog.keys) {
            let number = mix(nth) % self.catalog.keys;
            self.catalog.path(number, &mut path);
            let Some(rest) = path.strip_prefix(from) else {
                continue;
            };
            let moved = format!("{to}{rest}");
            self.catalog.value(number, &mut value);
            let found = self.files.get(&moved)?;
            expect(found.as_deref() == Some(value.as_bytes()), || format!("{moved} has another value"))?;
            expect(!self.files.contains(&path)?, || format!("{path} is still there"))?;
        }
        Ok(())
    }

    fn save(&mut self, db: Db, path: &Path) -> Result<()> {
        let start = Instant::now();
        db.checkpoint()?;
        self.steps.add(self.out, "checkpoint", 1, start)?;
        let stats = db.stats();
        let start = Instant::now();
        place::close(path, db)?;
        let what = format!("closed: one file of {}", size(stats.size_bytes()));
        self.steps.add(self.out, &what, 1, start)
    }
}
