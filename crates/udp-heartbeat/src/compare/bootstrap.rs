//! How far a figure of a recording may be off by chance: the moving block bootstrap (Künsch 1989).
//!
//! Beats are not independent: a slow one is followed by slow ones, a lost one by lost ones. Blocks of beats
//! that follow each other are drawn instead of single beats, so that what holds together stays together. How
//! long blocks are to be follows from how long a beat resembles those after it.

use super::sample::Sample;

/// The lags at which beats are held against later ones.
const LAGS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// With fewer blocks nothing can be said.
const FEWEST: usize = 8;
/// Samples that are drawn: enough for the bounds of a 98.75 % interval.
const DRAWS: usize = 1000;
/// Beats that are drawn in all, so that a million of them take no minute.
const EFFORT: usize = 300_000_000;

/// A sample, drawn again and again.
pub(super) struct Draws {
    /// p50, p90, p99 and loss of each draw.
    pub(super) figures: Vec<[f64; 4]>,
    /// How many blocks a draw has.
    pub(super) blocks: f64,
}

/// Draws from a sample; None if it is too short for how much its beats resemble each other.
pub(super) fn draw(sample: &Sample, random: &mut fastrand::Rng) -> Option<Draws> {
    let count = sample.beats.len();
    let length = block_length(sample);
    if count < FEWEST * length {
        return None;
    }
    let draws = (EFFORT / count.max(1)).clamp(100, DRAWS);
    let mut counts = vec![0_u32; sample.bins()];
    let draw = |_| {
        counts.fill(0);
        let (mut lost, mut left) = (0_u32, count);
        while left > 0 {
            let start = random.usize(..=count - length);
            let block = sample.beats.get(start..start + length.min(left)).unwrap_or_default();
            for beat in block {
                match beat {
                    Some(bin) => counts[usize::from(*bin)] += 1,
                    None => lost += 1,
                }
            }
            left -= block.len();
        }
        sample.figures(&counts, lost)
    };
    let figures = (0..draws).map(draw).collect();
    Some(Draws { figures, blocks: count as f64 / length as f64 })
}

/// So many beats that what goes on between blocks has little to do with what went on within them: that of
/// Carlstein (1986) for the first-order process that fades as slowly as the sample does at any lag.
fn block_length(sample: &Sample) -> usize {
    let count = sample.beats.len() as f64;
    // Losses last in their own way.
    let lost: Vec<f64> = sample.beats.iter().map(|it| f64::from(u8::from(it.is_none()))).collect();
    let height: Vec<f64> = sample.beats.iter().flatten().map(|bin| f64::from(*bin)).collect();
    let fading = fading(&lost).max(fading(&height)).min(0.995);
    let length = (2.0 * fading / (1.0 - fading * fading)).powf(2.0 / 3.0) * (1.5 * count).cbrt();
    (length.ceil() as usize).max(count.cbrt().ceil() as usize).max(1)
}

/// How much is left of a deviation with the next beat, judged by what is left of it some beats later.
fn fading(series: &[f64]) -> f64 {
    let mean = series.iter().sum::<f64>() / series.len().max(1) as f64;
    let square = |values: &[f64]| values.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
    let variance = square(series);
    if variance <= 0.0 {
        return 0.0;
    }
    let at = |lag: usize| {
        let later = series.get(lag..)?;
        let products = series.iter().zip(later).map(|(a, b)| (a - mean) * (b - mean));
        let left = products.sum::<f64>() / variance;
        // What chance alone leaves is no sign.
        (left > 3.0 / (series.len() as f64).sqrt()).then(|| left.powf(1.0 / lag as f64))
    };
    LAGS.into_iter().map_while(at).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fading_is_that_of_the_process() {
        let mut random = fastrand::Rng::with_seed(7);
        for phi in [0.0, 0.5, 0.9] {
            let mut value = 0.0;
            let mut next = || {
                value = phi * value + random.f64() - 0.5;
                value
            };
            let series: Vec<f64> = (0..20_000).map(|_| next()).collect();
            let found = fading(&series);
            assert!((found - phi).abs() < 0.1 || (phi == 0.0 && found < 0.95), "{phi} {found}");
        }
        assert_eq!(fading(&[1.0; 50]), 0.0);
    }
}
