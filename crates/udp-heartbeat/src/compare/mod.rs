//! Whether one recording is worse than another: four figures a target, each with what chance may make of it.
//!
//! A figure has changed where its interval leaves out no change at all; a target's figures are judged together,
//! so each has an equal part of the risk (Bonferroni). It is worse where it has
//! changed by more than the tolerance, too.

mod bootstrap;
mod print;
mod sample;

use crate::probe::stats::distribution::Percentile;
use crate::recorded::{Recorded, Target};
use bootstrap::Draws;
pub(crate) use print::{json, text};
use sample::Sample;

/// The risk of an interval of 95 %.
const RISK: f64 = 0.05;
/// What leaves out half the risk at each end of the normal law, where 1 to 4 figures share it.
const NORMAL: [f64; 4] = [1.959_964, 2.241_403, 2.393_980, 2.497_705];

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Chance may explain what is different, or it is within the tolerance.
    Same,
    Better,
    Worse,
    /// A sample cannot support it.
    Unknown,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Unknown => "unknown",
        }
    }
}

/// A figure of both: nanoseconds, or percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) old: Option<f64>,
    pub(crate) new: Option<f64>,
    /// In percent of the old one; None where that is nothing, or one of them is missing.
    pub(crate) change: Option<f64>,
    /// Between which changes the true one lies, with 95 % confidence.
    pub(crate) between: Option<(f64, f64)>,
    /// Chance may explain what is different.
    pub(crate) chance: bool,
    pub(crate) verdict: Verdict,
}

/// A target of both.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) target: String,
    /// p50, p90, p99, loss.
    pub(crate) figures: [Figure; 4],
    /// Lost and settled beats, old and new.
    pub(crate) beats: [(u64, u64); 2],
}

impl Comparison {
    /// No figure is in both: one of them has no beat that was answered or lost.
    pub(crate) fn is_empty(&self) -> bool {
        self.figures.iter().all(|it| it.old.is_none() || it.new.is_none())
    }

    /// Whether nothing can be said of it.
    pub(crate) fn is_unknown(&self) -> bool {
        self.figures.iter().all(|it| it.verdict == Verdict::Unknown)
    }

    pub(crate) fn is_worse(&self) -> bool {
        self.figures.iter().any(|it| it.verdict == Verdict::Worse)
    }
}

/// Compares the targets that both have; the same seed gives the same intervals.
pub(crate) fn compare(old: &Recorded, new: &Recorded, tolerance: f64) -> Vec<Comparison> {
    let other = |it: &Target| new.targets.iter().find(|new| new.label == it.label);
    let both = old.targets.iter().filter_map(|it| Some((it, other(it)?)));
    let compared = both.map(|(old, new)| {
        let (a, b) = (Sample::of(old), Sample::of(new));
        let figures = figures(&a, &b, tolerance, 1);
        let beats = [(a.lost, a.settled()), (b.lost, b.settled())];
        Comparison { target: old.label.clone(), figures, beats }
    });
    compared.collect()
}

fn figures(old: &Sample, new: &Sample, tolerance: f64, seed: u64) -> [Figure; 4] {
    let mut random = fastrand::Rng::with_seed(seed);
    let draws = bootstrap::draw(old, &mut random).zip(bootstrap::draw(new, &mut random));
    let measured = |sample: &Sample| {
        let percentile = |it| sample.percentile(it).map(|nanos| nanos as f64);
        let [p50, p90, p99] = [Percentile::P50, Percentile::P90, Percentile::P99].map(percentile);
        [p50, p90, p99, sample.loss()]
    };
    let (a, b) = (measured(old), measured(new));
    let judged = (0..4).filter(|n| a[*n].is_some() && b[*n].is_some()).count();
    std::array::from_fn(|n| figure((a[n], b[n]), draws.as_ref(), n, judged, tolerance))
}

/// One of the four.
fn figure(
    (old, new): (Option<f64>, Option<f64>),
    draws: Option<&(Draws, Draws)>,
    which: usize,
    judged: usize,
    tolerance: f64,
) -> Figure {
    let unknown =
        Figure { old, new, change: None, between: None, chance: false, verdict: Verdict::Unknown };
    let Some((before, after)) = old.zip(new) else { return unknown };
    let change = relative(before, after);
    let Some((a, b)) = draws else { return Figure { change, ..unknown } };
    let pairs = || a.figures.iter().zip(&b.figures).map(|(a, b)| (a[which], b[which]));
    let blocks = a.blocks.min(b.blocks);
    let mut differences: Vec<f64> =
        pairs().map(|(a, b)| b - a).filter(|it| it.is_finite()).collect();
    differences.sort_by(f64::total_cmp);
    let (low, high) = bounds(&differences, judged, after - before, blocks);
    let chance = low <= 0.0 && 0.0 <= high;
    let mut changes: Vec<f64> = pairs().filter_map(|(a, b)| relative(a, b)).collect();
    changes.sort_by(f64::total_cmp);
    // Where nothing was lost in some draws, there is no share of nothing.
    let between = change.filter(|_| changes.len() == a.figures.len().min(b.figures.len()));
    let between = between.map(|change| bounds(&changes, 1, change, blocks));
    let beyond = change.is_none_or(|it| it.abs() > tolerance);
    let verdict = match (chance || !beyond, after > before) {
        (true, _) => Verdict::Same,
        (_, true) => Verdict::Worse,
        (_, false) => Verdict::Better,
    };
    Figure { old, new, change, between, chance, verdict }
}

