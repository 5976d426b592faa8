//! Compares what the engine reported with the true fates.

use std::time::Duration;

use super::link::{Kind, MS, Told, at};
use super::setup::HYSTERESIS;
use super::world::World;
use crate::probe::schedule::TargetId;
use crate::probe::state::{Outcome, Reason, Tracker};
use crate::probe::stats::distribution::Percentile;
use crate::probe::stats::loss::LossRuns;
use crate::probe::verdict::Verdict;
use crate::probe::window::Seq;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Expected {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) late: u64,
    pub(super) duplicate: u64,
    pub(super) refused: u64,
    pub(super) refused_late: u64,
    pub(super) failed: u64,
    pub(super) pending: u64,
}

pub(super) fn verify(world: &World, end: u64) {
    let link = &world.link;
    let timeout = link.timeout_ms * MS;
    for target in world.targets.present() {
        let session = &world.targets.target(target).session;
        let counts = *session.counts();
        let mut expected = Expected::default();
        let mut rtts = Vec::new();
        for seq in 1..=counts.sent {
            let truth = &world.truth[&(target, seq)];
            let told = &world.log.beats[&(target, seq)];
            expected.sent += 1;
            assert_eq!(told.sent, 1);
            let first = truth.replies.first().copied();
            let in_time = first.filter(|when| when - truth.sent <= timeout);
            let copies = truth.replies.len() as u64;
            let refused = u64::from(truth.refused);
            let mut flags = (None, 0, 0, truth.refused.into(), 0, 0);
            if truth.failed {
                expected.failed += 1;
                flags.4 = 1;
            } else if let Some(when) = in_time {
                expected.received += 1;
                expected.duplicate += copies - 1;
                flags.0 = Some(Duration::from_nanos(when - truth.sent));
                assert_eq!(told.from_due, Duration::from_nanos(when - truth.due));
                flags.5 = copies - 1;
                rtts.push(when - truth.sent);
            } else if first.is_some() {
                expected.lost += 1;
                expected.late += 1;
                expected.refused += refused;
                expected.refused_late += refused;
                expected.duplicate += copies - 1;
                (flags.1, flags.2, flags.5) = (u32::from(!truth.refused), 1, copies - 1);
            } else if truth.refused || end > truth.sent + timeout {
                expected.lost += 1;
                expected.refused += refused;
                flags.1 = u32::from(!truth.refused);
            } else {
                expected.pending += 1;
            }
            let got = (
                told.received,
                told.lost,
                told.late,
                told.refused,
                told.failed,
                u64::from(told.duplicate),
            );
            assert_eq!(got, flags, "target {target} beat {seq}: {truth:?}");
            let open = session.open().any(|(it, _)| it.0 == seq);
            let (received, failed) = (flags.0.is_some(), flags.4 > 0);
            let end = match open {
                true => (0, false, false, false),
                false => (1, received, !received && !failed, failed),
            };
            let told = (told.ends, told.end_received, told.end_lost, told.end_failed);
            assert_eq!(told, end, "target {target} beat {seq}: {truth:?}");
        }
        let got = Expected {
            sent: counts.sent,
            received: counts.received,
            lost: counts.lost,
            late: counts.late,
            duplicate: counts.duplicate,
            refused: counts.refused,
            refused_late: counts.refused_late,
            failed: counts.failed,
            pending: counts.pending(),
        };
        assert_eq!(got, expected);
        verify_statistics(world, target, &rtts);
        verify_rows(world, target, end);
    }
    let totals = world.targets.totals();
    assert_eq!((totals.unsolicited, totals.verdicts.not_ok()), (world.unsolicited, 0));
    assert_eq!(world.log.unsolicited, world.unsolicited);
}

pub(super) fn verify_statistics(world: &World, target: TargetId, rtts: &[u64]) {
    let session = &world.targets.target(target).session;
    let nanos = |it: Option<Duration>| it.map(|it| it.as_nanos() as u64);
    let rtt = session.rtt();
    assert_eq!(rtt.count(), rtts.len() as u64);
    assert_eq!(nanos(rtt.min()), rtts.iter().copied().min());
    assert_eq!(nanos(rtt.max()), rtts.iter().copied().max());
    let mean = (!rtts.is_empty()).then(|| {
        let count = rtts.len() as u64;
        (rtts.iter().sum::<u64>() + count / 2) / count
    });
    assert_eq!(nanos(rtt.average()), mean);
    let mut sorted = rtts.to_vec();
    sorted.sort_unstable();
    for (percentile, needed) in
        [(Percentile::P50, 2), (Percentile::P90, 10), (Percentile::P99, 100)]
    {
        let rank = (percentile.get() * sorted.len() as f64 / 100.0).ceil() as usize;
        let truth = (sorted.len() >= needed).then(|| sorted[rank - 1]);
        assert_eq!(nanos(rtt.percentile(percentile)), truth);
    }
    let order: Vec<_> = world.log.arrival_order.iter().filter(|it| it.0 == target).collect();
    let mut next = 0;
    let mut reordered = 0;
    let mut jitter = 0.0f64;
    for (index, (_, seq, took)) in order.iter().enumerate() {
        if *seq < next {
            reordered += 1;
            assert!(world.log.beats[&(target, *seq)].reordered);
        } else {
            next = seq + 1;
        }
        if index > 0 {
            jitter += (took.abs_diff(order[index - 1].2).as_nanos() as f64 - jitter) / 16.0;
        }
    }
    assert_eq!(session.counts().reordered, reordered);
    if let Some(got) = session.jitter() {
        assert!((got.as_nanos() as f64 - jitter).abs() <= 1.0);
    }
}

