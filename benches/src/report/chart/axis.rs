//! Where a number stands on an axis, and which numbers are written beside it.

#![forbid(unsafe_code)]

/// From the smallest to the largest number on a scale of pixels, linear from zero or logarithmic.
pub struct Axis {
    low: f64,
    high: f64,
    pixels: f64,
    is_log: bool,
}

/// Numbers that differ more are told apart on a logarithmic scale only.
const LINEAR_MAX: f64 = 25.0;
/// Of a logarithmic scale of more powers of ten, only these get a line.
const FINE_POWERS_MAX: f64 = 2.5;

impl Axis {
    /// For these numbers, which must be above zero on a logarithmic scale; others have no place there.
    pub fn logarithmic(numbers: impl Iterator<Item = f64> + Clone, pixels: f64) -> Self {
        let (min, max) = bounds(numbers);
        let (mut low, mut high) = (min.log10().floor(), max.log10().ceil());
        if high - low <= FINE_POWERS_MAX {
            (low, high) = (fine_below(min).log10(), fine_above(max).log10());
        }
        if high <= low {
            high = low + 1.0;
        }
        Self { low, high, pixels, is_log: true }
    }

    /// From zero, unless the numbers are too different for that.
    pub fn of_bars(numbers: impl Iterator<Item = f64> + Clone, pixels: f64) -> Self {
        let (min, max) = bounds(numbers.clone());
        if max / min > LINEAR_MAX {
            // The shortest bar must be seen, too.
            let least = 10f64.powf((min * 0.7).log10().floor());
            return Self::logarithmic(numbers.chain([least]).collect::<Vec<_>>().into_iter(), pixels);
        }
        Self { low: 0.0, high: max, pixels, is_log: false }
    }

    pub fn is_log(&self) -> bool {
        self.is_log
    }

    /// Pixels from the beginning of the axis.
    pub fn place(&self, number: f64) -> f64 {
        let number = if self.is_log { number.max(f64::MIN_POSITIVE).log10() } else { number };
        ((number - self.low) / (self.high - self.low)).clamp(0.0, 1.0) * self.pixels
    }

    /// The numbers that get a line.
    pub fn ticks(&self) -> Vec<f64> {
        if !self.is_log {
            let step = fine_above(self.high / 6.0);
            return (0..).map(|i| f64::from(i) * step).take_while(|tick| *tick <= self.high).collect();
        }
        let factors: &[f64] = if self.high - self.low > FINE_POWERS_MAX { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        let within = |tick: &f64| (self.low - 1e-9..=self.high + 1e-9).contains(&tick.log10());
        all.filter(within).collect()
    }
}

fn bounds(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (min, max) = numbers
        .filter(|number| number.is_finite() && *number > 0.0)
        .fold((f64::INFINITY, 0.0), |(min, max): (f64, f64), number| (min.min(number), max.max(number)));
    if max > 0.0 { (min, max) } else { (1.0, 10.0) }
}

/// The largest 1, 2 or 5 with zeros that is not above the number.
fn fine_below(number: f64) -> f64 {
    let power = 10f64.powf(number.log10().floor());
    [5.0, 2.0, 1.0].map(|factor| factor * power).into_iter().find(|fine| *fine <= number).unwrap_or(power)
}

/// The smallest that is not below it.
fn fine_above(number: f64) -> f64 {
    let power = 10f64.powf(number.log10().floor());
    let all = [1.0, 2.0, 5.0].map(|factor| factor * power);
    all.into_iter().find(|fine| *fine >= number).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_powers_have_a_line_each_and_few_have_more() {
        let axis = |numbers: &[f64]| Axis::logarithmic(numbers.iter().copied(), 100.0);
        let wide = axis(&[30.0, 2e5]);
        assert_eq!(wide.ticks(), [1e1, 1e2, 1e3, 1e4, 1e5, 1e6]);
        assert_eq!([1e1, 1e6].map(|number| wide.place(number)), [0.0, 100.0]);
        assert_eq!(axis(&[300.0, 1_700.0]).ticks(), [200.0, 500.0, 1_000.0, 2_000.0]);
        assert!(axis(&[]).place(3.0) > 0.0);
    }

    #[test]
    fn bars_begin_at_zero_where_they_can() {
        let near = Axis::of_bars([10.0, 40.0].into_iter(), 80.0);
        assert!(!near.is_log());
        assert_eq!(near.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0].map(|tick| tick));
        assert_eq!(near.place(20.0), 40.0);
        let far = Axis::of_bars([10.0, 4_000.0].into_iter(), 80.0);
        assert!(far.is_log() && far.place(10.0) > 1.0);
    }
}
