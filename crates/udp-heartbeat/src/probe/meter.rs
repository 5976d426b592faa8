//! The counters that a scrape reads: they never decrease, and none takes long to compute.
//!
//! A beat that was refused may still be answered, and a beat that was lost may still get its direction:
//! these are counted once that is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::Mono;

use crate::probe::session::Session;
use crate::probe::state::State;
use crate::probe::stats::buckets::Buckets;
use crate::probe::stats::direction::Split;
use crate::probe::targets::{Labels, Target};
use crate::probe::verdict::Verdicts;
use crate::probe::window::Class;

/// What is read of a run.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    pub(crate) targets: Vec<Meter>,
    /// How late sends were.
    pub(crate) lag: Buckets,
    pub(crate) kernel_drops: Option<u64>,
    /// Whether answers can be other than ok.
    pub(crate) judged: bool,
}

/// What is read of a target.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    pub(crate) label: Arc<str>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) state: State,
    pub(crate) state_changes: u64,
    pub(crate) last_reply: Option<Mono>,
    pub(crate) rtt: Option<Buckets>,
    pub(crate) jitter: Option<Duration>,
    pub(crate) counts: Counted,
    /// Numbers of a service's newest answer, by name.
    pub(crate) facts: Vec<(&'static str, i64)>,
}

/// How many beats ended how, for good.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    pub(crate) unsolicited: u64,
    pub(crate) slots_skipped: u64,
    pub(crate) verdicts: Verdicts,
    /// With STAMP.
    pub(crate) split: Option<Split>,
}

impl Meter {
    /// Reads the target; what it counts by direction grows by that.
    pub(crate) fn of(target: &mut Target) -> Meter {
        let session = &mut target.session;
        Meter {
            counts: Counted::of(session),
            label: Arc::clone(&target.label),
            labels: Arc::clone(&target.labels),
            address: target.place.map(|place| place.address),
            state: session.state(),
            state_changes: session.state_changes(),
            last_reply: session.last_reply(),
            rtt: session.buckets().cloned(),
            jitter: session.jitter(),
            facts: session.facts().to_vec(),
        }
    }
}

impl Counted {
    fn of(session: &mut Session) -> Counted {
        let counts = *session.counts();
        let open = match counts.refused {
            0 => 0,
            _ => session.open().filter(|(_, beat)| beat.class == Class::Refused).count() as u64,
        };
        let (lost, refused) = (counts.lost - open, counts.refused - open);
        // Refused beats have no direction: those that are open are in neither figure.
        let without = counts.without_direction() - open;
        Counted {
            sent: counts.sent,
            received: counts.received,
            lost,
            late: counts.late,
            refused,
            failed: counts.failed,
            duplicates: counts.duplicate,
            reordered: counts.reordered,
            unsolicited: counts.unsolicited,
            slots_skipped: counts.slots_skipped,
            verdicts: counts.verdicts,
            split: session.grow_split(lost, without),
        }
    }
}
