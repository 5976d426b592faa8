//! Interarrival jitter of RFC 3550 §6.4.1 and appendix A.8, over round trips.
//!
//! `D` is the difference of the round-trip times of two replies in the order they arrived in, and
//! `J` moves a sixteenth of the way towards `|D|` with each. It starts at zero with the second
//! reply. It is not a mean of `|D|`.

use std::time::Duration;

/// The running estimate.
#[derive(Debug, Default, Clone)]
pub(crate) struct Jitter {
    last: Option<Duration>,
    /// In nanoseconds.
    estimate: Option<f64>,
}

impl Jitter {
    /// The next reply, in order of arrival, took this long.
    pub(crate) fn record(&mut self, round_trip: Duration) {
        if let Some(last) = self.last {
            let difference = round_trip.abs_diff(last).as_nanos() as f64;
            let estimate = self.estimate.unwrap_or(0.0);
            self.estimate = Some(estimate + (difference - estimate) / 16.0);
        }
        self.last = Some(round_trip);
    }

    /// What comes next has nothing to do with what came until now.
    pub(crate) fn pause(&mut self) {
        self.last = None;
    }

    /// The estimate; none before the second reply.
    pub(crate) fn get(&self) -> Option<Duration> {
        self.estimate.map(|nanos| Duration::from_nanos(nanos.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_rfcs_running_estimate() {
        let mut jitter = Jitter::default();
        assert_eq!(jitter.get(), None);
        jitter.record(Duration::from_nanos(1000));
        assert_eq!(jitter.get(), None);
        jitter.record(Duration::from_nanos(2600));
        assert_eq!(jitter.get(), Some(Duration::from_nanos(100))); // 1600 / 16
        jitter.record(Duration::from_nanos(900));
        assert_eq!(jitter.get(), Some(Duration::from_nanos(200))); // 100 + (1700 - 100) / 16
        for _ in 0..1000 {
            jitter.record(Duration::from_nanos(900));
        }
        assert_eq!(jitter.get(), Some(Duration::ZERO));
    }
}
