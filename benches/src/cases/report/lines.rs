//! The lines that a run has left: samples, goals, what was wrong, and where and how it ran.

#![forbid(unsafe_code)]

use crate::stores::Result;
use serde_json::{Map, Value};

/// One row and store of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub family: String,
    pub keys: u64,
    pub raw_bytes: f64,
    pub metric: String,
    pub unit: String,
    /// `less`, `more` or `neither`.
    pub better: String,
    pub store: String,
    pub median: f64,
    pub rounds: u64,
}

pub struct Goal {
    pub text: String,
    pub measured: String,
    pub pass: Option<bool>,
}

/// What one run of one case has left.
#[derive(Default)]
pub struct Lines {
    /// The block of the document that they are for.
    pub block: &'static str,
    pub samples: Vec<Sample>,
    pub goals: Vec<Goal>,
    pub wrong: Vec<String>,
    pub runs: Vec<Map<String, Value>>,
}

/// Those of all cases.
pub struct Sets(pub Vec<Lines>);

impl Lines {
    pub fn read(block: &'static str, text: &str) -> Result<Self> {
        let mut lines = Self { block, ..Self::default() };
        for (line, number) in text.lines().zip(1..) {
            lines.add(line).map_err(|error| format!("line {number}: {error}"))?;
        }
        Ok(lines)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let Value::Object(line) = serde_json::from_str(line)? else {
            return Err("no object".into());
        };
        if let Some(Value::Object(run)) = line.get("run") {
            self.runs.push(run.clone());
        } else if let Some(wrong) = line.get("wrong") {
            self.wrong.push(text(wrong));
        } else if let Some(goal) = line.get("goal") {
            let pass = line.get("pass").and_then(Value::as_bool);
            self.goals.push(Goal { text: text(goal), measured: word(&line, "measured")?, pass });
        } else {
            self.samples.extend(sample(&line)?);
        }
        Ok(())
    }
}

/// Nothing, where the number was none.
fn sample(line: &Map<String, Value>) -> Result<Option<Sample>> {
    let Some(median) = line.get("median").ok_or("neither a sample nor a goal nor a run")?.as_f64() else {
        return Ok(None);
    };
    let number = |name: &str| {
        let number = line.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| format!("no number {name}"))
    };
    Ok(Some(Sample {
        family: word(line, "family")?,
        keys: number("keys")?,
        raw_bytes: number("raw_bytes")? as f64,
        metric: word(line, "metric")?,
        unit: word(line, "unit")?,
        better: word(line, "better")?,
        store: word(line, "store")?,
        median,
        rounds: number("rounds")?,
    }))
}

fn word(line: &Map<String, Value>, name: &str) -> Result<String> {
    Ok(line.get(name).and_then(Value::as_str).ok_or_else(|| format!("no word {name}"))?.to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Sets {
    /// The samples of a block with this metric: of a family, or in the browser of a place.
    pub fn find<'a>(&'a self, block: &str, family: &str, metric: &str) -> Vec<&'a Sample> {
        let blocks = self.0.iter().filter(|lines| lines.block == block);
        let samples = blocks.flat_map(|lines| &lines.samples);
        samples.filter(|sample| sample.family == family && sample.metric == metric).collect()
    }

    /// The same, of the largest data set alone.
    pub fn largest<'a>(&'a self, block: &str, family: &str, metric: &str) -> Vec<&'a Sample> {
        let mut samples = self.find(block, family, metric);
        let most = samples.iter().map(|sample| sample.keys).max();
        samples.retain(|sample| Some(sample.keys) == most);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = concat!(
        r#"{"family":"objects","keys":3,"raw_bytes":9,"metric":"get","unit":"ns","better":"less","#,
        r#""store":"a","median":1.5,"rounds":2}"#
    );

    #[test]
    fn a_sample_is_found_by_its_metric_in_the_largest_set() {
        let text = format!("{SAMPLE}\n{}\n", SAMPLE.replace("\"keys\":3", "\"keys\":5"));
        let sets = Sets(vec![Lines::read("memory", &text).unwrap()]);
        assert_eq!(sets.find("memory", "objects", "get").len(), 2);
        let largest = sets.largest("memory", "objects", "get");
        assert_eq!((largest.len(), largest[0].keys, largest[0].median), (1, 5, 1.5));
        assert!(sets.largest("memory", "files", "get").is_empty());
    }

    #[test]
    fn a_number_that_is_none_is_left_out_and_other_lines_are_errors() {
        let read = |line: &str| Lines::read("memory", line).map(|lines| lines.samples.len());
        assert_eq!(read(&SAMPLE.replace("1.5", "null")).unwrap(), 0);
        for line in ["", "[]", "{}", "{\"median\":1}", &SAMPLE.replace("\"unit\":\"ns\",", "")] {
            let error = read(&format!("{SAMPLE}\n{line}\n")).unwrap_err().to_string();
            assert!(error.starts_with("line 2: "), "{line}: {error}");
        }
    }
}
