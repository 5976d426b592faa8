//! Handles what arrived and what did not arrive in time: each datagram goes to the exchange, each
//! expired request is sent again or counted as lost.

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::cli::parse::ShownDuration;
use udp_core::clock::{self, Mono};
use udp_core::endpoint::host_port;
use udp_core::socket::icmp::IcmpError;
use udp_core::source_port::PortId;
use udp_core::{Error, Operation, Shown};

use super::{BATCHES_IN_A_ROW, BLOCK, Pending, Session};
use crate::exchange::{Due, Lost, Message, Outcome};
use crate::network::{Arrived, Batch, Receiver, What};
use crate::transcript::{Event, refused_by};

/// By how much a deadline is missed when something held everything up.
const OVERSLEPT: Duration = Duration::from_millis(50);
/// How long the receiver has to hand on what came meanwhile.
const MOMENT: Duration = Duration::from_millis(100);

impl Session {
    /// What came, in order.
    pub(super) fn hear(&mut self, batch: &Batch) {
        for Arrived { port_id, at, what } in &batch.arrivals {
            match what {
                What::Datagram(peer, range) => {
                    let bytes = batch.bytes(range);
                    if let Some(lost) = self.exchange.overtaken(*port_id, *at) {
                        self.lost(lost, self.peer_of(*port_id), *at);
                    }
                    let outcome = self.exchange.arrival(*port_id, *peer, bytes, *at);
                    self.tell(outcome, *peer, bytes, *at);
                }
                What::Foreign(peer, range) => {
                    let outcome = self.exchange.foreign();
                    self.tell(outcome, *peer, batch.bytes(range), *at);
                }
                What::Icmp(error) => self.icmp(*port_id, error, *at),
                What::Failed(error) => self.receive_failed(*port_id, error, *at),
            }
            if self.said.out.len() >= BLOCK {
                self.say();
            }
        }
    }

    fn tell(&mut self, outcome: Outcome, peer: SocketAddr, bytes: &[u8], at: Mono) {
        let event = match outcome {
            Outcome::Reply { seq, rtt, wrong, after_refusal } => {
                self.last_rtt = rtt;
                self.addresses.answered();
                Event::Reply { seq, peer, bytes, rtt, wrong, after_refusal }
            }
            Outcome::Late { seq, after } => {
                self.addresses.answered();
                Event::Late { seq, peer, bytes, rtt: after }
            }
            Outcome::Unsolicited { seq, kind } => Event::Unsolicited { seq, peer, bytes, kind },
        };
        self.event(event, at);
    }

    /// Who was asked on this port.
    pub(super) fn peer_of(&self, port_id: PortId) -> SocketAddr {
        self.network.peer_of(port_id).unwrap_or_else(|| self.addresses.peer())
    }

    /// What the network says about what was sent on this port: where the target has an address that
    /// was not asked yet and none has ever answered, the message goes there; a refusal ends it
    /// otherwise, and anything else it may survive.
    pub(super) fn icmp(&mut self, port_id: PortId, error: &IcmpError, at: Mono) {
        let peer = self.peer_of(port_id);
        let seq = self.exchange.message(port_id).map(|message| message.seq);
        let by = error.from;
        if error.is_refusal() && !self.turn(port_id, peer) {
            if let Some(seq) = self.exchange.refused(port_id, at) {
                self.event(Event::Refused { seq: Some(seq), peer, by }, at);
            }
            return;
        }
        if error.is_refusal() {
            let text = refused_by(peer, by);
            return self.event(Event::Network { seq, peer, text: &text }, at);
        }
        self.turn(port_id, peer);
        self.event(Event::Network { seq, peer, text: &error.to_string() }, at);
    }

    /// Puts the message outstanding on the port back, to be sent to the target's next address, where
    /// there is one that it may ask.
    fn turn(&mut self, port_id: PortId, peer: SocketAddr) -> bool {
        let Some(asked) = self.exchange.message(port_id).map(|message| message.asked) else {
            return false;
        };
        if !self.addresses.turn_from(peer, asked) {
            return false;
        }
        let Some(message) = self.exchange.turn(port_id) else { return false };
        self.network.close(port_id);
        self.put_back(message);
        true
    }

    /// Puts a message back where its number belongs.
    fn put_back(&mut self, message: Message) {
        let after = |it: &Pending| matches!(it, Pending::Message(it) if it.seq > message.seq);
        let place = self.queue.iter().position(after).unwrap_or(self.queue.len());
        self.queue.insert(place, Pending::Message(message));
    }

    /// Such an error says something about the way, not about a message, which may be answered yet.
    fn receive_failed(&mut self, port_id: PortId, error: &std::io::Error, at: Mono) {
        let seq = self.exchange.message(port_id).map(|message| message.seq);
        let peer = host_port(self.peer_of(port_id));
        let source = match error.raw_os_error() {
            Some(number) => std::io::Error::from_raw_os_error(number),
            None => error.kind().into(),
        };
        let text = Error::new(Operation::Receive, peer, source).to_string();
        self.event(Event::Error { seq, text: &text, hint: None }, at);
    }

    /// Whether a deadline was missed by far: the process was stopped, the machine busy, or the
    /// output stuck.
    pub(super) fn overslept(&self) -> bool {
        let now = clock::mono();
        self.exchange.next_due().is_some_and(|due| now >= due + OVERSLEPT)
    }

    /// Processes what arrived while this process did not run, so that no message expires whose reply
    /// is already in a socket.
    pub(super) fn catch_up(&mut self, receiver: &Receiver) {
        for _ in 0..BATCHES_IN_A_ROW {
            match receiver.batches().recv_timeout(MOMENT) {
                Ok(batch) => self.hear(&batch),
                Err(_) => return,
            }
        }
    }

    /// What is due: messages to send again or to give up, sockets to close.
    pub(super) fn look_at_deadlines(&mut self) {
        let now = clock::mono();
        while let Some(due) = self.exchange.due(now) {
            match due {
                Due::Complete { .. } => {}
                Due::TimedOut { port_id } => self.silent(port_id, now),
            }
        }
        while let Some(port_id) = self.exchange.close_due(now) {
            self.network.close(port_id);
        }
    }

    /// No reply came in time: the next address is asked, or this one again, or that was all.
    fn silent(&mut self, port_id: PortId, now: Mono) {
        let peer = self.peer_of(port_id);
        let seq = self.exchange.message(port_id).map(|message| message.seq);
        if self.turn(port_id, peer) {
            let waited = ShownDuration(self.config.settings.timeout);
            let text =
                format!("no reply from {} within {waited}, asking the next address", Shown(peer));
            self.event(Event::Network { seq, peer, text: &text }, now);
        } else if let Some(attempt) = self.exchange.again(port_id, now) {
            self.send_again(port_id, attempt);
        } else if let Some(lost) = self.exchange.give_up(port_id, now) {
            self.lost(lost, peer, now);
        }
    }

    fn lost(&mut self, Lost { seq, waited, attempts }: Lost, peer: SocketAddr, at: Mono) {
        self.event(Event::Timeout { seq, peer, waited, attempts }, at);
    }
}
