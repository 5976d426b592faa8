//! Chooses the source port that a beat leaves from, and encodes its datagram.

use std::net::SocketAddr;

use udp_core::clock::Mono;
use udp_core::source_port::Ports;

use super::expiry::Expiry;
use super::path::Departure;
use super::{Place, PortKey, Sharing, Targets};
use crate::probe::event::{End, Event, Observer, What};
use crate::probe::schedule::TargetId;
use crate::probe::window::{Class, Route, Seq};

/// What a beat needs to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dispatch {
    /// It is announced: send it from this port, after closing that one.
    Send { seq: Seq, port: PortKey, to: SocketAddr, close: Option<PortKey> },
    /// The target has no address; the beat was counted as failed.
    NoAddress,
    /// Every port waits for a reply; the slot was counted as skipped.
    NoPort,
    /// The target has sent all its beats.
    Ended,
}

impl Targets {
    /// A beat of the target was `due` and is about to be sent at `now`.
    pub(crate) fn begin(
        &mut self,
        target: TargetId,
        (due, now): (Mono, Mono),
        observer: &mut dyn Observer,
    ) -> Dispatch {
        let entry = &mut self.targets[target as usize];
        if entry.left == Some(0) {
            return Dispatch::Ended;
        }
        let Some(place) = entry.place else {
            let seq = self.announce(target, (due, now), None);
            let reason = std::mem::take(&mut self.targets[target as usize].unresolved);
            self.fail(target, seq, &reason, now, observer);
            self.targets[target as usize].unresolved = reason;
            return Dispatch::NoAddress;
        };
        let seq = entry.session.next();
        // Replies of earlier beats and of this one could not be told apart.
        let most = entry.format.service().map_or(u64::MAX, |asking| asking.identity().in_flight());
        let oldest = entry.session.oldest_in_flight();
        if most > 1 && oldest.is_some_and(|oldest| seq.0 - oldest.0 >= most) {
            entry.session.skipped(1);
            return Dispatch::NoPort;
        }
        let peer = &mut self.paths[place.peer as usize];
        if self.setup.sharing == Sharing::Shared {
            // The shared socket stays: this only lets the peer use the port again.
            while peer.close_due(now).is_some() {}
        }
        let Some(departure) = peer.depart((target, seq), now) else {
            entry.session.skipped(1);
            return Dispatch::NoPort;
        };
        let route = Route { path: place.peer, port_id: departure.port_id };
        self.announce(target, (due, now), Some(route));
        let (port, close) = self.ports_of(place, departure);
        Dispatch::Send { seq, port, to: place.address, close }
    }

    fn announce(
        &mut self,
        target: TargetId,
        (due, now): (Mono, Mono),
        route: Option<Route>,
    ) -> Seq {
        let entry = &mut self.targets[target as usize];
        entry.left = entry.left.map(|left| left - 1);
        let seq = entry.session.announce(now, route);
        entry.session.plan(seq, due);
        self.in_flight += 1;
        entry.newest = (seq, self.expired + self.expiry.len() as u64);
        let due = self.expires(now);
        self.expiry.push_back(Expiry { due, target, settled: false, seq });
        seq
    }

    /// Writes the datagram of a beat that was begun; `local` is where it leaves from, for those who
    /// want to know.
    pub(crate) fn encode(
        &self,
        target: TargetId,
        seq: Seq,
        local: Option<SocketAddr>,
        out: &mut Vec<u8>,
    ) {
        let entry = &self.targets[target as usize];
        let sent = entry.session.beat(seq).map_or(Mono::default(), |beat| beat.sent);
        entry.format.encode(seq, sent, &entry.stamp, out);
        self.encode_asking(target, seq, local, out);
    }

    /// When a beat really was sent, as is known a moment later. A STAMP beat carries its time, so
    /// that one stays.
    pub(crate) fn correct(&mut self, target: TargetId, seq: Seq, sent: Mono) {
        let entry = &mut self.targets[target as usize];
        if !entry.format.is_stamp() {
            entry.session.correct(seq, sent);
        }
    }

