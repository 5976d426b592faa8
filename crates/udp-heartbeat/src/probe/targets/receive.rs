//! Whose a datagram, or an error, is that came back.

use std::net::SocketAddr;

use udp_core::clock::Mono;
use udp_core::stamp::ReflectorPacket;

use super::path::Owner;
use super::{HINT, PathId, PortKey, PortOwner, Targets};
use crate::probe::event::{End, Event, Observer, What};
use crate::probe::format::Recognised;
use crate::probe::schedule::TargetId;
use crate::probe::session::{Reflected, Reply};
use crate::probe::verdict::Verdict;
use crate::probe::window::{Class, Seq};

/// A datagram that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram<'a> {
    pub(crate) port: PortKey,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: &'a [u8],
    /// When it arrived.
    pub(crate) at: Mono,
}

/// A datagram is this beat's, or just the target's.
#[derive(Debug, Clone, Copy)]
struct Match {
    target: TargetId,
    seq: Option<Seq>,
    reflected: Option<Reflected>,
}

impl Targets {
    /// A datagram arrived.
    pub(crate) fn arrive(&mut self, datagram: &Datagram<'_>, observer: &mut dyn Observer) {
        let Some(peer) = self.path_at(datagram.port, datagram.from) else {
            return self.stray(datagram.from);
        };
        let claim = self.paths[peer as usize].claim(datagram.port.slot, datagram.at);
        let found = match claim {
            Owner::Beat((target, seq)) | Owner::Late((target, seq)) => {
                Match { target, seq: Some(seq), reflected: None }
            }
            Owner::Extra(Some((target, seq))) => Match { target, seq: Some(seq), reflected: None },
            Owner::Extra(None) => match self.paths[peer as usize].some_target() {
                Some(target) => Match { target, seq: None, reflected: None },
                None => return self.stray(datagram.from),
            },
            Owner::Target(target) => match self.by_content(target, datagram) {
                Some(found) => found,
                None => return,
            },
        };
        self.credit(peer, found, datagram, observer);
    }

    /// The beat that a datagram names; none if it is the answer to a counter_probe, which is no beat.
    fn by_content(&mut self, target: TargetId, datagram: &Datagram<'_>) -> Option<Match> {
        let entry = &mut self.targets[target as usize];
        let last = Seq(entry.session.next().0 - 1);
        let nothing = Match { target, seq: None, reflected: None };
        Some(match self.setup.format.recognise(datagram.bytes, last) {
            Recognised::ByPort | Recognised::Stranger => nothing,
            Recognised::Beat(seq) => Match { seq: Some(seq), ..nothing },
            Recognised::Stamp(seq, packet) => {
                let sent = entry.session.beat(seq).map(|beat| beat.sent);
                let reflected = sent
                    .and_then(|sent| self.setup.format.reflected(&packet, seq, sent, &entry.stamp));
                match reflected {
                    Some(reflected) => {
                        Match { seq: Some(seq), reflected: Some(reflected), ..nothing }
                    }
                    None => nothing,
                }
            }
            Recognised::CounterProbe(packet) => {
                if self.answer_counter_probe(target, &packet, last) {
                    return None;
                }
                nothing
            }
        })
    }

    fn answer_counter_probe(
        &mut self,
        target: TargetId,
        packet: &ReflectorPacket,
        last: Seq,
    ) -> bool {
        let entry = &mut self.targets[target as usize];
        let format = &self.setup.format;
        let found = (0..).zip(&entry.counter_probes).find_map(|(index, (sent, answered))| {
            let numbers = format.counter_probe_reflected(packet, last, *sent, &entry.stamp)?;
            Some((index, numbers, *sent, *answered))
        });
        let Some((index, numbers, sent, answered)) = found else { return false };
        if !answered {
            entry.counter_probes[index].1 = true;
            entry.session.reply_to_counter_probe(index as u64, numbers, sent);
        }
        true
    }

