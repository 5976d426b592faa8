//! One target: its name, its address, its session.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use udp_core::clock::Mono;
use udp_core::endpoint::Endpoint;

use super::PathId;
use crate::probe::format::StampSession;
use crate::probe::session::{Rules, Session};
use crate::probe::window::Seq;

/// What figures of a target are marked with, by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// A target that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) endpoint: Endpoint,
    pub(crate) labels: Labels,
}

/// A target.
#[derive(Debug)]
pub(crate) struct Target {
    /// `host:port`, as headers and JSON name it.
    pub(crate) label: Arc<str>,
    pub(crate) endpoint: Endpoint,
    pub(crate) labels: Labels,
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
        Listed { endpoint, labels }: Listed,
        stamp: StampSession,
        rules: &Rules,
        count: Option<u64>,
    ) -> Self {
        Target {
            label,
            endpoint,
            labels,
            session: Session::new(rules),
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

    /// The address, if it has one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.place.map(|place| place.address)
    }
}
