//! A random link at work: sockets, datagrams in flight and a peer, all simulated.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::{Mono, Wall};
use udp_core::stamp::{ErrorEstimate, Key, Mode, Reply as StampReply, SenderPacket, Ssid};

use super::link::{Flight, Flying, Kind, Link, Log, MS, Truth, address, at, check_books};
use super::meters::Read;
use super::setup::setup;
use crate::probe::event::{Event, Observer, What};
use crate::probe::format::{Format, Padding, StampSession};
use crate::probe::schedule::{Spacing, TargetId, Timeline};
use crate::probe::targets::{Datagram, Dispatch, Listed, PortKey, PortsToClose, Targets};

pub(super) struct World {
    pub(super) link: Link,
    pub(super) random: fastrand::Rng,
    pub(super) targets: Targets,
    pub(super) log: Log,
    pub(super) key: Option<Key>,
    pub(super) sockets: HashMap<PortKey, u64>,
    pub(super) next_socket: u64,
    /// By time and number.
    pub(super) air: BTreeMap<(u64, u64), Flying>,
    pub(super) thrown: u64,
    pub(super) truth: HashMap<(TargetId, u64), Truth>,
    /// The reflectors' counters, by address, socket and session identifier.
    pub(super) counters: HashMap<(SocketAddr, Option<u64>, Ssid), u32>,
    pub(super) unsolicited: u64,
    read: Read,
}

impl World {
    pub(super) fn new(link: Link, mut random: fastrand::Rng) -> World {
        let key = link.keyed.then(|| Key::from_file_bytes(b"secret").unwrap());
        let padding = Padding { length: random.usize(0..30), byte: b'.' };
        let payload = b"heartbeat".to_vec();
        let format = match link.kind {
            Kind::Plain => Format::Plain { payload, padding },
            Kind::Numbered => Format::Numbered { payload, padding },
            Kind::Stamp => Format::Stamp { key: key.clone(), length: 120 },
        };
        let setup = setup(&link, format);
        let mut targets = Targets::new(setup);
        let mut log = Log::default();
        for target in 0..link.targets {
            let stamp = StampSession { ssid: Ssid(target as u16 + 1), epoch: Wall::from_nanos(1) };
            let addresses = [address(&link, target, 0), address(&link, target, 1)];
            let address = addresses[0];
            let endpoint = address.to_string().parse().unwrap();
            let listed = Listed::bare(endpoint);
            targets.add(address.to_string().into(), listed, stamp, Some(link.beats), at(0));
            let known = &addresses[..1 + usize::from(link.twin)];
            targets.place(target, known, at(0), &mut log);
        }
        World {
            link,
            random,
            targets,
            log,
            key,
            sockets: HashMap::new(),
            next_socket: 0,
            air: BTreeMap::new(),
            thrown: 0,
            truth: HashMap::new(),
            counters: HashMap::new(),
            unsolicited: 0,
            read: Read::default(),
        }
    }

    fn close_ports(&mut self, now: u64) {
        while let Some(closing) = self.targets.close_due(at(now)) {
            match closing {
                PortsToClose::One(port) => drop(self.sockets.remove(&port)),
                PortsToClose::All(owner) => self.sockets.retain(|port, _| port.owner != owner),
            }
        }
    }

    /// The socket of a port, after closing that one.
    fn socket(&mut self, port: PortKey, close: Option<PortKey>) -> u64 {
        close.map(|close| self.sockets.remove(&close));
        *self.sockets.entry(port).or_insert_with(|| {
            self.next_socket += 1;
            self.next_socket
        })
    }

    pub(super) fn throw(&mut self, when: u64, flying: Flying) {
        self.thrown += 1;
        self.air.insert((when, self.thrown), flying);
    }

