//! A distribution of durations: exact minimum, average, maximum and mean deviation, and
//! percentiles.
//!
//! The few first values are kept as they are, so that the percentiles of a small sample are values
//! that were measured; beyond that they come from a histogram (HdrHistogram) of a stated
//! precision, in constant memory. A percentile is the nearest rank, `ceil(p/100 × n)`, and is only
//! given where the sample supports it: it takes `1 / (1 - p/100)` values, so two for the median, ten
//! for p90 and a hundred for p99.

use std::time::Duration;

use hdrhistogram::Histogram;
use udp_core::text::moments::Moments;

/// How much memory a distribution may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// For a few: 1024 values as they are, then 0.1 %; about 100 KB for round trips up to 1 s.
    Fine,
    /// For thousands: 64 values as they are, then 1 % or 256 ns; about 8 KB.
    Coarse,
}

impl Precision {
    /// Significant digits of a percentile.
    pub(crate) fn digits(self) -> u8 {
        match self {
            Precision::Fine => 3,
            Precision::Coarse => 2,
        }
    }

    fn exact(self) -> usize {
        match self {
            Precision::Fine => 1024,
            Precision::Coarse => 64,
        }
    }

    /// A histogram that grows with the values; counts saturate at 2^32 a bucket.
    fn histogram(self) -> Option<Histogram<u32>> {
        let (lowest, digits) = match self {
            Precision::Fine => (1, 3),
            Precision::Coarse => (256, 2),
        };
        let mut histogram = Histogram::new_with_bounds(lowest, lowest * 2048, digits).ok()?;
        histogram.auto(true);
        Some(histogram)
    }
}

/// The values so far.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    precision: Precision,
    exact: Vec<u64>,
    /// Apart, so that thousands of small samples lie close together.
    histogram: Option<Box<Histogram<u32>>>,
    moments: Moments,
}

/// A percentile, above 0 and at most 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Percentile(f64);

impl Percentile {
    pub(crate) const P50: Percentile = Percentile(50.0);
    pub(crate) const P90: Percentile = Percentile(90.0);
    pub(crate) const P99: Percentile = Percentile(99.0);

    /// The percentile with this number, if it is one.
    pub(crate) fn new(number: f64) -> Option<Percentile> {
        (number > 0.0 && number <= 100.0).then_some(Percentile(number))
    }

    /// The number: 50 for the median.
    pub(crate) fn get(self) -> f64 {
        self.0
    }

    /// How many values it takes: two up to the median, one for the maximum.
    pub(crate) fn needs(self) -> u64 {
        let above = 100.0 - self.0;
        if above <= 0.0 {
            return 1;
        }
        // Without the correction 100 / (100 - 99.9) would be a hair above 1000.
        ((100.0 / above - 1e-6).ceil() as u64).max(2)
    }

    /// The nearest rank among `count` values, from 1.
    pub(crate) fn rank(self, count: u64) -> u64 {
        let rank = (self.0 / 100.0 * count as f64 - 1e-6).ceil() as u64;
        rank.clamp(1, count.max(1))
    }
}

impl Distribution {
    /// Nothing yet.
    pub(crate) fn new(precision: Precision) -> Self {
        Distribution { precision, exact: Vec::new(), histogram: None, moments: Moments::default() }
    }

    /// One more value.
    pub(crate) fn record(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.moments.record(value);
        if self.histogram.is_none() {
            if self.exact.len() < self.precision.exact() {
                self.exact.push(nanos);
                return;
            }
            self.spill();
        }
        if let Some(histogram) = &mut self.histogram {
            // A histogram that grows by itself takes any value.
            let _grown = histogram.record(nanos);
        }
    }

