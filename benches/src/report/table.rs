//! Results of one data set, a row for each metric and a column for each store; as text and as JSON lines.

#![forbid(unsafe_code)]

use super::{Better, HOME, Metric};
use crate::measure::Samples;
use std::fmt::Write as _;

/// The labels are at least so wide, so that the tables of a run stand alike.
const LABEL_CHARS_MIN: usize = 30;

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

    /// The table as text: under each peer also how many times better spinney is.
    pub fn render(&self) -> String {
        let labels = self.rows.iter().map(|(metric, _)| label(metric).len());
        let wide = labels.max().unwrap_or(0).max(LABEL_CHARS_MIN);
        let mut lines = vec![self.heading(wide)];
        lines.extend(self.rows.iter().map(|(metric, _)| self.row(metric, wide)));
        lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn heading(&self, wide: usize) -> String {
        let mut line = " ".repeat(wide);
        for store in &self.stores {
            let _ = write!(line, "  {store:>10}");
            if *store != HOME {
                let _ = write!(line, "  {:>8}", "");
            }
        }
        line
    }

    fn row(&self, metric: &Metric, wide: usize) -> String {
        let mut line = format!("{:wide$}", label(metric));
        for store in &self.stores {
            let _ = match self.median(*metric, store) {
                Some(median) => write!(line, "  {median:>10.*}", metric.digits),
                None => write!(line, "  {:>10}", "-"),
            };
            if *store != HOME {
                let ratio = self.ratio(*metric, store).map(|ratio| format!("{ratio:.2}x"));
                let _ = write!(line, "  {:>8}", ratio.unwrap_or_default());
            }
        }
        line
    }

    /// A JSON object a line: one for each metric and store.
    pub fn json(&self) -> String {
        let mut out = String::new();
        for (metric, cells) in &self.rows {
            for (store, samples) in cells {
                let _ = writeln!(
                    out,
                    "{{\"case\":\"{}\",\"family\":\"{}\",\"keys\":{},\"raw_bytes\":{},\"metric\":\"{}\",\
                     \"unit\":\"{}\",\"better\":\"{}\",\"store\":\"{}\",\"median\":{},\"min\":{},\
                     \"max\":{},\"rounds\":{}}}",
                    self.case,
                    self.family,
                    self.keys,
                    self.raw_bytes,
                    metric.name,
                    metric.unit,
                    metric.better.name(),
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

fn label(metric: &Metric) -> String {
    match metric.unit {
        "" => metric.name.to_owned(),
        unit => format!("{}, {unit}", metric.name),
    }
}

fn json_number(number: f64) -> String {
    if number.is_finite() { format!("{number:.4}") } else { "null".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Metric = Metric::less("get", "ns", 0);
    const RATE: Metric = Metric::more("rate", "", 1);

    fn table() -> Table {
        let mut table = Table::new("memory", "objects", 3, 9, vec![HOME, "peer"]);
        table.add(GET, HOME, 10.0);
        table.add(GET, HOME, 20.0);
        table.add(GET, "peer", 30.0);
        table.add(RATE, "peer", 4.0);
        table
    }

    #[test]
    fn a_ratio_says_how_much_better_spinney_is() {
        let mut table = table();
        assert_eq!(table.ratio(GET, "peer"), Some(2.0));
        assert_eq!(table.ratio(RATE, "peer"), None);
        table.add(RATE, HOME, 6.0);
        assert_eq!(table.ratio(RATE, "peer"), Some(1.5));
    }

    #[test]
    fn a_table_has_a_column_for_each_store_and_ratio() {
        let expected = [
            "                                   spinney        peer",
            "get, ns                                 15          30     2.00x",
            "rate                                     -         4.0",
        ];
        assert_eq!(table().render().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn json_has_a_line_for_each_metric_and_store() {
        let json = table().json();
        let first = "{\"case\":\"memory\",\"family\":\"objects\",\"keys\":3,\"raw_bytes\":9,\
                     \"metric\":\"get\",\"unit\":\"ns\",\"better\":\"less\",\"store\":\"spinney\",\
                     \"median\":15.0000,\"min\":10.0000,\"max\":20.0000,\"rounds\":2}";
        assert_eq!(json.lines().next(), Some(first));
        assert_eq!(json.lines().count(), 3);
    }
}