    pub(super) fn send(&mut self, target: TargetId, due: u64, now: u64) {
        if self.random.f64() < self.link.moves {
            let found = [address(&self.link, target, self.random.u8(0..3))];
            self.targets.place(target, &found, at(now), &mut self.log);
            self.close_ports(now);
        }
        let begun = self.targets.begin(target, (at(due), at(now)), &mut self.log);
        let Dispatch::Send { seq, port, to, close } = begun else {
            // One port may have to wait for what may come late.
            let waits = self.link.fixed && self.link.kind == Kind::Plain;
            assert!(begun == Dispatch::Ended || (begun == Dispatch::NoPort && waits), "{begun:?}");
            return;
        };
        let socket = self.socket(port, close);
        let mut bytes = Vec::new();
        self.targets.encode(target, seq, None, &mut bytes);
        let what = What::Sent { seq, bytes: &bytes };
        self.log.observe(&Event { target, address: None, at: at(now), what });
        let beat = (target, seq.0);
        self.truth.insert(beat, Truth { due, sent: now, ..Truth::default() });
        if self.random.f64() < self.link.failure {
            self.truth.get_mut(&beat).unwrap().failed = true;
            self.targets.fail(target, seq, "no route", at(now), &mut self.log);
            return;
        }
        let flying = Flying { socket, port, target, to, beat: Some(beat), bytes, kind: Flight::Up };
        if self.random.f64() < self.link.refusal {
            let when = now + self.random.u64(0..=20 * MS);
            self.throw(when, Flying { kind: Flight::Refusal, ..flying.clone() });
            if self.random.f64() >= self.link.hint {
                return;
            }
        }
        let way = self.link.up;
        for after in way.pass(&mut self.random, self.link.kind) {
            self.throw(now + after, flying.clone());
        }
    }

    /// What is in the air comes down.
    pub(super) fn land(&mut self, now: u64, flying: &Flying) {
        let open = self.sockets.get(&flying.port) == Some(&flying.socket);
        match flying.kind {
            Flight::Up => self.reflect(now, flying),
            Flight::Refusal => {
                let Some(beat) = flying.beat else { return };
                if !open {
                    return;
                }
                let from = flying.to;
                let truth = self.truth.get_mut(&beat).unwrap();
                let in_time = now - truth.sent <= self.link.timeout_ms * MS;
                truth.refused |= in_time && truth.replies.is_empty();
                let quoted = Some(&flying.bytes[..]);
                self.targets.refuse((flying.port, from), quoted, None, at(now), &mut self.log);
            }
            Flight::Down { intact, answer } => {
                if !open {
                    return;
                }
                let from = flying.to;
                match flying.beat {
                    Some(beat) if intact => {
                        let truth = self.truth.get_mut(&beat).unwrap();
                        truth.replies.push(now);
                        truth.seen.insert(answer);
                    }
                    Some(_) => {
                        let retired = self.targets.target(flying.target).retired;
                        self.unsolicited += u64::from(retired.is_none());
                    }
                    None => {}
                }
                let (port, bytes, at) = (flying.port, &flying.bytes, at(now));
                let datagram = Datagram { port, from, bytes, at, clocks: Default::default() };
                self.targets.arrive(&datagram, &mut self.log);
            }
        }
    }

    /// The peer answers.
    pub(super) fn reflect(&mut self, now: u64, flying: &Flying) {
        let mut answer = 0;
        if let Some(beat) = flying.beat {
            let truth = self.truth.get_mut(&beat).unwrap();
            answer = truth.reached;
            truth.reached += 1;
        }
        let mut bytes = match self.link.kind {
            Kind::Plain | Kind::Numbered => [b"echo ", &flying.bytes[..]].concat(),
            Kind::Stamp => {
                let mode = Mode::from(self.key.as_ref());
                let heard = SenderPacket::decode(&flying.bytes, mode, Wall::default()).unwrap();
                if self.random.f64() < self.link.restarts {
                    self.counters.clear();
                }
                let port = self.link.by_port.then_some(flying.socket);
                let counter = self.counters.entry((flying.to, port, heard.ssid)).or_default();
                let reply = StampReply {
                    sequence: *counter,
                    received: Wall::from_nanos(now + 77 * MS),
                    sent: Wall::from_nanos(now + 77 * MS),
                    error: ErrorEstimate::UNSYNCHRONIZED,
                    ttl: Some(64),
                };
                *counter += 1;
                let mut out = vec![0; 200];
                let length = reply.encode(&heard, &flying.bytes, mode, &mut out).unwrap();
                out.truncate(length);
                out
            }
        };
        let way = self.link.down;
        let intact = flying.beat.is_none() || self.random.f64() >= way.corruption;
        if !intact {
            self.corrupt(&mut bytes);
        }
        let landed = Flying { bytes, kind: Flight::Down { intact, answer }, ..flying.clone() };
        let times = match landed.beat {
            Some(_) => way.pass(&mut self.random, self.link.kind),
            None => vec![way.delay_ms * MS], // the counter_probe comes through
        };
        for after in times {
            self.throw(now + after, landed.clone());
        }
    }

