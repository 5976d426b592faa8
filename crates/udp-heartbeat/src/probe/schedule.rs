//! When each beat is due: a fixed rate counted from the start, or Poisson gaps, for any number of
//! targets.
//!
//! There is no clock in here; times are arguments. A periodic slot is computed from the start and
//! never from the slot before it, so nothing drifts. Who comes late sends at once, once; slots of
//! which the whole interval has gone by are missed and are never made up for in a burst
//! (RFC 8085 §3.1). The targets of a periodic schedule are spread evenly over the interval; those
//! of a Poisson schedule (RFC 2330 §11.1, RFC 3432 §3 on why) are independent of each other.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use udp_core::clock::Mono;

/// Which of the targets, by its place in the list of targets.
pub type TargetId = u32;

/// How the beats of one target are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// One each interval.
    Periodic,
    /// Exponentially distributed gaps whose mean is the interval, drawn from this seed.
    Poisson {
        /// The same seed gives the same gaps.
        seed: u64,
    },
}

/// A slot whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Whose beat it is.
    pub(crate) target: TargetId,
    /// When it was due: not after the time it was asked for.
    pub(crate) due: Mono,
    /// How many earlier slots of this target were missed since its last one.
    pub(crate) missed: u64,
    /// When the first of these, or else this one, was due.
    pub(crate) waiting_since: Mono,
}

/// The slots of all targets, in order of time.
#[derive(Debug)]
pub(crate) struct Timeline {
    interval: u64,
    /// Of targets that have another interval than most.
    own: HashMap<TargetId, u64>,
    spaced: Spaced,
    /// The next slots of targets that joined a periodic schedule later, or have an interval of their own.
    joined: Queue,
}

#[derive(Debug)]
enum Spaced {
    Periodic(Periodic),
    Poisson { random: fastrand::Rng, due: Queue },
}

/// The next slot of each of some targets, in order of time.
#[derive(Debug, Default)]
struct Queue {
    in_order: BTreeSet<(Mono, TargetId)>,
    of_target: HashMap<TargetId, Mono>,
}

impl Queue {
    fn first(&self) -> Option<(Mono, TargetId)> {
        self.in_order.first().copied()
    }

    fn set(&mut self, target: TargetId, due: Mono) {
        self.remove(target);
        self.in_order.insert((due, target));
        self.of_target.insert(target, due);
    }

    fn remove(&mut self, target: TargetId) {
        if let Some(due) = self.of_target.remove(&target) {
            self.in_order.remove(&(due, target));
        }
    }
}