/// The state and the loss runs are those of the beats in the order of sending, as they ended.
fn verify_rows(world: &World, target: TargetId, end: u64) {
    let session = &world.targets.target(target).session;
    let timeout = world.link.timeout_ms * MS;
    let mut tracker = Tracker::new(HYSTERESIS);
    let mut runs = LossRuns::new(Duration::from_millis(world.link.interval_ms));
    for seq in 1..=session.counts().sent {
        let truth = &world.truth[&(target, seq)];
        let told = &world.log.beats[&(target, seq)];
        let ended = truth.failed || truth.refused || told.received.is_some();
        if !ended && end <= truth.sent + timeout {
            break;
        }
        let outcome = match told.received {
            Some(_) => Outcome::Answered(Verdict::Ok),
            None => Outcome::Unanswered(Reason::NoReply),
        };
        tracker.record(Seq(seq), at(truth.sent), outcome);
        runs.record(told.received.is_some(), at(truth.sent));
    }
    assert_eq!(session.state(), tracker.state(), "target {target}");
    assert_eq!(session.runs(), runs, "target {target}");
}

/// With the closing request's answer: what is claimed of a direction is true.
pub(super) fn verify_direction(world: &World) {
    let link = &world.link;
    if link.kind != Kind::Stamp || link.is_beyond_the_guard() {
        return;
    }
    for target in 0..link.targets {
        let session = &world.targets.target(target).session;
        let counts = session.counts();
        let of_target = |it: &(&(TargetId, u64), &Told)| it.0.0 == target && it.1.lost > 0;
        let lost = || world.log.beats.iter().filter(of_target).filter(|it| it.1.late == 0);
        let up = lost().filter(|(beat, _)| world.truth[*beat].reached == 0).count() as u64;
        let down = lost().filter(|(beat, _)| world.truth[*beat].reached > 0).count() as u64;
        let split =
            session.stamp().unwrap().direction.split(counts.lost, counts.without_direction());
        // A reply that was corrupted on its way back is missing, as a lost one is.
        let doubled = world.doubled_unseen(target);
        assert!(
            (split.forward <= up || world.is_disguised(target)) && split.back <= down + doubled,
            "{split:?}, but {up} and {down}: {:?} target {target}: {counts:?}",
            session.stamp()
        );
    }
}

impl World {
    /// Never forward for what the reflector received, at many a moment.
    pub(super) fn check_direction(&self) {
        let is_seldom = !self.thrown.is_multiple_of(4);
        if self.link.kind != Kind::Stamp || self.link.is_beyond_the_guard() || is_seldom {
            return;
        }
        for target in 0..self.link.targets {
            let session = &self.targets.target(target).session;
            let (counts, direction) = (session.counts(), &session.stamp().unwrap().direction);
            let split = direction.split(counts.lost, counts.without_direction());
            assert_eq!(split.forward + split.back + split.undetermined, counts.lost);
            let never = |(beat, told): (&(TargetId, u64), &Told)| {
                beat.0 == target && told.lost > 0 && self.truth[beat].reached == 0
            };
            let up = self.log.beats.iter().filter(|it| never(*it)).count() as u64;
            let holds = split.forward <= up || self.is_disguised(target);
            assert!(holds, "{split:?}, of which {up} never reached the reflector");
        }
    }

    /// Requests that were doubled without a sign of it, which no proof excludes: of so many numbers
    /// it is not known that no lost beat had them.
    pub(super) fn doubled_unseen(&self, target: TargetId) -> u64 {
        let of_target = self.truth.iter().filter(|(beat, _)| beat.0 == target);
        of_target.map(|(_, truth)| truth.doubled_unseen() as u64).sum()
    }

    /// One of them may make up for a number that a count which began anew would not have come to.
    pub(super) fn is_disguised(&self, target: TargetId) -> bool {
        let anew = self.link.restarts > 0.0 || self.link.by_port && !self.link.fixed;
        anew && self.doubled_unseen(target) > 0
    }
}
