//! Plots of bars: what is written, what is kept, opening, cold reads, directories, and the browser.

#![forbid(unsafe_code)]

use super::super::lines::{Sample, Sets};
use super::super::stores;
use super::Figure;
use super::headline::{Words, clause, titled};
use crate::keys::OBJECTS;
use crate::report::Unit;
use crate::report::chart::{Bar, BarPanel, Chart, Row};

const LESS: &str = "shorter is better";

/// A row: the block and the metric that it shows, under another name where that alone does not say it.
struct RowOf(&'static str, &'static str, &'static str);

/// Bytes written for a byte that is updated.
pub fn written(sets: &Sets) -> Option<Figure> {
    let rows = [
        RowOf("amplify", "written a byte, at a steady pace", "at a steady pace, each when it likes"),
        RowOf("amplify", "written a byte, buffered", "all at once, a checkpoint for every 8 MB"),
        RowOf("amplify", "written a byte, cache of a quarter", "the same, cache of a quarter"),
        RowOf("amplify", "written a byte, every put durable", "every put durable"),
    ];
    let told = [("amplify", rows[0].1, "at a steady pace Spinney writes", "less", "more")];
    let panels = vec![panel("Bytes written for a byte updated", OBJECTS, &rows, sets)];
    finish("amplification", "Random updates", &told, LESS, panels, sets)
}

/// Bytes of a key and its value.
pub fn space(sets: &Sets) -> Option<Figure> {
    let disk = [
        RowOf("amplify", "bytes on disk a key, loaded", "loaded in random order"),
        RowOf("amplify", "bytes on disk a key, updated", "then updated"),
    ];
    let memory = [
        RowOf("memory", "bytes per key, put random", "put in random order"),
        RowOf("memory", "bytes per key, put sorted", "put in order"),
    ];
    let told = [
        ("amplify", disk[0].1, "on disk", "smaller", "larger"),
        ("memory", memory[0].1, "in memory", "smaller", "larger"),
    ];
    let panels = vec![
        with_raw(panel("On disk, bytes a key", OBJECTS, &disk, sets), "amplify", &disk, sets),
        with_raw(panel("In memory, bytes a key", OBJECTS, &memory, sets), "memory", &memory, sets),
    ];
    finish("space", "Spinney's space for a key and its value", &told, LESS, panels, sets)
}

/// The keys and values alone, as one more row.
fn with_raw(mut panel: BarPanel, block: &str, rows: &[RowOf], sets: &Sets) -> BarPanel {
    if let Some(sample) = sets.largest(block, OBJECTS, rows[0].1).first() {
        let value = sample.raw_bytes / sample.keys as f64;
        let bar = Bar { name: String::new(), color: "#afb8c1", value };
        panel.rows.push(Row { name: "keys and values alone".to_owned(), bars: vec![bar] });
    }
    panel
}

pub fn opened(sets: &Sets) -> Option<Figure> {
    let rows = [
        RowOf("amplify", "open after kill -9, full log", "after kill -9, full log, and a key is read"),
        RowOf("cold", "open", "after it was closed"),
    ];
    let told = [("amplify", rows[0].1, "after a crash", "faster", "slower")];
    finish(
        "open",
        "Opening Spinney",
        &told,
        LESS,
        vec![panel("Until it is open", OBJECTS, &rows, sets)],
        sets,
    )
}

pub fn cold(sets: &Sets) -> Option<Figure> {
    let times = [
        RowOf("cold", "cold get, p50", "get, median"),
        RowOf("cold", "cold get, p99", "get, 99th percentile"),
        RowOf("cold", "cold list of 100 directories", "list 100 directories"),
        RowOf("cold", "cold list of any directory", "list any directory"),
    ];
    let bytes = [
        RowOf("cold", "bytes read a cold get", "for a get"),
        RowOf("cold", "bytes read for it", "for a listing of 100 directories"),
    ];
    let rates = [
        RowOf("cold", "cold gets, 1 thread", "1 thread"),
        RowOf("cold", "cold gets, 1 thread, 64 at once", "1 thread, 64 keys at once"),
        RowOf("cold", "cold gets, 16 threads", "16 threads"),
    ];
    let told = [
        ("cold", times[0].1, "a get", "faster", "slower"),
        ("cold", bytes[0].1, "bytes read for it", "fewer", "more"),
        ("cold", rates[2].1, "16 threads", "faster", "slower"),
    ];
    let panels = vec![
        panel("Time, shorter is better", OBJECTS, &times, sets),
        panel("Bytes read, shorter is better", OBJECTS, &bytes, sets),
        panel("Gets a second, longer is better", OBJECTS, &rates, sets),
    ];
    finish(
        "cold",
        "Spinney with a cache of a twentieth",
        &told,
        "everything was evicted before",
        panels,
        sets,
    )
}

pub fn directories(sets: &Sets) -> Option<Figure> {
    let name = "rename a directory of 90 % of the keys";
    let rows = [
        RowOf("directories", name, "rename 900,000 of a million keys"),
        RowOf("directories", "count the keys below it", "count them"),
        RowOf("directories", "rename one of ~1000 keys in it", "rename about 1,000 of them"),
        RowOf("directories", "remove the large one", "remove them all"),
    ];
    let rows_of_any_size = [
        RowOf("directories", name, "rename a directory of 90 % of the keys"),
        RowOf("directories", rows[1].1, "count them"),
        RowOf("directories", rows[2].1, "rename one of about 1,000 keys"),
        RowOf("directories", rows[3].1, "remove the large one"),
    ];
    let keys = sets.largest("directories", OBJECTS, name).first().map_or(0, |sample| sample.keys);
    let rows = if keys == 1_000_000 { &rows } else { &rows_of_any_size };
    let told = [
        ("directories", name, "a large rename", "faster", "slower"),
        ("directories", rows[2].1, "a small one", "faster", "slower"),
    ];
    let panels = vec![panel("Until it is on stable storage", OBJECTS, rows, sets)];
    finish("directories", "Whole directories in Spinney", &told, LESS, panels, sets)
}

/// Every time of both places, and memory.
pub fn browser(sets: &Sets) -> Option<Figure> {
    let reads = [
        RowOf("browser", "put", "put"),
        RowOf("browser", "fill, a path", "fill, a path"),
        RowOf("browser", "get", "get"),
        RowOf("browser", "list, a child", "list, a child"),
        RowOf("browser", "list of directories, a child", "list of directories, a child"),
        RowOf("browser", "scan of keys, a row", "scan of keys, a row"),
        RowOf("browser", "scan, a row", "scan, a row"),
        RowOf("browser", "page of 1000", "page of 1,000"),
        RowOf("browser", "put, durable", "put, durable"),
        RowOf("browser", "put, buffered", "put, buffered"),
        RowOf("browser", "open and list the root", "open and list the root"),
        RowOf("browser", "open and list a directory", "open and list a directory"),
    ];
    let memory = [RowOf("browser", "memory, a path", "memory, a path")];
    let told = [
        ("browser", "get", "a get in files", "faster", "slower"),
        ("browser", "put, durable", "a durable put", "faster", "slower"),
        ("browser", "open and list the root", "opening", "faster", "slower"),
    ];
    let panels = vec![
        panel("In memory", "memory", &reads, sets),
        panel("In files of the site", "files", &reads, sets),
        panel("Memory", "memory", &memory, sets),
    ];
    finish("browser", "Spinney in Chromium", &told, LESS, panels, sets)
}

/// Those rows for which there are numbers, each of its largest data set.
fn panel(title: &str, family: &str, rows: &[RowOf], sets: &Sets) -> BarPanel {
    let mut unit = Unit::Count;
    let mut drawn = Vec::new();
    for RowOf(block, metric, name) in rows {
        let mut samples = sets.largest(block, family, metric);
        samples.sort_by_key(|sample| stores::rank(&sample.store));
        if let Some(first) = samples.first() {
            unit = Unit::of(&first.unit).0;
            drawn.push(Row { name: (*name).to_owned(), bars: samples.into_iter().map(bar).collect() });
        }
    }
    BarPanel { title: title.to_owned(), unit, rows: drawn }
}

fn bar(sample: &Sample) -> Bar {
    let look = stores::of(&sample.store);
    let value = sample.median * Unit::of(&sample.unit).1;
    Bar { name: look.name.to_owned(), color: look.color, value }
}

/// Each clause of the title: the block, the metric, and its words.
type Told = (&'static str, &'static str, &'static str, &'static str, &'static str);

fn finish(
    name: &'static str,
    what: &str,
    told: &[Told],
    reading: &str,
    panels: Vec<BarPanel>,
    sets: &Sets,
) -> Option<Figure> {
    let panels: Vec<BarPanel> = panels.into_iter().filter(|panel| !panel.rows.is_empty()).collect();
    let clauses: Vec<String> = told
        .iter()
        .filter_map(|&(block, metric, subject, ahead, behind)| {
            let family = if block == "browser" { "files" } else { OBJECTS };
            clause(&Words { subject, ahead, behind }, &sets.largest(block, family, metric))
        })
        .collect();
    if panels.is_empty() {
        return None;
    }
    let title = titled(what, &clauses);
    let chart = Chart { title, reading: reading.to_owned(), panels };
    Some(Figure { name, svg: chart.svg(), title: chart.title })
}
