//! A seeded virtual link: thousands of random ones, on which the fate of every datagram is known,
//! and what the engine reports must be the truth.
//!
//! A link loses, delays, copies, reorders and corrupts in each direction by chance. Sockets are
//! made up as well: a reply to one that was closed is lost.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::{Mono, Wall};
use udp_core::lane;
use udp_core::stamp::{ErrorEstimate, Key, Mode, Reply as StampReply, SenderPacket, Ssid};

use crate::beat::{Format, Padding, StampSession};
use crate::event::{Event, Observer, What};
use crate::expectation::Expectation;
use crate::fleet::{Begun, Datagram, Fleet, PortKey, PortOwner, PortsToClose, Setup, Sharing};
use crate::schedule::{Spacing, TargetId, Timeline};
use crate::session::Rules;
use crate::state::Hysteresis;
use crate::stats::distribution::{Percentile, Precision};
use crate::stats::loss::{confidence, percent};

const MS: u64 = 1_000_000;

/// One direction of a link.
#[derive(Debug, Clone, Copy)]
struct Way {
    loss: f64,
    copies: f64,
    delay_ms: u64,
    jitter_ms: u64,
    corruption: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Numbered,
    Stamp,
}

#[derive(Debug, Clone)]
struct Link {
    kind: Kind,
    keyed: bool,
    sharing: Sharing,
    targets: u32,
    same_address: bool,
    beats: u64,
    interval_ms: u64,
    timeout_ms: u64,
    poisson: bool,
    up: Way,
    down: Way,
    /// Sends that fail, and requests that are refused.
    failure: f64,
    refusal: f64,
    /// Stop before the end.
    stop_early: bool,
}

fn chance(random: &mut fastrand::Rng, most: f64) -> f64 {
    if random.bool() { 0.0 } else { random.f64() * most }
}

impl Link {
    fn random(random: &mut fastrand::Rng) -> Link {
        let kind = random.choice([Kind::Plain, Kind::Numbered, Kind::Stamp]).unwrap();
        let way = |random: &mut fastrand::Rng| Way {
            loss: chance(random, 0.6),
            copies: chance(random, 0.3),
            delay_ms: random.u64(0..30),
            jitter_ms: if random.bool() { 0 } else { random.u64(0..60) },
            corruption: if kind == Kind::Plain { 0.0 } else { chance(random, 0.2) },
        };
        let (mut up, down) = (way(random), way(random));
        if kind == Kind::Plain {
            // What no lane can tell apart is not asked of it: a copy that comes much later.
            up.copies = 0.0;
        }
        Link {
            kind,
            keyed: random.bool(),
            sharing: if random.bool() { Sharing::Own } else { Sharing::Shared },
            targets: random.u32(1..4),
            same_address: random.bool(),
            beats: random.u64(1..80),
            interval_ms: random.u64(2..60),
            timeout_ms: random.u64(20..150),
            poisson: random.bool(),
            up,
            down,
            failure: chance(random, 0.2),
            refusal: chance(random, 0.2),
            stop_early: random.u8(0..4) == 0,
        }
    }
}

/// What really became of a beat.
#[derive(Debug, Clone, Default)]
struct Truth {
    sent: u64,
    failed: bool,
    refused_at: Option<u64>,
    /// The request reached the peer.
    reached: bool,
    /// When copies of the reply were handed over, intact.
    replies: Vec<u64>,
}

/// What was told of a beat.
#[derive(Debug, Clone, Default)]
struct Told {
    sent: u32,
    received: Option<Duration>,
    lost: u32,
    late: u32,
    refused: u32,
    failed: u32,
    duplicate: u32,
    reordered: bool,
}

#[derive(Default)]
struct Log {
    beats: HashMap<(TargetId, u64), Told>,
    wrong: u64,
    arrival_order: Vec<(TargetId, u64, Duration)>,
}

