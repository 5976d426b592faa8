//! A summary's fields: a target's, or those of all targets together.

use serde::Serialize;

use super::Place;
use crate::probe::session::Counts;
use crate::probe::stats::direction::Reflector;
use crate::probe::stats::loss::{confidence, percent};
use crate::report::{Figures, Percentiles, RunSummary, StampSummary, TargetSummary};
use udp_core::cli::json::nanos;

#[derive(Serialize)]
pub(super) struct Summary<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    #[serde(flatten)]
    counts: Sums,
    #[serde(flatten)]
    of_one: Option<OfOne>,
    #[serde(flatten)]
    of_all: Option<OfAll>,
    /// How late sends were: of the run, whichever the target.
    lag_p50_ns: Option<u64>,
    lag_p99_ns: Option<u64>,
    lag_max_ns: Option<u64>,
    /// Datagrams that found a receive queue full: of the run, too.
    lost_in_host: Option<u64>,
    /// Which thresholds were not met, and why not.
    unmet: Vec<String>,
}

impl<'a> Summary<'a> {
    pub(super) fn of_target(run: &RunSummary, target: &'a TargetSummary) -> Self {
        Summary {
            place: Place::new(Some(&target.label), target.address),
            counts: Sums::new(&target.counts),
            of_one: Some(OfOne::new(target)),
            of_all: None,
            lag_p50_ns: run.lag_p50.map(nanos),
            lag_p99_ns: run.lag_p99.map(nanos),
            lag_max_ns: run.lag_max.map(nanos),
            lost_in_host: run.lost_in_host,
            unmet: target.unmet.iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn of_all(run: &RunSummary) -> Self {
        let count = |wanted: &dyn Fn(&TargetSummary) -> bool| {
            run.targets.iter().filter(|target| wanted(target)).count()
        };
        let of_all = OfAll {
            targets: run.targets.len(),
            answered: count(&|target| target.counts.received > 0),
            unmet_by: count(&|target| !target.unmet.is_empty()),
            strays: run.strays,
        };
        Summary {
            place: Place::new(None, None),
            counts: Sums::new(&run.totals),
            of_one: None,
            of_all: Some(of_all),
            lag_p50_ns: run.lag_p50.map(nanos),
            lag_p99_ns: run.lag_p99.map(nanos),
            lag_max_ns: run.lag_max.map(nanos),
            lost_in_host: run.lost_in_host,
            unmet: Vec::new(),
        }
    }
}

#[derive(Serialize)]
struct Sums {
    sent: u64,
    received: u64,
    lost: u64,
    loss_percent: f64,
    /// Between which percentages the true share lies, with 95 % confidence.
    loss_percent_low: Option<f64>,
    loss_percent_high: Option<f64>,
    late: u64,
    duplicate: u64,
    reordered: u64,
    refused: u64,
    failed: u64,
    pending: u64,
    wrong: u64,
    missed: u64,
}

impl Sums {
    fn new(counts: &Counts) -> Self {
        let between = confidence(counts.lost, counts.sent);
        Sums {
            sent: counts.sent,
            received: counts.received,
            lost: counts.lost,
            loss_percent: percent(counts.lost, counts.sent),
            loss_percent_low: between.map(|it| it.0),
            loss_percent_high: between.map(|it| it.1),
            late: counts.late,
            duplicate: counts.duplicate,
            reordered: counts.reordered,
            refused: counts.refused,
            failed: counts.failed,
            pending: counts.pending(),
            wrong: counts.wrong,
            missed: counts.missed,
        }
    }
}

#[derive(Serialize)]
struct OfAll {
    targets: usize,
    answered: usize,
    unmet_by: usize,
    strays: u64,
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
    fn new(target: &TargetSummary) -> Self {
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
    lost_up: u64,
    lost_down: u64,
    lost_unknown: u64,
    reflector: &'static str,
    rtt_with_reflector_min_ns: Option<u64>,
    rtt_with_reflector_avg_ns: Option<u64>,
    rtt_with_reflector_max_ns: Option<u64>,
    variation_up_p50_ns: Option<u64>,
    variation_up_p90_ns: Option<u64>,
    variation_up_p99_ns: Option<u64>,
    variation_down_p50_ns: Option<u64>,
    variation_down_p90_ns: Option<u64>,
    variation_down_p99_ns: Option<u64>,
}

impl OfStamp {
    fn new(stamp: &StampSummary) -> Self {
        let (Percentiles { p50, p90, p99 }, down) = (stamp.up, stamp.down);
        OfStamp {
            lost_up: stamp.split.up,
            lost_down: stamp.split.down,
            lost_unknown: stamp.split.unknown,
            reflector: match stamp.reflector {
                Reflector::Unknown => "unknown",
                Reflector::Stateful => "stateful",
                Reflector::Stateless => "stateless",
            },
            rtt_with_reflector_min_ns: stamp.rtt_total.min.map(nanos),
            rtt_with_reflector_avg_ns: stamp.rtt_total.average.map(nanos),
            rtt_with_reflector_max_ns: stamp.rtt_total.max.map(nanos),
            variation_up_p50_ns: p50.map(nanos),
            variation_up_p90_ns: p90.map(nanos),
            variation_up_p99_ns: p99.map(nanos),
            variation_down_p50_ns: down.p50.map(nanos),
            variation_down_p90_ns: down.p90.map(nanos),
            variation_down_p99_ns: down.p99.map(nanos),
        }
    }
}
