//! The lines that `benches/browser/run.mjs` prints, which says what they mean. Must know nothing of tables.

#![forbid(unsafe_code)]

use super::metrics::METRICS;
use super::{FILES, MEMORY, STORES};
use crate::report::Metric;
use crate::stores::Result;
use std::io::BufRead;

#[derive(PartialEq, Debug)]
pub enum Line {
    Table { place: &'static str, keys: usize, bytes: usize },
    Sample { metric: Metric, store: &'static str, number: f64 },
    Wrong { store: &'static str, what: String },
}

pub struct Lines<R>(std::io::Lines<R>);

impl<R: BufRead> Lines<R> {
    pub fn new(from: R) -> Self {
        Self(from.lines())
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.next()?;
        Some(line.map_err(Into::into).and_then(|line| parse(&line)))
    }
}

fn parse(line: &str) -> Result<Line> {
    match line.split('\t').collect::<Vec<_>>()[..] {
        ["table", place, keys, bytes] => Ok(Line::Table {
            place: known(&[MEMORY, FILES], place)?,
            keys: keys.parse()?,
            bytes: bytes.parse()?,
        }),
        ["sample", metric, store, number] => {
            let metric = METRICS.iter().find(|known| known.name == metric);
            let metric = *metric.ok_or_else(|| format!("a metric that is not known: {line}"))?;
            Ok(Line::Sample { metric, store: known(STORES, store)?, number: number.parse()? })
        }
        ["wrong", store, what] => Ok(Line::Wrong { store: known(STORES, store)?, what: what.to_owned() }),
        _ => Err(format!("a line that means nothing: {line}").into()),
    }
}

fn known(names: &[&'static str], name: &str) -> Result<&'static str> {
    let found = names.iter().find(|known| **known == name);
    Ok(found.ok_or_else(|| format!("a name that is not known: {name}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::browser::metrics::GET;

    #[test]
    fn lines_are_tables_samples_and_complaints() {
        let text = "table\tmemory\t100\t16000\nsample\tget\tspinney\t0.75\nwrong\tsqlite\ta and not b\n";
        let lines: Vec<Line> = Lines::new(text.as_bytes()).map(Result::unwrap).collect();
        let expected = [
            Line::Table { place: MEMORY, keys: 100, bytes: 16_000 },
            Line::Sample { metric: GET, store: "spinney", number: 0.75 },
            Line::Wrong { store: "sqlite", what: "a and not b".to_owned() },
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for line in ["", "table\tattic\t1\t1", "sample\tspeed\tspinney\t1", "sample\tget\tspinney\tfast"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
