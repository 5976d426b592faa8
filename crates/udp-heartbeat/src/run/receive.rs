//! Receives from the sockets: datagrams in the order they arrived, and ICMP errors.

use std::io;
use std::net::SocketAddr;

use udp_core::ErrorClass;
use udp_core::batch::{Backend, Wait};
use udp_core::clock::Mono;
use udp_core::endpoint::canonical;
use udp_core::socket::icmp::{self, IcmpError, IcmpKind};

use super::incoming::now;
use super::ports::{BATCH, Came, Drained, Port, Ports};
use crate::probe::targets::{Datagram, PortKey};

impl Ports {
    /// Takes what has come on the sockets at these places, until nothing is left or `until` has
    /// come; then too, at least so many of each as `least` says. What came on several sockets is
    /// handled in the order it arrived.
    pub(super) fn receive(
        &mut self,
        places: &[usize],
        (until, least): (Mono, usize),
        mut take: impl FnMut(Came<'_>),
    ) -> Drained {
        // Some may have been closed since they were found.
        let open = self.open.len();
        let places = places.iter().copied().filter(|place| *place < open);
        let mut drained = Drained::All;
        if places.clone().nth(1).is_none() {
            for place in places {
                drained = self.receive_on(place, (until, least), &mut take);
            }
            return drained;
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        for place in places {
            let part = self.receive_on(place, (until, least), &mut |came| match came {
                Came::Datagram(datagram) => gathered.add(&datagram),
                error @ Came::Error(..) => take(error),
            });
            if part == Drained::Part {
                drained = part;
            }
        }
        gathered.drain(|datagram| take(Came::Datagram(*datagram)));
        self.gathered = gathered;
        drained
    }

    /// Takes what has come on one socket.
    fn receive_on(
        &mut self,
        index: usize,
        (until, least): (Mono, usize),
        take: &mut impl FnMut(Came<'_>),
    ) -> Drained {
        let mut total = 0;
        loop {
            let port = &mut self.open[index];
            let taken = match port.receiver.receive(&mut self.slots, Wait::Now) {
                Ok(taken) => taken,
                Err(error) => {
                    port.errors(&error, take);
                    // The error was of one moment; what came is still to be taken.
                    port.receiver.receive(&mut self.slots, Wait::Now).unwrap_or(0)
                }
            };
            if taken == 0 {
                return Drained::All;
            }
            let (now, stamps) = (now(), &mut self.stamps);
            for received in self.slots.iter() {
                let from = received.meta.peer;
                let at =
                    received.meta.timestamp.map_or(now.1, |it| stamps.to_mono(it, now.0, now.1));
                for bytes in received.segments() {
                    let datagram = Datagram { port: port.key, from, bytes, at, clocks: now };
                    take(Came::Datagram(datagram));
                }
            }
            if taken < BATCH && self.backend == Backend::Auto {
                return Drained::All;
            }
            total += taken;
            if now.1 >= until && total >= least {
                return Drained::Part;
            }
        }
    }

    /// Says who sent to a connected port without being its peer.
    pub(crate) fn strangers(&mut self, mut take: impl FnMut(SocketAddr)) {
        for others in self.open.iter().filter_map(|port| port.others.as_ref()) {
            for _ in 0..BATCH {
                // An error is about nothing of ours: this socket sends nothing.
                let Ok((_, from)) = others.recv_from(&mut [0; 1]) else { break };
                take(canonical(from));
            }
        }
    }

    /// Takes the errors that wait on a port after a send from it failed with `error`. True if they
    /// were about earlier datagrams, so that the one that failed is worth another try.
    pub(crate) fn earlier_errors(
        &mut self,
        key: PortKey,
        error: &io::Error,
        mut take: impl FnMut(Came<'_>),
    ) -> bool {
        let Some(index) = self.index(key) else { return false };
        self.open[index].errors(error, &mut take)
    }
}

impl Port {
    /// Tells what a failed call was about. True if it was about earlier datagrams.
    fn errors(&mut self, error: &io::Error, take: &mut impl FnMut(Came<'_>)) -> bool {
        if self.queue {
            return icmp::drain(self.receiver.socket(), |error| {
                take(Came::Error(self.key, error.destination.or(self.peer), error));
            });
        }
        // Without an error queue, only a connected socket hears of a refusal, and not of which.
        let refused = ErrorClass::of(error) == ErrorClass::Refused;
        if refused {
            let error = IcmpError::new(IcmpKind::PortUnreachable);
            take(Came::Error(self.key, self.peer, error));
        }
        refused
    }
}
