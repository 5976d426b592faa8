//! Compares the figures with the thresholds, for the exit code.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use udp_core::cli::Exit;
use udp_core::cli::parse::{self, ShownDuration};

use crate::probe::counts::Counts;
use crate::probe::stats::distribution::{Distribution, Percentile};

/// What a target must reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Thresholds {
    /// At most this loss, in percent.
    pub(crate) max_loss: Option<f64>,
    pub(crate) max_rtt: Vec<RttLimit>,
    pub(crate) min_replies: Option<u64>,
    /// At most this share of the answers not ok, in percent.
    pub(crate) max_not_ok: Option<f64>,
}

/// What must hold over which time.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) window: Duration,
    pub(crate) max_loss: Option<f64>,
    pub(crate) max_rtt: Vec<RttLimit>,
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
#[non_exhaustive]
pub struct Unmet {
    /// In words.
    pub text: String,
    /// It holds for every run, whether it was asked for or not.
    pub implied: bool,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Thresholds {
    /// Those that decide about the state as well, over this time.
    pub(crate) fn over(&self, window: Duration) -> Option<Limits> {
        let (max_loss, max_rtt) = (self.max_loss, self.max_rtt.clone());
        let some = max_loss.is_some() || !max_rtt.is_empty();
        some.then_some(Limits { window, max_loss, max_rtt })
    }

    /// Those that these figures do not meet.
    pub(crate) fn unmet(&self, counts: &Counts, rtt: &Distribution) -> Vec<Unmet> {
        let mut unmet = self.beyond("max", counts, rtt);
        if let Some(least) = self.min_replies
            && counts.received < least
        {
            unmet.push(Unmet::of(format!("--min-replies {least}: {} answered", counts.received)));
        }
        unmet.extend(self.not_ok(counts));
        unmet
    }

    /// Limits of loss and round trips that are exceeded, named `--max-…` or `--warn-…`.
    pub(crate) fn beyond(&self, kind: &str, counts: &Counts, rtt: &Distribution) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        if let Some(most) = self.max_loss
            && let Some(share) = counts.loss_percent().filter(|share| *share > most)
        {
            let (lost, all) = (counts.lost, counts.received + counts.lost);
            unmet.push(Unmet::of(format!(
                "--{kind}-loss {most}: {share:.1}% lost, {lost} of {all}"
            )));
        }
        for limit in &self.max_rtt {
            if let Some(reason) = limit.fails(rtt) {
                unmet.push(Unmet::of(format!("--{kind}-rtt {limit}: {reason}")));
            }
        }
        unmet
    }

    fn not_ok(&self, counts: &Counts) -> Option<Unmet> {
        let (not_ok, all) = (counts.verdicts.not_ok(), counts.received);
        let share = not_ok as f64 / all as f64 * 100.0;
        let most = self.max_not_ok.unwrap_or(0.0);
        let text = format!("--max-not-ok {most}: {share:.1}% not ok, {not_ok} of {all}");
        (share > most).then_some(Unmet { text, implied: self.max_not_ok.is_none() })
    }
}

impl Unmet {
    fn of(text: String) -> Unmet {
        Unmet { text, implied: false }
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

/// The exit code of a run: `passed` if each target was answered in time and met its thresholds,
/// `totals` are the counts of all together.
pub(crate) fn exit(passed: bool, totals: &Counts) -> Exit {
    let answered = totals.received + totals.late > 0;
    match () {
        () if passed && totals.received > 0 => Exit::Worked,
        () if totals.nothing_left() => Exit::Local,
        () if !answered && totals.refused > 0 => Exit::Refused,
        () => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::stats::distribution::Precision;
    use crate::probe::verdict::Verdict;

    fn figures(received: u64, lost: u64, refused: u64) -> (Counts, Distribution) {
        let sent = received + lost;
        let counts = Counts { sent, received, lost, refused, ..Counts::default() };
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
            (loss(19.9), (4, 1, 0), "--max-loss 19.9: 20.0% lost, 1 of 5"),
            (loss(0.0), (4, 1, 1), "--max-loss 0: 20.0% lost, 1 of 5"),
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
    fn an_answer_that_is_not_ok_is_not_met() {
        let (mut counts, rtt) = figures(2, 0, 0);
        counts.verdicts.count(Verdict::Ok);
        assert_eq!(Thresholds::default().unmet(&counts, &rtt), []);
        counts.verdicts.count(Verdict::Unexpected);
        let unmet = Thresholds::default().unmet(&counts, &rtt);
        assert_eq!(
            unmet,
            [Unmet { text: "--max-not-ok 0: 50.0% not ok, 1 of 2".into(), implied: true }]
        );
        let half = Thresholds { max_not_ok: Some(50.0), ..Thresholds::default() };
        assert_eq!(half.unmet(&counts, &rtt), []);
    }

    #[test]
    fn what_is_no_limit() {
        for wrong in ["", "p=1s", "p0=1s", "p101=1s", "99=1s", "p99", "p99=", "p99=x", "x=1s"] {
            assert!(wrong.parse::<RttLimit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn exit_codes() {
        let counts = |sent, received, late, refused, failed| Counts {
            sent,
            received,
            lost: sent - received - failed,
            late,
            refused,
            failed,
            ..Counts::default()
        };
        let cases = [
            (true, counts(3, 1, 0, 0, 0), Exit::Worked),
            (true, counts(3, 1, 0, 2, 0), Exit::Worked),
            (false, counts(3, 3, 0, 0, 0), Exit::Failed),
            (false, counts(3, 0, 0, 0, 0), Exit::Failed),
            (false, counts(3, 0, 0, 1, 1), Exit::Refused),
            (false, counts(3, 0, 1, 3, 0), Exit::Failed),
            (false, counts(3, 1, 0, 2, 0), Exit::Failed),
            (false, counts(3, 0, 0, 0, 3), Exit::Local),
            (false, counts(3, 0, 0, 0, 2), Exit::Failed),
            (true, Counts::default(), Exit::Failed),
        ];
        for (passed, totals, expected) in cases {
            assert_eq!(exit(passed, &totals), expected, "{passed} {totals:?}");
        }
    }
}
