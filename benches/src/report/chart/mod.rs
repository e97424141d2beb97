//! Plots as SVG: curves and bars, on a ground of their own, so that they look the same on a dark page.
//!
//! Everything is named where it is drawn; there is no legend to look up. Must know nothing of stores and
//! cases.

#![forbid(unsafe_code)]

mod axis;
mod bars;
mod curves;
mod sheet;

pub use bars::{Bar, BarPanel, Row};
pub use curves::{Curve, CurvePanel, NARROW, Tick, WIDE};
use sheet::Sheet;

/// A plot: what it says, how it is to be read, and its panels.
pub struct Chart<P> {
    pub title: String,
    pub reading: String,
    pub panels: Vec<P>,
}

/// What a chart is made of.
pub trait Panel {
    /// Panels side by side, at most.
    const COLUMNS: usize;

    fn width(&self) -> f64;

    /// Draws itself from this corner on; where it ends below.
    fn draw(&self, sheet: &mut Sheet, left: f64, top: f64) -> f64;
}

const MARGIN: f64 = 20.0;
const PANEL_GAP: f64 = 12.0;

impl<P: Panel> Chart<P> {
    pub fn svg(&self) -> String {
        let columns = self.panels.len().clamp(1, P::COLUMNS);
        let width = self.panels.first().map_or(0.0, P::width);
        let mut sheet = Sheet::new(columns as f64 * width + 2.0 * MARGIN);
        let first = sheet.heading(&self.title, &self.reading, MARGIN) + PANEL_GAP;
        // Each panel stands where most room is left.
        let mut ends = vec![first; columns];
        for panel in &self.panels {
            let column = (0..columns).min_by(|a, b| ends[*a].total_cmp(&ends[*b])).unwrap_or(0);
            let left = MARGIN + column as f64 * width;
            ends[column] = panel.draw(&mut sheet, left, ends[column]) + PANEL_GAP;
        }
        let y = ends.into_iter().fold(first, f64::max);
        sheet.finish(&self.title, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Unit;

    #[test]
    fn a_chart_is_one_svg_with_all_it_says() {
        let bar = |name: &str, value| Bar { name: name.to_owned(), color: "#123456", value };
        let row = Row { name: "get & put".to_owned(), bars: vec![bar("a", 2e3), bar("b", 4e4)] };
        let panel = || BarPanel { title: "Reads".to_owned(), unit: Unit::Time, rows: vec![row.clone()] };
        let chart = Chart {
            title: "a is < b".to_owned(),
            reading: "shorter is better".to_owned(),
            panels: vec![panel(), panel(), panel(), panel()],
        };
        let svg = chart.svg();
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("get &amp; put").count(), 4);
        assert_eq!(svg.matches("a is &lt; b").count(), 2, "once to be seen and once to be read aloud");
        assert!(svg.contains("2 \u{b5}s") && svg.contains("shorter is better"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