impl Timeline {
    /// The slots of `targets` targets (at least one) from `start` on, one each `interval` (above
    /// zero) for each of them.
    pub(crate) fn new(spacing: Spacing, start: Mono, interval: Duration, targets: u32) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let targets = targets.max(1);
        let spaced = match spacing {
            Spacing::Periodic => Spaced::Periodic(Periodic::new(start, targets)),
            Spacing::Poisson { seed } => {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut due = Queue::default();
                for target in 0..targets {
                    let wait =
                        if targets == 1 { Duration::ZERO } else { gap(&mut random, interval) };
                    due.set(target, start + wait);
                }
                Spaced::Poisson { random, due }
            }
        };
        Timeline { interval, own: HashMap::new(), spaced, joined: Queue::default() }
    }

    fn interval_of(&self, target: TargetId) -> u64 {
        self.own.get(&target).copied().unwrap_or(self.interval)
    }

    /// The target has this interval (above zero) from the beat on that is due next, whose slot moves to
    /// `next`.
    pub(crate) fn set_interval(&mut self, target: TargetId, interval: Duration, next: Mono) {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.own.insert(target, interval);
        match &mut self.spaced {
            Spaced::Periodic(periodic) => {
                if periodic.is_active(target) || self.joined.of_target.contains_key(&target) {
                    periodic.end(target);
                    self.joined.set(target, next);
                }
            }
            Spaced::Poisson { due, .. } => {
                if due.of_target.contains_key(&target) {
                    due.set(target, next);
                }
            }
        }
    }

    /// When the next slot is due; none when every target has ended.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        let due = match &self.spaced {
            Spaced::Periodic(periodic) => periodic.next_due(self.interval),
            Spaced::Poisson { due, .. } => due.first().map(|(due, _)| due),
        };
        self.joined.first().map(|(joined, _)| joined).into_iter().chain(due).min()
    }

    /// One more target, from `now` on.
    pub(crate) fn add(&mut self, target: TargetId, now: Mono) {
        let interval = self.interval_of(target);
        match &mut self.spaced {
            Spaced::Periodic(_) => self.joined.set(target, now),
            Spaced::Poisson { random, due } => {
                due.set(target, now + gap(random, interval));
            }
        }
    }

    fn take_joined(&mut self, now: Mono) -> Option<Slot> {
        let (first, target) = self.joined.first().filter(|(first, _)| *first <= now)?;
        let interval = self.interval_of(target);
        let missed = nanos_since(now, first) / interval;
        let due = first + Duration::from_nanos(missed.saturating_mul(interval));
        self.joined.set(target, due + Duration::from_nanos(interval));
        Some(Slot { target, due, missed, waiting_since: first })
    }

    /// The next slot that is due at `now`, if there is one: ask until there is none.
    pub(crate) fn take(&mut self, now: Mono) -> Option<Slot> {
        if let Some(slot) = self.take_joined(now) {
            return Some(slot);
        }
        match &mut self.spaced {
            Spaced::Periodic(periodic) => periodic.take(self.interval, now),
            Spaced::Poisson { random, due: queue } => {
                let (first, target) = queue.first().filter(|(first, _)| *first <= now)?;
                let interval = self.own.get(&target).copied().unwrap_or(self.interval);
                let (mut due, mut missed) = (first, 0);
                let mut next = due + gap(random, interval);
                while next <= now {
                    due = next;
                    missed += 1;
                    next = due + gap(random, interval);
                }
                queue.set(target, next);
                Some(Slot { target, due, missed, waiting_since: first })
            }
        }
    }

    /// The target sends no more.
    pub(crate) fn end(&mut self, target: TargetId) {
        self.own.remove(&target);
        match &mut self.spaced {
            Spaced::Periodic(periodic) => {
                periodic.end(target);
                self.joined.remove(target);
            }
            Spaced::Poisson { due, .. } => due.remove(target),
        }
    }
}

/// An exponentially distributed gap of at least a nanosecond.
fn gap(random: &mut fastrand::Rng, mean: u64) -> Duration {
    let uniform = 1.0 - random.f64(); // above 0, at most 1
    let nanos = -uniform.ln() * mean as f64;
    Duration::from_nanos((nanos as u64).max(1))
}

/// Slot `g` of all belongs to target `g mod n` and is due `g × interval / n` after the start.
#[derive(Debug)]
struct Periodic {
    start: Mono,
    /// Of each target, the first round (`g / n`) that is not yet used or missed.
    rounds: Vec<u64>,
    /// Targets that still send.
    active: usize,
    next: u128,
}

/// A target that has ended has no round left.
const ENDED: u64 = u64::MAX;

impl Periodic {
    fn new(start: Mono, targets: u32) -> Self {
        let rounds = vec![0; targets as usize];
        Periodic { start, active: rounds.len(), rounds, next: 0 }
    }

    fn due(&self, slot: u128, interval: u64) -> Mono {
        let after = slot.saturating_mul(u128::from(interval)) / self.rounds.len() as u128;
        self.start + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// Whose slot it is and in which round.
    fn place(&self, slot: u128) -> (usize, u64) {
        let targets = self.rounds.len() as u128;
        ((slot % targets) as usize, u64::try_from(slot / targets).unwrap_or(ENDED - 1))
    }

    fn next_due(&self, interval: u64) -> Option<Mono> {
        (self.active > 0).then(|| self.due(self.next, interval))
    }

    fn take(&mut self, interval: u64, now: Mono) -> Option<Slot> {
        while self.active > 0 && self.due(self.next, interval) <= now {
            let (target, round) = self.place(self.next);
            let wanted = self.rounds[target];
            if round < wanted {
                self.pass_over(round);
                continue;
            }
            let first = self.due(self.next, interval);
            let missed = nanos_since(now, first) / interval;
            self.rounds[target] = round.saturating_add(missed).saturating_add(1).min(ENDED - 1);
            self.next += 1;
            let due = first + Duration::from_nanos(missed.saturating_mul(interval));
            let target = target as TargetId;
            return Some(Slot { target, due, missed, waiting_since: first });
        }
        None
    }

    /// Goes on from a slot that nobody wants. After a long pause no target wants any for many
    /// rounds; these are left out in one step.
    fn pass_over(&mut self, round: u64) {
        self.next += 1;
        let (target, _) = self.place(self.next);
        let wanted = self.rounds[target];
        if target == 0 || (wanted != ENDED && wanted > round.saturating_add(2)) {
            let earliest = self.rounds.iter().copied().min().unwrap_or(ENDED);
            if earliest != ENDED {
                let from = u128::from(earliest) * self.rounds.len() as u128;
                self.next = self.next.max(from);
            }
        }
    }

    fn is_active(&self, target: TargetId) -> bool {
        self.rounds.get(target as usize).is_some_and(|round| *round != ENDED)
    }

    fn end(&mut self, target: TargetId) {
        if let Some(round) = self.rounds.get_mut(target as usize)
            && *round != ENDED
        {
            *round = ENDED;
            self.active -= 1;
        }
    }
}

fn nanos_since(now: Mono, then: Mono) -> u64 {
    now.as_nanos().saturating_sub(then.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000_000 + ms * MS)
    }