    /// From values to a histogram, if that is still to be done.
    fn spill(&mut self) {
        if self.histogram.is_some() {
            return;
        }
        self.histogram = self.precision.histogram().map(Box::new);
        if let Some(histogram) = &mut self.histogram {
            for value in std::mem::take(&mut self.exact) {
                let _grown = histogram.record(value);
            }
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.moments.count()
    }

    /// The least value.
    pub(crate) fn min(&self) -> Option<Duration> {
        self.moments.figures().map(|it| it.min)
    }

    /// The greatest value.
    pub(crate) fn max(&self) -> Option<Duration> {
        self.moments.figures().map(|it| it.max)
    }

    /// The arithmetic mean, rounded half up.
    pub(crate) fn average(&self) -> Option<Duration> {
        self.moments.figures().map(|it| it.average)
    }

    /// The standard deviation of the values so far: what ping calls mdev.
    pub(crate) fn deviation(&self) -> Option<Duration> {
        self.moments.figures().map(|it| it.deviation)
    }

    /// The percentile of these values; none where they are too few for it.
    pub(crate) fn percentile(&self, percentile: Percentile) -> Option<Duration> {
        (self.count() > 0 && self.count() >= percentile.needs())
            .then(|| self.at_rank(percentile.rank(self.count())))
    }

    /// The percentile when `missing` more values are beyond every measure (RFC 2681 §5: a lost
    /// packet's delay is infinite). None where they are too few, or where it falls on one of those.
    pub(crate) fn percentile_with(&self, percentile: Percentile, missing: u64) -> Option<Duration> {
        let all = self.count() + missing;
        let rank = percentile.rank(all);
        (all >= percentile.needs() && rank <= self.count() && self.count() > 0)
            .then(|| self.at_rank(rank))
    }

    /// The same values, each longer by `by`; within the precision, once they are in a histogram.
    pub(crate) fn moved(&self, by: Duration) -> Distribution {
        let mut moved = Distribution::new(self.precision);
        self.exact.iter().for_each(|nanos| moved.record(Duration::from_nanos(*nanos) + by));
        for bucket in self.histogram.iter().flat_map(|it| it.iter_recorded()) {
            let value = Duration::from_nanos(bucket.value_iterated_to()).saturating_add(by);
            moved.record_many(value, bucket.count_at_value());
        }
        moved
    }

    /// The same value `times` times.
    fn record_many(&mut self, value: Duration, times: u32) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        if times == 0 {
            return;
        }
        self.spill();
        self.moments.record_many(value, times);
        if let Some(histogram) = &mut self.histogram {
            let _grown = histogram.record_n(nanos, times);
        }
    }

