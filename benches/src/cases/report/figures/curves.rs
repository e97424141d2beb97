//! Plots of curves: by number of keys, by number of threads, and by how many puts are as fast.

#![forbid(unsafe_code)]

use super::super::lines::{Sample, Sets};
use super::super::stores;
use super::Figure;
use super::headline::{Words, clause, titled};
use crate::keys::OBJECTS;
use crate::report::chart::{Chart, Curve, CurvePanel, NARROW, Tick, WIDE};
use crate::report::{HOME, Unit};

/// Samples with their places along the bottom.
type Placed<'a> = Vec<(f64, &'a Sample)>;

struct PanelOf {
    title: &'static str,
    metric: &'static str,
    words: Words,
}

const fn panel(
    title: &'static str,
    metric: &'static str,
    subject: &'static str,
    words: [&'static str; 2],
) -> PanelOf {
    PanelOf { title, metric, words: Words { subject, ahead: words[0], behind: words[1] } }
}

const TIMES: [&str; 2] = ["faster", "slower"];

/// In memory, by number of keys.
pub fn scale(sets: &Sets) -> Option<Figure> {
    let panels = [
        panel("Put, random order", "put, random order", "a put", TIMES),
        panel("Get", "get hit", "a get", TIMES),
        panel("List 100 directories", "list 100 directories", "a listing", TIMES),
    ];
    by_keys("scale", "Spinney in memory", &["memory", "scale"], &panels, sets)
}

/// In files that the cache holds, by number of keys.
pub fn warm(sets: &Sets) -> Option<Figure> {
    let panels = [
        panel("Get", "get hit", "a get", TIMES),
        panel("List 100 directories", "list 100 directories", "a listing", TIMES),
        panel("Resident memory", "resident memory", "memory", ["smaller", "larger"]),
    ];
    by_keys("warm", "Spinney in files that its cache holds", &["warm"], &panels, sets)
}

fn by_keys(
    name: &'static str,
    place: &str,
    blocks: &[&str],
    panels: &[PanelOf],
    sets: &Sets,
) -> Option<Figure> {
    let mut drawn = Vec::new();
    let mut clauses = Vec::new();
    let mut most = 0;
    for panel in panels {
        let samples = blocks.iter().flat_map(|block| sets.find(block, OBJECTS, panel.metric));
        let placed: Placed<'_> = samples.map(|sample| (sample.keys as f64, sample)).collect();
        let Some(keys) = placed.iter().map(|(_, sample)| sample.keys).max() else {
            continue;
        };
        most = most.max(keys);
        let last: Vec<&Sample> =
            placed.iter().filter(|(_, sample)| sample.keys == keys).map(|(_, sample)| *sample).collect();
        clauses.extend(clause(&panel.words, &last));
        drawn.push(panel_of(panel.title, "keys", &placed, |at| Unit::Count.told(at))?);
    }
    let title = titled(&format!("{place}, {} keys", Unit::Count.told(most as f64)), &clauses);
    finish(name, title, "lower is better; both scales are logarithmic", drawn)
}

/// Durable puts, by number of threads.
pub fn threads(sets: &Sets) -> Option<Figure> {
    let metric = |threads: u32| match threads {
        1 => "durable puts, 1 thread".to_owned(),
        many => format!("durable puts, {many} threads"),
    };
    let mut placed: Placed<'_> = Vec::new();
    let mut clauses = Vec::new();
    for threads in [1, 4, 16, 64] {
        let samples = largest(sets, "durable", &metric(threads));
        let words = Words {
            subject: if threads == 1 { "1 thread puts" } else { "64 threads put" },
            ahead: "faster",
            behind: "slower",
        };
        if threads == 1 || threads == 64 {
            clauses.extend(clause(&words, &samples));
        }
        placed.extend(samples.into_iter().map(|sample| (f64::from(threads), sample)));
    }
    let panel =
        panel_of("Puts a second, each on stable storage", "threads", &placed, |at| format!("{at:.0}"))?;
    let title = titled("Spinney, every put durable", &clauses);
    finish("durable", title, "higher is better; both scales are logarithmic", vec![panel])
}

/// How long puts take beside checkpoints: what share of them is as fast.
pub fn latency(sets: &Sets) -> Option<Figure> {
    let shares = [
        ("put, p50", 2.0, "50 %"),
        ("put, p90", 1e1, "90 %"),
        ("put, p99", 1e2, "99 %"),
        ("put, p99.9", 1e3, "99.9 %"),
        ("put, p99.99", 1e4, "99.99 %"),
        ("put, longest", 1e5, "all"),
    ];
    let mut placed: Placed<'_> = Vec::new();
    for (metric, at, _) in shares {
        placed.extend(largest(sets, "stall", metric).into_iter().map(|sample| (at, sample)));
    }
    let name = |at: f64| {
        let share = shares.iter().find(|share| share.1 == at);
        share.map_or_else(String::new, |share| share.2.to_owned())
    };
    let panel =
        panel_of("Puts at a steady pace, checkpoints once a second", "share of the puts", &placed, name)?;
    let words = |subject| Words { subject, ahead: "shorter", behind: "longer" };
    let told = [("put, p99", "99 % of the puts"), ("put, longest", "the longest put")];
    let clauses: Vec<String> = told
        .into_iter()
        .filter_map(|(metric, subject)| clause(&words(subject), &largest(sets, "stall", metric)))
        .collect();
    let title = titled("Spinney beside checkpoints", &clauses);
    finish(
        "latency",
        title,
        "so many puts took at most so long; lower is better, the scale is logarithmic",
        vec![panel],
    )
}

fn largest<'a>(sets: &'a Sets, block: &str, metric: &str) -> Vec<&'a Sample> {
    sets.largest(block, OBJECTS, metric)
}

/// A curve for each store; none, if nothing was measured.
fn panel_of(
    title: &str,
    bottom: &str,
    placed: &Placed<'_>,
    name: impl Fn(f64) -> String,
) -> Option<CurvePanel> {
    let mut ticks: Vec<f64> = placed.iter().map(|(at, _)| *at).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    let mut names: Vec<&str> = placed.iter().map(|(_, sample)| sample.store.as_str()).collect();
    names.sort_by_key(|store| stores::rank(store));
    names.dedup();
    let curve = |store: &&str| {
        let of_store = placed.iter().filter(|(_, sample)| sample.store == **store);
        let mut points: Vec<(f64, f64)> =
            of_store.map(|(at, sample)| (*at, sample.median * Unit::of(&sample.unit).1)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let look = stores::of(store);
        Curve { name: look.name.to_owned(), color: look.color, is_home: **store == *HOME, points }
    };
    let unit = Unit::of(&placed.first()?.1.unit).0;
    Some(CurvePanel {
        title: title.to_owned(),
        bottom: bottom.to_owned(),
        ticks: ticks.into_iter().map(|at| Tick { at, name: name(at) }).collect(),
        unit,
        curves: names.iter().map(curve).collect(),
        across: WIDE,
    })
}

fn finish(name: &'static str, title: String, reading: &str, mut panels: Vec<CurvePanel>) -> Option<Figure> {
    match panels.as_mut_slice() {
        [] => return None,
        [_] => {}
        several => several.iter_mut().for_each(|panel| panel.across = NARROW),
    }
    let chart = Chart { title, reading: reading.to_owned(), panels };
    Some(Figure { name, svg: chart.svg(), title: chart.title })
}
