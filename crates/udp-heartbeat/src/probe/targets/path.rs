//! One address, and the ports that its targets' beats leave from.
//!
//! Several targets may have the same address. What keeps them apart is the port that a reply comes
//! back to: a plain beat has its source port to itself whosever it is, and of the targets whose beats name
//! themselves each one keeps to a port of its own.

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port::{Arrival, Lease, PortId, PortPool, Rules};

use crate::probe::schedule::TargetId;
use crate::probe::window::Seq;

/// Ports that a target whose beats name themselves leaves from in turn.
const OWN_SLOTS: usize = 4;

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
    Own(Vec<Own>),
}

/// A port that one target's beats leave from.
#[derive(Debug)]
struct Own {
    target: TargetId,
    /// Since when beats leave from another one of the target's.
    left: Option<Mono>,
    /// Its socket is to be a new one.
    renew: bool,
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
            Ports::Own(slots) if slots.iter().any(|own| own.target == target) => {}
            Ports::Own(slots) => slots.push(Own { target, left: None, renew: false }),
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
            Ports::Own(slots) => slots.iter().all(|own| own.target == target),
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
                let current = |own: &Own| own.target == target && own.left.is_none();
                let slot = slots.iter().position(current)?;
                let close = std::mem::take(&mut slots[slot].renew).then_some(slot);
                Some(Departure { slot, port_id: None, close })
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

    /// The target's beats are to leave from another source port, if they keep to one: a router or
    /// firewall may have forgotten, or remember wrongly, whose this one is. A port that was left
    /// is closed and used again after `rest`, when nothing in time can come there any more.
    pub(crate) fn renew(&mut self, target: TargetId, rest: Duration, now: Mono) {
        let Ports::Own(slots) = &mut self.ports else { return };
        let own = || (0..).zip(slots.iter()).filter(|(_, own)| own.target == target);
        let current: Option<usize> = own().find(|(_, own)| own.left.is_none()).map(|(n, _)| n);
        let idle = own().filter_map(|(n, own)| Some((own.left?, n))).min();
        let (Some(current), count) = (current, own().count()) else { return };
        match idle {
            _ if count < OWN_SLOTS => slots.push(Own { target, left: None, renew: false }),
            Some((left, slot)) if left + rest <= now => {
                slots[slot] = Own { target, left: None, renew: true };
            }
            _ => return,
        }
        slots[current].left = Some(now);
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
            Ports::Own(slots) => owner(slots, slot),
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
            Ports::Own(slots) => owner(slots, slot),
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
            Ports::Own(slots) => slots.first().map(|own| own.target),
        }
    }
}

fn owner(slots: &[Own], slot: usize) -> Owner {
    slots.get(slot).map_or(Owner::Extra(None), |own| Owner::Target(own.target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn after_losses_beats_leave_from_a_few_ports_in_turn() {
        let rest = Duration::from_millis(100);
        let mut path = Path::new(SocketAddr::from(([127, 0, 0, 1], 7)), None);
        path.join(5);
        path.join(9);
        let mut departures = Vec::new();
        for ms in (0..).step_by(40).take(9) {
            let departure = path.depart((5, Seq(1)), at(ms)).unwrap();
            departures.push((departure.slot, departure.close));
            path.renew(5, rest, at(ms));
            assert_eq!(path.depart((9, Seq(1)), at(ms)).map(|it| it.slot), Some(1));
        }
        // The first is used again, by a new socket, once nothing in time can come to the old one.
        let fresh = [(0, None), (2, None), (3, None), (4, None)];
        let again = [(0, Some(0)), (2, Some(2)), (3, Some(3)), (4, Some(4)), (0, Some(0))];
        assert_eq!(departures, [&fresh[..], &again[..]].concat());
        assert!((0..5).all(|slot| path.claim(slot, at(0)) == Owner::Target(if slot == 1 { 9 } else { 5 })));
        // A reply may still come to all others: it stays.
        for ms in [400, 401, 402, 403, 404, 405] {
            path.renew(5, rest, at(ms));
        }
        assert_eq!(path.depart((5, Seq(1)), at(405)).map(|it| it.close), Some(Some(4)));
    }
}
