//! A random link: loss, delay, copies and corruption in each direction, the true fate of each beat,
//! and the events that the engine reported.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Mono;

use crate::probe::event::{End, Event, Observer, What};
use crate::probe::schedule::TargetId;
use crate::probe::stats::loss::confidence;
use crate::probe::targets::{PortKey, Sharing, Targets};
use crate::probe::window::Seq;

pub(super) const MS: u64 = 1_000_000;

/// One direction of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) loss: f64,
    pub(super) copies: f64,
    pub(super) delay_ms: u64,
    pub(super) jitter_ms: u64,
    pub(super) corruption: f64,
}

impl Way {
    /// How long a datagram takes that way, and a copy of it; none if it is lost.
    pub(super) fn pass(self, random: &mut fastrand::Rng, kind: Kind) -> Vec<u64> {
        if random.f64() < self.loss {
            return Vec::new();
        }
        let copies = if random.f64() < self.copies { 2 } else { 1 };
        let mut times: Vec<u64> =
            (0..copies).map(|_| self.delay_ms * MS + random.u64(0..=self.jitter_ms * MS)).collect();
        if kind == Kind::Plain {
            let first = times[0];
            times.fill(first);
        }
        times
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Plain,
    Numbered,
    Stamp,
}

#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) kind: Kind,
    pub(super) keyed: bool,
    pub(super) sharing: Sharing,
    pub(super) targets: u32,
    pub(super) same_address: bool,
    pub(super) beats: u64,
    pub(super) interval_ms: u64,
    pub(super) timeout_ms: u64,
    pub(super) poisson: bool,
    pub(super) up: Way,
    pub(super) down: Way,
    /// Sends that fail, and requests that are refused.
    pub(super) failure: f64,
    pub(super) refusal: f64,
    /// How many of the refused requests arrive all the same.
    pub(super) hint: f64,
    /// The first target is taken from the list in the middle.
    pub(super) retire: bool,
    /// Stop before the end.
    pub(super) stop_early: bool,
    /// How often a target's name has another address, or one that it had before.
    pub(super) moves: f64,
    /// The name has two addresses from the start.
    pub(super) twin: bool,
    /// How often a reflector begins to count anew.
    pub(super) restarts: f64,
    /// Every beat leaves from one port that the user chose.
    pub(super) fixed: bool,
    /// Reflectors count for each port, and not for all together.
    pub(super) by_port: bool,
}

pub(super) fn chance(random: &mut fastrand::Rng, most: f64) -> f64 {
    if random.bool() { 0.0 } else { random.f64() * most }
}

impl Link {
    /// Whether requests may overtake each other by more than the timeout, which no proof counts with.
    pub(super) fn is_beyond_the_guard(&self) -> bool {
        self.up.jitter_ms > self.timeout_ms
    }

    /// Moves, refusals that answers follow, restarts, duplicates, and a port that is fixed or one that
    /// beats leave after a row of losses.
    pub(super) fn with_every_fault(random: &mut fastrand::Rng, fixed: bool) -> Link {
        loop {
            let link = Link::random(random);
            let doubles =
                link.down.copies > 0.0 && (link.kind == Kind::Plain || link.up.copies > 0.0);
            let port = link.fixed == fixed && (fixed || link.kind != Kind::Plain);
            if port && doubles && link.refusal > 0.0 && link.hint > 0.0 {
                let moves = 0.01 + random.f64() * 0.3;
                return Link { moves, restarts: 0.01 + random.f64() * 0.1, ..link };
            }
        }
    }

    pub(super) fn random(random: &mut fastrand::Rng) -> Link {
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
            // What no source port can tell apart is not asked of it: a copy that comes much later.
            up.copies = 0.0;
        }
        let interval_ms = random.u64(2..60);
        let timeout_ms = random.u64(20..150);
        let targets = random.u32(1..4);
        let slowest = up.delay_ms + up.jitter_ms + down.delay_ms + down.jitter_ms;
        // One port cannot tell a reply that comes after it has been used again.
        let tells = kind != Kind::Plain || slowest <= 3 * timeout_ms;
        let fixed = targets == 1 && tells && random.u8(0..4) == 0;
        let sharing = if fixed || random.bool() { Sharing::Own } else { Sharing::Shared };
        Link {
            moves: if random.u8(0..3) == 0 { random.f64() * 0.3 } else { 0.0 },
            twin: random.u8(0..4) == 0,
            restarts: if random.u8(0..3) == 0 { random.f64() * 0.1 } else { 0.0 },
            fixed,
            kind,
            keyed: random.bool(),
            sharing,
            targets,
            same_address: random.bool(),
            beats: random.u64(1..80),
            interval_ms,
            timeout_ms,
            poisson: random.bool(),
            up,
            down,
            failure: chance(random, 0.2),
            refusal: chance(random, 0.2),
            // What no source port can tell apart is not asked of it, either: one that was refused
            // is used again, at once where it is the only one.
            hint: match kind {
                Kind::Plain if fixed || slowest * 2 > timeout_ms => 0.0,
                _ => chance(random, 1.0),
            },
            retire: random.u8(0..4) == 0,
            stop_early: random.u8(0..4) == 0,
            by_port: random.bool(),
        }
    }
}