    /// Puts a datagram to the account of the beat that it is a reply to, if it is one.
    fn credit(
        &mut self,
        peer: PathId,
        found: Match,
        datagram: &Datagram<'_>,
        observer: &mut dyn Observer,
    ) {
        let Match { target, seq, reflected } = found;
        let &Datagram { bytes, at, from, .. } = datagram;
        let entry = &mut self.targets[target as usize];
        if entry.retired.is_some() {
            return;
        }
        let mut tell = |what| {
            observer.observe(&Event { target, address: Some(from), at, what });
        };
        let Some(seq) = seq else {
            entry.session.unsolicited();
            return tell(What::Unsolicited { bytes });
        };
        let verdict = match self.setup.expectation.holds(bytes) {
            true => Verdict::Ok,
            false => Verdict::Unexpected,
        };
        let beat = entry.session.beat(seq);
        // From a path that it was not sent on, whatever it names, it answers nothing.
        if beat.and_then(|beat| beat.route).is_some_and(|route| route.path != peer) {
            entry.session.unsolicited();
            return tell(What::Unsolicited { bytes });
        }
        let port_id = beat.and_then(|beat| beat.route).and_then(|route| route.port_id);
        let sent = beat.map_or(at, |beat| beat.sent);
        let refused = beat.is_some_and(|beat| beat.class == Class::Refused);
        self.refused_open -= u64::from(refused);
        match entry.session.reply(seq, at, verdict, reflected.as_ref()) {
            Reply::Received(reply) => {
                self.in_flight -= u64::from(!refused);
                self.paths[peer as usize].settle(port_id, at);
                tell(What::Reply { seq, reply, bytes });
                self.ended(target, (seq, sent), End::Received(reply), at, observer);
                self.settled(target, seq);
            }
            Reply::Late { rtt, expired } => {
                if expired {
                    self.in_flight -= 1;
                    self.paths[peer as usize].settle(port_id, at);
                    tell(What::Lost { seq });
                }
                if expired || refused {
                    let counts = self.targets[target as usize].session.counts();
                    tell(What::Ended { seq, sent, end: End::Lost { refused }, counts });
                }
                tell(What::Late { seq, rtt, bytes });
            }
            Reply::Duplicate { rtt } => tell(What::Duplicate { seq, rtt, bytes }),
            Reply::Unsolicited => tell(What::Unsolicited { bytes }),
        }
        self.tell_changes(target, at, observer);
    }

    /// The host at `from` refused a datagram that was sent from `port`. `quoted` is the beginning
    /// of that datagram, if it is known; `current` is a beat that it cannot have been, because it
    /// is only about to go out.
    pub(crate) fn refuse(
        &mut self,
        (port, from): (PortKey, SocketAddr),
        quoted: Option<&[u8]>,
        current: Option<(TargetId, Seq)>,
        at: Mono,
        observer: &mut dyn Observer,
    ) {
        let Some(peer) = self.path_at(port, from) else { return };
        let concerned = match self.paths[peer as usize].concerned(port.slot) {
            Owner::Beat(owner) | Owner::Late(owner) => Some(owner),
            Owner::Extra(_) => None,
            Owner::Target(target) => {
                let session = &self.targets[target as usize].session;
                let named = quoted.and_then(|bytes| self.quoted_beat(target, bytes));
                named.or_else(|| session.oldest_in_flight()).map(|seq| (target, seq))
            }
        };
        let Some((target, seq)) = concerned else { return };
        let entry = &mut self.targets[target as usize];
        let route = entry.session.beat(seq).and_then(|beat| beat.route);
        let port_id = route.filter(|route| route.path == peer).and_then(|route| route.port_id);
        if current == Some((target, seq)) || !entry.session.refused(seq) {
            return;
        }
        self.in_flight -= 1;
        self.refused_open += 1;
        self.refused_until = at + HINT.min(self.setup.rules.timeout);
        self.paths[peer as usize].settle(port_id, at);
        let what = What::Refused { seq };
        observer.observe(&Event { target, address: Some(from), at, what });
        self.tell_changes(target, at, observer);
        self.turn(target, peer, at, observer);
    }

    /// Which beat of the target a request that was quoted to us is.
    fn quoted_beat(&self, target: TargetId, bytes: &[u8]) -> Option<Seq> {
        let last = Seq(self.targets[target as usize].session.next().0 - 1);
        self.setup.format.own(bytes, last)
    }

    /// Something else is wrong with sending to `from`, or receiving from it.
    pub(crate) fn trouble(
        &mut self,
        (port, from): (PortKey, SocketAddr),
        reason: &str,
        at: Mono,
        observer: &mut dyn Observer,
    ) {
        let Some(peer) = self.path_at(port, from) else { return };
        if let Some(target) = self.paths[peer as usize].some_target() {
            let what = What::Trouble { reason };
            observer.observe(&Event { target, address: Some(from), at, what });
            self.turn(target, peer, at, observer);
        }
    }

    fn path_at(&self, port: PortKey, from: SocketAddr) -> Option<PathId> {
        match port.owner {
            PortOwner::Path(peer) => Some(peer),
            PortOwner::SharedV4 | PortOwner::SharedV6 => {
                self.path_in_turn(from).or_else(|| self.by_address.get(&from).copied())
            }
        }
    }

    /// Replies mostly come in the order of the beats, and the target that is next is looked at
    /// anyway; the table of addresses would be one more wait for memory.
    fn path_in_turn(&self, from: SocketAddr) -> Option<PathId> {
        let place = self.targets[self.next_to_answer()? as usize].place?;
        (place.address == from).then_some(place.peer)
    }
}
