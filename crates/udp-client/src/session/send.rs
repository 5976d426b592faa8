//! Sends messages as the window, the interval and free source ports allow, and reports those that
//! could not be sent.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use udp_core::clock::{self, Mono};
use udp_core::endpoint::host_port;
use udp_core::socket::icmp::IcmpError;
use udp_core::source_port::{Lease, PortId};
use udp_core::{Error, ErrorClass};

use super::{BLOCK, Pending, PortsReady, Session};
use crate::exchange::Message;
use crate::input::Fault;
use crate::network::{Sent, denied};
use crate::transcript::Event;

/// How long to wait when there is no room for a datagram on its way out.
const BUSY: Duration = Duration::from_millis(1);

impl Session {
    /// Sends until something is in the way.
    pub(super) fn send_what_may_go(&mut self) {
        self.ports = PortsReady::Now;
        let mut now = clock::mono();
        while self.exchange.outstanding() < self.config.window && now >= self.next_send {
            let flow = match self.queue.pop_front() {
                None => return,
                Some(Pending::Unusable(fault)) => self.unusable(&fault, now),
                Some(Pending::Message(message)) => self.dispatch(message, now),
            };
            if flow.is_break() {
                return;
            }
            if self.said.out.len() >= BLOCK {
                self.say();
            }
            now = clock::mono();
        }
    }

    /// Input that makes no message. At a prompt a person sees it and types again.
    fn unusable(&mut self, fault: &Fault, now: Mono) -> ControlFlow<()> {
        let most = format!("a datagram holds at most {} bytes", self.most());
        let counts = self.exchange.counts_mut();
        let (text, hint) = match fault {
            Fault::Form(text) => {
                counts.unusable += u64::from(!self.config.source.is_prompt());
                (text, None)
            }
            Fault::TooLong(text) => {
                counts.failed += 1;
                (text, Some(most.as_str()))
            }
        };
        self.event(Event::Error { seq: None, text, hint }, now);
        ControlFlow::Continue(())
    }