impl Observer for Log {
    fn observe(&mut self, event: &Event<'_>) {
        let target = event.target;
        match event.what {
            What::Sent { seq, .. } => self.of(target, seq).sent += 1,
            What::Reply { seq, rtt, reordered, .. } => {
                let beat = self.of(target, seq);
                assert_eq!(beat.received, None, "received twice");
                beat.received = Some(rtt);
                beat.reordered = reordered;
                self.arrival_order.push((target, seq.0, rtt));
            }
            What::Late { seq, .. } => self.of(target, seq).late += 1,
            What::Duplicate { seq, .. } => self.of(target, seq).duplicate += 1,
            What::Wrong { .. } => self.wrong += 1,
            What::Lost { seq } => self.of(target, seq).lost += 1,
            What::Refused { seq } => self.of(target, seq).refused += 1,
            What::Failed { seq, .. } => self.of(target, seq).failed += 1,
            What::Trouble { .. }
            | What::State { .. }
            | What::InARow { .. }
            | What::Moved { .. } => {}
        }
    }
}

impl Log {
    fn of(&mut self, target: TargetId, seq: crate::window::Seq) -> &mut Told {
        self.beats.entry((target, seq.0)).or_default()
    }
}

/// Something on its way.
#[derive(Debug, Clone)]
struct Flying {
    socket: u64,
    port: PortKey,
    target: TargetId,
    beat: Option<(TargetId, u64)>,
    bytes: Vec<u8>,
    kind: Flight,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Flight {
    Up,
    Down { intact: bool },
    Refusal,
}

struct World {
    link: Link,
    random: fastrand::Rng,
    fleet: Fleet,
    log: Log,
    key: Option<Key>,
    sockets: HashMap<PortKey, u64>,
    next_socket: u64,
    /// By time and number.
    air: BTreeMap<(u64, u64), Flying>,
    thrown: u64,
    truth: HashMap<(TargetId, u64), Truth>,
    /// The reflectors' counters, by socket and session.
    counters: HashMap<(u64, Ssid), u32>,
    strangers: u64,
}

fn at(ns: u64) -> Mono {
    Mono::from_nanos(ns)
}

fn address(link: &Link, target: TargetId) -> SocketAddr {
    let host = if link.same_address { 1 } else { target as u8 + 1 };
    SocketAddr::from(([10, 0, 0, host], 7000))
}

impl World {
    fn new(link: Link, mut random: fastrand::Rng) -> World {
        let key = link.keyed.then(|| Key::from_file_bytes(b"secret").unwrap());
        let padding = Padding { length: random.usize(0..30), byte: b'.' };
        let payload = b"heartbeat".to_vec();
        let format = match link.kind {
            Kind::Plain => Format::Plain { payload, padding },
            Kind::Numbered => Format::Numbered { payload, padding },
            Kind::Stamp => Format::Stamp { key: key.clone(), length: 120 },
        };
        let timeout = Duration::from_millis(link.timeout_ms);
        let setup = Setup {
            expectation: Expectation::Anything,
            rules: Rules {
                interval: Duration::from_millis(link.interval_ms),
                timeout,
                hysteresis: Hysteresis { down_after: 3, up_after: 1 },
                keep: 1000,
                precision: Precision::Fine,
                stamp: format.is_stamp(),
            },
            format,
            sharing: link.sharing,
            lanes: lane::Rules {
                ports: lane::Ports::UpTo(1000),
                rest: Duration::ZERO,
                linger: Duration::from_secs(3600),
            },
        };
        let mut fleet = Fleet::new(setup);
        let mut log = Log::default();
        for target in 0..link.targets {
            let stamp = StampSession { ssid: Ssid(target as u16 + 1), epoch: Wall::from_nanos(1) };
            let address = address(&link, target);
            let endpoint = address.to_string().parse().unwrap();
            fleet.add(address.to_string(), endpoint, stamp, Some(link.beats));
            fleet.place(target, address, at(0), &mut log);
        }
        World {
            link,
            random,
            fleet,
            log,
            key,
            sockets: HashMap::new(),
            next_socket: 0,
            air: BTreeMap::new(),
            thrown: 0,
            truth: HashMap::new(),
            counters: HashMap::new(),
            strangers: 0,
        }
    }

