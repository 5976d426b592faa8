//! Which reply answers which message, and what becomes of the messages that none answers.
//!
//! Pure: no socket, no clock. The session sends and receives; here is decided from which source
//! port a message leaves (see [`udp_core::source_port`]), what a datagram that came is, when a
//! message is sent again or given up, and what is counted. A message ends in exactly one class.
//!
//! A message that is sent again leaves from the same port, as services that know their askers by
//! address expect. Which of the copies was answered cannot be told then, so its round-trip time
//! is counted from the first: never shorter than it was.

mod arrival;
mod echo_match;
mod outcome;
#[cfg(test)]
mod tests;

pub use outcome::{Due, Lost, Message, Outcome, Replies, Unsolicited};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port::{Lease, PortId, PortPool, Ports, Rules};

use self::echo_match::EchoMatch;
use crate::stats::Counts;
use udp_core::expect::Expectation;

/// How messages are treated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a reply is waited for, the first time; each time after that twice as long.
    pub timeout: Duration,
    /// How often a message is sent again.
    pub retries: u32,
    /// How many replies a message may bring.
    pub replies: Replies,
    /// What every reply must be.
    pub expectation: Expectation,
    /// A reply that takes longer is wrong too.
    pub max_rtt: Option<Duration>,
    /// How source ports are used.
    pub rules: Rules,
}

#[derive(Debug)]
struct Outstanding {
    port_id: PortId,
    message: Message,
    attempts: u32,
    replies: u64,
    due: Mono,
}

/// What is known about a source port beyond its use.
#[derive(Debug)]
struct Slot {
    outstanding: Option<Outstanding>,
    /// When the last message left here first.
    first_sent: Mono,
    /// Whether it was answered, and with what by whom.
    answer: Option<(u64, SocketAddr)>,
    /// Until when an answer is a reply although the message was refused: an ICMP error is a hint
    /// (RFC 8085 §5.2).
    refused_until: Option<Mono>,
}

/// The conversation.
#[derive(Debug)]
pub struct Exchange {
    settings: Settings,
    pool: PortPool<u64>,
    slots: Vec<Slot>,
    due: BTreeSet<(Mono, PortId)>,
    echo_match: EchoMatch,
    /// The last message that a single port left unanswered, and when it was first sent.
    unanswered: Option<(Message, Mono)>,
    counts: Counts,
}

