//! Where and how a run was made, in words.

#![forbid(unsafe_code)]

use super::stores;
use serde_json::{Map, Value};

type Run = Map<String, Value>;

/// One paragraph.
pub fn sentence(run: &Run) -> String {
    let mut parts = Vec::new();
    parts.extend(text(run, "about").map(str::to_owned));
    parts.extend(machine(run));
    parts.extend(
        text(run, "settings").filter(|settings| !settings.is_empty()).map(|told| format!("`{told}`")),
    );
    if let Some(seconds) = number(run, "seconds") {
        let minutes = (seconds / 60.0).ceil().max(1.0);
        parts.push(format!("{minutes:.0} minute{}", if minutes > 1.0 { "s" } else { "" }));
    }
    if let Some(lines) = number(run, "too_long") {
        parts.push(format!("{lines:.0} lines were too long for a key"));
    }
    if let Some(percent) = number(run, "others_percent") {
        parts.push(format!("other processes took {percent:.0} % of the machine meanwhile"));
    }
    parts.extend(versions(run));
    format!("*{}.*", parts.join("; "))
}

/// The processor, the memory, the system, and the file system where it matters.
fn machine(run: &Run) -> Option<String> {
    let processors = number(run, "processors")?;
    let mut words = format!("{processors:.0} processors");
    if let Some(name) = text(run, "processor") {
        words.push_str(&format!(" ({name})"));
    }
    if let Some(bytes) = number(run, "memory_bytes") {
        words.push_str(&format!(", {:.0} GiB of memory", bytes / f64::from(1 << 30)));
    }
    for name in ["system", "file_system"] {
        if let Some(told) = text(run, name) {
            words.push_str(&format!(", {told}"));
        }
    }
    Some(words)
}

/// The packages that were measured.
fn versions(run: &Run) -> Option<String> {
    let pairs = run.get("versions")?.as_array()?;
    let names: Vec<&str> = pairs.iter().filter_map(|pair| pair.get(1)?.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What an acknowledged put has behind it, as a table.
pub fn acknowledged(run: &Run) -> Option<String> {
    let mut lines = vec!["|  | durable | buffered |".to_owned(), "| --- | --- | --- |".to_owned()];
    for row in run.get("acknowledged")?.as_array()? {
        let store = row.get(0)?.as_str()?;
        let acks = row.get(1)?;
        let (synced, buffered) = (acks.get(0)?.as_str()?, acks.get(1)?.as_str()?);
        lines.push(format!("| {} | {synced} | {buffered} |", stores::of(store).name));
    }
    Some(lines.join("\n"))
}

fn text<'a>(run: &'a Run, name: &str) -> Option<&'a str> {
    run.get(name)?.as_str()
}

fn number(run: &Run, name: &str) -> Option<f64> {
    run.get(name)?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_in_words() {
        let run = serde_json::json!({
            "about": "2026-01-02, commit abc", "settings": "--keys 5", "seconds": 61, "others_percent": 12.0,
            "processors": 2, "processor": "Fast", "memory_bytes": 8_589_934_592_u64, "file_system": "ext4",
            "system": null, "versions": [["spinney", "spinney 1"], ["btreemap", null]],
            "acknowledged": [["lmdb", ["one", "two"]]],
        });
        let Value::Object(run) = run else { unreachable!("it is one") };
        let expected = "*2026-01-02, commit abc; 2 processors (Fast), 8 GiB of memory, ext4; `--keys 5`; \
                        2 minutes; other processes took 12 % of the machine meanwhile; spinney 1.*";
        assert_eq!(sentence(&run), expected);
        assert!(acknowledged(&run).unwrap().ends_with("| LMDB | one | two |"));
        assert_eq!((sentence(&Run::new()), acknowledged(&Run::new())), ("*.*".to_owned(), None));
    }
}
