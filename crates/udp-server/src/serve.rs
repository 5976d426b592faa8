//! Serves one batch: admits and answers each datagram, counts it, reports it.
//!
//! There is no lock and no allocation for a datagram, one clock reading a batch and one look-up of
//! the rate a run. What the kernel does not take is counted, and ends nothing.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use udp_core::batch::{Destination, Io, Meta, Outbox, Received, SLOT, Slots, Wait, Waker};
use udp_core::clock::{self, Mono, Wall};

use crate::accounting::{Counts, Published};
use crate::block::Record;
use crate::count_limit::CountLimit;
use crate::datagram_log::DatagramLog;
use crate::outcomes::Outcomes;
use crate::policy::{DropCause, Policy, Reason, SentTo};
use crate::reload::{Current, Rules};
use crate::service::stamp::Arrival;
use crate::service::{Echo, Reflector};

/// Slots of a batch: more gain nothing, and a burst of the largest datagrams touches all of them.
const SLOTS: usize = 32;
/// Answers in an outbox; a run with drops in its midst may take several.
const ENTRIES: usize = 256;
/// Bytes of reflected packets that wait to be sent together.
const REFLECTED: usize = 256 * 1024;

/// What a worker answers with.
#[derive(Debug)]
pub(crate) enum Service {
    /// The bytes that came.
    Echo(Echo),
    /// Nothing.
    Sink,
    /// The session-reflector.
    Stamp(Reflector),
}

/// What serving takes.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The socket, in batches.
    pub(crate) io: Io,
    /// The receive size.
    pub(crate) max_datagram: usize,
    /// What is answered.
    pub(crate) service: Service,
    /// Who is answered.
    pub(crate) policy: Policy,
    /// Who is answered, and with which key, as it was last read.
    pub(crate) rules: Arc<Current>,
    /// Whether it serves what was sent to a broadcast or multicast address, of which the kernel
    /// gives a copy to every socket of a port: one worker of an address does.
    pub(crate) groups: bool,
    /// Where the counts are shown.
    pub(crate) published: Arc<Published>,
    /// Where datagrams are reported, if they are.
    pub(crate) datagram_log: Option<DatagramLog>,
    /// After how many datagrams to stop, if at all.
    pub(crate) count_limit: Option<Arc<CountLimit>>,
    /// What log lines call the socket.
    pub(crate) name: String,
}

/// A socket and what answers it.
#[derive(Debug)]
pub(crate) struct Serve {
    parts: Parts,
    slots: Slots,
    outbox: Outbox,
    outcomes: Outcomes,
    /// Datagrams of the present batch that were dropped: slot, which of its run, why.
    dropped: Vec<(usize, Range<usize>, Reason)>,
    /// Datagrams of each slot that are served: within `--count`, and no other worker's.
    served: Vec<usize>,
    scratch: Vec<u8>,
    /// Which rules it has.
    version: u64,
}

impl Serve {
    /// Allocates all that serving will ever need.
    pub(crate) fn new(parts: Parts) -> Self {
        let prefix = match &parts.service {
            Service::Echo(echo) => echo.prefix(),
            Service::Sink | Service::Stamp(_) => &[],
        };
        let size = if parts.io.abilities().gro { SLOT } else { parts.max_datagram };
        let mut slots = Slots::new(SLOTS, size, prefix.len());
        let fits = slots.set_prefix(prefix);
        debug_assert!(fits, "the headroom was made for it");
        let reflects = matches!(parts.service, Service::Stamp(_));
        let own = if reflects { REFLECTED } else { 0 };
        Serve {
            outcomes: Outcomes::new(parts.name.clone()),
            outbox: Outbox::new(ENTRIES, own),
            scratch: if reflects { vec![0; size] } else { Vec::new() },
            dropped: Vec::with_capacity(ENTRIES),
            served: vec![0; SLOTS],
            slots,
            version: 0,
            parts,
        }
    }

    /// Ends a wait of [`receive`](Self::receive).
    pub(crate) fn waker(&self) -> Waker {
        self.parts.io.waker()
    }

