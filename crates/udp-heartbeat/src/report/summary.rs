//! The figures of a run, taken once at its end.

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Wall;

use crate::probe::session::{Counts, Session};
use crate::probe::state::State;
use crate::probe::stats::direction::{Reflector, Split};
use crate::probe::stats::distribution::{Distribution, Percentile};
use crate::probe::stats::variation::Variation;
use crate::probe::targets::Target;
use crate::probe::thresholds::{Thresholds, Unmet};
use crate::targets_file::Labels;

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct RunSummary {
    pub(crate) at: Wall,
    /// In the order they were named; at least one.
    pub(crate) targets: Vec<TargetSummary>,
    pub(crate) totals: Counts,
    /// Whether answers can be other than ok.
    pub(crate) judged: bool,
    /// How late sends were.
    pub(crate) lag_p50: Option<Duration>,
    pub(crate) lag_p99: Option<Duration>,
    pub(crate) lag_max: Option<Duration>,
    /// The first sender of an unsolicited datagram that was never asked.
    pub(crate) unsolicited_from: Option<SocketAddr>,
    /// Datagrams that found a receive queue of ours full; None where the kernel does not count.
    pub(crate) kernel_drops: Option<u64>,
}

/// A target.
#[derive(Debug, Clone)]
pub(crate) struct TargetSummary {
    pub(crate) label: String,
    /// Those of the targets file.
    pub(crate) labels: Labels,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) state: State,
    pub(crate) counts: Counts,
    pub(crate) rtt: Figures,
    pub(crate) jitter: Option<Duration>,
    /// Rows of unanswered beats, the most beats and the longest time of one, the time of all.
    pub(crate) loss_runs: u64,
    pub(crate) longest_run: u64,
    pub(crate) longest_outage: Duration,
    pub(crate) outage: Duration,
    pub(crate) stamp: Option<StampSummary>,
    pub(crate) unmet: Vec<Unmet>,
    /// Limits that are to be warned about.
    pub(crate) warned: Vec<Unmet>,
}

/// What STAMP adds.
#[derive(Debug, Clone)]
pub(crate) struct StampSummary {
    pub(crate) split: Split,
    pub(crate) reflector: Reflector,
    /// Round trips with the reflector's own time.
    pub(crate) rtt_total: Figures,
    /// One-way delay variation.
    pub(crate) up: Percentiles,
    pub(crate) down: Percentiles,
}

/// A distribution's figures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) min: Option<Duration>,
    pub(crate) average: Option<Duration>,
    pub(crate) max: Option<Duration>,
    pub(crate) deviation: Option<Duration>,
    pub(crate) percentiles: Percentiles,
    /// The percentiles when an unanswered beat counts as one that took for ever.
    pub(crate) with_loss: Percentiles,
}

/// The percentiles that are told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Percentiles {
    pub(crate) p50: Option<Duration>,
    pub(crate) p90: Option<Duration>,
    pub(crate) p99: Option<Duration>,
}

impl Percentiles {
    fn of(of: impl Fn(Percentile) -> Option<Duration>) -> Self {
        Percentiles { p50: of(Percentile::P50), p90: of(Percentile::P90), p99: of(Percentile::P99) }
    }
}

impl Figures {
    fn of(distribution: &Distribution, missing: u64) -> Self {
        Figures {
            min: distribution.min(),
            average: distribution.average(),
            max: distribution.max(),
            deviation: distribution.deviation(),
            percentiles: Percentiles::of(|p| distribution.percentile(p)),
            with_loss: Percentiles::of(|p| distribution.percentile_with(p, missing)),
        }
    }
}

impl TargetSummary {
    /// The figures of `target`, held against `thresholds`.
    pub(crate) fn of(
        target: &Target,
        labels: Labels,
        thresholds: &Thresholds,
        warnings: &Thresholds,
    ) -> Self {
        let session = &target.session;
        let counts = *session.counts();
        let missing = counts.unanswered();
        let runs = session.runs();
        TargetSummary {
            label: target.label.clone(),
            labels,
            address: target.address(),
            state: session.state(),
            counts,
            rtt: Figures::of(session.rtt(), missing),
            jitter: session.jitter(),
            loss_runs: runs.runs(),
            longest_run: runs.longest(),
            longest_outage: runs.longest_time(),
            outage: runs.outage(),
            stamp: stamp(session, missing),
            unmet: thresholds.unmet(&counts, session.rtt()),
            warned: warnings.beyond("warn", &counts, session.rtt()),
        }
    }

    /// Whether it was answered and met its thresholds.
    pub(crate) fn passed(&self) -> bool {
        self.counts.received > 0 && self.unmet.is_empty()
    }
}

fn stamp(session: &Session, missing: u64) -> Option<StampSummary> {
    let direction = session.direction()?;
    let (up, down) = session.variation()?;
    let variation = |it: &Variation| Percentiles::of(|p| it.percentile(p));
    let counts = session.counts();
    Some(StampSummary {
        split: direction.split(counts.lost, counts.without_direction()),
        reflector: direction.reflector(),
        rtt_total: Figures::of(session.rtt_total()?, missing),
        up: variation(up),
        down: variation(down),
    })
}
