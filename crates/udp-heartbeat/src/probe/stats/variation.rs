//! One-way delay variation between clocks that were never set alike: each delay less the least
//! one (RFC 5481's PDV, over RFC 7679 delays).
//!
//! What is recorded is a difference of two clocks, of any sign; only its distance from the least
//! one so far means anything, and the least one changes. So values are kept as distances from a base
//! that lies somewhat below the least; where a value falls below the base, the base is moved down
//! by as much again as the values spread, so that clocks which run at different rates (a new least
//! value each time) move it seldom. Such clocks show as growing variation.

use std::time::Duration;

use super::distribution::{Distribution, Percentile, Precision};

/// Differences kept as they are; beyond that, a distribution from the least one.
const EXACT: usize = 1024;

/// One direction's differences so far.
#[derive(Debug, Clone)]
pub(crate) struct Variation {
    least: i128,
    most: i128,
    exact: Vec<i128>,
    beyond: Option<Beyond>,
}

#[derive(Debug, Clone)]
struct Beyond {
    /// What the distribution counts from: not above the least value.
    base: i128,
    from_base: Distribution,
}

impl Variation {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Variation { least: i128::MAX, most: i128::MIN, exact: Vec::new(), beyond: None }
    }

    /// The next difference: arrival on one clock less departure on the other, in nanoseconds.
    pub(crate) fn record(&mut self, difference: i128) {
        self.least = self.least.min(difference);
        self.most = self.most.max(difference);
        if self.beyond.is_none() && self.exact.len() < EXACT {
            self.exact.push(difference);
            return;
        }
        let lower = self.least.saturating_sub(self.most.saturating_sub(self.least));
        let exact = std::mem::take(&mut self.exact);
        let beyond = self.beyond.get_or_insert_with(|| {
            let mut from_base = Distribution::new(Precision::Fine);
            exact.iter().for_each(|value| from_base.record(distance(*value, lower)));
            Beyond { base: lower, from_base }
        });
        if difference < beyond.base {
            beyond.from_base = beyond.from_base.moved(distance(beyond.base, lower));
            beyond.base = lower;
        }
        beyond.from_base.record(distance(difference, beyond.base));
    }

    /// The percentile of the distance from the least one; none where the sample is too small.
    pub(crate) fn percentile(&self, percentile: Percentile) -> Option<Duration> {
        match &self.beyond {
            Some(beyond) => {
                let value = beyond.from_base.percentile(percentile)?;
                Some(value.saturating_sub(distance(self.least, beyond.base)))
            }
            None => {
                let mut sample = Distribution::new(Precision::Fine);
                self.exact.iter().for_each(|value| sample.record(distance(*value, self.least)));
                sample.percentile(percentile)
            }
        }
    }
}

fn distance(value: i128, from: i128) -> Duration {
    let nanos = value.saturating_sub(from).max(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const P99: f64 = 99.0;

    fn p(number: f64) -> Percentile {
        Percentile::new(number).unwrap()
    }

    #[test]
    fn only_the_distance_from_the_least_counts() {
        for offset in [0, 5_000_000_000, -70_000_000_000_000_i128] {
            let mut variation = Variation::new();
            for value in [300, 100, 200, 400] {
                variation.record(offset + value);
            }
            assert_eq!(variation.percentile(p(50.0)), Some(Duration::from_nanos(100)));
            assert_eq!(variation.percentile(p(100.0)), Some(Duration::from_nanos(300)));
            assert_eq!(variation.percentile(p(P99)), None);
        }
        assert_eq!(Variation::new().percentile(p(50.0)), None);
    }

    #[test]
    fn a_least_one_that_comes_late_moves_the_others() {
        let mut variation = Variation::new();
        for k in 0..100_000_i128 {
            variation.record(1_000_000 + k % 1000);
        }
        variation.record(0);
        let got = variation.percentile(p(50.0)).unwrap().as_nanos() as f64;
        assert!((got - 1_000_500.0).abs() < 3_000.0, "{got}");
    }

    #[test]
    fn a_clock_that_runs_slow_is_a_least_value_each_time() {
        let mut variation = Variation::new();
        for k in 0..200_000_i128 {
            variation.record(-50_000 * k);
        }
        let got = variation.percentile(p(50.0)).unwrap().as_nanos() as f64;
        let truth = 50_000.0 * 100_000.0;
        assert!((got - truth).abs() / truth < 0.02, "{got} {truth}");
    }

    #[test]
    fn clocks_worlds_apart_do_no_harm() {
        let mut variation = Variation::new();
        for value in [i128::MAX, i128::MIN, 0, i128::from(u64::MAX)] {
            variation.record(value);
        }
        assert!(variation.percentile(p(50.0)).is_some());
    }
}
