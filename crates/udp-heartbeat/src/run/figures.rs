//! Snapshots of all figures, taken a few targets at a time, so that no beat is late for them.

use std::time::Duration;

use crossbeam_channel::Sender;
use udp_core::clock::{self, Mono};

use super::engine::{Engine, Fixed, TICK, Taken, Taking};
use crate::probe::counts::Counts;
use crate::probe::meter::{Meter, Meters};
use crate::probe::schedule::TargetId;
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::stats::distribution::Percentile;

/// How long the figures of a target take, and more.
const EACH: Duration = Duration::from_micros(100);

impl Engine {
    /// Takes the figures, without haste, for whoever waits for them there.
    pub(super) fn begin_figures(&mut self, to: Sender<Snapshot>) {
        self.begin(Taken::Figures(self.snapshot(&[]), to));
    }

    /// The same for a scrape.
    pub(super) fn begin_meters(&mut self, to: Sender<Meters>) {
        let meters = self.meters();
        self.begin(Taken::Meters(meters, to));
    }

    fn begin(&mut self, taken: Taken) {
        let rest = self.targets.present().collect::<Vec<_>>().into_iter();
        self.taking.push_back(Taking { rest, taken });
    }

    /// What a scrape reads of all targets.
    pub(crate) fn meters_of_all(&mut self) -> Meters {
        let present: Vec<TargetId> = self.targets.present().collect();
        let mut meters = self.meters();
        meters.targets =
            present.into_iter().map(|id| Meter::of(self.targets.target_mut(id))).collect();
        meters
    }

    /// What a scrape reads beside targets.
    fn meters(&mut self) -> Meters {
        Meters {
            targets: Vec::new(),
            lag: self.lag_buckets.clone().unwrap_or_default(),
            kernel_drops: self.ports.lost_in_host(),
            judged: self.fixed.judged,
        }
    }

    /// Takes the figures of a few targets, one at least and as many as there is time for until the next beat.
    pub(super) fn take_figures(&mut self) {
        let Some(mut taking) = self.taking.pop_front() else { return };
        let end = clock::mono() + TICK;
        for id in taking.rest.by_ref() {
            match &mut taking.taken {
                Taken::Figures(snapshot, _) => snapshot.targets.push(self.figures(id)),
                Taken::Meters(meters, _) => {
                    meters.targets.push(Meter::of(self.targets.target_mut(id)));
                }
            }
            let now = clock::mono();
            if now >= end || !self.is_idle(now) {
                break;
            }
        }
        if !taking.rest.as_slice().is_empty() {
            return self.taking.push_front(taking);
        }
        // Who asked may have gone.
        match taking.taken {
            Taken::Figures(mut snapshot, to) => {
                self.complete(&mut snapshot);
                drop(to.try_send(snapshot));
            }
            Taken::Meters(meters, to) => drop(to.try_send(meters)),
        }
    }

    /// Whether more figures are to be taken at once.
    pub(super) fn has_time_for_figures(&self, now: Mono) -> bool {
        !self.taking.is_empty() && self.is_idle(now)
    }

    /// Whether there is time for a target's figures before the next beat.
    fn is_idle(&self, now: Mono) -> bool {
        self.next_send().is_none_or(|due| now + EACH < due)
    }

    fn figures(&self, id: TargetId) -> TargetSnapshot {
        let Fixed { thresholds, warnings, .. } = &self.fixed;
        self.targets.target(id).figures(thresholds, warnings)
    }

    /// The figures of these targets until now, held against the thresholds.
    pub(crate) fn snapshot(&self, targets: &[TargetId]) -> Snapshot {
        let targets: Vec<TargetSnapshot> = targets.iter().map(|id| self.figures(*id)).collect();
        let mut totals = Counts::default();
        targets.iter().for_each(|target| totals.add(&target.counts));
        Snapshot {
            at: clock::wall(),
            targets,
            totals,
            judged: self.fixed.judged,
            lag_p50: self.lag.percentile(Percentile::P50),
            lag_p99: self.lag.percentile(Percentile::P99),
            lag_max: self.lag.max(),
            unsolicited_from: None,
            kernel_drops: None,
        }
    }

    /// The figures of all targets, and what is no target's.
    pub(crate) fn snapshot_of_all(&mut self) -> Snapshot {
        let present: Vec<TargetId> = self.targets.present().collect();
        let mut snapshot = self.snapshot(&present);
        self.complete(&mut snapshot);
        snapshot
    }

    /// Adds what is no target's.
    fn complete(&mut self, snapshot: &mut Snapshot) {
        snapshot.totals = Counts { unsolicited: self.targets.strangers(), ..Counts::default() };
        snapshot.targets.iter().for_each(|target| snapshot.totals.add(&target.counts));
        snapshot.unsolicited_from = self.targets.unsolicited_from();
        snapshot.kernel_drops = self.ports.lost_in_host();
    }
}
