//! Bars: rows of them, each bar with its number and its name behind it.

#![forbid(unsafe_code)]

use super::Panel;
use super::axis::Axis;
use super::sheet::{At, GRID, Sheet, wrapped};
use crate::report::Unit;

#[derive(Clone)]
pub struct Bar {
    pub name: String,
    pub color: &'static str,
    pub value: f64,
}

#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub bars: Vec<Bar>,
}

/// Rows that share a unit and an axis.
pub struct BarPanel {
    pub title: String,
    pub unit: Unit,
    pub rows: Vec<Row>,
}

const LABELS: f64 = 170.0;
const LABEL_CHARS: usize = 25;
const AXIS: f64 = 270.0;
const BEHIND: f64 = 150.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
/// The shortest bar is seen, too.
const BAR_WIDTH_MIN: f64 = 1.5;

impl Panel for BarPanel {
    const COLUMNS: usize = 2;

    fn width(&self) -> f64 {
        LABELS + AXIS + BEHIND
    }

    fn draw(&self, sheet: &mut Sheet, left: f64, top: f64) -> f64 {
        let values: Vec<f64> = self.rows.iter().flat_map(|row| &row.bars).map(|bar| bar.value).collect();
        let axis = Axis::of_bars(values.into_iter(), AXIS);
        let zero = left + LABELS;
        let scale = if axis.is_log() { "logarithmic" } else { "from zero" };
        sheet.text((left, top + 14.0), At::Start, "head", "", &format!("{} ({scale})", self.title));
        let first = top + 46.0;
        let heights = self.rows.iter().map(Row::height).sum::<f64>();
        for tick in axis.ticks() {
            let x = zero + axis.place(tick);
            sheet.line(&[(x, first - 6.0), (x, first + heights - GAP + 4.0)], GRID, 1.0);
            sheet.text((x, first - 12.0), At::Middle, "axis", "", &self.unit.told(tick));
        }
        let mut y = first;
        for row in &self.rows {
            row.draw(sheet, &axis, self.unit, zero, y);
            y += row.height();
        }
        y
    }
}

impl Row {
    fn height(&self) -> f64 {
        self.bars.len() as f64 * BAR + GAP
    }

    fn draw(&self, sheet: &mut Sheet, axis: &Axis, unit: Unit, zero: f64, top: f64) {
        let names = wrapped(&self.name, LABEL_CHARS);
        let middle = top + self.bars.len() as f64 * BAR / 2.0;
        let mut y = middle + 4.0 - (names.len() as f64 - 1.0) * 7.0;
        for name in &names {
            sheet.text((zero - 10.0, y), At::End, "", "", name);
            y += 14.0;
        }
        for (place, bar) in self.bars.iter().enumerate() {
            let y = top + place as f64 * BAR;
            let width = axis.place(bar.value).max(BAR_WIDTH_MIN);
            sheet.rect((zero, y), (width, BAR - 2.0), bar.color);
            let words = format!("{}  {}", unit.told(bar.value), bar.name);
            let class = if place == 0 { "small strong" } else { "small" };
            sheet.text((zero + width + 5.0, y + BAR - 4.0), At::Start, class, "", &words);
        }
    }
}
