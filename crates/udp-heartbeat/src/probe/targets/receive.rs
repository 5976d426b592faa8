//! Finds the target and the beat that a received datagram or an ICMP error belongs to.

use std::net::SocketAddr;

use udp_core::clock::{Mono, Wall};
use udp_core::service::Reply as Answer;
use udp_core::stamp::ReflectorPacket;

use super::path::Owner;
use super::{HINT, PathId, PortKey, PortOwner, Targets};
use crate::probe::event::{End, Event, Observer, Said, What};
use crate::probe::format::Recognised;
use crate::probe::schedule::TargetId;
use crate::probe::session::{Reflected, Reply};
use crate::probe::stats::direction::Counted;
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
    /// Both clocks when it was taken in, as near to each other as they can be read.
    pub(crate) clocks: (Wall, Mono),
}

impl Datagram<'_> {
    /// The time of day at a moment of the monotonic clock.
    pub(super) fn on_wall(&self, moment: Mono) -> Wall {
        let (wall, mono) = (self.clocks.0.as_nanos(), self.clocks.1.as_nanos());
        Wall::from_nanos(wall.saturating_add(moment.as_nanos()).saturating_sub(mono))
    }
}

/// A datagram is this beat's, or just the target's.
#[derive(Debug, Clone)]
pub(super) struct Match {
    target: TargetId,
    seq: Option<Seq>,
    reflected: Option<Reflected>,
    /// What a service says.
    answer: Option<Answer>,
}

impl Match {
    pub(super) fn nobodys(target: TargetId) -> Match {
        Match { target, seq: None, reflected: None, answer: None }
    }

    pub(super) fn of(target: TargetId, seq: Seq) -> Match {
        Match { seq: Some(seq), ..Match::nobodys(target) }
    }

    pub(super) fn saying(self, answer: Answer) -> Match {
        Match { answer: Some(answer), ..self }
    }
}

impl Targets {
    /// A datagram arrived.
    pub(crate) fn arrive(&mut self, datagram: &Datagram<'_>, observer: &mut dyn Observer) {
        let Some(peer) = self.path_at(datagram.port, datagram.from) else {
            return self.elsewhere(datagram, observer);
        };
        let by_port = self.paths[peer as usize].newest(datagram.port.slot);
        if by_port.is_some_and(|(target, _)| self.is_asking(target)) {
            if let Some(found) = self.answered_by_port(peer, datagram) {
                self.credit(peer, found, datagram, observer);
            }
            return;
        }
        let claim = self.paths[peer as usize].claim(datagram.port.slot, datagram.at);
        let found = match claim {
            Owner::Beat((target, seq)) | Owner::Late((target, seq)) => Match::of(target, seq),
            Owner::Extra(Some((target, seq))) => Match::of(target, seq),
            Owner::Extra(None) => match self.paths[peer as usize].some_target() {
                Some(target) => Match::nobodys(target),
                None => return self.stranger(datagram.from),
            },
            Owner::Target(target) => {
                let found = match self.is_asking(target) {
                    true => self.answered(peer, target, datagram),
                    false => self.by_content(target, datagram),
                };
                match found {
                    Some(found) => found,
                    None => return,
                }
            }
        };
        self.credit(peer, found, datagram, observer);
    }

    /// The beat that a datagram names; none if it is the answer to a counter probe, which is no beat.
    fn by_content(&mut self, target: TargetId, datagram: &Datagram<'_>) -> Option<Match> {
        let entry = &mut self.targets[target as usize];
        let last = Seq(entry.session.next().0 - 1);
        let nothing = Match::nobodys(target);
        Some(match entry.format.recognise(datagram.bytes, last) {
            Recognised::ByPort | Recognised::Stranger => nothing,
            Recognised::Beat(seq) => Match::of(target, seq),
            Recognised::Stamp(seq, packet) => {
                let sent = entry.session.beat(seq).map(|beat| beat.sent);
                let reflected =
                    sent.and_then(|sent| entry.format.reflected(&packet, seq, sent, &entry.stamp));
                match reflected {
                    Some(_) => Match { reflected, ..Match::of(target, seq) },
                    None => nothing,
                }
            }
            Recognised::CounterProbe(packet) => {
                if self.answer_counter_probe(target, &packet, (last, datagram.at)) {
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
        (last, at): (Seq, Mono),
    ) -> bool {
        let entry = &mut self.targets[target as usize];
        let format = &entry.format;
        let found = (0usize..).zip(&entry.counter_probes).find_map(|(index, (sent, answered))| {
            let numbers = format.counter_probe_reflected(packet, last, *sent, &entry.stamp)?;
            Some((index, numbers, *sent, *answered))
        });
        let Some((index, numbers, sent, answered)) = found else { return false };
        if !answered {
            entry.counter_probes[index].1 = true;
            entry.session.reply_to_counter_probe(Counted { numbers, sent, at });
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
        let Match { target, seq, reflected, answer } = found;
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
        let format = entry.format.clone();
        let said = answer.as_ref().zip(format.service());
        let verdict = match said.map(|(answer, asking)| asking.judge(answer)) {
            Some(verdict) if verdict != Verdict::Invalid && entry.alive => Verdict::Ok,
            Some(verdict) => verdict,
            None if entry.alive || self.setup.expectation.holds(bytes) => Verdict::Ok,
            None => Verdict::Unexpected,
        };
        let leg = entry.legs.iter().find(|leg| leg.seq == seq);
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
        // The round trip is that of the last leg.
        let waited = leg.zip(beat).map(|(leg, beat)| leg.sent.saturating_since(beat.sent));
        let said = said.map(|(reply, asking)| Said { spec: asking.spec(), reply });
        match entry.session.reply(seq, at, verdict, (reflected.as_ref(), waited)) {
            Reply::Received(reply) => {
                if let Some(answer) = &answer {
                    entry.session.said(verdict, answer.reason.as_deref());
                    let numbers = answer.facts.iter();
                    entry
                        .session
                        .keep_facts(numbers.filter_map(|(name, it)| Some((name, it.number()?))));
                }
                self.in_flight -= u64::from(!refused);
                self.paths[peer as usize].settle(port_id, at);
                tell(What::Reply { seq, reply, bytes, said });
                let counts = self.targets[target as usize].session.counts();
                tell(What::Ended { seq, sent, end: End::Received(reply), counts, said });
                if let Some(answer) = &answer {
                    self.set_pace(target, answer, verdict);
                }
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
                    tell(What::Ended { seq, sent, end: End::Lost { refused }, counts, said: None });
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
                let named = quoted.and_then(|bytes| self.quoted_beat(target, from, bytes));
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
    fn quoted_beat(&self, target: TargetId, from: SocketAddr, bytes: &[u8]) -> Option<Seq> {
        let entry = &self.targets[target as usize];
        let last = Seq(entry.session.next().0 - 1);
        entry.format.own(bytes, last).or_else(|| self.requested(target, from, bytes))
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
        self.paths[peer as usize].explained = true;
        if let Some(target) = self.paths[peer as usize].some_target() {
            let what = What::Trouble { reason };
            observer.observe(&Event { target, address: Some(from), at, what });
            self.turn(target, peer, at, observer);
        }
    }

    pub(super) fn path_at(&self, port: PortKey, from: SocketAddr) -> Option<PathId> {
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
