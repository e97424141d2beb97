//! Results on their way into the table. An error of one store is noted, and the others go on.

#![forbid(unsafe_code)]

use super::{Metric, Table};
use std::fmt::Display;

pub struct Notes<'a> {
    pub table: Table,
    /// What went wrong, each thing once.
    wrong: &'a mut Vec<String>,
}

impl<'a> Notes<'a> {
    pub fn new(table: Table, wrong: &'a mut Vec<String>) -> Self {
        Self { table, wrong }
    }

    /// The result of `what`, unless it is an error.
    pub fn take<T, E: Display>(
        &mut self,
        store: &'static str,
        what: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let place = format!("{} keys of {}", self.table.keys, self.table.family);
        let line = format!("{store}, {place}, {what}: {error}");
        if !self.wrong.contains(&line) {
            self.wrong.push(line);
        }
        None
    }

    /// Adds the result to the table, unless it is an error.
    pub fn add<E: Display>(&mut self, metric: Metric, store: &'static str, result: Result<f64, E>) {
        if let Some(sample) = self.take(store, metric.name, result) {
            self.table.add(metric, store, sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_noted_once_and_the_others_go_on() {
        const METRIC: Metric = Metric::less("get", "ns", 0);
        let mut wrong = Vec::new();
        let mut notes = Notes::new(Table::new("case", "family", 3, 9, vec!["a", "b"]), &mut wrong);
        for _ in 0..2 {
            notes.add(METRIC, "a", Err("lost"));
            notes.add(METRIC, "b", Ok::<_, String>(2.0));
        }
        assert_eq!((notes.table.median(METRIC, "a"), notes.table.median(METRIC, "b")), (None, Some(2.0)));
        assert_eq!(wrong, ["a, 3 keys of family, get: lost"]);
    }
}
