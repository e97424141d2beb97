//! The measurements of one thing and their median: a round that the neighbours disturbed changes it little.

#![forbid(unsafe_code)]

/// The measurements of one thing, one a round.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let samples = |numbers: &[f64]| Samples(numbers.to_vec());
        assert!(samples(&[]).median().is_nan());
        assert_eq!(samples(&[3.0, 1.0, 100.0]).median(), 3.0);
        assert_eq!(samples(&[4.0, 1.0, 100.0, 2.0]).median(), 3.0);
        assert_eq!((samples(&[2.0, 1.0]).min(), samples(&[2.0, 1.0]).max()), (1.0, 2.0));
    }
}
