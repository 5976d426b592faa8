//! The goals that the figures are compared with.

use crate::figure::Figure;
use crate::stats::{Spread, ratios};

/// One promise: a figure of one lane, alone or against that of another in the same rounds.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// What is promised, for the table.
    pub(crate) what: &'static str,
    pub(crate) figure: Figure,
    pub(crate) lane: &'static str,
    pub(crate) against: Against,
    pub(crate) bound: Bound,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The same figure of this lane.
    Lane(&'static str),
    /// The best of all lanes whose name begins so.
    BestOf(&'static str),
    /// The same figure of this lane, taken away: the bound is in the figure's own unit.
    Beyond(&'static str),
    /// Nothing: the bound is in the figure's own unit.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// What a goal came to.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    Holds(Spread),
    Fails(Spread),
    /// This is missing.
    NotMeasured(String),
}

/// The samples of a lane, one a round; none in a round where there was no figure.
pub(crate) trait Rounds {
    /// None if there is no such lane.
    fn samples(&self, lane: &str, figure: Figure) -> Option<Vec<Option<f64>>>;
    /// The names of all lanes.
    fn lanes(&self) -> Vec<&str>;
}

impl Goal {
    pub(crate) const fn at_most(
        figure: Figure,
        what: &'static str,
        lane: &'static str,
        against: Against,
        most: f64,
    ) -> Goal {
        Goal { what, figure, lane, against, bound: Bound::AtMost(most) }
    }

    pub(crate) const fn at_least(
        figure: Figure,
        what: &'static str,
        lane: &'static str,
        against: Against,
        least: f64,
    ) -> Goal {
        Goal { bound: Bound::AtLeast(least), ..Goal::at_most(figure, what, lane, against, least) }
    }

    pub(crate) fn judge(&self, rounds: &impl Rounds) -> Verdict {
        let values = match self.values(rounds) {
            Ok(values) => values,
            Err(missing) => return Verdict::NotMeasured(missing),
        };
        let Some(spread) = Spread::of(values) else {
            return Verdict::NotMeasured(format!("{}: no figure", self.lane));
        };
        let alone = self.against == Against::Nothing;
        let value = if alone && self.figure.worst_counts() { spread.most } else { spread.median };
        if self.bound.holds(value) { Verdict::Holds(spread) } else { Verdict::Fails(spread) }
    }

    fn values(&self, rounds: &impl Rounds) -> Result<Vec<f64>, String> {
        let find = |lane: &str, figure| {
            rounds.samples(lane, figure).ok_or_else(|| format!("{lane} is not here"))
        };
        let ours = find(self.lane, self.figure)?;
        let theirs = match self.against {
            Against::Nothing => return Ok(ours.into_iter().flatten().collect()),
            Against::Lane(lane) => find(lane, self.figure)?,
            Against::Beyond(lane) => {
                let pairs = ours.into_iter().zip(find(lane, self.figure)?);
                return Ok(pairs.filter_map(|(ours, theirs)| Some(ours? - theirs?)).collect());
            }
            Against::BestOf(beginning) => {
                let mut best = ours.clone();
                for lane in rounds.lanes().iter().filter(|lane| lane.starts_with(beginning)) {
                    for (best, other) in best.iter_mut().zip(find(lane, self.figure)?) {
                        *best = best.zip(other).map(|(a, b)| a.max(b));
                    }
                }
                best
            }
        };
        Ok(ratios(&ours, &theirs))
    }

    /// The measured value as the table shows it, of this many of the figure's units.
    pub(crate) fn show(&self, value: f64) -> String {
        if matches!(self.against, Against::Nothing | Against::Beyond(_)) {
            self.figure.show_with_unit(value)
        } else if value >= 10.0 {
            format!("{value:.1} ×")
        } else {
            format!("{value:.3} ×")
        }
    }

    /// The bound as the table shows it.
    pub(crate) fn show_bound(&self) -> String {
        match self.bound {
            Bound::AtMost(most) => format!("≤ {}", self.show(most)),
            Bound::AtLeast(least) => format!("≥ {}", self.show(least)),
        }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Fixed(BTreeMap<&'static str, Vec<Option<f64>>>);

    impl Rounds for Fixed {
        fn samples(&self, lane: &str, _: Figure) -> Option<Vec<Option<f64>>> {
            self.0.get(lane).cloned()
        }

        fn lanes(&self) -> Vec<&str> {
            self.0.keys().copied().collect()
        }
    }

    fn goal(figure: Figure, lane: &'static str, against: Against, bound: Bound) -> Goal {
        Goal { what: "", figure, lane, against, bound }
    }

    #[test]
    fn goals_are_judged_by_the_median_of_the_rounds() {
        let rounds = Fixed(BTreeMap::from([
            ("ours", vec![Some(1.0), Some(2.0), Some(9.0)]),
            ("theirs", vec![Some(2.0), Some(4.0), None]),
            ("theirs faster", vec![Some(1.0), Some(1.0), Some(18.0)]),
            ("empty", vec![None, None, None]),
        ]));
        for (goal, holds) in [
            (goal(Figure::Cpu, "ours", Against::Lane("theirs"), Bound::AtMost(0.5)), Some(true)),
            (goal(Figure::Cpu, "ours", Against::Lane("theirs"), Bound::AtMost(0.4)), Some(false)),
            (goal(Figure::Rate, "ours", Against::Lane("theirs"), Bound::AtLeast(0.5)), Some(true)),
            (goal(Figure::Rate, "ours", Against::Lane("theirs"), Bound::AtLeast(2.0)), Some(false)),
            (goal(Figure::Cpu, "ours", Against::Nothing, Bound::AtMost(2.0)), Some(true)),
            (goal(Figure::Cpu, "ours", Against::Beyond("theirs"), Bound::AtMost(-1.5)), Some(true)),
            (
                goal(Figure::Cpu, "ours", Against::Beyond("theirs"), Bound::AtMost(-1.6)),
                Some(false),
            ),
            // One bad round is enough.
            (goal(Figure::Lost, "ours", Against::Nothing, Bound::AtMost(2.0)), Some(false)),
            (
                goal(Figure::Rate, "ours", Against::BestOf("theirs f"), Bound::AtMost(1.0)),
                Some(true),
            ),
            (
                goal(Figure::Rate, "ours", Against::BestOf("theirs f"), Bound::AtMost(0.99)),
                Some(false),
            ),
            (goal(Figure::Cpu, "ours", Against::Lane("nobody"), Bound::AtMost(9.0)), None),
            (goal(Figure::Cpu, "empty", Against::Lane("ours"), Bound::AtMost(9.0)), None),
        ] {
            let verdict = match goal.judge(&rounds) {
                Verdict::Holds(_) => Some(true),
                Verdict::Fails(_) => Some(false),
                Verdict::NotMeasured(_) => None,
            };
            assert_eq!(verdict, holds, "{goal:?}");
        }
    }

    #[test]
    fn bounds_as_a_reader_wants_them() {
        let ratio = goal(Figure::Cpu, "a", Against::Lane("b"), Bound::AtMost(0.75));
        assert_eq!(ratio.show_bound(), "≤ 0.750 ×");
        let times = goal(Figure::Rate, "a", Against::Lane("b"), Bound::AtLeast(20.0));
        assert_eq!(times.show_bound(), "≥ 20.0 ×");
        let size = goal(Figure::BinarySize, "a", Against::Nothing, Bound::AtMost(2_097_152.0));
        assert_eq!(size.show_bound(), "≤ 2.00 MiB");
    }
}
