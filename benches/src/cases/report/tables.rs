//! All numbers of a run as tables of Markdown: one for each data set, a row for each metric, a column for
//! each store. The best of a row is bold, whoever it is, and below a table stands where Spinney is behind.

#![forbid(unsafe_code)]

use super::lines::{Lines, Sample};
use super::stores;
use crate::keys::{FILES, OBJECTS, PATHS, RANDOM32};
use crate::report::{HOME, Unit, short};

/// The largest data set of a family is shown, the others are folded.
pub fn of(lines: &Lines) -> Vec<String> {
    let mut sets: Vec<(&str, u64)> = Vec::new();
    for sample in &lines.samples {
        if !sets.contains(&(&sample.family, sample.keys)) {
            sets.push((&sample.family, sample.keys));
        }
    }
    let most = |family: &str| sets.iter().filter(|set| set.0 == family).map(|set| set.1).max();
    let mut parts = Vec::new();
    for &(family, keys) in &sets {
        let samples: Vec<&Sample> =
            lines.samples.iter().filter(|sample| sample.family == family && sample.keys == keys).collect();
        let heading = heading(lines.block, &samples);
        let body =
            [Some(table(&samples)), behind(&samples)].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
        if most(family) == Some(keys) {
            parts.push(format!("{heading}:\n\n{body}"));
        } else {
            parts.push(format!("<details><summary>{heading}</summary>\n\n{body}\n\n</details>"));
        }
    }
    parts.extend(goals(lines));
    if !lines.wrong.is_empty() {
        let wrong: Vec<String> =
            lines.wrong.iter().map(|line| format!("`{}`", without_names(line))).collect();
        parts.push(format!("Wrong answers: {}.", wrong.join("; ")));
    }
    parts
}

/// What was wrong, without the paths in it where they are somebody's own.
fn without_names(line: &str) -> &str {
    let is_real = line.contains(&format!("keys of {PATHS},"));
    line.split_once(": ").filter(|_| is_real).map_or(line, |(before, _)| before)
}

fn heading(block: &str, samples: &[&Sample]) -> String {
    let Some(first) = samples.first() else {
        return String::new();
    };
    let what = match (block, first.family.as_str()) {
        ("browser", "memory") => "paths in memory",
        ("browser", "files") => "paths in files of the site",
        (_, OBJECTS) => "keys like an object store's",
        (_, FILES) => "deep file paths",
        (_, RANDOM32) => "random keys of 32 bytes",
        (_, PATHS) => "real paths",
        (_, other) => other,
    };
    let raw = first.raw_bytes / first.keys as f64;
    let rounds: Vec<u64> = samples.iter().map(|sample| sample.rounds).collect();
    let (least, most) = (rounds.iter().min().unwrap_or(&0), rounds.iter().max().unwrap_or(&0));
    let rounds = match (least, most) {
        (_, 1) => "one round".to_owned(),
        _ if least == most => format!("medians of {most} rounds"),
        _ => format!("medians of {least} to {most} rounds"),
    };
    let keys = short_count(first.keys);
    format!("{keys} {what}, {raw:.0} bytes each with the value, {rounds}")
}

/// With commas, and every digit.
fn short_count(keys: u64) -> String {
    if keys >= 1_000 {
        format!("{},{:03}", short_count(keys / 1_000), keys % 1_000)
    } else {
        keys.to_string()
    }
}

fn table(samples: &[&Sample]) -> String {
    let columns = columns(samples);
    let names = columns.iter().map(|store| stores::of(store).name);
    let mut lines =
        vec![row("", names.map(str::to_owned)), row("---", columns.iter().map(|_| "--:".to_owned()))];
    for metric in metrics(samples) {
        let cells: Vec<&Sample> = of_metric(samples, metric).collect();
        let best = best(&cells);
        let cell = |store: &&str| {
            let sample = cells.iter().find(|sample| sample.store == **store);
            sample.map_or_else(String::new, |sample| {
                let number = short(sample.median);
                let is_best = cells.len() > 1 && best.is_some_and(|best| best.median == sample.median);
                if is_best { format!("**{number}**") } else { number }
            })
        };
        lines.push(row(&label(cells[0]), columns.iter().map(cell)));
    }
    lines.join("\n")
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
    format!("| {name} |{cells}")
}

fn label(sample: &Sample) -> String {
    if sample.unit.is_empty() { sample.metric.clone() } else { format!("{}, {}", sample.metric, sample.unit) }
}

