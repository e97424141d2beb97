//! Tables, ratios, goals and JSON lines.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::measure::Samples;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    Less,
    More,
    /// A fact, no contest: no ratio.
    Neither,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub digits: usize,
}

impl Metric {
    pub const fn less(name: &'static str, unit: &'static str, digits: usize) -> Self {
        Self { name, unit, better: Better::Less, digits }
    }

    pub const fn more(name: &'static str, unit: &'static str, digits: usize) -> Self {
        Self { name, unit, better: Better::More, digits }
    }

    pub const fn fact(name: &'static str, unit: &'static str, digits: usize) -> Self {
        Self { name, unit, better: Better::Neither, digits }
    }
}

/// The store that every ratio is about.
pub const HOME: &str = "spinney";

/// What one data set gave.
pub struct Table {
    pub case: &'static str,
    pub family: &'static str,
    pub keys: usize,
    pub raw_bytes: usize,
    stores: Vec<&'static str>,
    rows: Vec<(Metric, Vec<(&'static str, Samples)>)>,
}

impl Table {
    pub fn new(
        case: &'static str,
        family: &'static str,
        keys: usize,
        raw_bytes: usize,
        stores: Vec<&'static str>,
    ) -> Self {
        Self { case, family, keys, raw_bytes, stores, rows: Vec::new() }
    }

    pub fn add(&mut self, metric: Metric, store: &'static str, sample: f64) {
        let row = match self.rows.iter().position(|(known, _)| *known == metric) {
            Some(row) => row,
            None => {
                self.rows.push((metric, Vec::new()));
                self.rows.len() - 1
            }
        };
        let cells = &mut self.rows[row].1;
        match cells.iter_mut().find(|(name, _)| *name == store) {
            Some((_, samples)) => samples.push(sample),
            None => {
                let mut samples = Samples::default();
                samples.push(sample);
                cells.push((store, samples));
            }
        }
    }

    fn samples(&self, metric: Metric, store: &str) -> Option<&Samples> {
        let (_, cells) = self.rows.iter().find(|(known, _)| *known == metric)?;
        cells.iter().find(|(name, _)| *name == store).map(|(_, samples)| samples)
    }

    pub fn median(&self, metric: Metric, store: &str) -> Option<f64> {
        self.samples(metric, store).map(Samples::median)
    }

    /// How many times better spinney is than `peer`.
    pub fn ratio(&self, metric: Metric, peer: &str) -> Option<f64> {
        let home = self.median(metric, HOME)?;
        let peer = self.median(metric, peer)?;
        match metric.better {
            Better::Less => Some(peer / home),
            Better::More => Some(home / peer),
            Better::Neither => None,
        }
    }

    pub fn render(&self) -> String {
        let label = |metric: &Metric| match metric.unit {
            "" => metric.name.to_owned(),
            unit => format!("{}, {unit}", metric.name),
        };
        let wide = self.rows.iter().map(|(metric, _)| label(metric).len()).max().unwrap_or(0).max(30);
        let mut out = String::new();
        let _ = write!(out, "{:wide$}", "");
        for store in &self.stores {
            let _ = write!(out, "  {store:>10}");
            if *store != HOME {
                let _ = write!(out, "  {:>8}", "");
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        for (metric, _) in &self.rows {
            let _ = write!(out, "{:wide$}", label(metric));
            for store in &self.stores {
                match self.median(*metric, store) {
                    Some(median) => {
                        let _ = write!(out, "  {median:>10.*}", metric.digits);
                    }
                    None => {
                        let _ = write!(out, "  {:>10}", "-");
                    }
                }
                if *store != HOME {
                    let ratio = self.ratio(*metric, store).map(|ratio| format!("{ratio:.2}x"));
                    let _ = write!(out, "  {:>8}", ratio.unwrap_or_default());
                }
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }

    pub fn json(&self) -> String {
        let mut out = String::new();
        for (metric, cells) in &self.rows {
            for (store, samples) in cells {
                let _ = writeln!(
                    out,
                    "{{\"case\":\"{}\",\"family\":\"{}\",\"keys\":{},\"metric\":\"{}\",\"unit\":\"{}\",\
                     \"store\":\"{}\",\"median\":{},\"min\":{},\"max\":{},\"rounds\":{}}}",
                    self.case,
                    self.family,
                    self.keys,
                    metric.name,
                    metric.unit,
                    store,
                    json_number(samples.median()),
                    json_number(samples.min()),
                    json_number(samples.max()),
                    samples.len()
                );
            }
        }
        out
    }
}

fn json_number(number: f64) -> String {
    if number.is_finite() { format!("{number:.4}") } else { "null".to_owned() }
}

/// Something the run should have reached.
pub struct Goal {
    pub text: String,
    pub measured: String,
    /// `None`: this run did not measure it.
    pub pass: Option<bool>,
}

impl Goal {
    pub fn new(
        text: impl Into<String>,
        measured: Option<f64>,
        unit: &str,
        pass: impl Fn(f64) -> bool,
    ) -> Self {
        Self {
            text: text.into(),
            measured: measured.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}{unit}")),
            pass: measured.map(pass),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.pass {
            Some(true) => "PASS",
            Some(false) => "MISS",
            None => "----",
        }
    }

    pub fn json(&self, case: &str) -> String {
        format!(
            "{{\"case\":\"{case}\",\"goal\":\"{}\",\"measured\":\"{}\",\"pass\":{}}}\n",
            self.text,
            self.measured,
            self.pass.map_or("null", |pass| if pass { "true" } else { "false" })
        )
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  {:<72} {}", self.verdict(), self.text, self.measured)
    }
}

/// Where the words and where the JSON lines go.
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Words for people.
    pub fn say(&self, text: &str) {
        if self.json {
            eprintln!("{text}");
        } else {
            // A closed pipe is no reason to panic.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// Lines for programs.
    pub fn lines(&self, json: &str) {
        if self.json {
            let _ = std::io::stdout().write_all(json.as_bytes());
        }
    }
}
