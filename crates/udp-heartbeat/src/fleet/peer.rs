//! One address, and the ports that its targets' beats leave from.
//!
//! Several targets may have the same address. What keeps them apart is the port that a reply comes
//! back to: a plain beat has its lane to itself whosever it is, and of the targets whose beats name
//! themselves each one keeps to a port of its own.

use udp_core::clock::Mono;
use udp_core::lane::{Arrival, LaneId, Lanes, Lease, Rules};

use crate::schedule::TargetId;
use crate::window::Seq;

/// Whose beat it is and which one.
pub(crate) type Owner = (TargetId, Seq);

/// An address and what is under way to it.
#[derive(Debug)]
pub(crate) struct Peer {
    ports: Ports,
    /// When its ports are to be closed, if no target is there any more.
    pub(crate) retired: Option<Mono>,
}

#[derive(Debug)]
enum Ports {
    /// Plain beats: each leaves by a lane.
    Leased(Box<Leased>),
    /// Beats that name themselves: by slot, whose they are.
    Own(Vec<Option<TargetId>>),
}

#[derive(Debug)]
struct Leased {
    lanes: Lanes<Owner>,
    /// By slot, the lane that is open there.
    open: Vec<Option<LaneId>>,
    targets: Vec<TargetId>,
}

/// Where a beat is to leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) slot: usize,
    pub(crate) lane: Option<LaneId>,
    /// The port whose socket is to be closed before.
    pub(crate) close: Option<usize>,
}

/// Whose a datagram is, by the port it arrived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Of this beat, which has no other reply yet.
    Beat(Owner),
    /// Of this beat, whose time is over.
    Late(Owner),
    /// Of this beat once more, or of nothing.
    Extra(Option<Owner>),
    /// Of this target; which beat is for its content to say.
    Target(TargetId),
}

impl Peer {
    /// `rules` if beats carry no identity.
    pub(crate) fn new(rules: Option<Rules>) -> Self {
        let ports = match rules {
            Some(rules) => Ports::Leased(Box::new(Leased {
                lanes: Lanes::new(rules),
                open: Vec::new(),
                targets: Vec::new(),
            })),
            None => Ports::Own(Vec::new()),
        };
        Peer { ports, retired: None }
    }

    /// `target` has this address from now on.
    pub(crate) fn join(&mut self, target: TargetId) {
        self.retired = None;
        match &mut self.ports {
            Ports::Leased(leased) => leased.targets.push(target),
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

    /// Picks the port for a beat; none if it would have to wait for one.
    pub(crate) fn depart(&mut self, owner: Owner, now: Mono) -> Option<Departure> {
        let (target, _) = owner;
        match &mut self.ports {
            Ports::Own(slots) => {
                let slot = slots.iter().position(|it| *it == Some(target))?;
                Some(Departure { slot, lane: None, close: None })
            }
            Ports::Leased(leased) => {
                let Leased { lanes, open, .. } = &mut **leased;
                let (lane, close) = match lanes.lease(owner, now) {
                    Lease::Reuse(lane) => (lane, None),
                    Lease::Open { lane, close } => (lane, close),
                    Lease::Wait { .. } => return None,
                };
                if open.len() <= lane.slot() {
                    open.resize(lane.slot() + 1, None);
                }
                open[lane.slot()] = Some(lane);
                let close = close.map(LaneId::slot);
                Some(Departure { slot: lane.slot(), lane: Some(lane), close })
            }
        }
    }

    /// No socket could be opened for the beat's port.
    pub(crate) fn unopened(&mut self, lane: Option<LaneId>, exhausted: bool) {
        if let (Ports::Leased(leased), Some(lane)) = (&mut self.ports, lane) {
            leased.lanes.unopened(lane, exhausted);
        }
    }

    /// The beat needs no more replies.
    pub(crate) fn settle(&mut self, lane: Option<LaneId>, now: Mono) {
        if let (Ports::Leased(leased), Some(lane)) = (&mut self.ports, lane) {
            leased.lanes.settle(lane, now);
        }
    }

    /// The beat was not answered in time.
    pub(crate) fn expire(&mut self, lane: Option<LaneId>, now: Mono) {
        if let (Ports::Leased(leased), Some(lane)) = (&mut self.ports, lane) {
            leased.lanes.expire(lane, now);
        }
    }

    /// Whose the datagram is that arrived on the port.
    pub(crate) fn claim(&mut self, slot: usize, now: Mono) -> Claim {
        match &mut self.ports {
            Ports::Leased(leased) => {
                let Leased { lanes, open, .. } = &mut **leased;
                match open.get(slot).copied().flatten().map(|lane| lanes.arrival(lane, now)) {
                    Some(Arrival::Answers(owner)) => Claim::Beat(owner),
                    Some(Arrival::Late(owner)) => Claim::Late(owner),
                    Some(Arrival::Extra(owner)) => Claim::Extra(owner),
                    None => Claim::Extra(None),
                }
            }
            Ports::Own(slots) => match slots.get(slot).copied().flatten() {
                Some(target) => Claim::Target(target),
                None => Claim::Extra(None),
            },
        }
    }

    /// Whose beat an error on the port is about, without changing anything.
    pub(crate) fn concerned(&self, slot: usize) -> Claim {
        match &self.ports {
            Ports::Leased(leased) => {
                let lane = leased.open.get(slot).copied().flatten();
                match lane.and_then(|lane| leased.lanes.outstanding(lane)) {
                    Some(owner) => Claim::Beat(owner),
                    None => Claim::Extra(None),
                }
            }
            Ports::Own(slots) => match slots.get(slot).copied().flatten() {
                Some(target) => Claim::Target(target),
                None => Claim::Extra(None),
            },
        }
    }

    /// A port that is no longer needed: ask until there is none.
    pub(crate) fn close_due(&mut self, now: Mono) -> Option<usize> {
        match &mut self.ports {
            Ports::Leased(leased) => leased.lanes.close_due(now).map(LaneId::slot),
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
