//! Curves, each with its name at its end.

#![forbid(unsafe_code)]

use super::Panel;
use super::axis::Axis;
use super::sheet::{At, GRID, Sheet};
use crate::report::Unit;

pub struct Curve {
    pub name: String,
    pub color: &'static str,
    /// Drawn above the others, and thicker.
    pub is_home: bool,
    pub points: Vec<(f64, f64)>,
}

/// A place along the bottom and what is written there.
#[derive(Clone)]
pub struct Tick {
    pub at: f64,
    pub name: String,
}

/// Curves over the same ticks; both axes are logarithmic.
pub struct CurvePanel {
    pub title: String,
    /// What the bottom counts.
    pub bottom: String,
    pub ticks: Vec<Tick>,
    pub unit: Unit,
    pub curves: Vec<Curve>,
    /// Pixels of the bottom.
    pub across: f64,
}

const LEFT: f64 = 62.0;
const HEIGHT: f64 = 270.0;
/// Pixels of the bottom of a panel among others, and of one that stands alone.
pub const NARROW: f64 = 250.0;
pub const WIDE: f64 = 560.0;
const BEHIND: f64 = 108.0;
/// Between two names, one above the other.
const NAME: f64 = 14.0;

impl Panel for CurvePanel {
    const COLUMNS: usize = 3;

    fn width(&self) -> f64 {
        LEFT + self.across + BEHIND
    }

    fn draw(&self, sheet: &mut Sheet, left: f64, top: f64) -> f64 {
        let (zero, first) = (left + LEFT, top + 34.0);
        let bottom = first + HEIGHT;
        sheet.text((left, top + 14.0), At::Start, "head", "", &self.title);
        let values: Vec<f64> =
            self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).collect();
        let y_axis = Axis::logarithmic(values.into_iter(), HEIGHT);
        for tick in y_axis.ticks() {
            let y = bottom - y_axis.place(tick);
            sheet.line(&[(zero, y), (zero + self.across, y)], GRID, 1.0);
            sheet.text((zero - 6.0, y + 4.0), At::End, "axis", "", &self.unit.told(tick));
        }
        for tick in &self.ticks {
            let x = zero + self.place(tick.at);
            sheet.line(&[(x, first), (x, bottom)], GRID, 1.0);
            sheet.text((x, bottom + 16.0), At::Middle, "axis", "", &tick.name);
        }
        sheet.text((zero + self.across / 2.0, bottom + 34.0), At::Middle, "axis", "", &self.bottom);
        let place = |point: &(f64, f64)| (zero + self.place(point.0), bottom - y_axis.place(point.1));
        let mut curves: Vec<&Curve> = self.curves.iter().filter(|curve| !curve.points.is_empty()).collect();
        curves.sort_by_key(|curve| curve.is_home);
        for curve in &curves {
            let points: Vec<(f64, f64)> = curve.points.iter().map(place).collect();
            sheet.line(&points, curve.color, if curve.is_home { 3.0 } else { 1.5 });
            points.iter().for_each(|point| sheet.dot(*point, curve.color));
        }
        names(sheet, zero + self.across + 14.0, &curves, |curve| {
            place(curve.points.last().expect("has points"))
        });
        bottom + 40.0
    }
}

impl CurvePanel {
    /// Pixels from the left.
    fn place(&self, at: f64) -> f64 {
        let ends = (self.ticks.first(), self.ticks.last());
        let (Some(low), Some(high)) =
            (ends.0.map(|tick| tick.at.log10()), ends.1.map(|tick| tick.at.log10()))
        else {
            return 0.0;
        };
        if high > low { (at.log10() - low) / (high - low) * self.across } else { self.across / 2.0 }
    }
}

/// A name for each curve at the height where it ends, or a little above or below where there are others.
fn names(sheet: &mut Sheet, x: f64, curves: &[&Curve], end: impl Fn(&Curve) -> (f64, f64)) {
    let mut places: Vec<(&Curve, (f64, f64))> = curves.iter().map(|curve| (*curve, end(curve))).collect();
    places.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
    let heights = apart(&places.iter().map(|place| place.1.1).collect::<Vec<_>>(), NAME);
    for ((curve, end), y) in places.iter().zip(heights) {
        sheet.line(&[*end, (x - 4.0, y)], curve.color, 0.7);
        let class = if curve.is_home { "strong" } else { "" };
        sheet.text((x, y + 4.0), At::Start, class, curve.color, &curve.name);
    }
}

/// The same heights, in order, moved until each is so far from the next.
fn apart(heights: &[f64], least: f64) -> Vec<f64> {
    // Groups of names that touch share the middle of where they should be.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    for &height in heights {
        let mut group = (height, 1);
        while let Some(&(middle, count)) = groups.last() {
            let touching = (count + group.1) as f64 / 2.0 * least;
            if group.0 - middle >= touching {
                break;
            }
            groups.pop();
            let all = (count + group.1) as f64;
            group = ((middle * count as f64 + group.0 * group.1 as f64) / all, count + group.1);
        }
        groups.push(group);
    }
    let spread = |(middle, count): (f64, usize)| {
        (0..count).map(move |i| middle + (i as f64 - (count - 1) as f64 / 2.0) * least)
    };
    groups.into_iter().flat_map(spread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::Chart;

    #[test]
    fn names_are_moved_apart_and_keep_their_order() {
        assert_eq!(apart(&[10.0, 50.0], 14.0), [10.0, 50.0]);
        assert_eq!(apart(&[10.0, 12.0, 50.0], 14.0), [4.0, 18.0, 50.0]);
        assert_eq!(apart(&[10.0, 10.0, 10.0], 10.0), [0.0, 10.0, 20.0]);
        let many = apart(&[5.0, 6.0, 20.0, 21.0, 100.0], 14.0);
        assert!(many.windows(2).all(|pair| pair[1] - pair[0] >= 14.0 - 1e-9), "{many:?}");
    }

    #[test]
    fn every_curve_is_named() {
        let curve = |name: &str, is_home| Curve {
            name: name.to_owned(),
            color: "#000000",
            is_home,
            points: vec![(1e3, 200.0), (1e6, 5e3)],
        };
        let tick = |at: f64| Tick { at, name: Unit::Count.told(at) };
        let panel = CurvePanel {
            title: "get".to_owned(),
            bottom: "keys".to_owned(),
            ticks: vec![tick(1e3), tick(1e6)],
            unit: Unit::Time,
            curves: vec![curve("one", true), curve("two", false)],
            across: NARROW,
        };
        let svg = Chart { title: "t".to_owned(), reading: String::new(), panels: vec![panel] }.svg();
        for words in [">one<", ">two<", ">1 M<", ">keys<", "200 ns", "5 \u{b5}s"] {
            assert!(svg.contains(words), "{words} in {svg}");
        }
        assert!(!svg.contains("NaN"));
    }
}