/// What really became of a beat.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) failed: bool,
    /// A refusal came before any reply, within the timeout.
    pub(super) refused: bool,
    /// How often the request reached the peer, and which of the answers came back.
    pub(super) reached: usize,
    pub(super) seen: BTreeSet<usize>,
    /// When copies of the reply were handed over, intact.
    pub(super) replies: Vec<u64>,
}

impl Truth {
    /// Times that the request reached the peer beyond the first, of which there is no sign.
    pub(super) fn doubled_unseen(&self) -> usize {
        match self.seen.len() {
            0 => self.reached.saturating_sub(1),
            seen => self.reached - seen,
        }
    }
}

/// What was told of a beat.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) sent: u32,
    pub(super) received: Option<Duration>,
    pub(super) from_due: Duration,
    pub(super) lost: u32,
    pub(super) late: u32,
    pub(super) refused: u32,
    pub(super) failed: u32,
    pub(super) duplicate: u32,
    pub(super) reordered: bool,
    /// How often its end was told, and as what.
    pub(super) ends: u32,
    pub(super) end_received: bool,
    pub(super) end_lost: bool,
    pub(super) end_failed: bool,
}

#[derive(Default)]
pub(super) struct Log {
    pub(super) beats: HashMap<(TargetId, u64), Told>,
    pub(super) unsolicited: u64,
    pub(super) arrival_order: Vec<(TargetId, u64, Duration)>,
}

impl Observer for Log {
    fn observe(&mut self, event: &Event<'_>) {
        let target = event.target;
        match event.what {
            What::Sent { seq, .. } => self.of(target, seq).sent += 1,
            What::Reply { seq, reply, .. } => {
                let beat = self.of(target, seq);
                assert_eq!(beat.received, None, "received twice");
                assert_eq!(beat.refused > 0, reply.after_refusal);
                beat.received = Some(reply.rtt);
                beat.from_due = reply.rtt_from_due;
                beat.reordered = reply.reordered;
                self.arrival_order.push((target, seq.0, reply.rtt));
            }
            What::Late { seq, .. } => self.of(target, seq).late += 1,
            What::Duplicate { seq, .. } => self.of(target, seq).duplicate += 1,
            What::Unsolicited { .. } => self.unsolicited += 1,
            What::Lost { seq } => self.of(target, seq).lost += 1,
            What::Refused { seq } => self.of(target, seq).refused += 1,
            What::Failed { seq, .. } => self.of(target, seq).failed += 1,
            What::Ended { seq, end, .. } => {
                let beat = self.of(target, seq);
                beat.ends += 1;
                beat.end_received = matches!(end, End::Received(_));
                beat.end_lost = matches!(end, End::Lost { .. });
                beat.end_failed = matches!(end, End::Failed(_));
            }
            What::Interval { .. }
            | What::Trouble { .. }
            | What::Silent { .. }
            | What::State { .. }
            | What::InARow { .. }
            | What::Moved { .. } => {}
        }
    }
}

impl Log {
    pub(super) fn of(&mut self, target: TargetId, seq: Seq) -> &mut Told {
        self.beats.entry((target, seq.0)).or_default()
    }
}

/// Something on its way.
#[derive(Debug, Clone)]
pub(super) struct Flying {
    pub(super) socket: u64,
    pub(super) port: PortKey,
    pub(super) target: TargetId,
    /// Where it went, and where its answer comes from.
    pub(super) to: SocketAddr,
    pub(super) beat: Option<(TargetId, u64)>,
    pub(super) bytes: Vec<u8>,
    pub(super) kind: Flight,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Flight {
    Up,
    Down { intact: bool, answer: usize },
    Refusal,
}

pub(super) fn at(ns: u64) -> Mono {
    Mono::from_nanos(ns)
}

/// The addresses that a target's name may have: a few, so that it comes back to them.
pub(super) fn address(link: &Link, target: TargetId, which: u8) -> SocketAddr {
    let host = if link.same_address { 1 } else { target as u8 + 1 };
    SocketAddr::from(([10, 0, which, host], 7000))
}

/// At any moment the sums add up.
pub(super) fn check_books(targets: &Targets) {
    let totals = targets.totals();
    assert_eq!(totals.pending(), targets.in_flight());
    assert_eq!(totals.sent, totals.received + totals.unanswered() + totals.pending(), "{totals:?}");
    assert!(totals.late <= totals.lost && totals.refused <= totals.lost);
    let settled = totals.received + totals.lost;
    if let (Some(share), Some((low, high))) =
        (totals.loss_percent(), confidence(totals.lost, settled))
    {
        assert!((0.0..=100.0).contains(&share));
        assert!(low <= share + 1e-9 && share <= high + 1e-9);
    }
}
