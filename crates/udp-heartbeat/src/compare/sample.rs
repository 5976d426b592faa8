//! One target's beats of a recording, prepared for the bootstrap.

use crate::probe::stats::distribution::Percentile;
use crate::recorded::{Class, Target};

/// Values are told apart as so many places in the order of all.
const BINS: usize = 4096;

/// The beats in the order of sending.
#[derive(Debug)]
pub(super) struct Sample {
    /// Which bin the round trip is in; None for a lost one.
    pub(super) beats: Vec<Option<u16>>,
    /// The greatest round trip of each bin, in nanoseconds.
    bounds: Vec<u64>,
    sorted: Vec<u64>,
    pub(super) lost: u64,
}

impl Sample {
    pub(super) fn of(target: &Target) -> Sample {
        let settled =
            target.beats.iter().filter(|it| matches!(it.class, Class::Received | Class::Lost));
        let values: Vec<_> =
            settled.map(|it| (it.class == Class::Received).then_some(it.rtt_ns)).collect();
        Sample::new(&values)
    }

    /// The round trips in the order of sending, None for a lost one.
    pub(super) fn new(values: &[Option<u64>]) -> Sample {
        let mut sorted: Vec<u64> = values.iter().flatten().copied().collect();
        sorted.sort_unstable();
        let count = sorted.len();
        let bins = count.clamp(1, BINS);
        let bound =
            |bin: usize| sorted.get(((bin + 1) * count).div_ceil(bins).saturating_sub(1)).copied();
        let mut bounds: Vec<u64> = (0..bins).filter_map(bound).collect();
        bounds.dedup();
        let bin = |value: u64| {
            u16::try_from(bounds.partition_point(|it| *it < value)).unwrap_or(u16::MAX)
        };
        let beats: Vec<Option<u16>> = values.iter().map(|it| it.map(bin)).collect();
        let lost = values.iter().filter(|it| it.is_none()).count() as u64;
        Sample { beats, bounds, sorted, lost }
    }

    /// How many bins there are.
    pub(super) fn bins(&self) -> usize {
        self.bounds.len()
    }

    /// Beats that were received or lost.
    pub(super) fn settled(&self) -> u64 {
        self.sorted.len() as u64 + self.lost
    }

    /// The percentile, if the sample supports it.
    pub(super) fn percentile(&self, percentile: Percentile) -> Option<u64> {
        let count = self.sorted.len() as u64;
        let index = usize::try_from(percentile.rank(count) - 1).ok()?;
        self.sorted.get(index).copied().filter(|_| count >= percentile.needs())
    }

    /// Lost in percent.
    pub(super) fn loss(&self) -> Option<f64> {
        let settled = self.settled();
        (settled > 0).then(|| self.lost as f64 / settled as f64 * 100.0)
    }

    /// The four figures of beats that were drawn: so many in each bin, so many lost.
    pub(super) fn figures(&self, counts: &[u32], lost: u32) -> [f64; 4] {
        let received: u64 = counts.iter().map(|it| u64::from(*it)).sum();
        let percentiles = [Percentile::P50, Percentile::P90, Percentile::P99];
        let ranks = percentiles.map(|it| it.rank(received));
        let mut figures = [f64::NAN, f64::NAN, f64::NAN, 0.0];
        let (mut seen, mut next) = (0, 0);
        for (count, bound) in counts.iter().zip(&self.bounds) {
            seen += u64::from(*count);
            while next < ranks.len() && seen >= ranks[next] {
                figures[next] = *bound as f64;
                next += 1;
            }
        }
        figures[3] = f64::from(lost) / (received as f64 + f64::from(lost)).max(1.0) * 100.0;
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_known_sample() {
        let sample = Sample::new(&(1..=100).map(Some).chain([None; 25]).collect::<Vec<_>>());
        let of = |it| sample.percentile(it);
        assert_eq!(
            [of(Percentile::P50), of(Percentile::P90), of(Percentile::P99)],
            [Some(50), Some(90), Some(99)]
        );
        assert_eq!((sample.loss(), sample.settled()), (Some(20.0), 125));
        let mut counts = vec![0; sample.bins()];
        sample.beats.iter().flatten().for_each(|bin| counts[usize::from(*bin)] += 1);
        assert_eq!(sample.figures(&counts, 25), [50.0, 90.0, 99.0, 20.0]);
        let short = Sample::new(&[Some(5); 9]);
        assert_eq!(
            (short.percentile(Percentile::P50), short.percentile(Percentile::P90)),
            (Some(5), None)
        );
        assert_eq!(Sample::new(&[None; 3]).loss(), Some(100.0));
        assert_eq!(Sample::new(&[]).loss(), None);
    }
}
