//! The figures of a run at one moment: at its end, or between two beats.
//!
//! Owned values that another thread can keep.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Wall;

use crate::probe::asking::Reasons;
use crate::probe::session::{Counts, Session};
use crate::probe::state::State;
use crate::probe::stats::direction::{Reflector, Split};
use crate::probe::stats::distribution::{Distribution, Percentile};
use crate::probe::stats::variation::Variation;
use crate::probe::thresholds::Unmet;

/// What figures of a target are marked with, by name.
pub type Labels = BTreeMap<String, String>;

/// The figures of a run at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// When.
    pub at: Wall,
    /// In the order they were named; at least one.
    pub targets: Vec<TargetSnapshot>,
    /// The counts of all targets.
    pub totals: Counts,
    /// Whether answers can be other than ok.
    pub judged: bool,
    /// How late sends were: the median.
    pub lag_p50: Option<Duration>,
    /// The 99th percentile of it.
    pub lag_p99: Option<Duration>,
    /// The greatest.
    pub lag_max: Option<Duration>,
    /// The first sender of an unsolicited datagram that was never asked.
    pub unsolicited_from: Option<SocketAddr>,
    /// Datagrams that found a receive queue of ours full; None where the kernel does not count.
    pub kernel_drops: Option<u64>,
}

/// The figures of a target.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TargetSnapshot {
    /// `host:port`.
    pub label: String,
    /// Those of the targets file.
    pub labels: Labels,
    /// Where it is now; none while its name does not resolve.
    pub address: Option<SocketAddr>,
    /// How far apart its beats are, unless it asks for less.
    pub interval: Duration,
    /// How it is.
    pub state: State,
    /// How many beats ended how.
    pub counts: Counts,
    /// Round trips.
    pub rtt: Figures,
    /// Interarrival jitter of the round trips (RFC 3550 §6.4.1).
    pub jitter: Option<Duration>,
    /// How many times beats in a row were unanswered (RFC 3357's loss periods).
    pub loss_runs: u64,
    /// The most beats in a row that were.
    pub longest_run: u64,
    /// The longest time for which they were.
    pub longest_outage: Duration,
    /// The time of all such rows together.
    pub outage: Duration,
    /// What a STAMP reflector tells; none of other targets.
    pub stamp: Option<StampSummary>,
    /// Of a service: how often each reason was given.
    pub reasons: Option<Reasons>,
    /// Why it has not passed, if so: limits of the program's options, and that nothing was answered.
    pub unmet: Vec<Unmet>,
    /// Limits that a monitoring plugin warns about.
    pub warned: Vec<Unmet>,
}

/// What STAMP adds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StampSummary {
    /// In which direction the lost beats were lost.
    pub split: Split,
    /// Whether the reflector counts what it answers, without which no direction is known.
    pub reflector: Reflector,
    /// Round trips with the reflector's own time.
    pub rtt_total: Figures,
    /// One-way delay variation on the way there (RFC 5481's PDV).
    pub variation_forward: Percentiles,
    /// On the way back.
    pub variation_back: Percentiles,
    /// Answers in which a time of the reflector could not be read: they are in no one-way figure.
    pub unreadable_times: u64,
}

/// A distribution's figures.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Figures {
    /// The least.
    pub min: Option<Duration>,
    /// The mean.
    pub average: Option<Duration>,
    /// The greatest.
    pub max: Option<Duration>,
    /// The standard deviation of them all.
    pub deviation: Option<Duration>,
    /// Those that the sample supports.
    pub percentiles: Percentiles,
    /// The percentiles when an unanswered beat counts as one that took for ever.
    pub with_loss: Percentiles,
}

/// The percentiles that are reported.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Percentiles {
    /// The median.
    pub p50: Option<Duration>,
    /// The 90th.
    pub p90: Option<Duration>,
    /// The 99th.
    pub p99: Option<Duration>,
}

impl Percentiles {
    fn of(of: impl Fn(Percentile) -> Option<Duration>) -> Self {
        Percentiles { p50: of(Percentile::P50), p90: of(Percentile::P90), p99: of(Percentile::P99) }
    }
}

impl Figures {
    pub(crate) fn of(distribution: &Distribution, missing: u64) -> Self {
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

impl TargetSnapshot {
    /// Whether it was answered and met its thresholds.
    pub fn passed(&self) -> bool {
        self.counts.received > 0 && self.unmet.is_empty()
    }
}

impl StampSummary {
    pub(crate) fn of(session: &Session, missing: u64) -> Option<StampSummary> {
        let stamp = session.stamp()?;
        let variation = |it: &Variation| Percentiles::of(|p| it.percentile(p));
        let counts = session.counts();
        Some(StampSummary {
            split: stamp.direction.split(counts.lost, counts.without_direction()),
            reflector: stamp.direction.reflector(),
            rtt_total: Figures::of(&stamp.rtt_total, missing),
            variation_forward: variation(&stamp.forward),
            variation_back: variation(&stamp.back),
            unreadable_times: stamp.unreadable_times,
        })
    }
}