/// Where Spinney is not the best, by how much, and who is.
fn behind(samples: &[&Sample]) -> Option<String> {
    let behind: Vec<String> = metrics(samples)
        .into_iter()
        .filter_map(|metric| {
            let cells: Vec<&Sample> = of_metric(samples, metric).collect();
            let home = cells.iter().find(|sample| sample.store == HOME)?;
            let best = best(&cells).filter(|best| best.median != home.median)?;
            let ratio = home.median.max(best.median) / home.median.min(best.median);
            let by = if ratio.is_finite() { format!(", {}", Unit::Times.told(ratio)) } else { String::new() };
            Some(format!("{metric} ({}{by})", stores::of(&best.store).name))
        })
        .collect();
    // A row of one store is about that store.
    let is_missing = |metric: &&str| {
        let mut cells = of_metric(samples, metric);
        cells.all(|sample| sample.store != HOME) && of_metric(samples, metric).count() > 1
    };
    let missing: Vec<&str> = metrics(samples).into_iter().filter(is_missing).collect();
    let is_alone = samples.iter().all(|sample| sample.store == samples[0].store);
    if is_alone {
        return None;
    }
    let told = |words: &str, rows: &[&str]| format!("{words}: {}.", rows.join("; "));
    let mut sentences = Vec::new();
    if !missing.is_empty() {
        sentences.push(told("Spinney has no number in", &missing));
    }
    if !behind.is_empty() {
        let rows: Vec<&str> = behind.iter().map(String::as_str).collect();
        sentences.push(told("A peer is ahead in", &rows));
    } else if missing.is_empty() {
        sentences.push("No peer is ahead in any row.".to_owned());
    }
    Some(sentences.join(" "))
}

/// The best store of a row, if better means something there.
pub fn best<'a>(cells: &[&'a Sample]) -> Option<&'a Sample> {
    let all = cells.iter().copied().filter(|sample| sample.store != stores::BY_HAND);
    match cells.first()?.better.as_str() {
        "less" => all.min_by(|a, b| a.median.total_cmp(&b.median)),
        "more" => all.max_by(|a, b| a.median.total_cmp(&b.median)),
        _ => None,
    }
}

/// The stores in the order of the columns.
fn columns<'a>(samples: &[&'a Sample]) -> Vec<&'a str> {
    let mut stores: Vec<&str> = Vec::new();
    for sample in samples {
        if !stores.contains(&sample.store.as_str()) {
            stores.push(&sample.store);
        }
    }
    stores.sort_by_key(|store| stores::rank(store));
    stores
}

/// In the order in which they were measured.
fn metrics<'a>(samples: &[&'a Sample]) -> Vec<&'a str> {
    let mut metrics: Vec<&str> = Vec::new();
    for sample in samples {
        if !metrics.contains(&sample.metric.as_str()) {
            metrics.push(&sample.metric);
        }
    }
    metrics
}

fn of_metric<'a>(samples: &[&'a Sample], metric: &str) -> impl Iterator<Item = &'a Sample> {
    samples.iter().copied().filter(move |sample| sample.metric == metric)
}

fn goals(lines: &Lines) -> Option<String> {
    let verdict = |pass| match pass {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not measured",
    };
    let mut rows = vec!["| Goal | Measured |  |".to_owned(), "| --- | --: | --- |".to_owned()];
    rows.extend(lines.goals.iter().map(|goal| {
        let measured = &goal.measured;
        format!("| {} | {measured} | {} |", goal.text, verdict(goal.pass))
    }));
    (rows.len() > 2).then(|| rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(keys: u64, metric: &str, better: &str, store: &str, median: f64) -> Sample {
        Sample {
            family: "objects".to_owned(),
            keys,
            raw_bytes: 168.0 * keys as f64,
            metric: metric.to_owned(),
            unit: "ns".to_owned(),
            better: better.to_owned(),
            store: store.to_owned(),
            median,
            rounds: 3,
        }
    }

    #[test]
    fn a_row_that_a_peer_wins_is_told() {
        let samples = vec![
            sample(1_000, "get", "less", "lmdb", 50.0),
            sample(1_000, "get", "less", HOME, 100.0),
            sample(20_000, "get", "less", HOME, 100.0),
            sample(20_000, "get", "less", "lmdb", 400.0),
            sample(20_000, "rate", "more", HOME, 5.0),
            sample(20_000, "fact", "neither", HOME, 9.0),
            sample(20_000, "fact", "neither", "lmdb", 1.0),
        ];
        let parts = of(&Lines { samples, ..Lines::default() });
        assert_eq!(parts.len(), 2);
        assert!(parts[0].starts_with("<details><summary>1,000 keys"));
        assert!(parts[0].contains("| get, ns | 100 | **50** |"));
        assert!(parts[0].contains("A peer is ahead in: get (LMDB, 2x)."));
        assert!(parts[1].contains("|  | Spinney | LMDB |"));
        assert!(parts[1].contains("| get, ns | **100** | 400 |\n| rate, ns | 5 |  |\n| fact, ns | 9 | 1 |"));
        assert!(parts[1].ends_with("No peer is ahead in any row."));
    }

    #[test]
    fn a_row_without_spinney_is_told() {
        let samples = [
            sample(1_000, "get", "less", HOME, 50.0),
            sample(1_000, "get", "less", "lmdb", 100.0),
            sample(1_000, "put", "less", "lmdb", 100.0),
            sample(1_000, "put", "less", "redb", 100.0),
            sample(1_000, "open the log", "less", "redb", 100.0),
        ];
        let told = behind(&samples.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(told, "Spinney has no number in: put.");
    }

    #[test]
    fn real_paths_are_not_told() {
        let lost = "holt, 20 keys of objects, list: of org/team/: 3 and not 4";
        assert_eq!(without_names(lost), lost);
        let lost = "holt, 20 keys of paths, list: of home/somebody/: 3 and not 4";
        assert_eq!(without_names(lost), "holt, 20 keys of paths, list");
    }
}
