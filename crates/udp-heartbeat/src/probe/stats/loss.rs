//! The pattern of loss: runs of beats that were not answered (RFC 3357's loss periods), how long
//! they lasted, and how sure a share is.
//!
//! Beats are recorded in the order of sending, each once its class is final. A run lasts from the
//! sending of its first beat to that of the next answered one; a run that has not ended lasts from
//! its first beat to its last and one interval more.

use std::time::Duration;

use udp_core::clock::Mono;

/// A row of unanswered beats that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// How many beats.
    beats: u64,
    /// When the first of them was sent.
    since: Mono,
    last: Mono,
}

/// The runs so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LossRuns {
    interval: Duration,
    runs: u64,
    longest: u64,
    longest_time: Duration,
    /// Time of the runs that have ended.
    ended: Duration,
    open: Option<Run>,
}

impl LossRuns {
    /// For beats that are `interval` apart.
    pub(crate) fn new(interval: Duration) -> Self {
        LossRuns {
            interval,
            runs: 0,
            longest: 0,
            longest_time: Duration::ZERO,
            ended: Duration::ZERO,
            open: None,
        }
    }

    /// The next beat, sent at `sent`, was answered or was not.
    pub(crate) fn record(&mut self, answered: bool, sent: Mono) {
        if answered {
            if let Some(run) = self.open.take() {
                let lasted = sent.saturating_since(run.since);
                self.ended = self.ended.saturating_add(lasted);
                self.longest_time = self.longest_time.max(lasted);
            }
            return;
        }
        let run = match &mut self.open {
            Some(run) => {
                run.beats += 1;
                run.last = sent;
                *run
            }
            None => {
                self.runs += 1;
                *self.open.insert(Run { beats: 1, since: sent, last: sent })
            }
        };
        self.longest = self.longest.max(run.beats);
    }

    /// How far apart beats are.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// How many runs there were.
    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    /// The most beats in a run.
    pub(crate) fn longest(&self) -> u64 {
        self.longest
    }

    /// The longest time that a run lasted.
    pub(crate) fn longest_time(&self) -> Duration {
        self.longest_time.max(self.open_time())
    }

    /// The time of all runs together.
    pub(crate) fn outage(&self) -> Duration {
        self.ended.saturating_add(self.open_time())
    }

    fn open_time(&self) -> Duration {
        self.open.map_or(Duration::ZERO, |run| {
            run.last.saturating_since(run.since).saturating_add(self.interval)
        })
    }
}

/// Between which percentages the true share lies with 95 % confidence, when `part` of `whole` were
/// seen (Wilson's interval): 0 of 5 lost is anything up to 43 %. None of nothing.
pub(crate) fn confidence(part: u64, whole: u64) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return None;
    }
    let n = whole as f64;
    let p = (part as f64 / n).min(1.0);
    let scale = 1.0 + Z * Z / n;
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let bound = |value: f64| (value / scale * 100.0).clamp(0.0, 100.0);
    // At the ends rounding would leave a trace.
    let low = if part == 0 { 0.0 } else { bound(centre - spread) };
    let high = if part >= whole { 100.0 } else { bound(centre + spread) };
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Mono {
        Mono::from_nanos(s * 1_000_000_000)
    }

    #[test]
    fn runs_and_their_time() {
        let mut runs = LossRuns::new(Duration::from_secs(1));
        let answered = [true, false, true, true, false, false, false, true, false, false];
        for (second, answered) in answered.into_iter().enumerate() {
            runs.record(answered, at(second as u64 + 1));
        }
        assert_eq!((runs.runs(), runs.longest()), (3, 3));
        assert_eq!(runs.longest_time(), Duration::from_secs(3));
        assert_eq!(runs.outage(), Duration::from_secs(1 + 3 + 2));
    }

    #[test]
    fn nothing_lost_is_no_run() {
        let mut runs = LossRuns::new(Duration::from_secs(1));
        runs.record(true, at(1));
        assert_eq!((runs.runs(), runs.longest(), runs.outage()), (0, 0, Duration::ZERO));
    }

    #[test]
    fn shares_and_how_sure_they_are() {
        let round = |(low, high): (f64, f64)| ((low * 10.0).round(), (high * 10.0).round());
        // Figures of Wilson's interval from published tables.
        assert_eq!(confidence(0, 5).map(round), Some((0.0, 434.0)));
        assert_eq!(confidence(1, 10).map(round), Some((18.0, 404.0)));
        assert_eq!(confidence(5, 5).map(round), Some((566.0, 1000.0)));
        assert_eq!(confidence(0, 0), None);
    }
}
