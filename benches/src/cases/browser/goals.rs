//! What the package should reach in a browser.

#![forbid(unsafe_code)]

use super::metrics::{
    BUFFERED, BYTES, DURABLE, GET, LIST, OPEN_DIRECTORY, OPEN_ROOT, PAGE, PUT, SCAN, SCAN_KEYS,
};
use super::{FILES, MEMORY};
use crate::report::{Goal, HOME, Metric, Table};

const SQLITE: &str = "sqlite";
const INDEXEDDB: &str = "indexeddb";

/// The size that a get, and the one that opening is promised for.
const SMALL: usize = 100_000;
const LARGE: usize = 1_000_000;

const UNDER: &[(Metric, f64)] = &[(PUT, 2.0), (PAGE, 150.0), (BYTES, 200.0)];
const AT_MOST: &[(Metric, f64)] = &[(LIST, 0.25), (SCAN_KEYS, 0.15), (SCAN, 0.15)];

/// The goals that this table is about.
pub fn goals(table: &Table) -> Vec<Goal> {
    match table.family {
        MEMORY => in_memory(table),
        FILES => in_files(table),
        _ => Vec::new(),
    }
}

fn in_memory(table: &Table) -> Vec<Goal> {
    let mut goals = Vec::new();
    if table.keys == SMALL {
        goals.push(under(table, GET, 1.0));
        goals.push(faster(table, GET, SQLITE, 6.0));
    }
    goals.extend(UNDER.iter().map(|&(metric, limit)| under(table, metric, limit)));
    goals.extend(AT_MOST.iter().map(|&(metric, limit)| {
        let text = format!("{} at most {limit} {}", place(table, metric), metric.unit);
        Goal::new(text, table.median(metric, HOME), "", |measured| measured <= limit)
    }));
    goals
}

fn in_files(table: &Table) -> Vec<Goal> {
    let times = table.ratio(DURABLE, SQLITE).map(|ratio| 1.0 / ratio);
    let text = format!("{} at most 1.1x of {SQLITE}", place(table, DURABLE));
    let mut goals = vec![Goal::new(text, times, "x", |times| times <= 1.1), under(table, BUFFERED, 6.0)];
    if table.keys == LARGE {
        for metric in [OPEN_ROOT, OPEN_DIRECTORY] {
            goals.extend([INDEXEDDB, SQLITE].map(|peer| faster(table, metric, peer, 1.0)));
        }
    }
    goals
}

fn place(table: &Table, metric: Metric) -> String {
    format!("{}k in {}: {}", table.keys / 1000, table.family, metric.name)
}

fn under(table: &Table, metric: Metric, limit: f64) -> Goal {
    let text = format!("{} under {limit} {}", place(table, metric), metric.unit);
    Goal::new(text, table.median(metric, HOME), "", |measured| measured < limit)
}

/// So many times faster at least, and never as slow.
fn faster(table: &Table, metric: Metric, peer: &str, least: f64) -> Goal {
    let text = match least {
        1.0 => format!("{} faster than {peer}", place(table, metric)),
        _ => format!("{} at least {least}x faster than {peer}", place(table, metric)),
    };
    Goal::new(text, table.ratio(metric, peer), "x", |ratio| ratio > 1.0 && ratio >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(table: &Table) -> Vec<(String, Option<bool>)> {
        goals(table).into_iter().map(|goal| (goal.text, goal.pass)).collect()
    }

    #[test]
    fn opening_is_compared_at_a_million_paths_alone() {
        let mut table = Table::new("browser", FILES, LARGE, 1, vec![HOME, INDEXEDDB, SQLITE]);
        for (store, ms) in [(HOME, 20.0), (INDEXEDDB, 20.0), (SQLITE, 30.0)] {
            table.add(OPEN_ROOT, store, ms);
            table.add(DURABLE, store, ms);
        }
        let found = verdicts(&table);
        assert_eq!(found.len(), 6);
        assert_eq!(found[0], ("1000k in files: put, durable at most 1.1x of sqlite".to_owned(), Some(true)));
        assert_eq!(found[1].1, None, "not measured");
        let opening = "1000k in files: open and list the root faster than";
        assert_eq!(found[2], (format!("{opening} indexeddb"), Some(false)));
        assert_eq!(found[3], (format!("{opening} sqlite"), Some(true)));
        assert_eq!(goals(&Table::new("browser", FILES, SMALL, 1, vec![HOME])).len(), 2);
    }

    #[test]
    fn a_get_has_a_limit_and_a_distance() {
        let mut table = Table::new("browser", MEMORY, SMALL, 1, vec![HOME, SQLITE]);
        table.add(GET, HOME, 0.9);
        table.add(GET, SQLITE, 5.0);
        let found = verdicts(&table);
        assert_eq!(found[0], ("100k in memory: get under 1 us".to_owned(), Some(true)));
        assert_eq!(found[1].1, Some(false));
        assert_eq!(goals(&Table::new("browser", MEMORY, LARGE, 1, vec![HOME])).len(), 6);
    }
}
