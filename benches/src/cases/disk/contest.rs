//! A case on disk from outside: its data sets, its stores, and the order of their turns.

#![forbid(unsafe_code)]

use super::child::{Answer, Turn};
use super::place::Place;
use crate::cases::{Verdict, families, session::Session};
use crate::keys::{Family, OBJECTS, VALUE_LEN};
use crate::measure;
use crate::options::Options;
use crate::report::{Goal, HOME, Metric, Notes, Table};
use crate::stores::Result;
use crate::stores::disk;
use serde_json::json;
use std::path::Path;

const ROUNDS: usize = 3;

/// What makes one case differ from another.
pub struct Plan {
    pub name: &'static str,
    /// Keys of a family, where the command line names no size, and with `--quick`.
    pub keys: usize,
    pub keys_quick: usize,
    /// All rows that the table may have.
    pub metrics: &'static [Metric],
    pub goals: fn(&Table) -> Vec<Goal>,
    /// All turns of all stores.
    pub turns: fn(&mut Contest<'_, '_>),
}

/// The turns of one data set.
pub struct Contest<'a, 'n> {
    pub stores: Vec<&'static str>,
    pub rounds: usize,
    pub place: &'a Place,
    metrics: &'static [Metric],
    /// What tells a child about the data set.
    data_args: Vec<String>,
    notes: &'a mut Notes<'n>,
}

pub fn run(plan: &Plan, options: &Options) -> Result<Verdict> {
    let stores = disk::names(options)?;
    let names: Vec<&'static str> = stores.iter().map(|(name, _)| *name).collect();
    let place = Place::make(options)?;
    let mut session = Session::start(plan.name, options, &names);
    session.say(&format!("in {}", place.path().display()));
    if let Some(kind) = measure::file_system(place.path()) {
        session.facts.insert("file_system".to_owned(), kind.into());
    }
    for (name, [synced, buffered]) in &stores {
        session.say(&format!("{name:<8} synced: {synced}; buffered: {buffered}"));
    }
    session.facts.insert("acknowledged".to_owned(), json!(stores));
    let keys = if options.quick { plan.keys_quick } else { plan.keys };
    let mut options = options.clone();
    if options.families.is_empty() && options.paths.is_none() {
        options.families = vec![OBJECTS.to_owned()];
    }
    families::each(&options, &[keys], |family| {
        if family.len() < KEYS_MIN {
            return Err(format!("too few keys: {KEYS_MIN} at least").into());
        }
        session.say(&heading(&family));
        session.count_too_long(&family);
        let table = Table::new(plan.name, family.name, family.len(), family.raw_bytes(), names.clone());
        let data_args = data_args(&options, &family);
        drop(family);
        session.table(table, |notes| {
            let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { ROUNDS });
            let stores = names.clone();
            let metrics = plan.metrics;
            (plan.turns)(&mut Contest { stores, rounds, place: &place, metrics, data_args, notes });
        });
        Ok(())
    })?;
    Ok(session.finish(plan.goals))
}

/// 64 threads need keys of their own.
const KEYS_MIN: usize = 1_000;

fn heading(family: &Family) -> String {
    format!(
        "{}: {} keys of {:.1} bytes, values of {VALUE_LEN}, {:.1} MB raw",
        family.name,
        family.len(),
        family.sorted.total_bytes() as f64 / family.len() as f64,
        family.raw_bytes() as f64 / 1e6,
    )
}

/// The options that give a child the same family.
fn data_args(options: &Options, family: &Family) -> Vec<String> {
    let mut args = vec![format!("--seed={}", options.seed), format!("--keys={}", family.len())];
    match &options.paths {
        Some(path) => args.extend(["--paths".to_owned(), path.display().to_string()]),
        None => args.push(format!("--families={}", family.name)),
    }
    if options.quick {
        args.push("--quick".to_owned());
    }
    args
}

impl Contest<'_, '_> {
    /// Calls `turn` for each store in each round; nobody is always first.
    pub fn rounds(&mut self, mut turn: impl FnMut(&mut Self, &'static str, usize)) {
        for round in 0..self.rounds {
            for i in measure::order(round, self.stores.len()) {
                let store = self.stores[i];
                turn(self, store, round);
            }
        }
    }

    /// In each round each store gets a new directory, does `work` there, and the directory is cleared.
    pub fn in_fresh_directories(&mut self, work: impl Fn(&mut Self, &'static str, &Path, usize)) {
        self.rounds(|contest, store, round| {
            if let Some(dir) = contest.take(store, "directory", contest.place.fresh(store)) {
                work(contest, store, &dir, round);
            }
            contest.take(store, "directory", contest.place.clear(store));
        });
    }

    /// Has every store loaded once, and then has `read` called by turns.
    pub fn loaded_once(&mut self, load: &str, read: impl Fn(&mut Self, &'static str, &Path, usize)) {
        let mut loaded = Vec::new();
        for store in self.stores.clone() {
            let dir = self.take(store, "directory", self.place.fresh(store));
            if dir.is_some_and(|dir| self.turn(load, store, &dir, 0)) {
                loaded.push(store);
            }
        }
        self.rounds(|contest, store, round| {
            if loaded.contains(&store) {
                let dir = contest.place.of(store);
                read(contest, store, &dir, round);
            }
        });
        for store in self.stores.clone() {
            self.take(store, "directory", self.place.clear(store));
        }
    }

    /// Has a child do this task with the store in this directory; whether all was well.
    pub fn turn(&mut self, task: &str, store: &'static str, dir: &Path, round: usize) -> bool {
        let answer = self.start(task, store, dir, round).and_then(Turn::finish);
        self.note(task, store, answer)
    }

    /// The same with a limit of memory. A store that does not keep to it has no value, which is no error but
    /// here; whether it lived.
    pub fn confined(&mut self, task: &str, store: &'static str, dir: &Path, round: usize) -> bool {
        match self.start(task, store, dir, round).and_then(Turn::finish_unless_killed).transpose() {
            Some(answer) => return self.note(task, store, answer),
            None if store == HOME => drop(self.take(store, task, Err::<(), _>("killed".into()))),
            None => eprintln!("{store}, {task}: killed, most likely for it took more memory than it may"),
        }
        false
    }

    /// Has a child do it that is killed when it is ready.
    pub fn killed(&mut self, task: &str, store: &'static str, dir: &Path, round: usize) -> bool {
        let answer = self.start(task, store, dir, round).and_then(Turn::kill_when_ready);
        self.note(task, store, answer)
    }

    /// The result, unless it is an error, which is noted.
    pub fn take<T>(&mut self, store: &'static str, what: &str, result: Result<T>) -> Option<T> {
        self.notes.take(store, what, result)
    }

    fn start(&self, task: &str, store: &str, dir: &Path, round: usize) -> Result<Turn> {
        let mut args = vec![task.to_owned(), store.to_owned(), dir.display().to_string(), round.to_string()];
        args.extend(self.data_args.iter().cloned());
        Turn::start(&args)
    }

    fn note(&mut self, task: &str, store: &'static str, answer: Result<Answer>) -> bool {
        let Some(answer) = self.notes.take(store, task, answer) else {
            return false;
        };
        for (name, value) in &answer.values {
            match self.metrics.iter().find(|metric| metric.name == name) {
                Some(&metric) => self.notes.table.add(metric, store, *value),
                None => drop(self.notes.take(store, name, Err::<(), _>("no such row"))),
            }
        }
        for (name, wrong) in &answer.wrong {
            self.notes.take(store, name, Err::<(), _>(wrong));
        }
        answer.wrong.is_empty()
    }
}