    fn throw(&mut self, when: u64, flying: Flying) {
        self.thrown += 1;
        self.air.insert((when, self.thrown), flying);
    }

    /// How long a datagram takes that way, and a copy of it; none if it is lost.
    fn pass(&mut self, way: Way) -> Vec<u64> {
        let random = &mut self.random;
        if random.f64() < way.loss {
            return Vec::new();
        }
        let copies = if random.f64() < way.copies { 2 } else { 1 };
        let mut times: Vec<u64> =
            (0..copies).map(|_| way.delay_ms * MS + random.u64(0..=way.jitter_ms * MS)).collect();
        if self.link.kind == Kind::Plain {
            let first = times[0];
            times.fill(first);
        }
        times
    }

    fn send(&mut self, target: TargetId, now: u64) {
        let begun = self.fleet.begin(target, at(now), &mut self.log);
        let Begun::Send { seq, port, close, .. } = begun else {
            assert_eq!(begun, Begun::Ended);
            return;
        };
        if let Some(port) = close {
            self.sockets.remove(&port);
        }
        let socket = *self.sockets.entry(port).or_insert_with(|| {
            self.next_socket += 1;
            self.next_socket
        });
        let mut bytes = Vec::new();
        self.fleet.encode(target, seq, &mut bytes);
        let what = What::Sent { seq, bytes: &bytes };
        self.log.observe(&Event { target, address: None, at: at(now), what });
        let beat = (target, seq.0);
        self.truth.insert(beat, Truth { sent: now, ..Truth::default() });
        if self.random.f64() < self.link.failure {
            self.truth.get_mut(&beat).unwrap().failed = true;
            self.fleet.fail(target, seq, "no route", at(now), &mut self.log);
            return;
        }
        let flying = Flying { socket, port, target, beat: Some(beat), bytes, kind: Flight::Up };
        if self.random.f64() < self.link.refusal {
            let when = now + self.random.u64(0..=20 * MS);
            self.throw(when, Flying { kind: Flight::Refusal, ..flying });
            return;
        }
        let way = self.link.up;
        for after in self.pass(way) {
            self.throw(now + after, flying.clone());
        }
    }

    /// What is in the air comes down.
    fn land(&mut self, now: u64, flying: &Flying) {
        let open = self.sockets.get(&flying.port) == Some(&flying.socket);
        match flying.kind {
            Flight::Up => self.reflect(now, flying),
            Flight::Refusal => {
                let Some(beat) = flying.beat else { return };
                if !open {
                    return;
                }
                let from = address(&self.link, beat.0);
                let truth = self.truth.get_mut(&beat).unwrap();
                if now - truth.sent <= self.link.timeout_ms * MS {
                    truth.refused_at = Some(now);
                }
                let quoted = Some(&flying.bytes[..]);
                self.fleet.refuse((flying.port, from), quoted, None, at(now), &mut self.log);
            }
            Flight::Down { intact } => {
                if !open {
                    return;
                }
                let from = address(&self.link, flying.target);
                match flying.beat {
                    Some(beat) if intact => {
                        self.truth.get_mut(&beat).unwrap().replies.push(now);
                    }
                    Some(_) => self.strangers += 1,
                    None => {}
                }
                let datagram =
                    Datagram { port: flying.port, from, bytes: &flying.bytes, at: at(now) };
                self.fleet.arrive(&datagram, &mut self.log);
            }
        }
    }

