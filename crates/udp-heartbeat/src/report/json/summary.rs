//! A summary's fields: a target's, or those of all targets together.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use super::{Place, shown};
use crate::probe::asking;
use crate::probe::session::Counts;
use crate::probe::snapshot::{Figures, Percentiles, Snapshot, StampSummary, TargetSnapshot};
use crate::probe::stats::direction::Reflector;
use crate::probe::stats::loss::confidence;
use crate::probe::targets::Labels;
use crate::probe::verdict;
use udp_core::cli::json::nanos;

#[derive(Serialize)]
pub(super) struct Summary<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Labels>,
    #[serde(flatten)]
    counts: Sums,
    #[serde(flatten)]
    of_one: Option<OfOne>,
    #[serde(flatten)]
    of_all: Option<OfAll>,
    /// How late sends were: of the run, whichever the target.
    send_lag_p50_ns: Option<u64>,
    send_lag_p99_ns: Option<u64>,
    send_lag_max_ns: Option<u64>,
    /// Datagrams that found a receive queue full: of the run, too.
    kernel_drops: Option<u64>,
    /// The first sender that was never asked: of the run, too.
    unsolicited_from: Option<From>,
    /// Which thresholds were not met, and why not.
    failed_checks: Vec<String>,
}

impl<'a> Summary<'a> {
    pub(super) fn of_target(run: &Snapshot, target: &'a TargetSnapshot) -> Self {
        Summary {
            place: Place::new(Some(&target.label), target.address),
            labels: shown(&target.labels),
            counts: Sums::new(&target.counts, target.reasons.clone()),
            of_one: Some(OfOne::new(target)),
            of_all: None,
            send_lag_p50_ns: run.lag_p50.map(nanos),
            send_lag_p99_ns: run.lag_p99.map(nanos),
            send_lag_max_ns: run.lag_max.map(nanos),
            kernel_drops: run.kernel_drops,
            unsolicited_from: run.unsolicited_from.map(From::new),
            failed_checks: target.unmet.iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn of_all(run: &Snapshot) -> Self {
        let count = |wanted: &dyn Fn(&TargetSnapshot) -> bool| {
            run.targets.iter().filter(|target| wanted(target)).count()
        };
        let mut all: Option<asking::Reasons> = None;
        let reasons = run.targets.iter().filter_map(|target| target.reasons.as_ref());
        reasons.for_each(|reasons| all.get_or_insert_default().add(reasons));
        let of_all = OfAll {
            targets: run.targets.len(),
            answered: count(&|target| target.counts.received > 0),
            targets_failed: count(&|target| !target.unmet.is_empty()),
        };
        Summary {
            place: Place::new(None, None),
            labels: None,
            counts: Sums::new(&run.totals, all),
            of_one: None,
            of_all: Some(of_all),
            send_lag_p50_ns: run.lag_p50.map(nanos),
            send_lag_p99_ns: run.lag_p99.map(nanos),
            send_lag_max_ns: run.lag_max.map(nanos),
            kernel_drops: run.kernel_drops,
            unsolicited_from: run.unsolicited_from.map(From::new),
            failed_checks: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Sums {
    sent: u64,
    received: u64,
    lost: u64,
    /// Of the received and the lost.
    loss_percent: Option<f64>,
    /// Between which percentages the true share lies, with 95 % confidence.
    loss_percent_low: Option<f64>,
    loss_percent_high: Option<f64>,
    late: u64,
    duplicate: u64,
    reordered: u64,
    refused: u64,
    failed: u64,
    pending: u64,
    unsolicited: u64,
    slots_skipped: u64,
    verdicts: Verdicts,
    /// Of services: how often each reason was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<Reasons>,
}

impl Sums {
    fn new(counts: &Counts, reasons: Option<asking::Reasons>) -> Self {
        let between = confidence(counts.lost, counts.received + counts.lost);
        Sums {
            sent: counts.sent,
            received: counts.received,
            lost: counts.lost,
            loss_percent: counts.loss_percent(),
            loss_percent_low: between.map(|it| it.0),
            loss_percent_high: between.map(|it| it.1),
            late: counts.late,
            duplicate: counts.duplicate,
            reordered: counts.reordered,
            refused: counts.refused,
            failed: counts.failed,
            pending: counts.pending(),
            unsolicited: counts.unsolicited,
            slots_skipped: counts.slots_skipped,
            verdicts: Verdicts(counts.verdicts),
            reasons: reasons.map(Reasons),
        }
    }
}

/// An object of counts.
struct Verdicts(verdict::Verdicts);

impl Serialize for Verdicts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.shown())
    }
}

/// The same by reason.
struct Reasons(asking::Reasons);

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

#[derive(Serialize)]
struct From {
    address: String,
    port: u16,
}

impl From {
    fn new(address: SocketAddr) -> From {
        From { address: udp_core::endpoint::ip_text(address), port: address.port() }
    }
}

#[derive(Serialize)]
struct OfAll {
    targets: usize,
    answered: usize,
    targets_failed: usize,
}

#[derive(Serialize)]
struct OfOne {
    state: String,
    rtt_min_ns: Option<u64>,
    rtt_avg_ns: Option<u64>,
    rtt_max_ns: Option<u64>,
    rtt_mdev_ns: Option<u64>,
    rtt_p50_ns: Option<u64>,
    rtt_p90_ns: Option<u64>,
    rtt_p99_ns: Option<u64>,
    /// As if an unanswered beat had taken for ever; null where that is the figure.
    rtt_p50_with_loss_ns: Option<u64>,
    rtt_p90_with_loss_ns: Option<u64>,
    rtt_p99_with_loss_ns: Option<u64>,
    jitter_ns: Option<u64>,
    loss_runs: u64,
    longest_loss_run: u64,
    longest_outage_ns: u64,
    outage_ns: u64,
    #[serde(flatten)]
    stamp: Option<OfStamp>,
}

impl OfOne {
    fn new(target: &TargetSnapshot) -> Self {
        let Figures { min, average, max, deviation, percentiles, with_loss } = target.rtt;
        OfOne {
            state: target.state.to_string(),
            rtt_min_ns: min.map(nanos),
            rtt_avg_ns: average.map(nanos),
            rtt_max_ns: max.map(nanos),
            rtt_mdev_ns: deviation.map(nanos),
            rtt_p50_ns: percentiles.p50.map(nanos),
            rtt_p90_ns: percentiles.p90.map(nanos),
            rtt_p99_ns: percentiles.p99.map(nanos),
            rtt_p50_with_loss_ns: with_loss.p50.map(nanos),
            rtt_p90_with_loss_ns: with_loss.p90.map(nanos),
            rtt_p99_with_loss_ns: with_loss.p99.map(nanos),
            jitter_ns: target.jitter.map(nanos),
            loss_runs: target.loss_runs,
            longest_loss_run: target.longest_run,
            longest_outage_ns: nanos(target.longest_outage),
            outage_ns: nanos(target.outage),
            stamp: target.stamp.as_ref().map(OfStamp::new),
        }
    }
}

#[derive(Serialize)]
struct OfStamp {
    lost_forward: u64,
    lost_return: u64,
    lost_undetermined: u64,
    reflector: &'static str,
    rtt_with_reflector_min_ns: Option<u64>,
    rtt_with_reflector_avg_ns: Option<u64>,
    rtt_with_reflector_max_ns: Option<u64>,
    delay_variation_forward_p50_ns: Option<u64>,
    delay_variation_forward_p90_ns: Option<u64>,
    delay_variation_forward_p99_ns: Option<u64>,
    delay_variation_return_p50_ns: Option<u64>,
    delay_variation_return_p90_ns: Option<u64>,
    delay_variation_return_p99_ns: Option<u64>,
    unreadable_times: u64,
}

impl OfStamp {
    fn new(stamp: &StampSummary) -> Self {
        let (Percentiles { p50, p90, p99 }, back) = (stamp.variation_forward, stamp.variation_back);
        OfStamp {
            lost_forward: stamp.split.forward,
            lost_return: stamp.split.back,
            lost_undetermined: stamp.split.undetermined,
            reflector: match stamp.reflector {
                Reflector::Unknown => "unknown",
                Reflector::Stateful => "stateful",
                Reflector::Stateless => "stateless",
            },
            rtt_with_reflector_min_ns: stamp.rtt_total.min.map(nanos),
            rtt_with_reflector_avg_ns: stamp.rtt_total.average.map(nanos),
            rtt_with_reflector_max_ns: stamp.rtt_total.max.map(nanos),
            delay_variation_forward_p50_ns: p50.map(nanos),
            delay_variation_forward_p90_ns: p90.map(nanos),
            delay_variation_forward_p99_ns: p99.map(nanos),
            delay_variation_return_p50_ns: back.p50.map(nanos),
            delay_variation_return_p90_ns: back.p90.map(nanos),
            delay_variation_return_p99_ns: back.p99.map(nanos),
            unreadable_times: stamp.unreadable_times,
        }
    }
}
