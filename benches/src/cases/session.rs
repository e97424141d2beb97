//! One run of a case from its first table to its last word: what is printed around the tables, and the
//! verdict.

#![forbid(unsafe_code)]

use super::Verdict;
use crate::keys::Family;
use crate::measure::{self, Neighbours};
use crate::options::Options;
use crate::report::{Goal, HOME, Notes, Output, Table};
use crate::stores;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// What the caller of the run says about it: the day, the version of the source, the compiler.
const ABOUT: &str = "SPINNEY_BENCH_ABOUT";

pub struct Session {
    case: &'static str,
    output: Output,
    neighbours: Neighbours,
    start: Instant,
    stores: Vec<&'static str>,
    /// What else is to be known about the run, by name.
    pub facts: Map<String, Value>,
    /// Is spinney among the stores? Without it, no goal means anything.
    has_home: bool,
    tables: Vec<Table>,
    wrong: Vec<String>,
}

impl Session {
    /// `stores` are the names of the columns.
    pub fn start(case: &'static str, options: &Options, stores: &[&'static str]) -> Self {
        if options.wall {
            measure::use_wall();
        }
        Self {
            case,
            output: Output::new(options.json),
            neighbours: Neighbours::watch(),
            start: Instant::now(),
            stores: stores.to_vec(),
            facts: Map::from_iter([("settings".to_owned(), options.settings.join(" ").into())]),
            has_home: stores.contains(&HOME),
            tables: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Words for people.
    pub fn say(&self, text: &str) {
        self.output.say(text);
    }

    /// Says how many lines of a file of paths became no keys.
    pub fn count_too_long(&mut self, family: &Family) {
        if family.too_long > 0 {
            self.say(&format!("{} lines were too long for a key, and are left out", family.too_long));
            self.facts.insert("too_long".to_owned(), family.too_long.into());
        }
    }

    /// Has `fill` fill a table, prints it and keeps it for the goals.
    pub fn table(&mut self, table: Table, fill: impl FnOnce(&mut Notes<'_>)) {
        let mut notes = Notes::new(table, &mut self.wrong);
        fill(&mut notes);
        let table = notes.table;
        self.output.say(&table.render());
        self.output.lines(&table.json());
        self.tables.push(table);
    }

    /// Says which goals were reached and what went wrong, and who answered rightly. A goal that was missed is
    /// no error: on a busy machine it means little.
    pub fn finish(self, goals: impl Fn(&Table) -> Vec<Goal>) -> Verdict {
        if self.has_home {
            let goals: Vec<Goal> = self.tables.iter().flat_map(goals).collect();
            if !goals.is_empty() {
                self.output.say("goals");
            }
            for goal in &goals {
                self.output.say(&goal.to_string());
                self.output.lines(&goal.json(self.case));
            }
            self.output.say("");
        }
        if let Some(share) = self.neighbours.share() {
            let percent = share * 100.0;
            self.output.say(&format!("other processes took {percent:.0} % of the machine meanwhile"));
        }
        for line in &self.wrong {
            self.output.say(&format!("WRONG  {line}"));
            self.line(&json!({ "case": self.case, "wrong": line }));
        }
        self.line(&json!({ "case": self.case, "run": self.about() }));
        verdict(&self.wrong, self.has_home)
    }

    fn line(&self, line: &Value) {
        self.output.lines(&format!("{line}\n"));
    }

    /// Where and how it ran, for whoever reads the numbers later.
    fn about(&self) -> Map<String, Value> {
        let host = measure::host();
        let mut about = self.facts.clone();
        let versions = self.stores.iter().map(|&store| json!([store, stores::version(store)]));
        let told = [
            ("about", json!(std::env::var(ABOUT).ok())),
            ("processor", json!(host.processor)),
            ("processors", json!(host.processors)),
            ("memory_bytes", json!(host.memory_bytes)),
            ("system", json!(host.system)),
            ("versions", Value::Array(versions.collect())),
            ("others_percent", json!(self.neighbours.share().map(|share| (share * 100.0).round()))),
            ("seconds", json!(self.start.elapsed().as_secs())),
        ];
        about.extend(told.map(|(name, value)| (name.to_owned(), value)));
        about
    }
}

/// `wrong` are lines that begin with the name of a store. Where Spinney is not among the stores nobody is
/// measured beside it, and no mistake is another's.
fn verdict(wrong: &[String], has_home: bool) -> Verdict {
    let is_ours = |line: &String| line.split(',').next() == Some(HOME);
    match wrong.is_empty() {
        true => Verdict::Right,
        false if has_home && !wrong.iter().any(is_ours) => Verdict::OthersWrong,
        false => Verdict::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_of_another_store_is_not_ours() {
        let line = |store: &str| format!("{store}, 20000 keys of objects, get: lost");
        assert_eq!(verdict(&[], true), Verdict::Right);
        assert_eq!(verdict(&[line("holt"), line("redb")], true), Verdict::OthersWrong);
        assert_eq!(verdict(&[line("holt"), line(HOME)], true), Verdict::Wrong);
        assert_eq!(verdict(&[line("holt")], false), Verdict::Wrong);
    }
}
