//! Numbers for people: three digits are as many as mean something.

#![forbid(unsafe_code)]

/// With three digits, and a comma between thousands.
pub fn short(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return if number == 0.0 { "0".to_owned() } else { String::new() };
    }
    let digits = (2.0 - number.abs().log10().floor()).clamp(0.0, 3.0) as usize;
    let text = format!("{number:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(whole, fraction)| (whole, fraction));
    let whole = grouped(whole);
    if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
}

/// A comma before every third digit from the end.
fn grouped(whole: &str) -> String {
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What a number counts. A number of it is in the unit without prefix: nanoseconds, bytes, operations a
/// second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Time,
    Bytes,
    Rate,
    Times,
    Count,
}

impl Unit {
    /// The unit of a metric, and by what its numbers are to be multiplied.
    pub fn of(name: &str) -> (Self, f64) {
        match name {
            "ns" => (Self::Time, 1.0),
            "us" => (Self::Time, 1e3),
            "ms" => (Self::Time, 1e6),
            "s" => (Self::Time, 1e9),
            "B" | "bytes" => (Self::Bytes, 1.0),
            "MB" => (Self::Bytes, 1e6),
            "x" => (Self::Times, 1.0),
            rate if rate.ends_with("/s") => (Self::Rate, if rate.starts_with("M ") { 1e6 } else { 1.0 }),
            _ => (Self::Count, 1.0),
        }
    }

    /// The number with its unit, as it stands in a plot.
    pub fn told(self, number: f64) -> String {
        let steps: &[(f64, &str)] = match self {
            Self::Time => &[(1e9, " s"), (1e6, " ms"), (1e3, " \u{b5}s"), (1.0, " ns")],
            Self::Bytes => &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")],
            Self::Rate => &[(1e6, " M/s"), (1e3, " k/s"), (1.0, "/s")],
            Self::Times => &[(1.0, "x")],
            Self::Count => &[(1e6, " M"), (1e3, " k"), (1.0, "")],
        };
        let fits = steps.iter().find(|(step, _)| number.abs() >= *step);
        let (step, name) = fits.or(steps.last()).expect("every unit has a step");
        format!("{}{name}", short(number / step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_told() {
        let numbers = [0.0, 0.0123, 0.5, 2.24, 25.94, 185.2, 1_234.6, 1_234_567.0, -9_999.6];
        let told = ["0", "0.012", "0.5", "2.24", "25.9", "185", "1,235", "1,234,567", "-10,000"];
        assert_eq!(numbers.map(short), told);
        assert_eq!(short(f64::NAN), "");
    }

    #[test]
    fn a_number_is_told_in_the_unit_that_fits() {
        assert_eq!(Unit::Time.told(2_240.0), "2.24 \u{b5}s");
        assert_eq!(Unit::Time.told(0.5), "0.5 ns");
        assert_eq!(Unit::Rate.told(324_077.0), "324 k/s");
        assert_eq!(Unit::Count.told(1e7), "10 M");
        assert_eq!(Unit::Bytes.told(178.0), "178 B");
        assert_eq!(Unit::Times.told(9.44), "9.44x");
    }

    #[test]
    fn units_of_metrics_are_known() {
        assert_eq!(Unit::of("us"), (Unit::Time, 1e3));
        assert_eq!(Unit::of("puts/s"), (Unit::Rate, 1.0));
        assert_eq!(Unit::of("M gets/s"), (Unit::Rate, 1e6));
        assert_eq!(Unit::of(""), (Unit::Count, 1.0));
    }
}
