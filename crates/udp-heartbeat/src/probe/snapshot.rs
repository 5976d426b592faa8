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
pub(crate) type Labels = BTreeMap<String, String>;

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
    /// How late sends were.
    pub lag_p50: Option<Duration>,
    /// The same.
    pub lag_p99: Option<Duration>,
    /// The same.
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
    /// Rows of unanswered beats, the most beats and the longest time of one, the time of all.
    pub loss_runs: u64,
    /// The most beats of one.
    pub longest_run: u64,
    /// The longest time of one.
    pub longest_outage: Duration,
    /// The time of all.
    pub outage: Duration,
    /// What a STAMP reflector tells.
    pub stamp: Option<StampSummary>,
    /// Of a service: how often each reason was given.
    pub reasons: Option<Reasons>,
    /// Limits that are not met.
    pub unmet: Vec<Unmet>,
    /// Limits that are to be warned about.
    pub warned: Vec<Unmet>,
}

/// What STAMP adds.
#[derive(Debug, Clone)]
pub struct StampSummary {
    pub(crate) split: Split,
    pub(crate) reflector: Reflector,
    /// Round trips with the reflector's own time.
    pub rtt_total: Figures,
    /// One-way delay variation.
    pub up: Percentiles,
    /// On the way back.
    pub down: Percentiles,
    /// Answers in which a time of the reflector could not be read: they are in no one-way figure.
    pub unreadable_times: u64,
}

/// A distribution's figures.
#[derive(Debug, Clone, Copy, Default)]
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

/// The percentiles that are told.
#[derive(Debug, Clone, Copy, Default)]
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
            up: variation(&stamp.forward),
            down: variation(&stamp.back),
            unreadable_times: stamp.unreadable_times,
        })
    }
}
