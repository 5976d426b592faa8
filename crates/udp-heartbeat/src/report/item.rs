//! The values that are sent to the printer: owned, with all that is printed of them, so that
//! another thread can render them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::Wall;
use udp_core::service::{Entry, Kind as Protocol, Reply, Spec};

use super::held::Held;
use super::show::Kind;
use crate::probe::schedule::Spacing;
use crate::probe::session::{Interval, Received};
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::state::Change;
use crate::probe::targets::Labels;

/// What goes to the printer.
#[derive(Debug)]
pub(crate) enum Item {
    /// The run begins.
    Start(Box<Start>),
    /// Something happened to a target.
    Record(Record),
    /// The list of targets was read again.
    Reloaded(Reloaded),
    /// The run is over, or that of one target is.
    Summary(Box<Snapshot>),
}

/// How many targets there are now, and what has changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reloaded {
    pub(crate) at: Wall,
    pub(crate) targets: usize,
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

/// What runs.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) at: Wall,
    pub(crate) targets: Vec<StartTarget>,
    /// Those that were named more than once.
    pub(crate) twice: Vec<String>,
    pub(crate) mode: &'static str,
    /// Bytes of a beat.
    pub(crate) bytes: usize,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) count: Option<u64>,
    pub(crate) spacing: Spacing,
    /// Whose clock stamps replies.
    pub(crate) clock: &'static str,
}

/// A target at the start.
#[derive(Debug, Clone)]
pub(crate) struct StartTarget {
    pub(crate) label: String,
    /// None if its name has not resolved.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) labels: Labels,
}

impl From<TargetSnapshot> for StartTarget {
    fn from(target: TargetSnapshot) -> Self {
        let TargetSnapshot { label, address, labels, .. } = target;
        StartTarget { label: label.to_string(), address, labels }
    }
}

/// An event of a target.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) at: Wall,
    /// The target's name, `host:port`.
    pub(crate) label: Arc<str>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) language: Language,
    pub(crate) event: ReportEvent,
}

/// What a target's datagrams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Language {
    /// The run's own payload.
    #[default]
    Own,
    Stamp,
    /// A service's; whether they hold a secret.
    Service {
        scheme: &'static str,
        secret: bool,
    },
}

impl Language {
    pub(crate) fn of(spec: &Spec) -> Language {
        match spec.kind() {
            Protocol::Udp => Language::Own,
            Protocol::Stamp => Language::Stamp,
            Protocol::Service(service) => {
                Language::Service { scheme: spec.entry().scheme, secret: service.is_secret() }
            }
        }
    }

    /// Whether they are STAMP's; `own` says it of the run's own.
    pub(crate) fn is_stamp(self, own: bool) -> bool {
        match self {
            Language::Own => own,
            Language::Stamp => true,
            Language::Service { .. } => false,
        }
    }
}

/// What a service said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) entry: &'static Entry,
    pub(crate) reply: Reply,
}

/// What happened, with all that is printed of it.
#[derive(Debug)]
pub(crate) enum ReportEvent {
    Sent {
        seq: u64,
        bytes: Held,
    },
    Reply {
        seq: u64,
        reply: Received,
        bytes: Held,
        said: Option<Box<Answer>>,
    },
    Late {
        seq: u64,
        rtt: Duration,
        bytes: Held,
    },
    Duplicate {
        seq: u64,
        rtt: Duration,
        bytes: Held,
    },
    Lost {
        seq: u64,
    },
    Refused {
        seq: u64,
    },
    Error {
        seq: Option<u64>,
        reason: String,
    },
    State(StateChange),
    Interval(Interval),
    /// The target is at another address now; it had none if there was none before.
    Moved {
        from: Option<SocketAddr>,
    },
}

impl ReportEvent {
    /// Which event it is, if it can be left out.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Some(match self {
            ReportEvent::Sent { .. } => Kind::Sent,
            ReportEvent::Reply { .. } => Kind::Reply,
            ReportEvent::Late { .. } => Kind::Late,
            ReportEvent::Duplicate { .. } => Kind::Duplicate,
            ReportEvent::Lost { .. } => Kind::Lost,
            ReportEvent::Refused { .. } => Kind::Refused,
            ReportEvent::Error { .. } => Kind::Error,
            ReportEvent::State(_) => Kind::State,
            ReportEvent::Interval(_) => Kind::Interval,
            ReportEvent::Moved { .. } => return None,
        })
    }
}

/// A change of state with its facts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StateChange {
    pub(crate) change: Change,
    /// When the new state began.
    pub(crate) since: Wall,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// What a service gave as its reason, where the change has none.
    pub(crate) said: Option<String>,
}

impl StateChange {
    /// Why.
    pub(crate) fn reason(&self) -> Option<String> {
        self.change.reason.map(|reason| reason.to_string()).or_else(|| self.said.clone())
    }
}
