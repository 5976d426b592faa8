//! Whether what was measured is good enough: thresholds, and the exit code.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use udp_core::cli::Exit;
use udp_core::cli::parse::{self, ShownDuration};

use crate::probe::session::Counts;
use crate::probe::stats::distribution::{Distribution, Percentile};
use crate::probe::stats::loss::percent;

/// What a target must reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Thresholds {
    /// At most this share of beats unanswered, in percent.
    pub(crate) max_loss: Option<f64>,
    pub(crate) max_rtt: Vec<RttLimit>,
    pub(crate) min_replies: Option<u64>,
    /// Whether replies must have some content.
    pub(crate) expectation: bool,
}

/// The most a round trip may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RttLimit {
    /// Which percentile; without one every reply.
    pub(crate) percentile: Option<Percentile>,
    pub(crate) most: Duration,
}

impl FromStr for RttLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (percentile, span) = match text.split_once('=') {
            Some((name, span)) => {
                let number = name.strip_prefix(['p', 'P']).and_then(|n| parse::decimal(n).ok());
                let percentile = number.and_then(Percentile::new);
                let wrong = || String::from("not a percentile above p0 up to p100");
                (Some(percentile.ok_or_else(wrong)?), span)
            }
            None => (None, text),
        };
        Ok(RttLimit { percentile, most: parse::duration(span)? })
    }
}

impl fmt::Display for RttLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(percentile) = self.percentile {
            write!(f, "p{}=", percentile.get())?;
        }
        ShownDuration(self.most).fmt(f)
    }
}

/// A threshold that was not met: which one, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmet(pub(crate) String);

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Thresholds {
    /// Those that these figures do not meet.
    pub(crate) fn unmet(&self, counts: &Counts, rtt: &Distribution) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        if let Some(most) = self.max_loss {
            let share = percent(counts.unanswered(), counts.sent);
            if share > most {
                let (part, whole) = (counts.unanswered(), counts.sent);
                unmet.push(format!("--max-loss {most}: {share:.1}% unanswered, {part} of {whole}"));
            }
        }
        for limit in &self.max_rtt {
            if let Some(reason) = limit.fails(rtt) {
                unmet.push(format!("--max-rtt {limit}: {reason}"));
            }
        }
        if let Some(least) = self.min_replies
            && counts.received < least
        {
            unmet.push(format!("--min-replies {least}: {} answered", counts.received));
        }
        if self.expectation && counts.unexpected > 0 {
            unmet.push(format!("--expect: {} of other content", counts.unexpected));
        }
        unmet.into_iter().map(Unmet).collect()
    }
}

impl RttLimit {
    /// Why the round trips do not keep to it, if they do not.
    fn fails(&self, rtt: &Distribution) -> Option<String> {
        let milliseconds = |span: Duration| format!("{:.3} ms", span.as_nanos() as f64 / 1e6);
        match self.percentile {
            None => {
                let worst = rtt.max().filter(|worst| *worst > self.most)?;
                Some(format!("one took {}", milliseconds(worst)))
            }
            Some(percentile) => match rtt.percentile(percentile) {
                Some(value) if value <= self.most => None,
                Some(value) => Some(format!("it is {}", milliseconds(value))),
                None => {
                    let (needs, have) = (percentile.needs(), rtt.count());
                    Some(format!("that takes at least {needs} replies, there are {have}"))
                }
            },
        }
    }
}

/// What counts of a target for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answered: bool,
    pub(crate) refused: bool,
    pub(crate) met: bool,
}