    fn dispatch(&mut self, message: Message, now: Mono) -> ControlFlow<()> {
        let port_id = match self.exchange.lease(message.seq, now) {
            Lease::Reuse(port_id) => port_id,
            Lease::Open { port_id, close } => {
                if let Some(old) = close {
                    self.network.close(old);
                }
                port_id
            }
            Lease::Wait { until } => {
                self.ports = until.map_or(PortsReady::Later, PortsReady::At);
                self.queue.push_front(Pending::Message(message));
                return ControlFlow::Break(());
            }
        };
        let peer = self.addresses.peer();
        if self.network.peer_of(port_id) != Some(peer) {
            // A new port, or one that led to an address that is asked no more.
            self.network.close(port_id);
            if let Err(error) = self.network.open(port_id, peer) {
                return self.unopened(port_id, message, &error, now);
            }
        }
        let mut heard = Vec::new();
        match self.network.send(port_id, &message.payload, |error| heard.push(error)) {
            Sent::At(at) => {
                self.busy_since = None;
                self.next_send = at + self.config.interval;
                self.left(port_id, message, at, &heard);
            }
            Sent::Busy => {
                self.exchange.unsent(port_id, now);
                return self.busy(message, now);
            }
            Sent::Failed(error) => {
                self.exchange.unsent(port_id, now);
                if let Some(message) = self.unreachable(message, peer, &error) {
                    self.failed(&message, &error, now);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// There is no way to this address: the message goes to the target's next one, if it may. What
    /// comes back has to be given up.
    fn unreachable(
        &mut self,
        mut message: Message,
        peer: SocketAddr,
        error: &Error,
    ) -> Option<Message> {
        use ErrorClass::{AddressNotAvailable, Denied, Invalid, Unreachable};
        let way = matches!(error.class(), Unreachable | AddressNotAvailable | Invalid | Denied);
        if !way || !self.addresses.turn_from(peer, message.asked) {
            return Some(message);
        }
        log::info!("{error}, going on to {}", host_port(self.addresses.peer()));
        message.asked += 1;
        self.queue.push_front(Pending::Message(message));
        None
    }

    /// A message is on its way. What the send reported besides was about earlier ones.
    fn left(&mut self, port_id: PortId, message: Message, at: Mono, heard: &[IcmpError]) {
        let peer = self.peer_of(port_id);
        let attempt = message.sent_before + 1;
        let sent = Event::Sent { seq: message.seq, attempt, peer, bytes: &message.payload };
        let wall = self.wall_time(at);
        self.transcript.event(sent, wall, &mut self.said);
        let waits = self.waits();
        if waits {
            self.exchange.sent(port_id, message, at);
        } else {
            self.exchange.unsent(port_id, at);
            self.exchange.counts_mut().sent += 1;
        }
        for error in heard {
            if !error.is_refusal() {
                self.event(Event::Network { seq: None, peer, text: &error.to_string() }, at);
            } else if !waits {
                let counts = self.exchange.counts_mut();
                counts.refused += 1;
                if counts.refused == 1 {
                    self.event(Event::Refused { seq: None, peer, by: error.from }, at);
                }
            }
        }
    }

    /// Sends a message again from its port.
    pub(super) fn send_again(&mut self, port_id: PortId, attempt: u32) {
        let Some(message) = self.exchange.message(port_id) else { return };
        let peer = self.peer_of(port_id);
        let mut heard = Vec::new();
        let now = clock::mono();
        match self.network.send(port_id, &message.payload, |error| heard.push(error)) {
            Sent::At(at) => {
                let sent = Event::Sent { seq: message.seq, attempt, peer, bytes: &message.payload };
                let wall = self.wall_time(at);
                self.transcript.event(sent, wall, &mut self.said);
            }
            // The copy before may be answered yet; if not, there is the next time.
            Sent::Busy => log::debug!("no room to send message {} again", message.seq),
            Sent::Failed(error) => {
                let (seq, text) = (Some(message.seq), error.to_string());
                self.event(Event::Error { seq, text: &text, hint: None }, now);
            }
        }
        for error in heard {
            self.icmp(port_id, &error, now);
        }
    }

    /// Without descriptors the ports that are open have to do.
    fn unopened(
        &mut self,
        port_id: PortId,
        message: Message,
        error: &Error,
        now: Mono,
    ) -> ControlFlow<()> {
        let full = error.class() == ErrorClass::Exhausted;
        self.exchange.unopened(port_id, full);
        if full && self.exchange.ports() > 0 {
            log::info!("{error}: going on with {} ports", self.exchange.ports());
            self.queue.push_front(Pending::Message(message));
        } else if let Some(message) = self.unreachable(message, self.addresses.peer(), error) {
            self.failed(&message, error, now);
        }
        ControlFlow::Continue(())
    }

    /// There is no room on the way out: wait a little, but not for ever.
    fn busy(&mut self, message: Message, now: Mono) -> ControlFlow<()> {
        let since = *self.busy_since.get_or_insert(now);
        if now >= since + self.config.settings.timeout {
            self.busy_since = None;
            self.exchange.counts_mut().failed += 1;
            let text = "cannot send: no room on the way out";
            self.event(Event::Error { seq: Some(message.seq), text, hint: None }, now);
            return ControlFlow::Continue(());
        }
        self.next_send = now + BUSY;
        self.queue.push_front(Pending::Message(message));
        ControlFlow::Break(())
    }

    /// The message cannot leave this host. The others still go.
    fn failed(&mut self, message: &Message, error: &Error, now: Mono) {
        let counts = self.exchange.counts_mut();
        counts.failed += 1;
        // It was counted when it left for another address.
        counts.sent -= u64::from(message.sent_before > 0);
        self.next_send = now + self.config.interval;
        let hint = match error.class() {
            ErrorClass::TooLarge => Some(format!(
                "it has {} bytes, and a datagram holds at most {}",
                message.payload.len(),
                self.most()
            )),
            _ => denied(error).map(String::from),
        };
        let (seq, text) = (Some(message.seq), error.to_string());
        self.event(Event::Error { seq, text: &text, hint: hint.as_deref() }, now);
    }

    /// The largest payload towards the peer.
    fn most(&self) -> usize {
        udp_core::batch::max_payload(self.addresses.peer().ip())
    }
}
