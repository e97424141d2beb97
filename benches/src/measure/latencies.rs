//! How long single operations took: percentiles, exact because every one of them is kept.

#![forbid(unsafe_code)]

use std::time::Duration;

#[derive(Default)]
pub struct Latencies {
    nanos: Vec<u64>,
    sorted: bool,
}

impl Latencies {
    pub fn push(&mut self, latency: Duration) {
        self.nanos.push(latency.as_nanos() as u64);
        self.sorted = false;
    }

    /// Also counts those that should have begun in the meantime, one in each `interval`: they would have
    /// waited.
    pub fn push_expected(&mut self, latency: Duration, interval: Duration) {
        self.push(latency);
        let (nanos, interval) = (latency.as_nanos() as u64, interval.as_nanos().max(1) as u64);
        let mut waited = nanos;
        while waited > 2 * interval {
            waited -= interval;
            self.nanos.push(waited);
        }
    }

    /// Microseconds that this share of the operations took at most; 1.0 is all of them.
    pub fn micros(&mut self, share: f64) -> f64 {
        if !self.sorted {
            self.nanos.sort_unstable();
            self.sorted = true;
        }
        let rank = (self.nanos.len() as f64 * share).ceil() as usize;
        self.nanos.get(rank.max(1) - 1).map_or(f64::NAN, |&nanos| nanos as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_latencies() {
        let mut latencies = Latencies::default();
        (1..=100).rev().for_each(|micros| latencies.push(Duration::from_micros(micros)));
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|share| latencies.micros(share)), [50.0, 99.0, 100.0, 100.0]);
        assert!(Latencies::default().micros(0.5).is_nan());
    }

    #[test]
    fn a_long_wait_counts_for_all_that_waited() {
        let mut latencies = Latencies::default();
        latencies.push_expected(Duration::from_micros(10), Duration::from_micros(50));
        latencies.push_expected(Duration::from_micros(200), Duration::from_micros(50));
        assert_eq!([0.1, 0.5, 0.75, 1.0].map(|share| latencies.micros(share)), [10.0, 100.0, 150.0, 200.0]);
    }
}