    /// Receives a batch.
    ///
    /// # Errors
    /// As the kernel says.
    pub(crate) fn receive(&mut self, wait: Wait) -> io::Result<usize> {
        self.parts.io.receive(&mut self.slots, wait)
    }

    /// The kernel's count of datagrams that found the queue full, if it tells.
    pub(crate) fn drops(&mut self) -> Option<u64> {
        self.parts.io.drops()
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        self.outcomes.counts
    }

    /// Whether all datagrams of `--count` were served.
    pub(crate) fn is_done(&self) -> bool {
        self.parts.count_limit.as_ref().is_some_and(|limit| limit.is_spent())
    }

    /// A receive failed.
    pub(crate) fn receive_failed(&mut self, error: &io::Error) {
        self.hand_over();
        self.outcomes.receive_failed(error, clock::mono());
    }

    /// Serves the batch that was received. False if something reported of it is held back.
    pub(crate) fn batch(&mut self) -> bool {
        let now = clock::mono();
        self.dropped.clear();
        if let Some(rules) = self.parts.rules.newer_than(&mut self.version) {
            self.take_rules(rules);
        }
        for slot in 0..self.slots.len() {
            let mut meta = *self.slots.get(slot).meta;
            let is_copy = !self.parts.groups && sent_to(&meta) == SentTo::Group;
            let datagrams = if is_copy { 0 } else { meta.datagrams() };
            let served = match &self.parts.count_limit {
                None => datagrams,
                Some(count_limit) => count_limit.claim(datagrams),
            };
            self.served[slot] = served;
            if served > 0 {
                meta.len = meta.range(served - 1).end;
                self.outcomes.counts.received += served as u64;
                self.outcomes.counts.received_bytes += meta.len as u64;
                self.answer(slot, &meta, served, now);
            }
        }
        self.send(now);
        self.parts.published.show(&self.outcomes.counts);
        self.report()
    }

    #[cold]
    fn take_rules(&mut self, rules: Rules) {
        self.parts.policy.access = rules.access;
        if let Service::Stamp(reflector) = &mut self.parts.service {
            reflector.set_key(rules.key);
        }
    }

    /// Admits and answers the datagrams of one slot: the first `served` ones, which `meta` is of.
    fn answer(&mut self, slot: usize, meta: &Meta, served: usize, now: Mono) {
        if matches!(self.parts.service, Service::Sink) {
            return;
        }
        if let Err(cause) = self.admit(meta, now) {
            return self.drop_run(slot, 0..served, meta.peer, cause, now);
        }
        match self.parts.service {
            Service::Echo(_) => self.echo(slot, meta, now),
            Service::Stamp(_) => self.reflect(slot, meta, now),
            Service::Sink => {}
        }
    }

    /// Admits a run by its addresses. A source that was a broadcast address when this host's
    /// addresses were last read may be none by now.
    fn admit(&mut self, meta: &Meta, now: Mono) -> Result<(), DropCause> {
        let Parts { policy, .. } = &mut self.parts;
        let verdict = policy.admit_run(meta.peer, sent_to(meta));
        if verdict == Err(DropCause::UnanswerableSource) {
            self.outcomes.look_again(&mut policy.sources, now);
            return policy.admit_run(meta.peer, sent_to(meta));
        }
        verdict
    }

    fn echo(&mut self, slot: usize, meta: &Meta, now: Mono) {
        let Serve { parts, slots, outbox, outcomes, dropped, .. } = self;
        let Service::Echo(echo) = &parts.service else { return };
        let bytes = slots.get(slot).bytes.get(..meta.len).unwrap_or_default();
        let Policy { sources, limits, .. } = &mut parts.policy;
        let io = &mut parts.io;
        echo.judge(Received { meta, bytes }, limits, now, |range, cause| match cause {
            Some(cause) => {
                let limiter = limits.limiter.as_deref();
                outcomes.dropped(cause, range.len() as u64, meta.peer, limiter, now);
                dropped.push((slot, range, cause.reason()));
            }
            None => {
                if outbox.echo(slots, slot, range.clone()).is_err() {
                    io.send(outbox, slots, |sent| outcomes.sent(&sent, sources, now));
                    // It is empty now, and has room for more than one.
                    let _ = outbox.echo(slots, slot, range);
                }
            }
        });
    }

