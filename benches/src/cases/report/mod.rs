//! Makes the document and its plots of the lines that runs have left. Measures nothing.
//!
//! The lines of a case are a file (`lines`). The document has a block for each case, between two comments,
//! that is made anew where there are lines; what stands around the blocks stays (`document`). A block has its
//! plots (`figures`), what is known about the run (`about`) and all numbers (`tables`).

#![forbid(unsafe_code)]

mod about;
mod document;
mod figures;
mod lines;
mod stores;
mod tables;

use super::{Case, Verdict};
use crate::options::Options;
use crate::stores::Result;
use lines::{Lines, Sets};
use std::path::{Path, PathBuf};
use std::{fs, io};

pub const CASE: Case = Case {
    name: "report",
    about: "docs/benchmarks.md and its plots, of the lines in benches/measured",
    takes: &["--lines", "--docs"],
    run,
};

const LINES: &str = "benches/measured";
const DOCS: &str = "docs";
const DOCUMENT: &str = "benchmarks.md";
const PLOTS: &str = "plots";

/// The blocks, in the order of a new document, with their headings there.
const BLOCKS: &[(&str, &str)] = &[
    ("memory", "In memory"),
    ("scale", "Many keys in memory"),
    ("durable", "Durable puts"),
    ("stall", "Puts beside checkpoints"),
    ("amplify", "Bytes written and kept, and opening after a crash"),
    ("cold", "Cold reads"),
    ("warm", "Reads when the cache holds everything"),
    ("directories", "Whole directories"),
    ("load", "Bulk loads"),
    ("browser", "In the browser"),
];

/// The block that tells what an acknowledged put has behind it; it is the same in all cases on disk.
const ACKNOWLEDGED_IN: &str = "durable";

fn run(options: &Options) -> Result<Verdict> {
    let from = options.lines.clone().unwrap_or_else(|| LINES.into());
    let docs = options.docs.clone().unwrap_or_else(|| DOCS.into());
    let sets = read(&from)?;
    if sets.0.is_empty() {
        return Err(format!("no lines in {}; scripts/bench makes them", from.display()).into());
    }
    let place = docs.join(DOCUMENT);
    let mut text = match fs::read_to_string(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => document::new(BLOCKS),
        Err(error) => return Err(format!("{}: {error}", place.display()).into()),
    };
    let plots = docs.join(PLOTS);
    fs::create_dir_all(&plots)?;
    for (block, _) in BLOCKS {
        if let Some(made) = make(block, &sets, &plots)? {
            text = document::replace(&text, block, &made)?;
        }
    }
    fs::write(&place, text)?;
    println!("{}", place.display());
    Ok(Verdict::Right)
}

/// All lines that there are of the made keys, and of real ones.
fn read(from: &Path) -> Result<Sets> {
    let mut sets = Vec::new();
    for (block, _) in BLOCKS {
        for name in [(*block).to_owned(), format!("{block}-paths")] {
            let path: PathBuf = from.join(format!("{name}.jsonl"));
            if path.exists() {
                let text = fs::read_to_string(&path)?;
                let lines =
                    Lines::read(block, &text).map_err(|error| format!("{}: {error}", path.display()))?;
                sets.push(lines);
            }
        }
    }
    Ok(Sets(sets))
}

/// The text of a block, if there are lines for it. Its plots are written on the way.
fn make(block: &str, sets: &Sets, plots: &Path) -> Result<Option<String>> {
    let own: Vec<&Lines> = sets.0.iter().filter(|lines| lines.block == block).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for figure in figures::of_block(block, sets) {
        let name = format!("{}.svg", figure.name);
        fs::write(plots.join(&name), figure.svg)?;
        parts.push(format!("![{}]({PLOTS}/{name})", figure.title.replace(['[', ']'], "")));
    }
    for lines in &own {
        parts.extend(lines.runs.iter().map(about::sentence));
        parts.extend(tables::of(lines));
    }
    if block == ACKNOWLEDGED_IN {
        parts.extend(own.iter().flat_map(|lines| &lines.runs).find_map(about::acknowledged));
    }
    Ok(Some(parts.join("\n\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::HOME;

    fn sample(metric: &str, store: &str, median: f64) -> String {
        format!(
            "{{\"case\":\"stall\",\"family\":\"objects\",\"keys\":2000,\"raw_bytes\":336000,\"unit\":\"us\",\
             \"better\":\"less\",\"metric\":\"{metric}\",\"store\":\"{store}\",\"median\":{median},\
             \"rounds\":3}}\n"
        )
    }

    /// As a case prints them.
    fn printed() -> String {
        let samples = [("put, p50", HOME, 2.5), ("put, p50", "lmdb", 1.0), ("put, p99", HOME, 7.5)];
        let samples = samples.map(|(metric, store, median)| sample(metric, store, median)).concat();
        let others = concat!(
            r#"{"case":"stall","goal":"the longest put below 5 ms","measured":"6.00 ms","pass":false}"#,
            "\n",
            r#"{"case":"stall","wrong":"holt, 2000 keys: lost"}"#,
            "\n",
            r#"{"case":"stall","run":{"settings":"--quick","processors":2,"others_percent":40.0,"#,
            r#""seconds":90,"versions":[["lmdb","heed 0.22.1"]],"#,
            r#""acknowledged":[["lmdb",["synced so","buffered so"]]]}}"#,
            "\n"
        );
        samples + others
    }

    #[test]
    fn lines_become_a_document_with_plots_and_what_is_around_stays() {
        let base = std::env::temp_dir().join(format!("spinney-report-{}", std::process::id()));
        let (from, docs) = (base.join("lines"), base.join("docs"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&docs).unwrap();
        let options = Options { lines: Some(from.clone()), docs: Some(docs.clone()), ..Options::default() };
        assert!(run(&options).unwrap_err().to_string().starts_with("no lines in"));
        fs::write(from.join("stall.jsonl"), printed()).unwrap();
        let (begin, end) = document::marks("stall");
        fs::write(docs.join(DOCUMENT), format!("above\n{begin}\nold\n{end}\nbelow\n")).unwrap();
        assert_eq!(run(&options).unwrap(), Verdict::Right);

        let text = fs::read_to_string(docs.join(DOCUMENT)).unwrap();
        assert!(text.starts_with("above\n") && text.ends_with("below\n") && !text.contains("old"), "{text}");
        for words in [
            "](plots/latency.svg)",
            "| put, p50, us | 2.5 | **1** |",
            "A peer is ahead in: put, p50 (LMDB, 2.5x).",
            "**missed**",
            "Wrong answers: `holt, 2000 keys: lost`.",
            "other processes took 40 %",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert!(fs::read_to_string(docs.join("plots/latency.svg")).unwrap().contains("LMDB"));
        fs::remove_file(docs.join(DOCUMENT)).unwrap();
        assert_eq!(run(&options).unwrap(), Verdict::Right, "a document that is not there yet");
        assert!(fs::read_to_string(docs.join(DOCUMENT)).unwrap().contains("## In memory"));
        fs::remove_dir_all(base).unwrap();
    }
}