    /// The peer answers.
    fn reflect(&mut self, now: u64, flying: &Flying) {
        if let Some(beat) = flying.beat {
            self.truth.get_mut(&beat).unwrap().reached = true;
        }
        let mut bytes = match self.link.kind {
            Kind::Plain | Kind::Numbered => [b"echo ", &flying.bytes[..]].concat(),
            Kind::Stamp => {
                let mode = Mode::from(self.key.as_ref());
                let heard = SenderPacket::decode(&flying.bytes, mode).unwrap();
                let counter = self.counters.entry((flying.socket, heard.ssid)).or_default();
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
        let landed = Flying { bytes, kind: Flight::Down { intact }, ..flying.clone() };
        let times = match landed.beat {
            Some(_) => self.pass(way),
            None => vec![way.delay_ms * MS], // the leap comes through
        };
        for after in times {
            self.throw(now + after, landed.clone());
        }
    }

    /// Makes of a reply something that names no beat.
    fn corrupt(&mut self, bytes: &mut Vec<u8>) {
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

    fn check_books(&mut self) {
        let totals = self.fleet.totals();
        assert_eq!(totals.pending(), self.fleet.in_flight());
        assert_eq!(
            totals.sent,
            totals.received + totals.unanswered() + totals.pending(),
            "{totals:?}"
        );
        assert!(totals.late <= totals.lost);
        let share = percent(totals.lost, totals.sent);
        assert!((0.0..=100.0).contains(&share));
        if let Some((low, high)) = confidence(totals.lost, totals.sent) {
            assert!(low <= share + 1e-9 && share <= high + 1e-9);
        }
    }

    /// Never up for what the reflector received, at any moment.
    fn check_direction(&self) {
        let slow = self.link.up.delay_ms + self.link.up.jitter_ms;
        if self.link.kind != Kind::Stamp || slow * 2 > self.link.timeout_ms {
            return;
        }
        for target in 0..self.link.targets {
            let session = &self.fleet.target(target).session;
            let split =
                session.direction().unwrap().split(session.counts().lost, session.counts().late);
            assert_eq!(split.up + split.down + split.unknown, session.counts().lost);
            let never = |(beat, told): (&(TargetId, u64), &Told)| {
                beat.0 == target && told.lost > 0 && !self.truth[beat].reached
            };
            let up = self.log.beats.iter().filter(|it| never(*it)).count() as u64;
            assert!(split.up <= up, "{split:?}, of which {up} never reached the reflector");
        }
    }

    fn run(&mut self) -> u64 {
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
            let sending = self.fleet.targets().iter().any(|it| it.left != Some(0));
            let next = [
                timeline.next_due().filter(|_| sending).map(Mono::as_nanos),
                self.air.keys().next().map(|(when, _)| *when),
                self.fleet.next_expiry().map(Mono::as_nanos),
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
            self.fleet.expire(at(now), &mut self.log);
            while let Some(closing) = self.fleet.close_due(at(now)) {
                match closing {
                    PortsToClose::One(port) => drop(self.sockets.remove(&port)),
                    PortsToClose::All(owner) => self.sockets.retain(|port, _| port.owner != owner),
                }
            }
            while sending && let Some(slot) = timeline.take(at(now)) {
                assert_eq!(slot.missed, 0);
                self.send(slot.target, now);
            }
            self.check_books();
            self.check_direction();
        }
        now
    }

    /// One request more, to learn what the counter shows.
    fn leap(&mut self, now: u64) {
        for target in 0..self.link.targets {
            if !self.fleet.target(target).session.wants_leap() {
                continue;
            }
            let mut bytes = Vec::new();
            let Some((port, _)) = self.fleet.leap(target, at(now), &mut bytes) else { continue };
            let Some(socket) = self.sockets.get(&port).copied() else { continue };
            let flying = Flying { socket, port, target, beat: None, bytes, kind: Flight::Up };
            self.throw(now + 1, flying);
        }
        while let Some(((when, _), flying)) = self.air.pop_first() {
            self.land(when, &flying);
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Expected {
    sent: u64,
    received: u64,
    lost: u64,
    late: u64,
    duplicate: u64,
    refused: u64,
    failed: u64,
    pending: u64,
}

fn verify(world: &World, end: u64) {
    let link = &world.link;
    let timeout = link.timeout_ms * MS;
    for target in 0..link.targets {
        let session = &world.fleet.target(target).session;
        let counts = *session.counts();
        let mut expected = Expected::default();
        let mut rtts = Vec::new();
        for seq in 1..=counts.sent {
            let truth = &world.truth[&(target, seq)];
            let told = &world.log.beats[&(target, seq)];
            expected.sent += 1;
            assert_eq!(told.sent, 1);
            let first = truth.replies.first().copied();
            let in_time = first.filter(|when| when - truth.sent <= timeout);
            let copies = truth.replies.len() as u64;
            let mut flags = (None, 0, 0, 0, 0, 0);
            if truth.failed {
                expected.failed += 1;
                flags.4 = 1;
            } else if truth.refused_at.is_some() {
                expected.refused += 1;
                flags.3 = 1;
            } else if let Some(when) = in_time {
                expected.received += 1;
                expected.duplicate += copies - 1;
                flags.0 = Some(Duration::from_nanos(when - truth.sent));
                flags.5 = copies - 1;
                rtts.push(when - truth.sent);
            } else if first.is_some() {
                expected.lost += 1;
                expected.late += 1;
                expected.duplicate += copies - 1;
                (flags.1, flags.2, flags.5) = (1, 1, copies - 1);
            } else if end > truth.sent + timeout {
                expected.lost += 1;
                flags.1 = 1;
            } else {
                expected.pending += 1;
            }
            let got = (
                told.received,
                told.lost,
                told.late,
                told.refused,
                told.failed,
                u64::from(told.duplicate),
            );
            assert_eq!(got, flags, "target {target} beat {seq}: {truth:?}");
        }
        let got = Expected {
            sent: counts.sent,
            received: counts.received,
            lost: counts.lost,
            late: counts.late,
            duplicate: counts.duplicate,
            refused: counts.refused,
            failed: counts.failed,
            pending: counts.pending(),
        };
        assert_eq!(got, expected);
        verify_statistics(world, target, &rtts);
    }
    let totals = world.fleet.totals();
    assert_eq!((totals.wrong, totals.unexpected), (world.strangers, 0));
    assert_eq!(world.log.wrong, world.strangers);
}

fn verify_statistics(world: &World, target: TargetId, rtts: &[u64]) {
    let session = &world.fleet.target(target).session;
    let nanos = |it: Option<Duration>| it.map(|it| it.as_nanos() as u64);
    let rtt = session.rtt();
    assert_eq!(rtt.count(), rtts.len() as u64);
    assert_eq!(nanos(rtt.min()), rtts.iter().copied().min());
    assert_eq!(nanos(rtt.max()), rtts.iter().copied().max());
    let mean = (!rtts.is_empty()).then(|| rtts.iter().sum::<u64>() / rtts.len() as u64);
    assert_eq!(nanos(rtt.average()), mean);
    let mut sorted = rtts.to_vec();
    sorted.sort_unstable();
    for (percentile, needed) in
        [(Percentile::P50, 1), (Percentile::P90, 10), (Percentile::P99, 100)]
    {
        let rank = (percentile.get() * sorted.len() as f64 / 100.0).ceil() as usize;
        let truth = (sorted.len() >= needed).then(|| sorted[rank - 1]);
        assert_eq!(nanos(rtt.percentile(percentile)), truth);
    }
    let order: Vec<_> = world.log.arrival_order.iter().filter(|it| it.0 == target).collect();
    let mut next = 0;
    let mut reordered = 0;
    let mut jitter = 0.0f64;
    for (index, (_, seq, took)) in order.iter().enumerate() {
        if *seq < next {
            reordered += 1;
            assert!(world.log.beats[&(target, *seq)].reordered);
        } else {
            next = seq + 1;
        }
        if index > 0 {
            jitter += (took.abs_diff(order[index - 1].2).as_nanos() as f64 - jitter) / 16.0;
        }
    }
    assert_eq!(session.counts().reordered, reordered);
    if let Some(got) = session.jitter() {
        assert!((got.as_nanos() as f64 - jitter).abs() <= 1.0);
    }
}

/// With the leap's answer, both directions are told exactly, unless copies confuse the counter.
fn verify_direction(world: &World) {
    let link = &world.link;
    // A request that takes longer than the time-out to reach the reflector is beyond the guard.
    let beyond = link.up.jitter_ms * 10 > link.timeout_ms * 9;
    if link.kind != Kind::Stamp || link.up.copies > 0.0 || beyond {
        return;
    }
    for target in 0..link.targets {
        let session = &world.fleet.target(target).session;
        let counts = session.counts();
        let of_target = |it: &(&(TargetId, u64), &Told)| it.0.0 == target && it.1.lost > 0;
        let lost = || world.log.beats.iter().filter(of_target).filter(|it| it.1.late == 0);
        let up = lost().filter(|(beat, _)| !world.truth[*beat].reached).count() as u64;
        let down = lost().filter(|(beat, _)| world.truth[*beat].reached).count() as u64;
        let split = session.direction().unwrap().split(counts.lost, counts.late);
        // Refused and corrupted ones were reached too, but are not lost; a reply that was corrupted
        // on its way down is missing, as a lost one is.
        let answered = counts.received + counts.late > 0;
        if answered && counts.lost > counts.late {
            assert_eq!(
                (split.up, split.down),
                (up, down),
                "{:?} target {target}: {counts:?}",
                session.direction()
            );
            assert_eq!(split.unknown, counts.late);
        } else {
            assert_eq!(split.unknown, counts.lost);
        }
    }
}

#[test]
fn what_is_reported_is_the_truth_on_any_link() {
    for seed in 0..4000u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let link = Link::random(&mut random);
        let shown = format!("seed {seed}: {link:?}");
        let outcome = std::panic::catch_unwind(move || {
            let mut world = World::new(link, random);
            let end = world.run();
            verify(&world, end);
            if !world.link.stop_early {
                world.leap(end + 10_000 * MS);
                verify_direction(&world);
            }
        });
        if let Err(panic) = outcome {
            eprintln!("{shown}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// A million beats take no more memory than ten thousand: nothing in the engine grows.
#[test]
fn an_endless_run_stays_in_constant_memory() {
    let quiet = Way { loss: 0.0, copies: 0.0, delay_ms: 0, jitter_ms: 0, corruption: 0.0 };
    let link = Link {
        kind: Kind::Numbered,
        keyed: false,
        sharing: Sharing::Own,
        targets: 1,
        same_address: false,
        beats: u64::MAX,
        interval_ms: 1,
        timeout_ms: 10,
        poisson: false,
        up: quiet,
        down: quiet,
        failure: 0.0,
        refusal: 0.0,
        stop_early: false,
    };
    let mut world = World::new(link, fastrand::Rng::with_seed(1));
    struct Nobody;
    impl Observer for Nobody {
        fn observe(&mut self, _: &Event<'_>) {}
    }
    let mut bytes = Vec::new();
    let mut sizes = Vec::new();
    for beat in 0..1_000_000u64 {
        let now = (1000 + beat) * MS;
        let Begun::Send { seq, port, to, .. } = world.fleet.begin(0, at(now), &mut Nobody) else {
            panic!("no port")
        };
        assert_eq!(port, PortKey { owner: PortOwner::Peer(0), slot: 0 });
        world.fleet.encode(0, seq, &mut bytes);
        if beat % 10 != 3 {
            let at = at(now + 1000 + world.random.u64(0..MS / 2));
            let datagram = Datagram { port, from: to, bytes: &bytes, at };
            world.fleet.arrive(&datagram, &mut Nobody);
        }
        world.fleet.expire(at(now + MS / 2), &mut Nobody);
        if beat % 100_000 == 10_000 {
            sizes.push(world.fleet.footprint());
        }
    }
    let counts = *world.fleet.target(0).session.counts();
    assert_eq!((counts.sent, counts.received), (1_000_000, 900_000));
    assert!(sizes.iter().all(|size| *size <= sizes[0]), "{sizes:?}");
}
