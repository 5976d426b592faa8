//! Which reply answers which message, and what becomes of the messages that none answers.
//!
//! Pure: no socket, no clock. The session sends and receives; here is decided from which source port
//! (source port, see [`udp_core::source_port`]) a message leaves, what a datagram that came is, when a
//! message is sent again or given up, and what is counted. A message ends in exactly one class.
//!
//! A message that is sent again leaves from the same port, as services that know their askers by
//! address expect. Which of the copies was answered cannot be told then, so its round-trip time
//! is counted from the first: never shorter than it was.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port::{Arrival, Lease, PortId, PortPool, Ports, Rules};

use crate::evidence::{Evidence, digest};
use crate::expectation::Expectation;
use crate::outcome::{Due, Lost, Message, Outcome, Replies, Unsolicited};
use crate::stats::Tally;

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
    evidence: Evidence,
    /// The last message that a single port left unanswered, and when it was first sent.
    unanswered: Option<(Message, Mono)>,
    tally: Tally,
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
            evidence: Evidence::default(),
            unanswered: None,
            tally: Tally::default(),
        }
    }

    /// The counts so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The counts so far, to add what never came to a sending.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
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
        self.tally.sent += u64::from(!again);
        self.tally.retries += u64::from(again);
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

    /// What `bytes` are, received on the source port at `at`, from whom.
    pub fn arrival(
        &mut self,
        port_id: PortId,
        from: SocketAddr,
        bytes: &[u8],
        at: Mono,
    ) -> Outcome {
        let unanswered = self.unanswered.as_ref().map(|it| &it.0);
        if let Some(message) = self.message(port_id).or(unanswered)
            && self.evidence.is_copy(&message.payload, bytes)
        {
            return self.unsolicited(None, Unsolicited::Duplicate);
        }
        match self.pool.arrival(port_id, at) {
            Arrival::Answers(seq) => self.answer(port_id, seq, from, bytes, at),
            Arrival::Late(seq) => self.after_its_end(port_id, seq, from, bytes, at),
            Arrival::Extra(seq) => self.extra(port_id, seq, from, bytes),
        }
    }

    /// A datagram from an address that was not asked.
    pub fn stranger(&mut self) -> Outcome {
        self.unsolicited(None, Unsolicited::Elsewhere)
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
        self.tally.refused += 1;
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

    /// The message outstanding on the source port, whose time is over, stays unanswered.
    pub fn give_up(&mut self, port_id: PortId, now: Mono) -> Option<Lost> {
        let Outstanding { message, attempts, .. } = self.end(port_id)?;
        self.pool.expire(port_id, now);
        self.tally.lost += 1;
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
            return Some(Due::Heard { seq });
        }
        Some(Due::Silent { port_id })
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
        self.tally.retries += 1;
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
                self.tally.pending += 1;
            }
        }
        self.due.clear();
    }

    fn answer(
        &mut self,
        port_id: PortId,
        seq: u64,
        from: SocketAddr,
        bytes: &[u8],
        at: Mono,
    ) -> Outcome {
        let Some(slot) = self.slots.get_mut(port_id.slot()) else {
            return self.unsolicited(Some(seq), Unsolicited::Extra);
        };
        let first_sent = slot.first_sent;
        let Some(outstanding) = &mut slot.outstanding else {
            return self.unsolicited(Some(seq), Unsolicited::Extra);
        };
        let request = &outstanding.message.payload;
        if let Some((earlier, when)) = &self.unanswered
            && self.evidence.answers_earlier(request, &earlier.payload, bytes)
        {
            let (seq, after) = (earlier.seq, at.saturating_since(*when));
            self.unanswered = None;
            return self.late(seq, after);
        }
        self.evidence.learn(request, bytes);
        outstanding.replies += 1;
        let replies = outstanding.replies;
        let rtt = at.saturating_since(first_sent);
        let outcome = self.credit(port_id, seq, from, bytes, rtt, replies);
        if self.settings.replies == Replies::UpTo(replies) {
            self.end(port_id);
            self.pool.settle(port_id, at);
        }
        outcome
    }

    /// The first reply to a message that has ended, refused or given up.
    fn after_its_end(
        &mut self,
        port_id: PortId,
        seq: u64,
        from: SocketAddr,
        bytes: &[u8],
        at: Mono,
    ) -> Outcome {
        let Some(slot) = self.slots.get(port_id.slot()).filter(|slot| slot.answer.is_none()) else {
            return self.extra(port_id, Some(seq), from, bytes);
        };
        let (after, refused_until) = (at.saturating_since(slot.first_sent), slot.refused_until);
        if let Some((message, _)) = self.unanswered.take() {
            self.evidence.learn(&message.payload, bytes);
        }
        if refused_until.is_some_and(|until| at <= until) {
            self.tally.refused -= 1;
            return self.credit(port_id, seq, from, bytes, after, 1);
        }
        self.late(seq, after)
    }

    /// Counts the message's reply number `replies`.
    fn credit(
        &mut self,
        port_id: PortId,
        seq: u64,
        from: SocketAddr,
        bytes: &[u8],
        rtt: Duration,
        replies: u64,
    ) -> Outcome {
        let mut after_refusal = false;
        if let Some(slot) = self.slots.get_mut(port_id.slot()) {
            slot.answer = Some((digest(bytes), from));
            after_refusal = slot.refused_until.is_some();
        }
        let slow = self.settings.max_rtt.is_some_and(|most| rtt > most);
        let wrong = slow || !self.settings.expectation.holds(bytes);
        self.tally.replied += u64::from(replies == 1);
        self.tally.replies += 1;
        self.tally.wrong += u64::from(wrong);
        self.tally.rtt.record(rtt);
        Outcome::Reply { seq, rtt, wrong, after_refusal }
    }

    fn late(&mut self, seq: u64, after: Duration) -> Outcome {
        self.tally.late += 1;
        Outcome::Late { seq, after }
    }

    /// The same bytes from the same sender once more are a duplicate; what others answer to a
    /// broadcast is not.
    fn extra(
        &mut self,
        port_id: PortId,
        seq: Option<u64>,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Outcome {
        let last = self.slots.get(port_id.slot()).and_then(|slot| slot.answer);
        let same = seq.is_some() && last == Some((digest(bytes), from));
        self.unsolicited(seq, if same { Unsolicited::Duplicate } else { Unsolicited::Extra })
    }

    fn unsolicited(&mut self, seq: Option<u64>, kind: Unsolicited) -> Outcome {
        match kind {
            Unsolicited::Duplicate => self.tally.duplicate += 1,
            Unsolicited::Extra | Unsolicited::Elsewhere => self.tally.unsolicited += 1,
        }
        Outcome::Unsolicited { seq, kind }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PEER: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7);

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000_000) + MS * u32::try_from(ms).unwrap()
    }

    fn settings() -> Settings {
        Settings {
            timeout: 100 * MS,
            retries: 0,
            replies: Replies::UpTo(1),
            expectation: Expectation::Anything,
            max_rtt: None,
            rules: Rules { ports: Ports::UpTo(8), rest: 50 * MS, linger: 10_000 * MS },
        }
    }

    fn one_port() -> Settings {
        Settings { rules: Rules { ports: Ports::One, rest: MS, linger: 100 * MS }, ..settings() }
    }

    #[track_caller]
    fn send(exchange: &mut Exchange, seq: u64, text: &str, ms: u64) -> PortId {
        let port_id = match exchange.lease(seq, at(ms)) {
            Lease::Open { port_id, .. } | Lease::Reuse(port_id) => port_id,
            other @ Lease::Wait { .. } => panic!("{other:?}"),
        };
        exchange.sent(port_id, Message { seq, payload: text.into(), ..Message::default() }, at(ms));
        port_id
    }

    /// What becomes of the message that is silent at this time: sent again, or given up.
    fn silent(it: &mut Exchange, ms: u64) -> Result<Option<u32>, Option<Lost>> {
        let Some(Due::Silent { port_id }) = it.due(at(ms)) else { return Ok(None) };
        it.again(port_id, at(ms)).map(Some).ok_or_else(|| it.give_up(port_id, at(ms)))
    }

    fn lost(it: &mut Exchange, ms: u64) -> Option<Lost> {
        silent(it, ms).err().flatten()
    }

    fn reply(seq: u64, ms: u32) -> Outcome {
        Outcome::Reply { seq, rtt: MS * ms, wrong: false, after_refusal: false }
    }

    fn kind(seq: u64, kind: Unsolicited) -> Outcome {
        Outcome::Unsolicited { seq: Some(seq), kind }
    }

    #[test]
    fn a_reply_in_time_answers_its_message() {
        let mut it = Exchange::new(settings());
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!((it.outstanding(), it.next_due()), (1, Some(at(100))));
        assert_eq!(it.arrival(port_id, PEER, b"echo a", at(7)), reply(1, 7));
        assert_eq!((it.outstanding(), it.next_due()), (0, None));
        assert_eq!(it.due(at(1000)), None);
        assert_eq!(it.tally().to_string(), "1 sent, 1 replied, 0 lost");
    }

    #[test]
    fn a_late_reply_answers_no_other_message() {
        let mut it = Exchange::new(settings());
        let first = send(&mut it, 1, "a", 0);
        assert_eq!(it.due(at(99)), None);
        let expected = Lost { seq: 1, waited: 100 * MS, attempts: 1 };
        assert_eq!(lost(&mut it, 100), Some(expected));
        let second = send(&mut it, 2, "b", 101);
        assert_eq!(
            it.arrival(first, PEER, b"x", at(150)),
            Outcome::Late { seq: 1, after: 150 * MS }
        );
        assert_eq!(it.arrival(first, PEER, b"x", at(151)), kind(1, Unsolicited::Extra));
        assert_eq!(it.arrival(second, PEER, b"x", at(152)), reply(2, 51));
        assert_eq!(it.tally().to_string(), "2 sent, 1 replied, 1 lost, 1 late, 1 unsolicited");
    }

    #[test]
    fn what_comes_after_the_reply_is_unexpected() {
        let mut it = Exchange::new(settings());
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(it.arrival(port_id, PEER, b"x", at(1)), reply(1, 1));
        let next = send(&mut it, 2, "b", 2);
        assert_ne!(port_id, next, "the port of the first message rests");
        assert_eq!(it.arrival(port_id, PEER, b"x", at(3)), kind(1, Unsolicited::Duplicate));
        assert_eq!(it.arrival(port_id, PEER, b"y", at(4)), kind(1, Unsolicited::Extra));
        assert_eq!(it.arrival(next, PEER, b"x", at(5)), reply(2, 3));
        let stranger = Outcome::Unsolicited { seq: None, kind: Unsolicited::Elsewhere };
        assert_eq!(it.stranger(), stranger);
        assert_eq!(it.tally().to_string(), "2 sent, 2 replied, 0 lost, 1 duplicate, 2 unsolicited");
    }

    #[test]
    fn each_wait_is_twice_as_long_as_the_one_before() {
        let mut it = Exchange::new(Settings { retries: 2, ..settings() });
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(silent(&mut it, 100), Ok(Some(2)));
        assert_eq!(it.due(at(100)), None);
        assert_eq!(it.message(port_id).unwrap().payload, b"a");
        assert_eq!(it.next_due(), Some(at(300)));
        assert_eq!(silent(&mut it, 300), Ok(Some(3)));
        assert_eq!(it.next_due(), Some(at(700)));
        let expected = Lost { seq: 1, waited: 700 * MS, attempts: 3 };
        assert_eq!(lost(&mut it, 700), Some(expected));
        assert_eq!(it.tally().retries, 2);
        assert_eq!(it.tally().to_string(), "1 sent, 0 replied, 1 lost");
    }

    #[test]
    fn a_reply_after_a_retry_counts_from_the_first_sending() {
        let mut it = Exchange::new(Settings { retries: 1, ..settings() });
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(silent(&mut it, 100), Ok(Some(2)));
        assert_eq!(it.arrival(port_id, PEER, b"x", at(120)), reply(1, 120));
        assert_eq!(it.due(at(1000)), None);
    }

    #[test]
    fn waits_that_would_overflow_saturate() {
        assert_eq!(wait(Duration::MAX, 3), Duration::MAX);
        assert_eq!(wait(MS, 40), MS * u32::MAX);
    }

    #[test]
    fn several_replies_are_credited_until_there_are_enough() {
        let mut it = Exchange::new(Settings { replies: Replies::UpTo(2), ..settings() });
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(it.arrival(port_id, PEER, b"x", at(1)), reply(1, 1));
        assert_eq!(it.outstanding(), 1);
        assert_eq!(it.arrival(port_id, PEER, b"y", at(2)), reply(1, 2));
        assert_eq!(it.outstanding(), 0);
        assert_eq!(it.arrival(port_id, PEER, b"z", at(3)), kind(1, Unsolicited::Extra));
        assert_eq!((it.tally().replied, it.tally().replies), (1, 2));
    }

    #[test]
    fn any_number_of_replies_is_listened_for_until_the_timeout() {
        let mut it = Exchange::new(Settings { replies: Replies::Any, ..settings() });
        let port_id = send(&mut it, 1, "a", 0);
        for ms in 1..=20 {
            assert!(matches!(
                it.arrival(port_id, PEER, b"x", at(ms)),
                Outcome::Reply { seq: 1, .. }
            ));
        }
        assert_eq!(it.due(at(99)), None);
        assert_eq!(it.due(at(100)), Some(Due::Heard { seq: 1 }));
        let next = send(&mut it, 2, "b", 300);
        assert_ne!(next, port_id, "more may come there");
        assert_eq!(it.arrival(port_id, PEER, b"y", at(301)), kind(1, Unsolicited::Extra));
        let expected = Lost { seq: 2, waited: 100 * MS, attempts: 1 };
        assert_eq!(lost(&mut it, 400), Some(expected));
        let text = "2 sent, 1 replied, 1 lost, 1 unsolicited";
        assert_eq!((it.tally().to_string().as_str(), it.tally().replies), (text, 20));
    }

    #[test]
    fn a_refusal_ends_its_message_and_no_other() {
        let mut it = Exchange::new(settings());
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(it.refused(port_id, at(1)), Some(1));
        assert_eq!(it.refused(port_id, at(2)), None);
        let port_id = send(&mut it, 2, "b", 3);
        assert_eq!(it.arrival(port_id, PEER, b"x", at(4)), reply(2, 1));
        assert_eq!(it.refused(port_id, at(5)), None);
        assert_eq!(it.due(at(1000)), None);
        assert_eq!(it.tally().to_string(), "2 sent, 1 replied, 0 lost, 1 refused");
    }

    #[test]
    fn a_message_goes_to_another_address_from_a_port_of_its_own() {
        for settings in [settings(), one_port()] {
            let mut it = Exchange::new(settings);
            let first = send(&mut it, 1, "a", 0);
            let message = it.turn(first).unwrap();
            assert_eq!((message.sent_before, message.asked, it.outstanding()), (1, 1, 0));
            assert_eq!(it.turn(first), None);
            // What the first address still says is nobody's.
            let unasked = Outcome::Unsolicited { seq: None, kind: Unsolicited::Extra };
            assert_eq!(it.arrival(first, PEER, b"x", at(1)), unasked);
            let Lease::Open { port_id, .. } = it.lease(1, at(1)) else { panic!("a new port") };
            it.sent(port_id, message, at(1));
            assert_eq!(it.arrival(port_id, PEER, b"x", at(3)), reply(1, 2));
            assert_eq!(it.tally().to_string(), "1 sent, 1 replied, 0 lost, 1 unsolicited");
            assert_eq!(it.tally().retries, 1);
        }
    }

    #[test]
    fn a_refusal_is_a_hint_and_the_right_answer_in_time_wins() {
        let after_refusal =
            Outcome::Reply { seq: 1, rtt: 50 * MS, wrong: false, after_refusal: true };
        let late = Outcome::Late { seq: 1, after: 150 * MS };
        for (ms, expected, text) in [
            (50, after_refusal, "1 sent, 1 replied, 0 lost"),
            (150, late, "1 sent, 0 replied, 0 lost, 1 refused, 1 late"),
        ] {
            for settings in [settings(), one_port()] {
                let mut it = Exchange::new(settings);
                let port_id = send(&mut it, 1, "a", 0);
                assert_eq!(it.refused(port_id, at(1)), Some(1));
                assert_eq!(it.refused_until(), Some(at(100)));
                assert_eq!(it.arrival(port_id, PEER, b"x", at(ms)), expected);
                assert_eq!(it.refused_until().is_some(), ms == 150);
                assert_eq!(it.tally().to_string(), text);
            }
        }
    }

    #[test]
    fn a_single_port_is_kept_for_the_answer_of_a_refused_message() {
        let mut it = Exchange::new(one_port());
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(it.refused(port_id, at(30)), Some(1));
        assert_eq!(it.lease(2, at(31)), Lease::Wait { until: Some(at(100)) });
        assert_eq!(it.lease(2, at(100)), Lease::Reuse(port_id));
    }

    #[test]
    fn read_late_what_came_in_time_is_in_time_and_no_more() {
        let given_up = Lost { seq: 1, waited: 100 * MS, attempts: 1 };
        for (ms, lost, expected) in [
            (100, None, reply(1, 100)),
            (101, Some(given_up), Outcome::Late { seq: 1, after: 101 * MS }),
        ] {
            let mut it = Exchange::new(settings());
            let port_id = send(&mut it, 1, "a", 0);
            assert_eq!(it.overtaken(port_id, at(ms)), lost);
            assert_eq!(it.arrival(port_id, PEER, b"x", at(ms)), expected);
            assert_eq!(it.tally().sent, it.tally().replied + it.tally().lost);
        }
    }

    #[test]
    fn what_others_answer_is_no_duplicate() {
        let mut it = Exchange::new(settings());
        let port_id = send(&mut it, 1, "who", 0);
        assert_eq!(it.arrival(port_id, PEER, b"here", at(1)), reply(1, 1));
        let other = SocketAddr::from(([127, 0, 0, 3], 7));
        assert_eq!(it.arrival(port_id, other, b"here", at(2)), kind(1, Unsolicited::Extra));
        assert_eq!(it.arrival(port_id, PEER, b"here", at(3)), kind(1, Unsolicited::Duplicate));
    }

    #[test]
    fn a_slow_reply_is_a_wrong_one() {
        let mut it = Exchange::new(Settings { max_rtt: Some(10 * MS), ..settings() });
        for (seq, took, wrong) in [(1, 10, false), (2, 11, true)] {
            let start = seq * 1000;
            let port_id = send(&mut it, seq, "a", start);
            let expected = Outcome::Reply { seq, rtt: MS * took, wrong, after_refusal: false };
            assert_eq!(it.arrival(port_id, PEER, b"x", at(start + u64::from(took))), expected);
        }
    }

    #[test]
    fn a_wrong_reply_is_a_reply() {
        let expectation = Expectation::Text(b"echo a".to_vec());
        let mut it = Exchange::new(Settings { expectation, ..settings() });
        let port_id = send(&mut it, 1, "a", 0);
        let wrong = Outcome::Reply { seq: 1, rtt: MS, wrong: true, after_refusal: false };
        assert_eq!(it.arrival(port_id, PEER, b"echo b", at(1)), wrong);
        assert_eq!(it.tally().to_string(), "1 sent, 1 replied, 0 lost, 1 wrong");
    }

    #[test]
    fn an_unsent_message_leaves_no_trace() {
        let mut it = Exchange::new(settings());
        let Lease::Open { port_id, .. } = it.lease(1, at(0)) else { panic!("no source port") };
        it.unsent(port_id, at(0));
        assert_eq!((it.outstanding(), it.tally().sent, it.due(at(1000))), (0, 0, None));
        assert_eq!(it.lease(2, at(100)), Lease::Reuse(port_id));
    }

    #[test]
    fn stopped_what_is_in_flight_is_pending() {
        let mut it = Exchange::new(Settings { replies: Replies::Any, ..settings() });
        let answered = send(&mut it, 1, "a", 0);
        send(&mut it, 2, "b", 0);
        it.arrival(answered, PEER, b"x", at(1));
        it.stop();
        assert_eq!(it.tally().to_string(), "2 sent, 1 replied, 0 lost, 1 pending");
        assert_eq!(it.outstanding(), 0);
    }

    #[test]
    fn with_one_port_content_tells_what_the_port_cannot() {
        let mut it = Exchange::new(one_port());
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(it.arrival(port_id, PEER, b"echo a", at(1)), reply(1, 1));
        // A second copy of the first reply, while the second message is in flight.
        send(&mut it, 2, "b", 2);
        let copy = Outcome::Unsolicited { seq: None, kind: Unsolicited::Duplicate };
        assert_eq!(it.arrival(port_id, PEER, b"echo a", at(3)), copy);
        assert_eq!(it.arrival(port_id, PEER, b"echo b", at(4)), reply(2, 2));
        // A reply that comes after both the timeout and the wait after it.
        send(&mut it, 3, "c", 5);
        assert!(matches!(lost(&mut it, 105), Some(Lost { seq: 3, .. })));
        assert_eq!(it.lease(4, at(150)), Lease::Wait { until: Some(at(205)) });
        send(&mut it, 4, "d", 205);
        assert_eq!(
            it.arrival(port_id, PEER, b"echo c", at(210)),
            Outcome::Late { seq: 3, after: 205 * MS }
        );
        assert_eq!(it.arrival(port_id, PEER, b"echo d", at(211)), reply(4, 6));
        let text = "4 sent, 3 replied, 1 lost, 1 late, 1 duplicate";
        assert_eq!(it.tally().to_string(), text);
    }

    #[test]
    fn a_closed_port_says_nothing_about_its_successor() {
        let mut it = Exchange::new(settings());
        let old = send(&mut it, 1, "a", 0);
        assert!(lost(&mut it, 100).is_some());
        assert_eq!(it.next_close(), Some(at(10_100)));
        assert_eq!(it.close_due(at(10_100)), Some(old));
        let new = send(&mut it, 2, "b", 10_200);
        assert_eq!(new.slot(), old.slot());
        let unasked = Outcome::Unsolicited { seq: None, kind: Unsolicited::Extra };
        assert_eq!(it.arrival(old, PEER, b"x", at(10_201)), unasked);
        assert_eq!(it.refused(old, at(10_202)), None);
        assert_eq!(it.arrival(new, PEER, b"x", at(10_203)), reply(2, 3));
    }
}