/// The change in percent of the old value; None if that is 0 and the new one is not.
fn relative(old: f64, new: f64) -> Option<f64> {
    match old == new {
        true => Some(0.0),
        false => (old > 0.0).then(|| (new / old - 1.0) * 100.0),
    }
}

/// What leaves out half the risk at each end of what was drawn, if `share` figures have to share it; wider
/// around what was `measured` the fewer blocks there are.
fn bounds(sorted: &[f64], share: usize, measured: f64, blocks: f64) -> (f64, f64) {
    let (share, risk) = (share.clamp(1, NORMAL.len()), RISK / share.max(1) as f64);
    let wider = widening(NORMAL[share - 1], blocks);
    let at = |place: f64| {
        let index = (place * sorted.len().saturating_sub(1) as f64).round() as usize;
        measured + (sorted.get(index).copied().unwrap_or(measured) - measured) * wider
    };
    (at(risk / 2.0), at(1.0 - risk / 2.0))
}

/// By what factor draws of few blocks lie too close together: Student's law takes the place of the normal one
/// (its quantile by Fisher's expansion), and a mean of N blocks lacks an Nth of the variance.
fn widening(normal: f64, blocks: f64) -> f64 {
    let (z, freedom) = (normal, blocks - 1.0);
    let first = (z.powi(3) + z) / (4.0 * freedom);
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom * freedom);
    (z + first + second) / z / (1.0 - 1.0 / blocks).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Round trips of a link whose delay wanders, with spikes, and whose losses come in bursts.
    fn link(random: &mut fastrand::Rng, count: usize, scale: f64, loss: f64) -> Sample {
        let (mut wandering, mut burst) = (0.0, false);
        let mut beat = |_| {
            wandering = 0.9 * wandering + 0.1 * (random.f64() - 0.5);
            let spike = if random.f64() < 0.02 { random.f64() * 5.0 } else { 0.0 };
            burst = random.f64() < if burst { 0.7 } else { loss * 0.3 };
            let nanos = 1e6 * scale * (1.0 + wandering + 0.1 * random.f64() + spike);
            (!burst).then_some(nanos as u64)
        };
        Sample::new(&(0..count).map(&mut beat).collect::<Vec<_>>())
    }

    fn verdicts(old: &Sample, new: &Sample) -> [Verdict; 4] {
        figures(old, new, 5.0, 1).map(|it| it.verdict)
    }

    #[test]
    fn few_blocks_make_wide_intervals() {
        // Student's quantiles for 7 and 29 degrees of freedom, from tables.
        for (blocks, student) in [(8.0, 2.3646), (30.0, 2.0452)] {
            let expected = student / NORMAL[0] / (1.0_f64 - 1.0 / blocks).sqrt();
            assert!((widening(NORMAL[0], blocks) / expected - 1.0).abs() < 0.005, "{blocks}");
        }
        assert!(widening(NORMAL[3], 1e6) < 1.0001);
    }

    #[test]
    fn a_link_is_seldom_worse_than_itself() {
        let mut random = fastrand::Rng::with_seed(20);
        let (mut worse, pairs) = (0, 60);
        for pair in 0..pairs {
            let count = [300, 600, 900][pair % 3];
            let (old, new) =
                (link(&mut random, count, 1.0, 0.02), link(&mut random, count, 1.0, 0.02));
            worse += usize::from(verdicts(&old, &new).contains(&Verdict::Worse));
        }
        assert!(worse * 20 <= pairs, "{worse} of {pairs}");
    }

    #[test]
    fn what_is_clearly_worse_or_better_is_said() {
        let mut random = fastrand::Rng::with_seed(3);
        let base = link(&mut random, 2000, 1.0, 0.0);
        let slower = link(&mut random, 2000, 1.3, 0.0);
        let lossy = link(&mut random, 2000, 1.0, 0.1);
        let little = link(&mut random, 2000, 1.02, 0.0);
        assert_eq!(verdicts(&base, &slower)[0], Verdict::Worse);
        assert_eq!(verdicts(&slower, &base)[0], Verdict::Better);
        assert_eq!(verdicts(&base, &lossy)[3], Verdict::Worse);
        assert_eq!(verdicts(&base, &little)[0], Verdict::Same);
        assert_eq!(verdicts(&base, &base), [Verdict::Same; 4]);
    }

    #[test]
    fn what_a_sample_cannot_support_is_unknown() {
        let few = || Sample::new(&(0..50).map(|n| Some(1000 + n % 7)).collect::<Vec<_>>());
        let it = figures(&few(), &few(), 5.0, 1);
        assert_eq!((it[0].verdict, it[1].verdict), (Verdict::Same, Verdict::Same));
        assert_eq!((it[2].verdict, it[2].old), (Verdict::Unknown, None));
        let silent = || Sample::new(&[None; 50]);
        let it = figures(&silent(), &silent(), 5.0, 1);
        assert_eq!(it.map(|it| it.verdict)[..3], [Verdict::Unknown; 3]);
        assert_eq!((it[3].old, it[3].verdict), (Some(100.0), Verdict::Same));
        let none = Sample::new(&[]);
        assert_eq!(figures(&none, &few(), 5.0, 1).map(|it| it.verdict), [Verdict::Unknown; 4]);
    }
}
