//! One address, and the ports that its targets' beats leave from.
//!
//! Several targets may have the same address. What keeps them apart is the port that a reply comes
//! back to: a plain beat has its source port to itself whosever it is, and of the targets whose beats name
//! themselves each one keeps to a port of its own.

use std::net::SocketAddr;

use udp_core::clock::Mono;
use udp_core::source_port::{Arrival, Lease, PortId, PortPool, Rules};

use crate::probe::schedule::TargetId;
use crate::probe::window::Seq;

/// Whose beat it is and which one.
pub(crate) type BeatKey = (TargetId, Seq);

/// An address and what is under way to it.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    ports: Ports,
    /// When it is to be given up, if no target is there any more.
    pub(crate) free_at: Option<Mono>,
}

#[derive(Debug)]
enum Ports {
    /// Plain beats: each leaves by a source port.
    Leased(Box<Leased>),
    /// Beats that name themselves: by slot, whose they are.
    Own(Vec<Option<TargetId>>),
}

#[derive(Debug)]
struct Leased {
    pool: PortPool<BeatKey>,
    /// By slot, the source port that is open there.
    open: Vec<Option<PortId>>,
    targets: Vec<TargetId>,
}

/// Where a beat is to leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) slot: usize,
    pub(crate) port_id: Option<PortId>,
    /// The port whose socket is to be closed before.
    pub(crate) close: Option<usize>,
}

/// Whose a datagram is, by the port it arrived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Of this beat, which has no other reply yet.
    Beat(BeatKey),
    /// Of this beat, whose time is over.
    Late(BeatKey),
    /// Of this beat once more, or of nothing.
    Extra(Option<BeatKey>),
    /// Of this target; which beat is for its content to say.
    Target(TargetId),
}

impl Path {
    /// `rules` if beats carry no identity.
    pub(crate) fn new(address: SocketAddr, rules: Option<Rules>) -> Self {
        let ports = match rules {
            Some(rules) => Ports::Leased(Box::new(Leased {
                pool: PortPool::new(rules),
                open: Vec::new(),
                targets: Vec::new(),
            })),
            None => Ports::Own(Vec::new()),
        };
        Path { address, ports, free_at: None }
    }

    /// `target` has this address from now on.
    pub(crate) fn join(&mut self, target: TargetId) {
        self.free_at = None;
        match &mut self.ports {
            Ports::Leased(leased) => leased.targets.push(target),
            // It may have been here before.
            Ports::Own(slots) if slots.contains(&Some(target)) => {}
            Ports::Own(slots) => match slots.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) => *slot = Some(target),
                None => slots.push(Some(target)),
            },
        }
    }

    /// `target` is elsewhere. True if nobody is left.
    pub(crate) fn leave(&mut self, target: TargetId) -> bool {
        match &mut self.ports {
            Ports::Leased(leased) => {
                leased.targets.retain(|it| *it != target);
                leased.targets.is_empty()
            }
            // Its port stays its own, or its late replies would be another's.
            Ports::Own(slots) => slots.iter().flatten().all(|it| *it == target),
        }
    }

    /// Its ports are needed elsewhere: what is under way comes to nobody.
    pub(crate) fn abandon(&mut self) {
        if let Ports::Leased(leased) = &mut self.ports {
            leased.pool.clear();
            leased.open.clear();
        }
    }

    /// Picks the port for a beat; none if it would have to wait for one.
    pub(crate) fn depart(&mut self, owner: BeatKey, now: Mono) -> Option<Departure> {
        let (target, _) = owner;
        match &mut self.ports {
            Ports::Own(slots) => {
                let slot = slots.iter().position(|it| *it == Some(target))?;
                Some(Departure { slot, port_id: None, close: None })
            }
            Ports::Leased(leased) => {
                let Leased { pool, open, .. } = &mut **leased;
                let (port_id, close) = match pool.lease(owner, now) {
                    Lease::Reuse(port_id) => (port_id, None),
                    Lease::Open { port_id, close } => (port_id, close),
                    Lease::Wait { .. } => return None,
                };
                if open.len() <= port_id.slot() {
                    open.resize(port_id.slot() + 1, None);
                }
                open[port_id.slot()] = Some(port_id);
                let close = close.map(PortId::slot);
                Some(Departure { slot: port_id.slot(), port_id: Some(port_id), close })
            }
        }
    }

    /// No socket could be opened for the beat's port.
    pub(crate) fn unopened(&mut self, port_id: Option<PortId>, exhausted: bool) {
        if let (Ports::Leased(leased), Some(port_id)) = (&mut self.ports, port_id) {
            leased.pool.unopened(port_id, exhausted);
        }
    }

    /// The beat needs no more replies.
    pub(crate) fn settle(&mut self, port_id: Option<PortId>, now: Mono) {
        if let (Ports::Leased(leased), Some(port_id)) = (&mut self.ports, port_id) {
            leased.pool.settle(port_id, now);
        }
    }

    /// The beat was not answered in time.
    pub(crate) fn expire(&mut self, port_id: Option<PortId>, now: Mono) {
        if let (Ports::Leased(leased), Some(port_id)) = (&mut self.ports, port_id) {
            leased.pool.expire(port_id, now);
        }
    }

    /// Whose the datagram is that arrived on the port.
    pub(crate) fn claim(&mut self, slot: usize, now: Mono) -> Owner {
        match &mut self.ports {
            Ports::Leased(leased) => {
                let Leased { pool, open, .. } = &mut **leased;
                match open.get(slot).copied().flatten().map(|port_id| pool.arrival(port_id, now)) {
                    Some(Arrival::Answers(owner)) => Owner::Beat(owner),
                    Some(Arrival::Late(owner)) => Owner::Late(owner),
                    Some(Arrival::Extra(owner)) => Owner::Extra(owner),
                    None => Owner::Extra(None),
                }
            }
            Ports::Own(slots) => match slots.get(slot).copied().flatten() {
                Some(target) => Owner::Target(target),
                None => Owner::Extra(None),
            },
        }
    }

    /// Whose beat an error on the port is about, without changing anything.
    pub(crate) fn concerned(&self, slot: usize) -> Owner {
        match &self.ports {
            Ports::Leased(leased) => {
                let port_id = leased.open.get(slot).copied().flatten();
                match port_id.and_then(|port_id| leased.pool.outstanding(port_id)) {
                    Some(owner) => Owner::Beat(owner),
                    None => Owner::Extra(None),
                }
            }
            Ports::Own(slots) => match slots.get(slot).copied().flatten() {
                Some(target) => Owner::Target(target),
                None => Owner::Extra(None),
            },
        }
    }

    /// A port that is no longer needed: ask until there is none.
    pub(crate) fn close_due(&mut self, now: Mono) -> Option<usize> {
        match &mut self.ports {
            Ports::Leased(leased) => leased.pool.close_due(now).map(PortId::slot),
            Ports::Own(_) => None,
        }
    }

    /// One of the targets that have this address.
    pub(crate) fn some_target(&self) -> Option<TargetId> {
        match &self.ports {
            Ports::Leased(leased) => leased.targets.first().copied(),
            Ports::Own(slots) => slots.iter().flatten().next().copied(),
        }
    }
}