/// The exit code: 0 if each target was answered and met its thresholds; 3 if nothing was ever
/// answered and something was refused; else 1.
pub(crate) fn exit(outcomes: impl IntoIterator<Item = Outcome>) -> Exit {
    let (mut all, mut any, mut refused) = (true, false, false);
    for outcome in outcomes {
        all &= outcome.answered && outcome.met;
        any |= outcome.answered;
        refused |= outcome.refused;
    }
    match (all && any, any, refused) {
        (true, ..) => Exit::Worked,
        (_, false, true) => Exit::Refused,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::stats::distribution::Precision;

    fn figures(received: u64, lost: u64, refused: u64) -> (Counts, Distribution) {
        let counts = Counts {
            sent: received + lost + refused,
            received,
            lost,
            refused,
            ..Counts::default()
        };
        let mut rtt = Distribution::new(Precision::Fine);
        (1..=received).for_each(|ms| rtt.record(Duration::from_millis(ms)));
        (counts, rtt)
    }

    fn unmet(thresholds: &Thresholds, received: u64, lost: u64, refused: u64) -> String {
        let (counts, rtt) = figures(received, lost, refused);
        let unmet = thresholds.unmet(&counts, &rtt);
        unmet.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn thresholds_say_what_they_are_not_met_by() {
        let loss = |most| Thresholds { max_loss: Some(most), ..Thresholds::default() };
        let rtt = |text: &str| Thresholds {
            max_rtt: vec![text.parse().unwrap()],
            ..Thresholds::default()
        };
        let least = |n| Thresholds { min_replies: Some(n), ..Thresholds::default() };
        let cases = [
            (Thresholds::default(), (0, 9, 0), ""),
            (loss(20.0), (4, 1, 0), ""),
            (loss(19.9), (4, 1, 0), "--max-loss 19.9: 20.0% unanswered, 1 of 5"),
            (loss(0.0), (4, 0, 1), "--max-loss 0: 20.0% unanswered, 1 of 5"),
            (loss(100.0), (0, 5, 0), ""),
            (loss(0.0), (0, 0, 0), ""),
            (rtt("5ms"), (5, 0, 0), ""),
            (rtt("4ms"), (5, 0, 0), "--max-rtt 4ms: one took 5.000 ms"),
            (rtt("0"), (0, 5, 0), ""),
            (rtt("p50=3ms"), (5, 0, 0), ""),
            (rtt("p50=2.5ms"), (5, 0, 0), "--max-rtt p50=2.5ms: it is 3.000 ms"),
            (rtt("p90=9ms"), (10, 0, 0), ""),
            (
                rtt("p90=9ms"),
                (9, 0, 0),
                "--max-rtt p90=9ms: that takes at least 10 replies, there are 9",
            ),
            (
                rtt("p99.9=1s"),
                (5, 0, 0),
                "--max-rtt p99.9=1s: that takes at least 1000 replies, there are 5",
            ),
            (rtt("p99=99ms"), (100, 0, 0), ""),
            (rtt("p99=98ms"), (100, 0, 0), "--max-rtt p99=98ms: it is 99.000 ms"),
            (least(5), (5, 0, 0), ""),
            (least(5), (4, 9, 0), "--min-replies 5: 4 answered"),
        ];
        for (thresholds, (received, lost, refused), expected) in cases {
            assert_eq!(unmet(&thresholds, received, lost, refused), expected);
        }
        let both = Thresholds { max_loss: Some(0.0), min_replies: Some(9), ..rtt("1ms") };
        assert_eq!(unmet(&both, 2, 2, 0).split("; ").count(), 3);
    }

    #[test]
    fn another_content_is_not_met() {
        let thresholds = Thresholds { expectation: true, ..Thresholds::default() };
        let (mut counts, rtt) = figures(5, 0, 0);
        assert_eq!(thresholds.unmet(&counts, &rtt), []);
        counts.unexpected = 2;
        let unmet = thresholds.unmet(&counts, &rtt);
        assert_eq!(unmet, [Unmet("--expect: 2 of other content".into())]);
    }

    #[test]
    fn what_is_no_limit() {
        for wrong in ["", "p=1s", "p0=1s", "p101=1s", "99=1s", "p99", "p99=", "p99=x", "x=1s"] {
            assert!(wrong.parse::<RttLimit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn exit_codes() {
        let outcome = |answered, refused, met| Outcome { answered, refused, met };
        let fine = outcome(true, false, true);
        let silent = outcome(false, false, true);
        let refused = outcome(false, true, true);
        let cases: [(&[Outcome], Exit); 9] = [
            (&[fine], Exit::Worked),
            (&[outcome(true, true, true)], Exit::Worked),
            (&[outcome(true, false, false)], Exit::Failed),
            (&[silent], Exit::Failed),
            (&[refused], Exit::Refused),
            (&[fine, fine], Exit::Worked),
            (&[fine, refused], Exit::Failed),
            (&[silent, refused], Exit::Refused),
            (&[], Exit::Failed),
        ];
        for (outcomes, expected) in cases {
            assert_eq!(exit(outcomes.iter().copied()), expected, "{outcomes:?}");
        }
    }
}