    fn periodic(interval_ms: u64, targets: u32) -> Timeline {
        Timeline::new(Spacing::Periodic, at(0), Duration::from_millis(interval_ms), targets)
    }

    fn slot(target: u32, due_ms: u64, missed: u64) -> Option<Slot> {
        slot_since(target, due_ms, missed, due_ms)
    }

    fn slot_since(target: u32, due_ms: u64, missed: u64, since_ms: u64) -> Option<Slot> {
        Some(Slot { target, due: at(due_ms), missed, waiting_since: at(since_ms) })
    }

    #[test]
    fn one_target_is_due_at_once_and_then_each_interval() {
        let mut line = periodic(10, 1);
        assert_eq!(line.next_due(), Some(at(0)));
        assert_eq!(line.take(at(0)), slot(0, 0, 0));
        assert_eq!(line.take(at(9)), None);
        assert_eq!(line.next_due(), Some(at(10)));
        assert_eq!(line.take(at(10)), slot(0, 10, 0));
    }

    #[test]
    fn a_target_that_joins_later_keeps_its_own_time_and_moves_no_other() {
        let mut line = periodic(10, 2);
        assert_eq!((line.take(at(0)), line.take(at(5))), (slot(0, 0, 0), slot(1, 5, 0)));
        line.add(7, at(7));
        assert_eq!((line.next_due(), line.take(at(7))), (Some(at(7)), slot(7, 7, 0)));
        assert_eq!((line.take(at(10)), line.take(at(15))), (slot(0, 10, 0), slot(1, 15, 0)));
        assert_eq!(line.take(at(38)), slot_since(7, 37, 2, 17));
        line.end(7);
        line.end(0);
        assert_eq!(line.take(at(38)), slot_since(1, 35, 1, 25));
        line.end(1);
        assert_eq!(line.next_due(), None);
    }

    #[test]
    fn late_sends_once_and_what_has_gone_by_is_missed() {
        let mut line = periodic(10, 1);
        assert_eq!(line.take(at(3)), slot(0, 0, 0));
        assert_eq!(line.take(at(48)), slot_since(0, 40, 3, 10));
        assert_eq!(line.take(at(48)), None);
        assert_eq!(line.take(at(50)), slot(0, 50, 0));
        // A minute's suspend is no burst.
        assert_eq!(line.take(at(60_055)), slot_since(0, 60_050, 5999, 60));
        assert_eq!(line.take(at(60_055)), None);
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let third = Duration::from_nanos(333_333_333);
        let mut line = Timeline::new(Spacing::Periodic, at(0), third, 1);
        let mut now = at(0);
        for k in 0..100_000u64 {
            let due = at(0) + Duration::from_nanos(333_333_333 * k);
            now = now.max(line.next_due().unwrap());
            let slot = line.take(now).unwrap();
            assert_eq!((slot.due, slot.missed), (due, 0));
        }
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let mut line = periodic(100, 4);
        for (ms, target) in [(0, 0), (25, 1), (50, 2), (75, 3), (100, 0), (125, 1)] {
            assert_eq!(line.next_due(), Some(at(ms)));
            assert_eq!(line.take(at(ms)), slot(target, ms, 0));
        }
    }