    /// Too many beats in a row were not answered: the next ones leave from another source port, unless
    /// the user fixed it, a later beat was answered already, or none is to come.
    ///
    /// A STAMP reflector may count each port by itself, from 0 (RFC 8762 §4), as it may begin to count
    /// anew at any time: that needs no more than the proof of directions counts with. A port that all
    /// targets share stays open, and may have been used before, whose count goes on where it was.
    pub(super) fn renew_port(&mut self, target: TargetId, now: Mono) {
        let entry = &mut self.targets[target as usize];
        let Some(place) = entry.place.filter(|_| entry.left != Some(0)) else { return };
        let fixed = self.setup.pool.ports == Ports::One;
        if fixed || entry.session.is_answered_later() {
            return;
        }
        let rest = self.setup.rules.timeout;
        let is_other = self.paths[place.peer as usize].renew(target, rest, now);
        if is_other && self.setup.sharing == Sharing::Shared {
            entry.session.new_path();
        }
    }

    /// A beat did not leave this host.
    pub(crate) fn fail(
        &mut self,
        target: TargetId,
        seq: Seq,
        reason: &str,
        now: Mono,
        observer: &mut dyn Observer,
    ) {
        let entry = &mut self.targets[target as usize];
        let beat = entry.session.beat(seq);
        let (route, sent) = (beat.and_then(|it| it.route), beat.map_or(now, |it| it.sent));
        let class = if route.is_some() { Class::Failed } else { Class::Unaddressed };
        if !entry.session.failed(seq, class) {
            return;
        }
        self.in_flight -= 1;
        let address = route.map(|route| self.paths[route.path as usize].address);
        if let Some(route) = route {
            self.paths[route.path as usize].settle(route.port_id, now);
        }
        observer.observe(&Event { target, address, at: now, what: What::Failed { seq, reason } });
        self.ended(target, (seq, sent), End::Failed(reason), now, observer);
        self.tell_changes(target, now, observer);
        if let Some(route) = route {
            self.turn(target, route.path, now, observer);
        }
    }

    /// No socket could be opened for the beat; `exhausted` if for want of file descriptors.
    pub(crate) fn unopened(
        &mut self,
        target: TargetId,
        seq: Seq,
        (reason, exhausted): (&str, bool),
        now: Mono,
        observer: &mut dyn Observer,
    ) {
        let entry = &self.targets[target as usize];
        if let Some(route) = entry.session.beat(seq).and_then(|beat| beat.route) {
            self.paths[route.path as usize].unopened(route.port_id, exhausted);
        }
        self.fail(target, seq, reason, now, observer);
    }

    /// Writes one request more, whose number is far ahead: what the reflector answers to it shows
    /// its counter. Where it is to be sent from, after closing that port, and to; none without an
    /// address or STAMP.
    pub(crate) fn counter_probe(
        &mut self,
        target: TargetId,
        now: Mono,
        out: &mut Vec<u8>,
    ) -> Option<(PortKey, Option<PortKey>, SocketAddr)> {
        let entry = &mut self.targets[target as usize];
        let place = entry.place?;
        let last = Seq(entry.session.next().0 - 1);
        let peer = &mut self.paths[place.peer as usize];
        let departure = peer.depart((target, last), now)?;
        entry.counter_probes.push((now, false));
        entry.session.counter_probe_sent(now);
        entry.format.encode_counter_probe(last, now, &entry.stamp, out);
        let (port, close) = self.ports_of(place, departure);
        (!out.is_empty()).then_some((port, close, place.address))
    }

    /// The port of a departure, and the one that is to be closed before: of those that are shared none.
    fn ports_of(&self, place: Place, departure: Departure) -> (PortKey, Option<PortKey>) {
        let port = |slot| PortKey { owner: self.owner(place), slot };
        let close = departure.close.filter(|_| self.setup.sharing == Sharing::Own);
        (port(departure.slot), close.map(port))
    }
}
