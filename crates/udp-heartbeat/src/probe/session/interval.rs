//! The figures of the time since they were last asked for.

use std::time::Duration;

use crate::probe::counts::Counts;

/// What happened within an interval: beats that were sent in it, and beats that ended in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Interval {
    /// Beats that were due, whether or not they left.
    pub sent: u64,
    /// Answered in time.
    pub received: u64,
    /// Not answered in time.
    pub lost: u64,
    /// Least, mean and greatest round trip; none where nothing was received.
    pub rtt: Option<[Duration; 3]>,
}

impl Interval {
    /// The same counts in the form of a run's.
    pub(crate) fn counts(&self) -> Counts {
        let &Interval { sent, received, lost, .. } = self;
        Counts { sent, received, lost, ..Counts::default() }
    }
}

/// Collects an interval's figures.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Collector {
    /// Counts at its beginning.
    sent: u64,
    received: u64,
    lost: u64,
    min: Option<Duration>,
    max: Duration,
    sum: Duration,
}

impl Collector {
    pub(super) fn record(&mut self, rtt: Duration) {
        self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        self.max = self.max.max(rtt);
        self.sum = self.sum.saturating_add(rtt);
    }

    /// The interval that ends with these counts; the next one begins.
    pub(super) fn take(&mut self, counts: &Counts) -> Interval {
        let &Counts { sent, received, lost, .. } = counts;
        let next = Collector { sent, received, lost, ..Collector::default() };
        let before = std::mem::replace(self, next);
        let received = received - before.received;
        let mean = |n: u64| (before.sum.as_nanos() + u128::from(n / 2)) / u128::from(n.max(1));
        let rtt = before.min.map(|min| {
            let mean = Duration::from_nanos(u64::try_from(mean(received)).unwrap_or(u64::MAX));
            [min, mean, before.max]
        });
        // A refused beat that was answered after all was lost in the interval before.
        Interval { sent: sent - before.sent, received, lost: lost.saturating_sub(before.lost), rtt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interval_has_its_own_figures() {
        let ms = Duration::from_millis;
        let mut collector = Collector::default();
        [3, 1, 5].into_iter().for_each(|rtt| collector.record(ms(rtt)));
        let mut counts = Counts { sent: 5, received: 3, lost: 1, ..Counts::default() };
        let first = collector.take(&counts);
        let rtt = Some([ms(1), ms(3), ms(5)]);
        assert_eq!(first, Interval { sent: 5, received: 3, lost: 1, rtt });
        (counts.sent, counts.lost) = (6, 0);
        let nothing = Interval { sent: 1, ..Interval::default() };
        assert_eq!(collector.take(&counts), nothing);
        counts.received = 4;
        collector.record(ms(7));
        let last = Interval { received: 1, rtt: Some([ms(7); 3]), ..Interval::default() };
        assert_eq!(collector.take(&counts), last);
    }
}
