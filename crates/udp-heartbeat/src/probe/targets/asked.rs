//! Service targets: sends their requests, and follows up their replies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::{Mono, Wall};
use udp_core::service::{Ask, Asked, Kind, Nonces, Reply, Then};
use udp_core::stamp::Key;

use super::path::Owner;
use super::receive::{Datagram, Match};
use super::{Listed, PathId, PortKey, Targets};
use crate::probe::asking::Asking;
use crate::probe::event::{Event, Observer, What};
use crate::probe::format::Format;
use crate::probe::schedule::TargetId;
use crate::probe::verdict::Verdict;
use crate::probe::window::{Class, Seq};

/// Legs of one beat: past so many challenges the last one is its answer.
const LEGS: u8 = 4;

/// A datagram that is to be sent because of one that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) port: PortKey,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    /// The beat that it goes on with; none if it acknowledges.
    pub(crate) beat: Option<(TargetId, Seq)>,
}

/// A beat that went on after a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(super) seq: Seq,
    count: u8,
    /// When the last of its requests was sent.
    pub(super) sent: Mono,
}

impl Targets {
    /// How the beats of a target are written.
    pub(super) fn format(&self, listed: &Listed) -> Arc<Format> {
        match listed.spec.as_ref().map(|spec| (spec, spec.kind())) {
            None | Some((_, Kind::Udp)) => self.setup.format.clone(),
            Some((_, Kind::Stamp)) => self.setup.stamp.clone(),
            Some((spec, Kind::Service(service))) => {
                let nonces = Nonces::new(self.setup.secret, self.added);
                Arc::new(Format::Service(Asking::new(spec.clone(), service.clone(), nonces)))
            }
        }
    }

    /// The target was read again: its labels, and a secret, may be others.
    pub(crate) fn take_over(&mut self, target: TargetId, listed: Listed) {
        let entry = &mut self.targets[target as usize];
        if let (Some(asking), Some(spec)) = (entry.format.service(), listed.service())
            && let Some(asking) = asking.with(spec)
        {
            entry.format = Arc::new(Format::Service(asking));
        }
        entry.labels = listed.labels.into();
    }

    /// STAMP packets are authenticated by this key from now on.
    pub(crate) fn replace_key(&mut self, new: &Key) {
        let renew = |format: &mut Arc<Format>| {
            if let Format::Stamp { key: Some(_), length } = **format {
                *format = Arc::new(Format::Stamp { key: Some(new.clone()), length });
            }
        };
        renew(&mut self.setup.format);
        renew(&mut self.setup.stamp);
        self.targets.iter_mut().for_each(|target| renew(&mut target.format));
    }

    /// Whether the request of the target names where it leaves from.
    pub(crate) fn wants_local(&self, target: TargetId) -> bool {
        let asking = self.targets[target as usize].format.service();
        asking.is_some_and(|asking| asking.service().wants_local())
    }

    /// Writes the request of a service's beat.
    pub(super) fn encode_asking(
        &self,
        target: TargetId,
        seq: Seq,
        local: Option<SocketAddr>,
        out: &mut Vec<u8>,
    ) {
        let entry = &self.targets[target as usize];
        let Some(asking) = entry.format.service() else { return };
        let Some(beat) = entry.session.beat(seq) else { return };
        let Some(route) = beat.route else { return };
        let path = &self.paths[route.path as usize];
        let slot = path.slot(target, route.port_id);
        let kept = slot.map_or(&[][..], |slot| path.kept(slot));
        let name = entry.endpoint.name();
        let (number, nonces, peer) = (seq.0, asking.nonces(), path.address);
        let ask = Ask { number, nonces, peer, name, local, kept };
        asking.service().request(&ask, out);
    }