    /// Makes of a reply something that names no beat.
    pub(super) fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        match self.random.u8(0..3) {
            0 => bytes.truncate(7),
            1 => bytes.clear(),
            _ if self.link.kind == Kind::Stamp => bytes[24] ^= 0x40, // the sender's sequence
            _ => bytes[5] ^= 0x10,                                   // the payload's first letter
        }
        if self.link.kind == Kind::Stamp && self.key.is_none() && bytes.len() > 60 {
            bytes[30] ^= 1; // the sender's timestamp
        }
    }

    pub(super) fn run(&mut self) -> u64 {
        let start = 1_000 * MS;
        let link = self.link.clone();
        let spacing = match link.poisson {
            true => Spacing::Poisson { seed: self.random.u64(..) },
            false => Spacing::Periodic,
        };
        let interval = Duration::from_millis(link.interval_ms);
        let mut timeline = Timeline::new(spacing, at(start), interval, link.targets);
        let mut now = start;
        let stop = match link.stop_early {
            true => start + self.random.u64(0..link.beats * link.interval_ms * MS + 1),
            false => u64::MAX,
        };
        loop {
            let sending = self.targets.targets().iter().any(|it| it.left != Some(0));
            let next = [
                timeline.next_due().filter(|_| sending).map(Mono::as_nanos),
                self.air.keys().next().map(|(when, _)| *when),
                self.targets.next_expiry().map(Mono::as_nanos),
            ];
            let Some(next) = next.into_iter().flatten().min() else { break };
            if next >= stop {
                break;
            }
            now = next.max(now);
            // As the run does it: what came, then what expired, then what is due.
            while let Some(entry) = self.air.first_entry()
                && entry.key().0 <= now
            {
                let flying = entry.remove();
                self.land(now, &flying);
            }
            self.targets.expire(at(now), &mut self.log);
            self.close_ports(now);
            while sending && let Some(slot) = timeline.take(at(now)) {
                assert_eq!(slot.missed, 0);
                self.send(slot.target, slot.due.as_nanos(), now);
            }
            let middle = start + link.beats * link.interval_ms * MS / 2;
            if link.retire && now >= middle && self.targets.target(0).retired.is_none() {
                // Its own summary has them.
                let gone = self.targets.target(0).session.counts().unsolicited;
                self.unsolicited -= gone;
                self.log.unsolicited -= gone;
                self.targets.retire(0, at(now));
                timeline.end(0);
                self.close_ports(now);
            }
            check_books(&self.targets);
            self.check_direction();
            self.read.check(&mut self.targets);
        }
        now
    }

    /// One request more, to learn what the counter shows.
    pub(super) fn counter_probe(&mut self, now: u64) {
        for target in 0..self.link.targets {
            if !self.targets.target(target).session.wants_counter_probe() {
                continue;
            }
            let mut bytes = Vec::new();
            let probe = self.targets.counter_probe(target, at(now), &mut bytes);
            let Some((port, close, to)) = probe else { continue };
            let socket = self.socket(port, close);
            let flying = Flying { socket, port, target, to, beat: None, bytes, kind: Flight::Up };
            self.throw(now + 1, flying);
        }
        while let Some(((when, _), flying)) = self.air.pop_first() {
            self.land(when, &flying);
        }
    }
}
