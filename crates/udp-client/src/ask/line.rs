//! A connected socket to one address, with the time of each arrival and the ICMP errors about it.

use std::io;
use std::net::SocketAddr;

use udp_core::batch::{Backend, Io, Options, Receiver, SLOT, Slots, Wait};
use udp_core::clock::{self, Mono, Stamps};
use udp_core::endpoint::host_port;
use udp_core::socket::SocketConfig;
use udp_core::socket::icmp::{self, IcmpError, IcmpKind};
use udp_core::{Error, ErrorClass, Operation};

use crate::network::Route;

/// Times that a send is tried again because it reported what an earlier one met.
const STALE_ERRORS: usize = 3;

/// The way to one address.
pub(super) struct Line {
    pub(super) peer: SocketAddr,
    /// Where requests leave from, if that is known.
    pub(super) local: Option<SocketAddr>,
    receiver: Receiver,
    slots: Slots,
    stamps: Stamps,
    /// What the network said when something was sent.
    heard: Vec<IcmpError>,
    /// A datagram that came after the end of a wait, and when: the next wait's.
    pub(super) late: Option<(Vec<u8>, Mono)>,
}

/// What came.
pub(super) enum Came {
    Nothing,
    /// A datagram of the peer's, and when.
    Datagram(Vec<u8>, Mono),
    /// What the network says about what was sent.
    Network(Vec<IcmpError>),
}

impl Line {
    /// # Errors
    /// The first system call that failed.
    pub(super) fn open(peer: SocketAddr, route: &Route) -> Result<Line, Error> {
        let config = SocketConfig { connect: Some(peer), ..route.socket(peer) };
        let socket = config.open()?.socket;
        icmp::enable(&socket);
        let local = socket.local_addr().ok();
        let options =
            Options { gro: false, destination: false, timestamps: true, ..Options::default() };
        let (receiver, _) = Io::new(socket, Backend::Auto, &options)?.split();
        let (slots, stamps) = (Slots::new(1, SLOT, 0), Stamps::default());
        Ok(Line { peer, local, receiver, slots, stamps, heard: Vec::new(), late: None })
    }

    /// Sends a datagram. A call that fails because of an earlier one did not send this one (`udp(7)`), so it is
    /// made again; what it reports comes next.
    ///
    /// # Errors
    /// It cannot leave.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut tries = 0..STALE_ERRORS;
        loop {
            let error = match self.receiver.socket().send(bytes) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let heard = self.heard(&error);
            if heard.is_empty() || tries.next().is_none() {
                return Err(Error::new(Operation::Send, host_port(self.peer), error));
            }
            self.heard.extend(heard);
        }
    }

    /// What comes next.
    ///
    /// # Errors
    /// This host cannot receive.
    pub(super) fn receive(&mut self, wait: Wait) -> Result<Came, Error> {
        if let Some((bytes, at)) = self.late.take() {
            return Ok(Came::Datagram(bytes, at));
        }
        if !self.heard.is_empty() {
            return Ok(Came::Network(std::mem::take(&mut self.heard)));
        }
        let error = match self.receiver.receive(&mut self.slots, wait) {
            Ok(0) => return Ok(Came::Nothing),
            Ok(_) => {
                let received = self.slots.get(0);
                let (wall, now) = (clock::wall(), clock::mono());
                let stamp = received.meta.timestamp;
                let at = stamp.map_or(now, |stamp| self.stamps.to_mono(stamp, wall, now));
                return Ok(Came::Datagram(received.bytes.to_vec(), at));
            }
            Err(error) => error,
        };
        let heard = self.heard(&error);
        match ErrorClass::of(&error) {
            _ if !heard.is_empty() => Ok(Came::Network(heard)),
            ErrorClass::NotReady | ErrorClass::Interrupted => Ok(Came::Nothing),
            // Where the kernel keeps no list of them.
            ErrorClass::Unreachable => {
                Ok(Came::Network(vec![IcmpError::new(IcmpKind::HostUnreachable)]))
            }
            _ => Err(Error::new(Operation::Receive, host_port(self.peer), error)),
        }
    }

    /// What the network said, if it is why a call failed.
    fn heard(&self, error: &io::Error) -> Vec<IcmpError> {
        let mut heard = Vec::new();
        icmp::drain(self.receiver.socket(), |it| heard.push(it));
        if heard.is_empty() && ErrorClass::of(error) == ErrorClass::Refused {
            heard.push(IcmpError::new(IcmpKind::PortUnreachable));
        }
        heard
    }
}
