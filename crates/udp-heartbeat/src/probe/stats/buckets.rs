//! Durations counted by buckets: eight a doubling, as Prometheus' native histograms of schema 3 have
//! them. Each bucket holds its upper bound, which is a power of 2^(1/8) seconds; every power of two is
//! a bound, so that classic buckets are exact sums of these.

use std::time::Duration;

/// Buckets a doubling, by their exponent: 2^3.
pub(crate) const SCHEMA: i32 = 3;
/// The bounds as powers of 2^(1/8) seconds: what is at most the first (a microsecond) is as good as
/// nothing, and what is above the last (a quarter of an hour) is in the bucket of the last.
const LEAST: i32 = -20 * 8;
const MOST: i32 = 10 * 8;
/// The classic bounds, as powers of two: 61 µs to 16 s.
const CLASSIC: std::ops::RangeInclusive<i32> = -14..=4;

/// How many durations fell into which bucket, and their sum.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buckets {
    /// The bucket of the first of `counts`.
    first: i32,
    /// As far as there were any.
    counts: Vec<u64>,
    zero: u64,
    count: u64,
    sum: u128,
}

impl Buckets {
    /// One more duration.
    pub(crate) fn record(&mut self, value: Duration) {
        self.count += 1;
        self.sum += value.as_nanos();
        let index = (value.as_secs_f64().log2() * 8.0).ceil() as i32;
        if index <= LEAST {
            self.zero += 1;
            return;
        }
        let index = index.min(MOST);
        if self.counts.is_empty() {
            self.first = index;
        }
        if index < self.first {
            let more = (self.first - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = index;
        }
        let place = (index - self.first) as usize;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
    }

    /// How many durations there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in seconds.
    pub(crate) fn sum(&self) -> f64 {
        self.sum as f64 / 1e9
    }

    /// Classic buckets: the upper bound in seconds of each, and how many durations are in it alone.
    pub(crate) fn classic(&self) -> Vec<(f64, u64)> {
        let bounds = CLASSIC.map(|power| (power * 8, f64::from(power).exp2()));
        let mut below = 0;
        let mut buckets = Vec::with_capacity(20);
        for (index, bound) in bounds.chain([(i32::MAX, f64::INFINITY)]) {
            let upto = index.saturating_sub(self.first).saturating_add(1).max(0) as usize;
            let upto = upto.min(self.counts.len());
            let all = self.zero + self.counts[..upto].iter().sum::<u64>();
            buckets.push((bound, all - below));
            below = all;
        }
        buckets
    }

    /// Native buckets: rows of buckets that hold something, each with its distance from the end of the
    /// one before (the first one's from bucket 0) and its length; and how many durations each bucket
    /// holds more than the one before.
    pub(crate) fn native(&self) -> (Vec<(i32, u32)>, Vec<i64>) {
        let (mut spans, mut deltas): (Vec<(i32, u32)>, Vec<i64>) = Default::default();
        let (mut end, mut before) = (0, 0);
        let held = (self.first..).zip(&self.counts).filter(|(_, count)| **count > 0);
        for (index, count) in held {
            match spans.last_mut().filter(|_| index == end) {
                Some((_, length)) => *length += 1,
                None => spans.push((index - end, 1)),
            }
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            deltas.push(count - before);
            (end, before) = (index + 1, count);
        }
        (spans, deltas)
    }

    /// How many durations are as good as nothing; and up to how many seconds that is.
    pub(crate) fn zero(&self) -> (u64, f64) {
        (self.zero, f64::from(LEAST / 8).exp2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(nanos: &[u64]) -> Buckets {
        let mut buckets = Buckets::default();
        nanos.iter().for_each(|nanos| buckets.record(Duration::from_nanos(*nanos)));
        buckets
    }

    #[test]
    fn a_bound_is_in_its_bucket() {
        // 2^-9 s and 2^-1 s are whole nanoseconds.
        for (nanos, power) in [(1_953_125, -9), (500_000_000, -1), (1_000_000_000, 0)] {
            let bound = f64::from(power).exp2();
            for (nanos, expected) in [(nanos, bound), (nanos + 1, bound * 2.0)] {
                let classic = of(&[nanos]).classic();
                let (found, _) = classic.iter().find(|(_, count)| *count > 0).unwrap();
                assert_eq!(*found, expected, "{nanos}");
            }
            assert_eq!(of(&[nanos]).native().0, [(power * 8, 1)]);
        }
    }

    #[test]
    fn rows_of_buckets() {
        let it = of(&[0, 1_000_000_000, 1_000_000_000, 1_050_000_000, 500_000_000]);
        assert_eq!(it.native(), (vec![(-8, 1), (7, 2)], vec![1, 1, -1]));
        assert_eq!(it.zero().0, 1);
        assert_eq!(of(&[]).native(), Default::default());
        assert_eq!(of(&[u64::MAX]).native().0, [(80, 1)]);
    }

    proptest! {
        /// Both forms hold every duration once, and the classic one where it belongs.
        #[test]
        fn nothing_is_lost(values in proptest::collection::vec(0u64..40_000_000_000, 0..200)) {
            let it = of(&values);
            let all = values.len() as u64;
            let mut upto = 0;
            for (bound, count) in it.classic() {
                upto += count;
                let truth = values.iter().filter(|v| **v as f64 / 1e9 <= bound).count() as u64;
                prop_assert_eq!(upto, truth, "{}", bound);
            }
            prop_assert_eq!(upto, all);
            let mut count = 0;
            let counts: Vec<i64> =
                it.native().1.iter().map(|delta| { count += delta; count }).collect();
            prop_assert_eq!(counts.iter().sum::<i64>() as u64 + it.zero().0, all);
            let length: u32 = it.native().0.iter().map(|(_, length)| *length).sum();
            prop_assert_eq!(length as usize, counts.len());
            prop_assert_eq!(it.count(), all);
        }
    }
}