    fn reflect(&mut self, slot: usize, meta: &Meta, now: Mono) {
        let at = meta.timestamp.unwrap_or_else(clock::wall);
        let arrival = Arrival { peer: meta.peer, at, ttl: meta.ttl };
        for index in 0..meta.datagrams() {
            let Serve { parts, slots, outbox, scratch, .. } = &mut *self;
            let Service::Stamp(reflector) = &mut parts.service else { return };
            let request = slots.get(slot).bytes.get(meta.range(index)).unwrap_or_default();
            let admitted = reflector.open(request, at).and_then(|packet| {
                let token = parts.policy.limits.take(meta.peer.ip(), 1, now);
                if token == 0 { Err(DropCause::OverRate) } else { Ok(packet) }
            });
            match admitted {
                Err(cause) => self.drop_run(slot, index..index + 1, meta.peer, cause, now),
                Ok(packet) => {
                    let times = (now, clock::wall());
                    let len = reflector.reflect(&packet, request, arrival, times, scratch);
                    let reply = scratch.get(..len).unwrap_or_default();
                    if outbox.push(meta.peer, meta.source(), reply).is_err() {
                        self.send(now);
                        let reply = self.scratch.get(..len).unwrap_or_default();
                        // It is empty now, and has room for more than one.
                        let _ = self.outbox.push(meta.peer, meta.source(), reply);
                    }
                }
            }
        }
    }

    fn drop_run(
        &mut self,
        slot: usize,
        range: Range<usize>,
        peer: SocketAddr,
        cause: DropCause,
        now: Mono,
    ) {
        let limiter = self.parts.policy.limits.limiter.as_deref();
        self.outcomes.dropped(cause, range.len() as u64, peer, limiter, now);
        self.dropped.push((slot, range, cause.reason()));
    }

    fn send(&mut self, now: Mono) {
        let Serve { parts, slots, outbox, outcomes, .. } = self;
        if !outbox.is_empty() {
            let sources = &mut parts.policy.sources;
            parts.io.send(outbox, slots, |sent| outcomes.sent(&sent, sources, now));
        }
    }

    /// Reports the batch's datagrams; false if something is held back.
    fn report(&mut self) -> bool {
        let Some(datagram_log) = &mut self.parts.datagram_log else { return true };
        let at = if datagram_log.wants_times() { clock::wall() } else { Wall::default() };
        let mut dropped = self.dropped.iter().peekable();
        for (slot, received) in self.slots.iter().enumerate() {
            let meta = received.meta;
            let served = self.served[slot];
            for (index, payload) in received.segments().enumerate().take(served) {
                let mut record = Record::new(at, meta.peer, payload.len(), meta.truncated);
                let is_past = |(in_slot, range, _): &&(usize, Range<usize>, Reason)| {
                    (*in_slot, range.end) <= (slot, index)
                };
                while dropped.peek().is_some_and(is_past) {
                    dropped.next();
                }
                let this =
                    dropped.peek().filter(|(s, range, _)| *s == slot && range.contains(&index));
                record.dropped = this.map(|(.., reason)| *reason);
                datagram_log.record(record, payload);
            }
        }
        datagram_log.end_batch()
    }

    /// Hands over what was held back.
    pub(crate) fn hand_over(&mut self) {
        if let Some(datagram_log) = &mut self.parts.datagram_log {
            datagram_log.hand_over();
        }
    }
}

fn sent_to(meta: &Meta) -> SentTo {
    match meta.destination {
        Destination::Broadcast | Destination::Multicast => SentTo::Group,
        _ if meta.local.is_some_and(|local| local.is_ipv4() != meta.peer.is_ipv4()) => {
            SentTo::OtherFamily
        }
        Destination::Unicast | Destination::Unknown => SentTo::Us,
    }
}