    /// Values that there is room for.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        self.exact.capacity() + self.histogram.as_ref().map_or(0, |it| it.distinct_values())
    }

    /// The value with this rank, from 1 up to the count.
    fn at_rank(&self, rank: u64) -> Duration {
        let nanos = match &self.histogram {
            None => {
                let mut sorted = self.exact.clone();
                let index = usize::try_from(rank - 1).unwrap_or(usize::MAX);
                let index = index.min(sorted.len() - 1);
                *sorted.select_nth_unstable(index).1
            }
            Some(histogram) => {
                let mut seen = 0;
                let found = histogram.iter_recorded().find(|bucket| {
                    seen += bucket.count_since_last_iteration();
                    seen >= rank
                });
                found.map_or(u64::MAX, |bucket| bucket.value_iterated_to())
            }
        };
        let Some(all) = self.moments.figures() else { return Duration::ZERO };
        Duration::from_nanos(nanos).clamp(all.min, all.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Distribution {
        let mut it = Distribution::new(Precision::Fine);
        for value in values {
            it.record(Duration::from_nanos(*value));
        }
        it
    }

    fn p(number: f64) -> Percentile {
        Percentile::new(number).unwrap()
    }

    #[test]
    fn nothing_has_no_figures() {
        let none = of(&[]);
        assert_eq!((none.min(), none.average(), none.max(), none.deviation()), Default::default());
        assert_eq!(none.percentile(p(50.0)), None);
        assert_eq!(none.percentile_with(p(50.0), 9), None);
    }

    #[test]
    fn exact_figures_of_a_known_sample() {
        let it = of(&[2, 4, 4, 4, 5, 5, 7, 9]);
        let nanos = |value: Option<Duration>| value.unwrap().as_nanos();
        assert_eq!(nanos(it.min()), 2);
        assert_eq!(nanos(it.max()), 9);
        assert_eq!(nanos(it.average()), 5);
        assert_eq!(nanos(it.deviation()), 2);
        assert_eq!(nanos(it.percentile(p(50.0))), 4);
        assert_eq!(nanos(it.percentile(p(100.0))), 9);
        assert_eq!(nanos(it.percentile(p(75.0))), 5);
        assert_eq!(it.percentile(p(90.0)), None);
    }

    #[test]
    fn what_a_percentile_needs() {
        let cases = [
            (0.1, 2),
            (25.0, 2),
            (50.0, 2),
            (75.0, 4),
            (90.0, 10),
            (95.0, 20),
            (99.0, 100),
            (99.9, 1000),
            (99.99, 10_000),
            (100.0, 1),
        ];
        for (number, needed) in cases {
            assert_eq!(p(number).needs(), needed, "p{number}");
            let enough = of(&vec![7; needed as usize]);
            assert!(enough.percentile(p(number)).is_some(), "p{number}");
            if needed > 1 {
                let short = of(&vec![7; needed as usize - 1]);
                assert_eq!(short.percentile(p(number)), None, "p{number}");
            }
        }
        for wrong in [0.0, -1.0, 100.1, f64::NAN] {
            assert_eq!(Percentile::new(wrong), None);
        }
    }

    #[test]
    fn a_lost_beat_is_the_largest_sample() {
        let it = of(&(1..=97).collect::<Vec<_>>());
        assert_eq!(it.percentile_with(p(99.0), 3), None);
        assert_eq!(it.percentile_with(p(97.0), 3), Some(Duration::from_nanos(97)));
        assert_eq!(it.percentile_with(p(50.0), 3), Some(Duration::from_nanos(50)));
    }

    proptest! {
        /// The figures agree with those of a sorted list, within the histogram's precision.
        #[test]
        fn percentiles_are_nearest_ranks(
            mut values in proptest::collection::vec(0u64..5_000_000_000, 1..3000),
            number in 0.5f64..100.0,
        ) {
            let it = of(&values);
            values.sort_unstable();
            let wanted = p(number);
            if values.len() as u64 >= wanted.needs() {
                let rank = wanted.rank(values.len() as u64) as usize;
                let truth = values[rank - 1] as f64;
                let got = it.percentile(wanted).unwrap().as_nanos() as f64;
                let tolerance = if values.len() <= 1024 { 0.0 } else { truth / 1000.0 + 1.0 };
                prop_assert!((got - truth).abs() <= tolerance, "{got} {truth}");
            } else {
                prop_assert_eq!(it.percentile(wanted), None);
            }
            let mean = (values.iter().map(|v| u128::from(*v)).sum::<u128>() + values.len() as u128 / 2)
                / values.len() as u128;
            prop_assert_eq!(it.average().unwrap().as_nanos(), mean);
        }

        #[test]
        fn coarse_is_within_a_percent(values in proptest::collection::vec(1u64..2_000_000_000, 100..300)) {
            let mut it = Distribution::new(Precision::Coarse);
            for value in &values {
                it.record(Duration::from_nanos(*value));
            }
            let mut sorted = values;
            sorted.sort_unstable();
            let truth = sorted[p(90.0).rank(sorted.len() as u64) as usize - 1] as f64;
            let got = it.percentile(p(90.0)).unwrap().as_nanos() as f64;
            prop_assert!((got - truth).abs() <= truth / 100.0 + 256.0, "{got} {truth}");
        }
    }
}
