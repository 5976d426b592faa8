//! Whether the thresholds hold over the last minute: the beats of a window of time, or the last ten
//! where fewer are in it.
//!
//! Of each reply only which limits it exceeded is kept: a percentile keeps to its limit exactly if
//! enough of the replies do. Beats that were sent close together share a bucket, so memory depends
//! neither on the rate nor on the time.

use std::collections::VecDeque;
use std::time::Duration;

use udp_core::clock::Mono;

use crate::probe::state::Reason;
use crate::probe::thresholds::Limits;

/// The window is cut to about so many parts.
const PARTS: u32 = 64;
/// At least so many beats are judged.
const LEAST: u64 = 10;

#[derive(Debug, Clone, Default)]
struct Bucket {
    first: Mono,
    received: u64,
    lost: u64,
    /// Replies that took longer than each limit.
    over: Vec<u64>,
}

impl Bucket {
    fn beats(&self) -> u64 {
        self.received + self.lost
    }
}

/// The beats of the last minute.
#[derive(Debug)]
pub(crate) struct Recent {
    limits: Limits,
    buckets: VecDeque<Bucket>,
    newest: Mono,
    /// Of all buckets.
    sum: Bucket,
}

impl Recent {
    pub(crate) fn new(limits: Limits) -> Recent {
        let sum = Bucket { over: vec![0; limits.max_rtt.len()], ..Bucket::default() };
        Recent { limits, buckets: VecDeque::new(), newest: Mono::default(), sum }
    }

    /// A beat sent at `sent` was answered after `rtt`, or lost.
    pub(crate) fn record(&mut self, sent: Mono, rtt: Option<Duration>) {
        self.newest = sent;
        let width = self.limits.window / PARTS;
        let joins = self.buckets.back().is_some_and(|last| sent < last.first + width);
        if !joins {
            let over = vec![0; self.limits.max_rtt.len()];
            self.buckets.push_back(Bucket { first: sent, over, ..Bucket::default() });
        }
        let Some(bucket) = self.buckets.back_mut() else { return };
        for it in [bucket, &mut self.sum] {
            it.received += u64::from(rtt.is_some());
            it.lost += u64::from(rtt.is_none());
            for (over, limit) in it.over.iter_mut().zip(&self.limits.max_rtt) {
                *over += u64::from(rtt.is_some_and(|rtt| rtt > limit.most));
            }
        }
        while let Some(oldest) = self.buckets.front()
            && oldest.first + self.limits.window < sent
            && self.sum.beats() - oldest.beats() >= LEAST
            && let Some(gone) = self.buckets.pop_front()
        {
            self.sum.received -= gone.received;
            self.sum.lost -= gone.lost;
            self.sum.over.iter_mut().zip(&gone.over).for_each(|(sum, over)| *sum -= over);
        }
    }

    /// The beat sent at `sent` was not lost after all.
    pub(crate) fn take_back(&mut self, sent: Mono) {
        let bucket = self.buckets.iter_mut().rev().find(|it| it.first <= sent && it.lost > 0);
        if let Some(bucket) = bucket {
            bucket.lost -= 1;
            self.sum.lost -= 1;
        }
    }

    /// When the beat that was recorded last was sent.
    pub(crate) fn newest(&self) -> Mono {
        self.newest
    }

    /// Which threshold does not hold. None where beats are too few to tell.
    pub(crate) fn failing(&self) -> Option<Reason> {
        let Bucket { received, lost, over, .. } = &self.sum;
        if self.sum.beats() < LEAST {
            return None;
        }
        let share = *lost as f64 / self.sum.beats() as f64 * 100.0;
        if self.limits.max_loss.is_some_and(|most| share > most) {
            return Some(Reason::Loss);
        }
        let mut limits = self.limits.max_rtt.iter().zip(over);
        let slow = limits.any(|(limit, over)| match limit.percentile {
            None => *over > 0,
            Some(p) => *received >= p.needs() && received - over < p.rank(*received),
        });
        slow.then_some(Reason::Rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos((1_000_000 + ms) * 1_000_000)
    }

    fn recent(window_s: u64, max_loss: Option<f64>, max_rtt: &[&str]) -> Recent {
        let max_rtt = max_rtt.iter().map(|it| it.parse().unwrap()).collect();
        Recent::new(Limits { window: Duration::from_secs(window_s), max_loss, max_rtt })
    }

    /// The beats at which what is failing changes. `-` is lost, a digit is a round trip in ms.
    fn changes(mut recent: Recent, interval_ms: u64, beats: &str) -> Vec<(u64, Option<Reason>)> {
        let mut told = vec![(0, None)];
        for (n, beat) in (1..).zip(beats.bytes()) {
            let rtt = (beat != b'-').then(|| Duration::from_millis(u64::from(beat - b'0')));
            recent.record(at(n * interval_ms), rtt);
            let failing = recent.failing();
            if told.last().is_some_and(|last| last.1 != failing) {
                told.push((n, failing));
            }
        }
        told.split_off(1)
    }

    #[test]
    fn loss_over_the_window_and_no_less_than_ten_beats() {
        let (loss, fine) = (Some(Reason::Loss), None);
        let beats = "1111--1111111111111111";
        // Twenty beats are in the window: 2 of 10 at the tenth, 2 of 20 at the twentieth.
        let over = recent(20, Some(11.0), &[]);
        assert_eq!(changes(over, 1000, beats), [(10, loss), (19, fine)]);
        assert_eq!(changes(recent(20, Some(20.0), &[]), 1000, beats), []);
        // One beat is in the window; the last ten count.
        let slow = recent(60, Some(10.0), &[]);
        assert_eq!(changes(slow, 60_000, beats), [(10, loss), (15, fine)]);
        assert_eq!(changes(recent(60, Some(0.0), &[]), 1000, "---------"), []);
    }

    #[test]
    fn round_trips_over_the_window() {
        let (rtt, fine) = (Some(Reason::Rtt), None);
        let every = recent(10, None, &["5ms"]);
        assert_eq!(changes(every, 1000, "1111111111911111111111"), [(11, rtt), (22, fine)]);
        let median = recent(10, None, &["p50=5ms"]);
        assert_eq!(changes(median, 1000, "111119999991"), [(11, rtt)]);
        // A percentile that the sample cannot support is not failing.
        assert_eq!(changes(recent(60, None, &["p99=5ms"]), 1000, "99999999999999"), []);
    }

    #[test]
    fn memory_does_not_grow_with_the_rate() {
        let mut recent = recent(60, Some(1.0), &[]);
        for n in 0..200_000 {
            recent.record(at(n), (n % 2 == 0).then_some(Duration::ZERO));
        }
        assert!(recent.buckets.len() <= PARTS as usize + 2, "{}", recent.buckets.len());
        assert!((59_000..=60_001).contains(&recent.sum.beats()), "{}", recent.sum.beats());
        recent.take_back(at(199_999));
        assert_eq!(recent.failing(), Some(Reason::Loss));
    }
}
