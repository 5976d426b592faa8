//! Medians and quartiles of a few samples, and ratios taken pair by pair.

/// Where the middle of some samples lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    /// A quarter of the samples lies below this,
    pub(crate) low: f64,
    /// and a quarter above this.
    pub(crate) high: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// How many samples there are.
    pub(crate) count: usize,
}

impl Spread {
    /// Quantiles by linear interpolation between samples; none without a sample.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        Some(Self {
            median: quantile(&sorted, 0.5),
            low: quantile(&sorted, 0.25),
            high: quantile(&sorted, 0.75),
            least,
            most,
            count: sorted.len(),
        })
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

/// The ratio of each pair of samples that were taken in the same round.
pub(crate) fn ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Vec<f64> {
    let pairs = ours.iter().zip(theirs).filter_map(|(ours, theirs)| (*ours).zip(*theirs));
    pairs.filter(|(_, theirs)| *theirs > 0.0).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_few_samples() {
        // By linear interpolation, as numpy.percentile computes it.
        for (samples, low, median, high) in [
            (&[5.0][..], 5.0, 5.0, 5.0),
            (&[2.0, 1.0], 1.25, 1.5, 1.75),
            (&[3.0, 1.0, 2.0], 1.5, 2.0, 2.5),
            (&[1.0, 2.0, 3.0, 10.0], 1.75, 2.5, 4.75),
            (&[9.0, 7.0, 5.0, 3.0, 1.0], 3.0, 5.0, 7.0),
        ] {
            let spread = Spread::of(samples.iter().copied()).unwrap();
            assert_eq!((spread.low, spread.median, spread.high), (low, median, high));
            assert_eq!(spread.count, samples.len());
        }
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN]), None);
    }

    #[test]
    fn a_ratio_needs_both_of_a_round() {
        let ours = [Some(1.0), None, Some(3.0), Some(4.0), Some(5.0)];
        let theirs = [Some(2.0), Some(2.0), None, Some(0.0), Some(10.0)];
        assert_eq!(ratios(&ours, &theirs), [0.5, 0.5]);
    }
}
