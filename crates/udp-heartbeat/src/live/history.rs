//! The outcomes of a target's newest beats for graphs over time: a ring of marks, and columns of
//! it.

use std::collections::VecDeque;
use std::time::Duration;

/// Marks of all targets together; a mark is 8 bytes.
const ALL_MARKS: usize = 4 << 20;
/// Marks of one target: at least, at most.
const MARKS: [usize; 2] = [256, 65_536];
/// A round trip's unit in a mark.
const UNIT: u64 = 100;
/// Outcomes that are no round trip.
const LOST: u32 = u32::MAX;
const FAILED: u32 = u32::MAX - 1;

/// How a beat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Received(Duration),
    Lost,
    Failed,
}

impl Outcome {
    fn pack(self) -> u32 {
        match self {
            Outcome::Received(rtt) => {
                let units = rtt.as_nanos() / u128::from(UNIT);
                u32::try_from(units).unwrap_or(FAILED - 1).min(FAILED - 1)
            }
            Outcome::Lost => LOST,
            Outcome::Failed => FAILED,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// When the beat was sent, in milliseconds of the run.
    at: u32,
    outcome: u32,
}

/// The newest beats of a target, in the order they ended.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    marks: VecDeque<Mark>,
}

impl History {
    /// Marks that each of `targets` may keep.
    pub(super) fn capacity(targets: usize) -> usize {
        let [least, most] = MARKS;
        (ALL_MARKS / targets.max(1)).clamp(least, most)
    }

    /// A beat that was sent at `at` of the run ended so. At most `capacity` marks are kept.
    pub(super) fn push(&mut self, at: Duration, outcome: Outcome, capacity: usize) {
        while self.marks.len() >= capacity.max(1) {
            self.marks.pop_front();
        }
        let at = u32::try_from(at.as_millis()).unwrap_or(u32::MAX);
        self.marks.push_back(Mark { at, outcome: outcome.pack() });
    }

    /// The last `count` columns until `now`, each `width` wide. Columns begin at whole multiples of
    /// their width, so that a picture moves by whole columns.
    pub(super) fn columns(&self, now: Duration, width: Duration, count: usize) -> Vec<Column> {
        let mut columns = vec![Column::default(); count];
        let width = width.as_millis().max(1);
        let newest = now.as_millis() / width;
        for mark in &self.marks {
            let Some(age) = newest.checked_sub(u128::from(mark.at) / width) else { continue };
            let Some(column) = usize::try_from(age).ok().and_then(|age| count.checked_sub(age + 1))
            else {
                continue;
            };
            columns[column].add(mark.outcome);
        }
        columns.iter_mut().for_each(|column| column.round_trips.sort_unstable());
        columns
    }
}

/// The beats that were sent within a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Column {
    /// In units, sorted.
    round_trips: Vec<u32>,
    pub(super) lost: u32,
    pub(super) failed: u32,
}

impl Column {
    fn add(&mut self, outcome: u32) {
        match outcome {
            LOST => self.lost += 1,
            FAILED => self.failed += 1,
            units => self.round_trips.push(units),
        }
    }

    /// The round trip that `percent` of them do not exceed (the nearest rank); none without any.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let count = self.round_trips.len();
        let rank = (count * percent).div_ceil(100).max(1);
        self.round_trips.get(rank - 1).map(|units| Duration::from_nanos(u64::from(*units) * UNIT))
    }

    /// All of them, in nanoseconds.
    pub(super) fn all(&self) -> impl Iterator<Item = u64> {
        self.round_trips.iter().map(|units| u64::from(*units) * UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn history(beats: &[(u64, Outcome)]) -> History {
        let mut history = History::default();
        for &(at, outcome) in beats {
            history.push(MS(at), outcome, 5);
        }
        history
    }

    #[test]
    fn beats_fall_into_columns_by_the_time_they_were_sent() {
        use Outcome::{Failed, Lost, Received};
        let beats = [
            (0, Received(MS(3))),
            (1000, Lost),
            (1500, Received(MS(1))),
            (1900, Received(MS(2))),
            (3999, Failed),
        ];
        let columns = history(&beats).columns(MS(4100), MS(1000), 4);
        let shape: Vec<_> =
            columns.iter().map(|it| (it.all().count(), it.lost, it.failed)).collect();
        assert_eq!(shape, [(2, 1, 0), (0, 0, 0), (0, 0, 1), (0, 0, 0)]);
        let of = |percent| columns[0].percentile(percent);
        assert_eq!([of(50), of(51), of(100)], [1, 2, 2].map(|ms| Some(MS(ms))));
        assert_eq!(columns[1].percentile(50), None);
        assert_eq!(columns[0].all().collect::<Vec<_>>(), [1_000_000, 2_000_000]);
    }

    #[test]
    fn old_beats_go() {
        let many = [(0, Outcome::Lost); 9];
        assert_eq!(history(&many).columns(MS(0), MS(1), 1)[0].lost, 5);
        assert_eq!([1, 100, 1 << 20].map(History::capacity), [65_536, 41_943, 256]);
    }

    #[test]
    fn no_time_breaks_it() {
        let mut history = History::default();
        for at in [Duration::ZERO, MS(u64::from(u32::MAX)), Duration::MAX] {
            history.push(at, Outcome::Received(Duration::MAX), 9);
            for width in [Duration::ZERO, MS(1), Duration::MAX] {
                assert_eq!(history.columns(at, width, 3).len(), 3);
                assert_eq!(history.columns(Duration::ZERO, width, 0).len(), 0);
            }
        }
    }
}
