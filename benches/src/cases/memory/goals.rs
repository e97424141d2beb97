//! What the case should reach, as a table: one line a goal.
//!
//! A goal holds for small or for large data sets only; between them nothing is promised.

#![forbid(unsafe_code)]

use super::metrics::{
    BYTES_RANDOM, BYTES_SORTED, FILL_RANDOM, FILL_SORTED, GET, GET_INTO, GET_MANY, HOPS_RANDOM, HOPS_SORTED,
    KEPT, KEPT_BUSY, LIST, MISS, OVERWRITE, PUT_RANDOM, SCALING, SCALING_BUSY, SCAN, SCAN_SORTED,
};
use crate::keys::{FILES, RANDOM32};
use crate::report::{Goal, HOME, Metric, Table};
use Aim::{AtLeast, AtMostRaw, Exactly, Faster, FasterThan, UnderOrPeer};

/// Keys of a small data set, at most: it fits into the processor's caches.
const SMALL_MAX: usize = 50_000;
/// Keys of a large data set, at least.
const LARGE_MIN: usize = 500_000;

const BTREEMAP: &str = "btreemap";
const HOLT: &str = "holt";

#[derive(Clone, Copy)]
enum Aim {
    /// At least so many times faster than the peer.
    Faster(f64, &'static str),
    /// At least so many times faster than the store's own way to do something else.
    FasterThan(f64, Metric),
    /// Under so many nanoseconds, or under the peer's.
    UnderOrPeer(f64, &'static str),
    /// At most so many times the raw bytes of the keys and values.
    AtMostRaw(f64),
    /// At least so much, in this unit.
    AtLeast(f64, &'static str),
    Exactly(f64),
}

const SMALL_PATHS: &[(Metric, Aim)] = &[(GET, Faster(1.0, BTREEMAP)), (GET_INTO, Faster(1.0, BTREEMAP))];

const LARGE_PATHS: &[(Metric, Aim)] = &[
    (GET, Faster(3.0, HOLT)),
    (GET, Faster(1.8, BTREEMAP)),
    (GET_INTO, Faster(1.8, BTREEMAP)),
    (GET_MANY, FasterThan(4.0, GET)),
    (MISS, Faster(5.0, HOLT)),
    (MISS, Faster(3.0, BTREEMAP)),
    (PUT_RANDOM, Faster(3.0, HOLT)),
    (OVERWRITE, Faster(4.0, HOLT)),
    (SCAN, UnderOrPeer(25.0, BTREEMAP)),
    (SCAN_SORTED, UnderOrPeer(25.0, BTREEMAP)),
    (LIST, Faster(30.0, HOLT)),
    (HOPS_RANDOM, Exactly(1.0)),
    (HOPS_SORTED, Exactly(1.0)),
    (BYTES_RANDOM, AtMostRaw(1.12)),
    (BYTES_SORTED, AtMostRaw(0.95)),
    (FILL_RANDOM, AtLeast(0.78, "")),
    (FILL_SORTED, AtLeast(0.92, "")),
    (SCALING, AtLeast(1.8, "x")),
    (SCALING_BUSY, AtLeast(1.8, "x")),
    (KEPT, AtLeast(70.0, " %")),
    (KEPT_BUSY, AtLeast(70.0, " %")),
];

/// Random bytes share nothing, so the tree itself must cost little.
const LARGE_RANDOM32: &[(Metric, Aim)] = &[(BYTES_RANDOM, AtMostRaw(1.6))];

/// The goals that this table is about.
pub fn goals(table: &Table) -> Vec<Goal> {
    let (small, large) = match table.family {
        RANDOM32 => (&[][..], LARGE_RANDOM32),
        // Measured beside the objects, for which the goals were set.
        FILES => (&[][..], &[][..]),
        _ => (SMALL_PATHS, LARGE_PATHS),
    };
    let rows = match table.keys {
        ..=SMALL_MAX => small,
        LARGE_MIN.. => large,
        _ => &[],
    };
    rows.iter().map(|&(metric, aim)| goal(table, metric, aim)).collect()
}

fn goal(table: &Table, metric: Metric, aim: Aim) -> Goal {
    let home = table.median(metric, HOME);
    let place = format!("{} {}: {}", size_label(table.keys), table.family, metric.name);
    match aim {
        Faster(least, peer) => {
            let text = format!("{place} at least {least}x faster than {peer}");
            Goal::new(text, table.ratio(metric, peer), "x", |ratio| ratio >= least)
        }
        FasterThan(least, other) => {
            let ratio = table.median(other, HOME).zip(home).map(|(other, own)| other / own);
            let text = format!("{place} at least {least}x faster than its {}", other.name);
            Goal::new(text, ratio, "x", |ratio| ratio >= least)
        }
        UnderOrPeer(limit, peer) => {
            let text = format!("{place} under {limit} ns or the {peer}'s");
            let limit = limit.max(table.median(metric, peer).unwrap_or(0.0));
            Goal::new(text, home, " ns", |nanos| nanos < limit)
        }
        AtMostRaw(most) => {
            let raw = table.raw_bytes as f64 / table.keys as f64;
            let text = format!("{place} at most {most}x raw");
            Goal::new(text, home.map(|bytes| bytes / raw), "x", |ratio| ratio <= most)
        }
        AtLeast(least, unit) => {
            Goal::new(format!("{place} at least {least}{unit}"), home, unit, |value| value >= least)
        }
        Exactly(expected) => {
            Goal::new(format!("{place} exactly {expected}"), home, "", |value| value == expected)
        }
    }
}

fn size_label(keys: usize) -> String {
    match keys {
        n if n % 1_000_000 == 0 => format!("{} M", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{} k", n / 1_000),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(table: &Table) -> Vec<String> {
        goals(table).iter().map(|goal| format!("{:?} {} {}", goal.pass, goal.text, goal.measured)).collect()
    }

    #[test]
    fn each_size_and_family_has_its_goals() {
        let count = |family, keys| goals(&Table::new("memory", family, keys, 1, Vec::new())).len();
        assert_eq!([20_000, 50_001, 1_000_000].map(|keys| count("objects", keys)), [2, 0, 21]);
        assert_eq!([20_000, 50_001, 1_000_000].map(|keys| count(RANDOM32, keys)), [0, 0, 1]);
    }

    #[test]
    fn a_goal_is_reached_missed_or_not_measured() {
        let mut table = Table::new("memory", "objects", 1_000_000, 100_000_000, vec![HOME, HOLT, BTREEMAP]);
        for (metric, home, holt, btreemap) in [
            (GET, 10.0, 30.0, 17.0),
            (GET_MANY, 4.0, 30.0, 17.0),
            (SCAN, 26.0, 99.0, 27.0),
            (SCAN_SORTED, 26.0, 99.0, 25.5),
            (BYTES_RANDOM, 112.0, 1.0, 1.0),
            (HOPS_RANDOM, 2.0, 1.0, 1.0),
            (KEPT, 70.0, 1.0, 1.0),
        ] {
            table.add(metric, HOME, home);
            table.add(metric, HOLT, holt);
            table.add(metric, BTREEMAP, btreemap);
        }
        let lines = lines(&table);
        for expected in [
            "Some(true) 1 M objects: get hit at least 3x faster than holt 3.00x",
            "Some(false) 1 M objects: get hit at least 1.8x faster than btreemap 1.70x",
            "Some(false) 1 M objects: get 32 keys at once, a key at least 4x faster than its get hit 2.50x",
            "None 1 M objects: get miss at least 5x faster than holt not measured",
            "Some(true) 1 M objects: scan, lending, an entry under 25 ns or the btreemap's 26.00 ns",
            "Some(false) 1 M objects: scan, lending, built sorted under 25 ns or the btreemap's 26.00 ns",
            "Some(true) 1 M objects: bytes per key, put random at most 1.12x raw 1.12x",
            "Some(false) 1 M objects: hops below the root, put random exactly 1 2.00",
            "Some(true) 1 M objects: a reader beside a writer keeps at least 70 % 70.00 %",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:#?}");
        }
    }
}