impl Exchange {
    /// Nothing sent yet.
    pub fn new(settings: Settings) -> Self {
        let pool = PortPool::new(settings.rules);
        Exchange {
            settings,
            pool,
            slots: Vec::new(),
            due: BTreeSet::new(),
            echo_match: EchoMatch::default(),
            unanswered: None,
            counts: Counts::default(),
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The counts so far, to add what never came to a sending.
    pub fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// How many messages are in flight.
    pub fn outstanding(&self) -> usize {
        self.due.len()
    }

    /// How many ports are open.
    pub fn ports(&self) -> usize {
        self.pool.open()
    }

    /// Where message `seq` leaves from. Say [`sent`](Self::sent), [`unsent`](Self::unsent) or
    /// [`unopened`](Self::unopened) next.
    pub fn lease(&mut self, seq: u64, now: Mono) -> Lease {
        self.pool.lease(seq, now)
    }

    /// The message left from the source port at `at`.
    pub fn sent(&mut self, port_id: PortId, message: Message, at: Mono) {
        while self.slots.len() <= port_id.slot() {
            self.slots.push(Slot {
                outstanding: None,
                first_sent: at,
                answer: None,
                refused_until: None,
            });
        }
        let due = at + self.settings.timeout;
        let slot = &mut self.slots[port_id.slot()];
        let again = message.sent_before > 0;
        slot.outstanding = Some(Outstanding { port_id, message, attempts: 1, replies: 0, due });
        (slot.first_sent, slot.answer, slot.refused_until) = (at, None, None);
        self.due.insert((due, port_id));
        self.counts.sent += u64::from(!again);
        self.counts.retries += u64::from(again);
    }

    /// The message did not leave, but its source port is as good as before.
    pub fn unsent(&mut self, port_id: PortId, now: Mono) {
        self.pool.settle(port_id, now);
    }

    /// No socket could be opened for the source port; `exhausted` if none can be for now.
    pub fn unopened(&mut self, port_id: PortId, exhausted: bool) {
        self.pool.unopened(port_id, exhausted);
    }

    /// The bytes of the message outstanding on the source port.
    pub fn message(&self, port_id: PortId) -> Option<&Message> {
        self.busy(port_id).map(|it| &it.message)
    }

    /// The peer's host says that nothing listens there. The number of the message that this ends,
    /// if it ends one: a message that had a reply, or whose time is over, is not refused any more.
    /// Until its time is over the port is kept for its answer.
    pub fn refused(&mut self, port_id: PortId, at: Mono) -> Option<u64> {
        self.busy(port_id).filter(|it| it.replies == 0)?;
        let ended = self.end(port_id)?;
        let one = self.settings.rules.ports == Ports::One;
        let since = ended.due.saturating_sub(self.settings.rules.linger);
        self.pool.expire(port_id, if one { since } else { at });
        let seq = ended.message.seq;
        let slot = self.slots.get_mut(port_id.slot())?;
        slot.refused_until = Some(ended.due);
        if one {
            self.unanswered = Some((ended.message, slot.first_sent));
        }
        self.counts.refused += 1;
        Some(seq)
    }

    /// Until when an answer makes a reply of a message that was refused; `None` where there is none.
    pub fn refused_until(&self) -> Option<Mono> {
        let open = |slot: &Slot| slot.refused_until.filter(|_| slot.answer.is_none());
        self.slots.iter().filter_map(open).max()
    }

    /// Takes the message outstanding on the source port back, unless it had a reply, because another
    /// address is to be asked. The port is free at once: close its socket.
    pub fn turn(&mut self, port_id: PortId) -> Option<Message> {
        self.busy(port_id).filter(|it| it.replies == 0)?;
        let Outstanding { mut message, attempts, .. } = self.end(port_id)?;
        self.pool.abandon(port_id);
        message.sent_before += attempts;
        message.asked += 1;
        Some(message)
    }

    /// Something came to the source port at `at` and is read only now, because the process was
    /// stopped or busy. If the message outstanding there was over before, it ends before.
    pub fn overtaken(&mut self, port_id: PortId, at: Mono) -> Option<Lost> {
        let it = self.busy(port_id).filter(|it| at > it.due)?;
        if it.replies > 0 {
            self.end(port_id);
            self.pool.expire(port_id, at);
            return None;
        }
        if it.attempts <= self.settings.retries { None } else { self.give_up(port_id, at) }
    }

    /// Expires the message that is outstanding on the source port.
    pub fn give_up(&mut self, port_id: PortId, now: Mono) -> Option<Lost> {
        let Outstanding { message, attempts, .. } = self.end(port_id)?;
        self.pool.expire(port_id, now);
        self.counts.lost += 1;
        let waits = (0..attempts).map(|earlier| wait(self.settings.timeout, earlier));
        let waited = waits.fold(Duration::ZERO, Duration::saturating_add);
        let lost = Lost { seq: message.seq, waited, attempts: message.sent_before + attempts };
        if self.settings.rules.ports == Ports::One {
            let first_sent = self.slots.get(port_id.slot()).map_or(now, |slot| slot.first_sent);
            self.unanswered = Some((message, first_sent));
        }
        Some(lost)
    }

    /// What is due at `now`, one at a time; ask until there is nothing.
    pub fn due(&mut self, now: Mono) -> Option<Due> {
        let &(due, port_id) = self.due.first()?;
        if due > now {
            return None;
        }
        let outstanding = self.busy(port_id)?;
        if outstanding.replies > 0 {
            let seq = outstanding.message.seq;
            self.end(port_id)?;
            self.pool.expire(port_id, now);
            return Some(Due::Complete { seq });
        }
        Some(Due::TimedOut { port_id })
    }

    /// Whether the silent message is sent again, as `--retries` allows, and for which time; it is
    /// waited for twice as long then.
    pub fn again(&mut self, port_id: PortId, now: Mono) -> Option<u32> {
        let outstanding = self.slots.get_mut(port_id.slot())?.outstanding.as_mut()?;
        if outstanding.port_id != port_id || outstanding.attempts > self.settings.retries {
            return None;
        }
        let wait = wait(self.settings.timeout, outstanding.attempts);
        self.due.remove(&(outstanding.due, port_id));
        outstanding.attempts += 1;
        outstanding.due = now + wait;
        self.due.insert((outstanding.due, port_id));
        self.counts.retries += 1;
        Some(outstanding.message.sent_before + outstanding.attempts)
    }

    /// When something will be due.
    pub fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|it| it.0)
    }

    /// A source port whose socket is to be closed; ask until there is none.
    pub fn close_due(&mut self, now: Mono) -> Option<PortId> {
        self.pool.close_due(now)
    }

    /// When the next socket will have to be closed.
    pub fn next_close(&self) -> Option<Mono> {
        self.pool.next_close()
    }

    /// The conversation ends here: what is unanswered is neither lost nor answered.
    pub fn stop(&mut self) {
        for slot in &mut self.slots {
            if slot.outstanding.take().is_some_and(|it| it.replies == 0) {
                self.counts.pending += 1;
            }
        }
        self.due.clear();
    }

    fn busy(&self, port_id: PortId) -> Option<&Outstanding> {
        let outstanding = self.slots.get(port_id.slot())?.outstanding.as_ref()?;
        (outstanding.port_id == port_id).then_some(outstanding)
    }

    /// Takes the message out of the flight.
    fn end(&mut self, port_id: PortId) -> Option<Outstanding> {
        let slot = self.slots.get_mut(port_id.slot())?;
        let outstanding = slot.outstanding.take_if(|it| it.port_id == port_id)?;
        self.due.remove(&(outstanding.due, port_id));
        Some(outstanding)
    }
}

/// How long to wait after a message was sent for another time: twice as long as the time before
/// (RFC 8085 §3.1.1).
fn wait(timeout: Duration, earlier: u32) -> Duration {
    timeout.saturating_mul(1u32.checked_shl(earlier).unwrap_or(u32::MAX))
}
