//! Computes the figures of a run from its recording.

use std::time::Duration;

use udp_core::clock::Mono;

use super::parse::Summary;
use super::{Class, Recorded, RunOf, Target};
use crate::probe::asking::Reasons;
use crate::probe::counts::Counts;
use crate::probe::snapshot::{Figures, Percentiles, Snapshot, StampSummary, TargetSnapshot};
use crate::probe::state::State;
use crate::probe::stats::direction::{Reflector, Split};
use crate::probe::stats::loss::LossRuns;
use crate::probe::thresholds::Unmet;

/// The figures of all recordings together.
pub(super) fn snapshot(all: &Recorded) -> Snapshot {
    let targets: Vec<TargetSnapshot> = all.targets.iter().map(|it| of_target(all, it)).collect();
    let mut totals = Counts::default();
    targets.iter().for_each(|target| totals.add(&target.counts));
    let ends = || all.ends.iter().map(|it| &it.1);
    // Of one run alone: percentiles do not add up.
    let [lag_p50, lag_p99, lag_max] = match &all.ends[..] {
        [(_, only)] => only.lag,
        _ => [None; 3],
    };
    Snapshot {
        at: all.at,
        targets,
        totals,
        judged: all.judged,
        lag_p50,
        lag_p99,
        lag_max,
        unsolicited_from: ends().find_map(|it| it.unsolicited_from),
        kernel_drops: ends().filter_map(|it| it.kernel_drops).reduce(|a, b| a + b),
    }
}

fn of_target(all: &Recorded, target: &Target) -> TargetSnapshot {
    let mut counts = target.counts;
    for run in &target.runs {
        let [duplicate, unsolicited, skipped] = match run.end() {
            Some(end) => {
                ["duplicate", "unsolicited", "slots_skipped"].map(|it| end.number(it).unwrap_or(0))
            }
            None => run.between,
        };
        counts.duplicate += duplicate;
        counts.unsolicited += unsolicited;
        counts.slots_skipped += skipped;
    }
    let runs = loss_runs(target);
    // To the nanosecond, where there is nothing to add up.
    let only = match &target.runs[..] {
        [only] => only.end(),
        _ => None,
    };
    let exactly = |name: &str, computed: Duration| {
        only.and_then(|it| it.number(name)).map_or(computed, Duration::from_nanos)
    };
    let last = target.runs.last().and_then(RunOf::end);
    let unmet = last.map(|it| it.list("failed_checks")).unwrap_or_default();
    TargetSnapshot {
        label: target.label.clone(),
        labels: target.labels.clone(),
        address: target.address,
        interval: target.interval,
        state: target.states.last().map_or(State::Unknown, |it| it.1),
        counts,
        rtt: Figures::of(&target.rtt, counts.unanswered()),
        jitter: target.jitter.get(),
        loss_runs: runs.iter().map(LossRuns::runs).sum(),
        longest_run: runs.iter().map(LossRuns::longest).max().unwrap_or(0),
        longest_outage: exactly(
            "longest_outage_ns",
            runs.iter().map(LossRuns::longest_time).max().unwrap_or_default(),
        ),
        outage: exactly("outage_ns", runs.iter().map(LossRuns::outage).sum()),
        stamp: stamp(&target.runs),
        reasons: reasons(all, target),
        unmet: unmet.into_iter().map(|text| Unmet { text, implied: false }).collect(),
        warned: Vec::new(),
    }
}

/// What a service's answers gave as their reasons; none of what is no service.
fn reasons(all: &Recorded, target: &Target) -> Option<Reasons> {
    let mut reasons = Reasons::default();
    let answered = target.beats.iter().filter(|beat| beat.class == Class::Received);
    answered.filter_map(|beat| all.reason_of(beat)).for_each(|reason| reasons.count(reason));
    let scheme = target.label.split_once("://").map(|it| it.0);
    scheme.is_some_and(|scheme| scheme != "stamp").then_some(reasons)
}

/// Rows of unanswered beats of each run.
fn loss_runs(target: &Target) -> Vec<LossRuns> {
    let known = target.beats.iter().filter(|beat| beat.class != Class::Pending);
    let known: Vec<_> = known.collect();
    let of_run = |beats: &[&super::Beat]| {
        let mut runs = LossRuns::new(target.interval);
        for beat in beats {
            runs.record(beat.class == Class::Received, Mono::from_nanos(beat.sent.as_nanos()));
        }
        runs
    };
    known.chunk_by(|a, b| a.run == b.run).map(of_run).collect()
}

impl RunOf {
    /// The summary, if all beats that it sums up are here.
    fn end(&self) -> Option<&Summary> {
        self.summary.as_deref().filter(|it| it.sent == self.beats)
    }
}

/// What reflectors reported: sums of what can be summed up.
fn stamp(runs: &[RunOf]) -> Option<StampSummary> {
    let ends: Vec<&Summary> = runs.iter().filter_map(RunOf::end).collect();
    let sum = |name: &str| ends.iter().filter_map(|it| it.number(name)).sum::<u64>();
    let first = ends.iter().find(|it| it.text("reflector").is_some())?;
    let only = |name: &str| {
        (ends.len() == 1).then(|| first.number(name)).flatten().map(Duration::from_nanos)
    };
    let percentiles = |way: &str| {
        let of = |p: &str| only(&format!("delay_variation_{way}_{p}_ns"));
        Percentiles { p50: of("p50"), p90: of("p90"), p99: of("p99") }
    };
    let total = |name: &str| only(&format!("rtt_with_reflector_{name}_ns"));
    Some(StampSummary {
        split: Split {
            forward: sum("lost_forward"),
            back: sum("lost_return"),
            undetermined: sum("lost_undetermined"),
        },
        reflector: match first.text("reflector") {
            Some("stateful") => Reflector::Stateful,
            Some("stateless") => Reflector::Stateless,
            _ => Reflector::Unknown,
        },
        rtt_total: Figures {
            min: total("min"),
            average: total("avg"),
            max: total("max"),
            ..Figures::default()
        },
        variation_forward: percentiles("forward"),
        variation_back: percentiles("return"),
        unreadable_times: sum("unreadable_times"),
    })
}
