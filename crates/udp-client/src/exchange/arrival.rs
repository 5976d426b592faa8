//! Classifies a received datagram: the reply to a message, a late one, a duplicate, or unsolicited.
//!
//! The source port that it came to decides (RFC 5452 §9.2), its content only where one port carries
//! one message after the other.

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port::{Arrival, PortId};

use super::echo_match::digest;
use super::{Exchange, Outcome, Replies, Unsolicited};

impl Exchange {
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
            && self.echo_match.is_copy(&message.payload, bytes)
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
    pub fn foreign(&mut self) -> Outcome {
        self.unsolicited(None, Unsolicited::Elsewhere)
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
            && self.echo_match.answers_earlier(request, &earlier.payload, bytes)
        {
            let (seq, after) = (earlier.seq, at.saturating_since(*when));
            self.unanswered = None;
            return self.late(seq, after);
        }
        self.echo_match.learn(request, bytes);
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
            self.echo_match.learn(&message.payload, bytes);
        }
        if refused_until.is_some_and(|until| at <= until) {
            self.counts.refused -= 1;
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
        self.counts.replied += u64::from(replies == 1);
        self.counts.replies += 1;
        self.counts.wrong += u64::from(wrong);
        self.counts.rtt.record(rtt);
        Outcome::Reply { seq, rtt, wrong, after_refusal }
    }

    fn late(&mut self, seq: u64, after: Duration) -> Outcome {
        self.counts.late += 1;
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
            Unsolicited::Duplicate => self.counts.duplicate += 1,
            Unsolicited::Extra | Unsolicited::Elsewhere => self.counts.unsolicited += 1,
        }
        Outcome::Unsolicited { seq, kind }
    }
}