    #[test]
    fn after_a_pause_each_target_sends_once() {
        let mut line = periodic(100, 4);
        let mut seen = Vec::new();
        while let Some(slot) = line.take(at(1_000_030)) {
            seen.push((slot.target, slot.missed));
        }
        assert_eq!(seen, [(0, 10_000), (1, 10_000), (2, 9_999), (3, 9_999)]);
        assert_eq!(line.next_due(), Some(at(1_000_050)));
        assert_eq!(line.take(at(1_000_051)), slot(2, 1_000_050, 0));
        assert_eq!(line.take(at(1_000_080)), slot(3, 1_000_075, 0));
        assert_eq!(line.take(at(1_000_100)), slot(0, 1_000_100, 0));
    }

    #[test]
    fn a_target_that_ended_is_passed_over() {
        let mut line = periodic(100, 3);
        line.end(1);
        line.end(1);
        let due: Vec<u32> = (0..6)
            .map(|_| {
                let mut now = line.next_due().unwrap();
                loop {
                    if let Some(slot) = line.take(now) {
                        break slot.target;
                    }
                    now = line.next_due().unwrap();
                }
            })
            .collect();
        assert_eq!(due, [0, 2, 0, 2, 0, 2]);
        line.end(0);
        line.end(2);
        assert_eq!(line.next_due(), None);
        assert_eq!(line.take(at(1_000_000)), None);
    }

    #[test]
    fn poisson_gaps_have_the_interval_as_mean_and_the_seed_repeats_them() {
        let draw = |seed| {
            let interval = Duration::from_millis(10);
            let mut line = Timeline::new(Spacing::Poisson { seed }, at(0), interval, 1);
            let mut dues = Vec::new();
            for _ in 0..20_000 {
                let now = line.next_due().unwrap();
                let slot = line.take(now).unwrap();
                assert_eq!((slot.due, slot.missed), (now, 0));
                dues.push(now.as_nanos());
            }
            dues
        };
        let dues = draw(7);
        assert_eq!(dues[0], at(0).as_nanos());
        assert_eq!(dues, draw(7));
        assert_ne!(dues, draw(8));
        let gaps: Vec<f64> = dues.windows(2).map(|w| (w[1] - w[0]) as f64 / 1e7).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let short = gaps.iter().filter(|gap| **gap < 1.0).count() as f64 / gaps.len() as f64;
        assert!((0.97..1.03).contains(&mean), "{mean}");
        assert!((0.62..0.645).contains(&short), "{short}"); // 1 - 1/e = 0.632
    }

    #[test]
    fn a_poisson_target_that_ended_may_begin_anew_and_lag_counts_from_the_first_missed_slot() {
        let mut line =
            Timeline::new(Spacing::Poisson { seed: 3 }, at(0), Duration::from_millis(10), 3);
        line.end(1);
        line.end(1);
        line.add(2, at(1_000_000));
        let first = line.next_due().unwrap();
        let slot = line.take(at(1_000_000)).unwrap();
        assert!(slot.target == 0 && slot.missed > 0 && slot.due > first);
        assert_eq!(slot.waiting_since, first);
        line.end(0);
        assert_eq!(line.take(at(1_000_000)), None);
        assert_eq!(line.take(line.next_due().unwrap()).map(|slot| slot.target), Some(2));
        line.end(2);
        assert_eq!(line.next_due(), None);
    }

    proptest! {
        /// However irregularly it is asked, each slot of each target is sent or missed, once.
        #[test]
        fn every_slot_is_sent_or_missed(
            targets in 1u32..20,
            interval in 1u64..50,
            steps in proptest::collection::vec(0u64..400, 1..60),
        ) {
            let mut line = periodic(interval, targets);
            let mut next = vec![0u64; targets as usize];
            let mut now = 0;
            for step in steps {
                now += step;
                let mut asked = vec![0u32; targets as usize];
                while let Some(slot) = line.take(at(now)) {
                    let k = slot.target as usize;
                    asked[k] += 1;
                    prop_assert!(asked[k] == 1, "a burst");
                    let round = next[k] + slot.missed;
                    let offset = (round * u64::from(targets) + k as u64) * interval * MS
                        / u64::from(targets);
                    let due = at(0) + Duration::from_nanos(offset);
                    prop_assert!(slot.due <= at(now));
                    prop_assert!(
                        slot.due.as_nanos().abs_diff(due.as_nanos()) <= 1,
                        "{:?} {:?}", slot.due, due
                    );
                    prop_assert!(at(now).saturating_since(slot.due).as_nanos()
                        <= u128::from(interval * MS));
                    next[k] = round + 1;
                }
                prop_assert!(line.next_due().unwrap() > at(now));
            }
        }
    }
}
