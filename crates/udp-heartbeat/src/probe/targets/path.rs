//! One remote address and the source ports that the beats to it leave from; targets with the same
//! address share it.
//!
//! Several targets may have the same address. What keeps them apart is the port that a reply comes
//! back to: a plain beat has its source port to itself whosever it is, and of the targets whose beats name
//! themselves each one keeps to a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port::{Arrival, Lease, PortId, PortPool, Rules};

use crate::probe::schedule::TargetId;
use crate::probe::window::Seq;

/// Ports that a target whose beats name themselves leaves from in turn.
const OWN_SLOTS: usize = 4;
/// The first slot of those who come second to an address where both kinds of beats go.
const APART: usize = 1 << 20;

/// Whose beat it is and which one.
pub(crate) type BeatKey = (TargetId, Seq);

/// An address and what is under way to it.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    /// Plain beats: each leaves by a source port.
    leased: Option<Box<Leased>>,
    /// Beats that name themselves: by slot, whose they are.
    own: Vec<Own>,
    /// The first slot of those, apart from the leased ones.
    own_base: usize,
    /// What a service asked to remember, by slot.
    kept: BTreeMap<usize, Vec<u8>>,
    /// The network has said why nothing arrives.
    pub(crate) explained: bool,
    /// When it is to be given up, if no target is there any more.
    pub(crate) free_at: Option<Mono>,
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
    /// By slot, the source port that is open there, and the beat that left from it last.
    open: Vec<Option<(PortId, BeatKey)>>,
    /// The first slot.
    base: usize,
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
    pub(crate) fn new(address: SocketAddr) -> Self {
        let (own, kept) = (Vec::new(), BTreeMap::new());
        Path { address, leased: None, own, own_base: 0, kept, explained: false, free_at: None }
    }

    /// `target` has this address from now on; `rules` if its beats carry no identity.
    pub(crate) fn join(&mut self, target: TargetId, rules: Option<Rules>) {
        self.free_at = None;
        match rules {
            Some(rules) => {
                let base = if self.own.is_empty() { 0 } else { APART };
                let new = || {
                    let (pool, open, targets) = (PortPool::new(rules), Vec::new(), Vec::new());
                    Box::new(Leased { pool, open, base, targets })
                };
                self.leased.get_or_insert_with(new).targets.push(target);
            }
            // It may have been here before.
            None if self.own.iter().any(|own| own.target == target) => {}
            None => {
                if self.own.is_empty() && self.leased.is_some() {
                    self.own_base = APART;
                }
                self.own.push(Own { target, left: None, renew: false });
            }
        }
    }

    /// `target` is elsewhere. True if nobody is left.
    pub(crate) fn leave(&mut self, target: TargetId) -> bool {
        let leased = self.leased.as_mut().is_none_or(|leased| {
            leased.targets.retain(|it| *it != target);
            leased.targets.is_empty()
        });
        // Its port stays its own, or its late replies would be another's.
        leased && self.own.iter().all(|own| own.target == target)
    }

    /// Its ports are needed elsewhere: what is under way comes to nobody.
    pub(crate) fn abandon(&mut self) {
        if let Some(leased) = &mut self.leased {
            leased.pool.clear();
            leased.open.clear();
        }
    }

    /// Picks the port for a beat; none if it would have to wait for one.
    pub(crate) fn depart(&mut self, owner: BeatKey, now: Mono) -> Option<Departure> {
        let (target, _) = owner;
        if let Some(index) = self.current(target) {
            let slot = self.own_base + index;
            let close = std::mem::take(&mut self.own[index].renew).then_some(slot);
            return Some(Departure { slot, port_id: None, close });
        }
        let Leased { pool, open, base, .. } = &mut **self.leased.as_mut()?;
        let (port_id, close) = match pool.lease(owner, now) {
            Lease::Reuse(port_id) => (port_id, None),
            Lease::Open { port_id, close } => (port_id, close),
            Lease::Wait { .. } => return None,
        };
        if open.len() <= port_id.slot() {
            open.resize(port_id.slot() + 1, None);
        }
        open[port_id.slot()] = Some((port_id, owner));
        let close = close.map(|id| *base + id.slot());
        Some(Departure { slot: *base + port_id.slot(), port_id: Some(port_id), close })
    }

    /// Where the target's beats leave from, if it is one of those that keep to a port.
    fn current(&self, target: TargetId) -> Option<usize> {
        self.own.iter().position(|own| own.target == target && own.left.is_none())
    }

    /// The slot that a beat of the target leaves from.
    pub(crate) fn slot(&self, target: TargetId, port_id: Option<PortId>) -> Option<usize> {
        match port_id {
            Some(port_id) => self.leased.as_ref().map(|leased| leased.base + port_id.slot()),
            None => self.current(target).map(|index| self.own_base + index),
        }
    }

    /// What a service asked to remember at the slot.
    pub(crate) fn kept(&self, slot: usize) -> &[u8] {
        self.kept.get(&slot).map_or(&[], Vec::as_slice)
    }

    /// A service asks to remember this at the slot.
    pub(crate) fn keep(&mut self, slot: usize, bytes: Vec<u8>) {
        self.kept.insert(slot, bytes);
    }

    /// The target's beats are to leave from another source port, if they keep to one: a router or
    /// firewall may have forgotten, or remember wrongly, whose this one is. A port that was left
    /// is closed and used again after `rest`, when nothing in time can come there any more. True if
    /// there is another one.
    pub(crate) fn renew(&mut self, target: TargetId, rest: Duration, now: Mono) -> bool {
        let slots = &mut self.own;
        let own = || (0..).zip(slots.iter()).filter(|(_, own)| own.target == target);
        let current: Option<usize> = own().find(|(_, own)| own.left.is_none()).map(|(n, _)| n);
        let idle = own().filter_map(|(n, own)| Some((own.left?, n))).min();
        let (Some(current), count) = (current, own().count()) else { return false };
        match idle {
            _ if count < OWN_SLOTS => slots.push(Own { target, left: None, renew: false }),
            Some((left, slot)) if left + rest <= now => {
                slots[slot] = Own { target, left: None, renew: true };
            }
            _ => return false,
        }
        slots[current].left = Some(now);
        true
    }

    /// No socket could be opened for the beat's port.
    pub(crate) fn unopened(&mut self, port_id: Option<PortId>, exhausted: bool) {
        if let (Some(leased), Some(port_id)) = (&mut self.leased, port_id) {
            leased.pool.unopened(port_id, exhausted);
        }
    }

    /// The beat needs no more replies.
    pub(crate) fn settle(&mut self, port_id: Option<PortId>, now: Mono) {
        if let (Some(leased), Some(port_id)) = (&mut self.leased, port_id) {
            leased.pool.settle(port_id, now);
        }
    }

    /// The beat was not answered in time.
    pub(crate) fn expire(&mut self, port_id: Option<PortId>, now: Mono) {
        if let (Some(leased), Some(port_id)) = (&mut self.leased, port_id) {
            leased.pool.expire(port_id, now);
        }
    }

    /// Whose the datagram is that arrived on the port.
    pub(crate) fn claim(&mut self, slot: usize, now: Mono) -> Owner {
        if let Some(owner) = self.owner(slot) {
            return owner;
        }
        let Some(port_id) = self.leased_at(slot).map(|(port_id, _)| port_id) else {
            return Owner::Extra(None);
        };
        match self.leased.as_mut().map(|leased| leased.pool.arrival(port_id, now)) {
            Some(Arrival::Answers(owner)) => Owner::Beat(owner),
            Some(Arrival::Late(owner)) => Owner::Late(owner),
            Some(Arrival::Extra(owner)) => Owner::Extra(owner),
            None => Owner::Extra(None),
        }
    }

    /// Whose beat an error on the port is about, without changing anything.
    pub(crate) fn concerned(&self, slot: usize) -> Owner {
        if let Some(owner) = self.owner(slot) {
            return owner;
        }
        let leased = self.leased_at(slot).zip(self.leased.as_ref());
        match leased.and_then(|((port_id, _), leased)| leased.pool.outstanding(port_id)) {
            Some(owner) => Owner::Beat(owner),
            None => Owner::Extra(None),
        }
    }

    /// The beat that left last from a port whose beats are known by it alone.
    pub(crate) fn newest(&self, slot: usize) -> Option<BeatKey> {
        self.leased_at(slot).map(|(_, owner)| owner)
    }

    fn leased_at(&self, slot: usize) -> Option<(PortId, BeatKey)> {
        let leased = self.leased.as_ref()?;
        leased.open.get(slot.checked_sub(leased.base)?).copied().flatten()
    }

    fn owner(&self, slot: usize) -> Option<Owner> {
        let own = self.own.get(slot.checked_sub(self.own_base)?)?;
        Some(Owner::Target(own.target))
    }

    /// A port that is no longer needed: ask until there is none.
    pub(crate) fn close_due(&mut self, now: Mono) -> Option<usize> {
        let leased = self.leased.as_mut()?;
        leased.pool.close_due(now).map(|port_id| leased.base + port_id.slot())
    }

    /// The targets that have this address.
    pub(crate) fn targets(&self) -> impl Iterator<Item = TargetId> {
        let leased = self.leased.iter().flat_map(|leased| leased.targets.iter().copied());
        leased.chain(self.own.iter().filter(|own| own.left.is_none()).map(|own| own.target))
    }

    /// One of the targets that have this address.
    pub(crate) fn some_target(&self) -> Option<TargetId> {
        let leased = self.leased.as_ref().and_then(|leased| leased.targets.first().copied());
        leased.or_else(|| self.own.first().map(|own| own.target))
    }
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
        let mut path = Path::new(SocketAddr::from(([127, 0, 0, 1], 7)));
        path.join(5, None);
        path.join(9, None);
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

    #[test]
    fn both_kinds_of_beats_have_ports_of_their_own() {
        let rules = Rules {
            ports: udp_core::source_port::Ports::UpTo(4),
            rest: Duration::ZERO,
            linger: Duration::from_secs(1),
        };
        for leased_first in [true, false] {
            let mut path = Path::new(SocketAddr::from(([127, 0, 0, 1], 7)));
            let rules_of = |target| (target == 5 || target == 6).then_some(rules);
            let order = if leased_first { [5, 9, 6] } else { [9, 5, 6] };
            order.iter().for_each(|target| path.join(*target, rules_of(*target)));
            let slots = [5, 9, 6].map(|target| path.depart((target, Seq(1)), at(0)).unwrap().slot);
            path.keep(slots[0], vec![1]);
            let owners = slots.map(|slot| path.claim(slot, at(1)));
            let expected = [Owner::Beat((5, Seq(1))), Owner::Target(9), Owner::Beat((6, Seq(1)))];
            assert_eq!(owners, expected);
            assert_eq!((path.kept(slots[0]), path.kept(slots[1])), (&[1][..], &[][..]));
            assert_eq!(path.newest(slots[2]), Some((6, Seq(1))));
            assert!(!path.leave(5) && !path.leave(6) && path.leave(9));
        }
    }
}