    /// What it is that came to a target from a service.
    pub(super) fn recognise(
        &self,
        target: TargetId,
        by_port: Option<Seq>,
        (kept, datagram): (&[u8], &Datagram<'_>),
    ) -> Option<Reply> {
        let entry = &self.targets[target as usize];
        let asking = entry.format.service()?;
        let sent = |number| entry.session.beat(Seq(number)).map(|beat| datagram.on_wall(beat.sent));
        let asked = Asked {
            last: entry.session.next().0 - 1,
            nonces: asking.nonces(),
            peer: datagram.from,
            local: None,
            kept,
            by_port: by_port.map(|seq| seq.0),
            arrived: datagram.on_wall(datagram.at),
            sent: &sent,
        };
        asking.recognise(&asked, datagram.bytes)
    }

    /// Which beat's request an ICMP error quotes.
    pub(super) fn requested(
        &self,
        target: TargetId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<Seq> {
        let entry = &self.targets[target as usize];
        let asking = entry.format.service()?;
        let last = entry.session.next().0 - 1;
        let asked = Asked {
            last,
            nonces: asking.nonces(),
            peer: from,
            local: None,
            kept: &[],
            by_port: None,
            arrived: Wall::from_nanos(0),
            sent: &|_| None,
        };
        let number = asking.service().requested(&asked, bytes)?;
        (1..=last).contains(&number).then_some(Seq(number))
    }

    /// Whose reply a datagram is that came to a port whose beats are known by it alone; none if the beat
    /// goes on. What is none of the service's leaves the beat of the port waiting.
    pub(super) fn answered_by_port(
        &mut self,
        peer: PathId,
        datagram: &Datagram<'_>,
    ) -> Option<Match> {
        let path = &mut self.paths[peer as usize];
        let (target, seq) = path.newest(datagram.port.slot)?;
        let outstanding = path.concerned(datagram.port.slot) == Owner::Beat((target, seq));
        let kept = self.paths[peer as usize].kept(datagram.port.slot);
        let Some(reply) = self.recognise(target, Some(seq), (kept, datagram)) else {
            return Some(Match::nobodys(target));
        };
        let reply = self.go_on(peer, (target, seq), reply, outstanding, datagram)?;
        let path = &mut self.paths[peer as usize];
        // It is that beat's, as the port has no other.
        let _owner = path.claim(datagram.port.slot, datagram.at);
        Some(Match::of(target, seq).saying(reply))
    }

    /// Whether a target is a service.
    pub(super) fn is_asking(&self, target: TargetId) -> bool {
        self.targets[target as usize].format.service().is_some()
    }

    /// Whose reply a datagram is that came to a target's own port; none if the beat goes on.
    pub(super) fn answered(
        &mut self,
        peer: PathId,
        target: TargetId,
        datagram: &Datagram<'_>,
    ) -> Option<Match> {
        let kept = self.paths[peer as usize].kept(datagram.port.slot);
        let Some(reply) = self.recognise(target, None, (kept, datagram)) else {
            return Some(Match::nobodys(target));
        };
        let seq = Seq(reply.number);
        let beat = self.targets[target as usize].session.beat(seq);
        // From a path that it was not sent on it answers nothing.
        if beat.and_then(|beat| beat.route).is_some_and(|route| route.path != peer) {
            return Some(Match::nobodys(target));
        }
        let open = beat.is_some_and(|it| matches!(it.class, Class::InFlight | Class::Refused));
        let reply = self.go_on(peer, (target, seq), reply, open, datagram)?;
        Some(Match::of(target, seq).saying(reply))
    }

    /// Does what a reply asks for; the reply, unless the beat goes on without it.
    pub(super) fn go_on(
        &mut self,
        peer: PathId,
        (target, seq): (TargetId, Seq),
        mut reply: Reply,
        open: bool,
        datagram: &Datagram<'_>,
    ) -> Option<Reply> {
        let (port, to) = (datagram.port, datagram.from);
        if let Some(keep) = reply.keep.take() {
            self.paths[peer as usize].keep(port.slot, keep);
        }
        let entry = &mut self.targets[target as usize];
        let class = entry.session.beat(seq).map(|beat| beat.class);
        let answered = matches!(class, Some(Class::Received | Class::Late));
        match std::mem::take(&mut reply.then) {
            Then::Nothing => {}
            Then::Wait => return None,
            Then::Acknowledge(bytes) => {
                self.outgoing.push(Outgoing { port, to, bytes, beat: None });
                // Repeated for want of an acknowledgement: no duplicate.
                if answered {
                    return None;
                }
            }
            Then::AcknowledgeRepeats(bytes) if answered => {
                self.outgoing.push(Outgoing { port, to, bytes, beat: None });
                return None;
            }
            Then::AcknowledgeRepeats(_) => {}
            Then::Follow(bytes) if open => {
                let session = &entry.session;
                entry.legs.retain(|leg| {
                    session.beat(leg.seq).is_some_and(|beat| beat.class == Class::InFlight)
                });
                let count = match entry.legs.iter_mut().find(|leg| leg.seq == seq) {
                    Some(leg) => {
                        leg.count += 1;
                        leg.count
                    }
                    None => {
                        entry.legs.push(Leg { seq, count: 1, sent: datagram.at });
                        1
                    }
                };
                if count < LEGS {
                    self.outgoing.push(Outgoing { port, to, bytes, beat: Some((target, seq)) });
                    return None;
                }
            }
            Then::Follow(_) => {}
        }
        Some(reply)
    }

    /// What is to be sent because of what came.
    pub(crate) fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outgoing)
    }

    /// The next request of a beat that goes on was sent.
    pub(crate) fn went_on(&mut self, (target, seq): (TargetId, Seq), sent: Mono) {
        let legs = &mut self.targets[target as usize].legs;
        legs.iter_mut().filter(|leg| leg.seq == seq).for_each(|leg| leg.sent = sent);
    }

    /// Targets whose beats are to be so far apart from now on.
    pub(crate) fn take_paces(&mut self) -> Vec<(TargetId, Duration)> {
        std::mem::take(&mut self.paces)
    }

    /// The service said how fast it may be asked.
    pub(super) fn set_pace(&mut self, target: TargetId, reply: &Reply, verdict: Verdict) {
        let pace = &mut self.targets[target as usize].pace;
        let interval = pace.answered(reply, verdict);
        self.paces.extend(interval.map(|interval| (target, interval)));
    }

    /// Says once what the silence of a service that never answered may mean, unless the network has.
    pub(super) fn hint(&mut self, target: TargetId, now: Mono, observer: &mut dyn Observer) {
        let entry = &mut self.targets[target as usize];
        if entry.place.is_some_and(|place| self.paths[place.peer as usize].explained) {
            return;
        }
        let Some(asking) = entry.format.service() else { return };
        let text = asking.spec().entry().silence;
        if text.is_empty() || entry.session.counts().received > 0 || entry.hinted {
            return;
        }
        entry.hinted = true;
        let address = entry.address();
        observer.observe(&Event { target, address, at: now, what: What::Silent { hint: text } });
    }
}
