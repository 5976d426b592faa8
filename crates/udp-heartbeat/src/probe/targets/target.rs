//! One target: its name, its address, its session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::endpoint::{Endpoint, ip_text};
use udp_core::service::{Kind, Spec};

use super::asked::Leg;
use super::{PathId, Setup};
use crate::probe::asking::Pace;
use crate::probe::format::{Format, StampSession};
use crate::probe::session::{Rules, Session};
pub(crate) use crate::probe::snapshot::Labels;
use crate::probe::snapshot::{Figures, StampSummary, TargetSnapshot};
use crate::probe::thresholds::Thresholds;
use crate::probe::window::Seq;

/// How often a target that names no service may be beaten without `--fast`.
pub(crate) const FLOOR: Duration = Duration::from_millis(10);

/// A target that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) endpoint: Endpoint,
    /// Which one of its name's addresses it is, where each is a target of its own.
    pub(crate) at: Option<SocketAddr>,
    /// The service that it names, or that is given to it; none for the run's own beats.
    pub(crate) spec: Option<Spec>,
    /// As it was given; none for the default one.
    pub(crate) given: Option<String>,
    pub(crate) labels: Labels,
}

impl Listed {
    /// A target of the run's own beats.
    pub(crate) fn bare(endpoint: Endpoint) -> Self {
        Listed { endpoint, at: None, spec: None, given: None, labels: Labels::new() }
    }

    /// The service, if it is not what a bare target is.
    pub(crate) fn own_spec(&self) -> Option<&Spec> {
        self.spec.as_ref().filter(|spec| !matches!(spec.kind(), Kind::Udp))
    }

    /// What it is called, with the defaults filled in.
    pub(crate) fn label(&self, default_port: u16) -> String {
        let label = match self.own_spec() {
            Some(spec) => spec.label(&self.endpoint),
            None => self.endpoint.label(default_port),
        };
        let Some(at) = self.at else { return label };
        let host = self.endpoint.label(self.port(default_port));
        label.replacen(&host, &format!("{host}@{}", ip_text(at)), 1)
    }

    /// As it was given.
    pub(crate) fn given(&self) -> String {
        self.given.clone().unwrap_or_else(|| self.endpoint.to_string())
    }

    /// Its port, unless it names one.
    pub(crate) fn port(&self, default_port: u16) -> u16 {
        self.own_spec().map_or(default_port, Spec::port)
    }

    /// What is looked up to find it.
    pub(crate) fn key(&self, default_port: u16) -> (Endpoint, u16) {
        key(&self.endpoint, self.port(default_port))
    }

    /// Its interval, by that of the run, which is everybody's if it was given.
    pub(crate) fn interval(&self, run: Duration, given: bool) -> Duration {
        self.own_spec().filter(|_| !given).map_or(run, |spec| spec.entry().interval)
    }

    /// How often it may be asked without `--fast`.
    pub(crate) fn floor(&self) -> Duration {
        self.own_spec().map_or(FLOOR, |spec| spec.entry().floor)
    }

    /// The service, if it is one of its own.
    pub(crate) fn service(&self) -> Option<&Spec> {
        self.spec.as_ref().filter(|spec| spec.service().is_some())
    }
}

fn key(endpoint: &Endpoint, port: u16) -> (Endpoint, u16) {
    (endpoint.clone(), endpoint.port().unwrap_or(port))
}

/// A target.
#[derive(Debug)]
pub(crate) struct Target {
    /// `host:port`, as headers and JSON name it.
    pub(crate) label: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) labels: Arc<Labels>,
    /// How its beats are written.
    pub(crate) format: Arc<Format>,
    /// Its default port.
    pub(crate) port: u16,
    /// Any authentic answer is ok.
    pub(crate) alive: bool,
    /// How far apart its beats are.
    pub(crate) pace: Pace,
    /// It may be sent to so fast only on this host.
    pub(crate) near: bool,
    /// Beats that went on after a challenge.
    pub(super) legs: Vec<Leg>,
    /// What its silence may mean was said.
    pub(super) hinted: bool,
    pub(crate) session: Session,
    pub(crate) stamp: StampSession,
    /// Where its beats go now; none while its name does not resolve.
    pub(crate) place: Option<Place>,
    /// Further addresses of its name, the next one last: whom to ask if this one refuses, as long
    /// as none has answered.
    pub(crate) others: Vec<SocketAddr>,
    /// Why it has no address.
    pub(crate) unresolved: String,
    /// Its newest beat, and the number of that beat's expiry among all that ever were.
    pub(super) newest: (Seq, u64),
    /// Beats that are still to be sent; none for no end.
    pub(crate) left: Option<u64>,
    /// When the closing requests were sent, and whether each was answered.
    pub(crate) counter_probes: Vec<(Mono, bool)>,
    /// Since when it is no target any more.
    pub(crate) retired: Option<Mono>,
}

/// An address and the peer that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) peer: PathId,
}

impl Target {
    pub(super) fn new(
        label: Arc<str>,
        listed: Listed,
        (format, stamp): (Arc<Format>, StampSession),
        setup: &Setup,
        count: Option<u64>,
    ) -> Self {
        let interval = listed.interval(setup.rules.interval, setup.given);
        let near = !setup.fast && interval < listed.floor();
        let accepts_all = listed.spec.as_ref().is_some_and(|spec| spec.accept().is_any());
        let port = listed.port(setup.default_port);
        let Listed { endpoint, labels, .. } = listed;
        let rules = Rules { interval, stamp: format.is_stamp(), ..setup.rules.clone() };
        Target {
            label,
            endpoint,
            labels: Arc::new(labels),
            format,
            port,
            alive: setup.alive || accepts_all,
            pace: Pace::new(interval),
            near,
            legs: Vec::new(),
            hinted: false,
            session: Session::new(&rules),
            stamp,
            place: None,
            others: Vec::new(),
            unresolved: String::new(),
            newest: (Seq(0), 0),
            left: count,
            counter_probes: Vec::new(),
            retired: None,
        }
    }

    /// Its figures, held against `thresholds`.
    pub(crate) fn figures(&self, thresholds: &Thresholds, warnings: &Thresholds) -> TargetSnapshot {
        let session = &self.session;
        let counts = *session.counts();
        let missing = counts.unanswered();
        let runs = session.runs();
        TargetSnapshot {
            label: self.label.to_string(),
            labels: Labels::clone(&self.labels),
            address: self.address(),
            interval: runs.interval(),
            state: session.state(),
            counts,
            rtt: Figures::of(session.rtt(), missing),
            jitter: session.jitter(),
            loss_runs: runs.runs(),
            longest_run: runs.longest(),
            longest_outage: runs.longest_time(),
            outage: runs.outage(),
            stamp: StampSummary::of(session, missing),
            reasons: (self.format.service())
                .map(|_| session.reasons().cloned().unwrap_or_default()),
            unmet: thresholds.unmet(&counts, session.rtt()),
            warned: warnings.beyond("warn", &counts, session.rtt()),
        }
    }

    /// What is looked up to find it.
    pub(crate) fn key(&self) -> (Endpoint, u16) {
        key(&self.endpoint, self.port)
    }

    /// Whether it may be sent to at this address as fast as it is.
    pub(crate) fn admits(&self, address: SocketAddr) -> bool {
        !self.near || address.ip().to_canonical().is_loopback()
    }

    /// The address, if it has one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.place.map(|place| place.address)
    }
}
