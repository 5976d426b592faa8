//! The sockets behind the source ports: opens them, sends, closes them. `receiver` receives.
//!
//! A source port towards one peer is a connected socket, because only to such a one does the kernel report
//! a refusal (ICMP port unreachable, `udp(7)`). It has a companion on the same port that is not
//! connected and hears everybody else, so that datagrams from addresses that were not asked are
//! seen and counted. A broadcast or multicast address is never the source of a reply, so there a
//! source port is one socket that is not connected, and any address may reply.

mod receiver;
mod route;
mod socket;

pub use receiver::{Arrived, Batch, Ports, Receiver, What};
pub use route::{Audience, Route};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;
use udp_core::cli::Failure;
use udp_core::clock::Mono;
use udp_core::endpoint::host_port;
use udp_core::socket::icmp::{self, IcmpError, IcmpKind};
use udp_core::source_port::PortId;
use udp_core::{Error, ErrorClass, Operation};

use self::socket::Port;
use crate::stats::Mode;

/// Times that a send is tried again because it reported what an earlier one met.
const STALE_ERRORS: usize = 3;

/// The source ports' sockets.
#[derive(Debug)]
pub struct Network {
    route: Route,
    mode: Mode,
    ports: Arc<Ports>,
    /// By the source port's slot.
    open: Vec<Option<Line>>,
    /// Opened at the start, so that what cannot work is said at once.
    first: Option<Port>,
}

/// What is needed to send on a source port.
#[derive(Debug)]
struct Line {
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    audience: Audience,
}

/// How a send went.
#[derive(Debug)]
pub enum Sent {
    /// The datagram left; it was about to at this time.
    At(Mono),
    /// There is no room for it now.
    Busy,
    /// It cannot leave.
    Failed(Error),
}

impl Network {
    /// Starts the receiver; nothing is open yet.
    ///
    /// # Errors
    /// When the system gives no poll or no thread: a local failure.
    pub fn start(route: Route, mode: Mode) -> Result<(Network, Receiver), Error> {
        let fail = |source| Error { operation: Operation::Open, address: None, source };
        let (ports, poll) = Ports::new().map_err(fail)?;
        let ports = Arc::new(ports);
        let receiver = receiver::start(poll, Arc::clone(&ports)).map_err(fail)?;
        Ok((Network { route, mode, ports, open: Vec::new(), first: None }, receiver))
    }

    /// Opens the sockets of the first source port before it is needed.
    ///
    /// # Errors
    /// The first system call that failed.
    pub fn open_first(&mut self, peer: SocketAddr) -> Result<(), Error> {
        self.first = Some(Port::open(&self.route, peer, self.mode)?);
        Ok(())
    }

    /// Who is asked on this source port, while it is open.
    pub fn peer_of(&self, port_id: PortId) -> Option<SocketAddr> {
        self.line(port_id).map(|line| line.peer)
    }

    /// Opens the sockets of a new source port towards `peer`.
    ///
    /// # Errors
    /// The first system call that failed; its class tells whether for want of descriptors.
    pub fn open(&mut self, port_id: PortId, peer: SocketAddr) -> Result<(), Error> {
        let port = match self.first.take() {
            Some(port) if port.peer() == peer => port,
            _ => Port::open(&self.route, peer, self.mode)?,
        };
        let audience = self.route.audience(peer);
        log::debug!("source port {}: {} to {}", port_id.slot(), port.local(), host_port(peer));
        let socket = match self.mode {
            Mode::Request => self.ports.listen(port_id, port).map_err(|source| Error {
                operation: Operation::Receive,
                address: Some(host_port(peer)),
                source,
            })?,
            Mode::OneWay => port.into_socket(),
        };
        while self.open.len() <= port_id.slot() {
            self.open.push(None);
        }
        self.open[port_id.slot()] = Some(Line { socket, peer, audience });
        Ok(())
    }

    /// Sends `bytes` from the source port. A send that reports what an earlier datagram met did not send
    /// this one (`udp(7)`), so it is tried again; each ICMP error goes to `heard`.
    pub fn send(&self, port_id: PortId, bytes: &[u8], mut heard: impl FnMut(IcmpError)) -> Sent {
        let Some(line) = self.line(port_id) else { return Sent::Busy };
        let mut stale = 0;
        loop {
            let now = udp_core::clock::mono();
            let error = match line.send(bytes) {
                Ok(_) => return Sent::At(now),
                Err(error) => error,
            };
            let class = ErrorClass::of(&error);
            match class {
                ErrorClass::Interrupted => continue,
                ErrorClass::NotReady | ErrorClass::NoBuffer => return Sent::Busy,
                _ => {}
            }
            let mut drained = icmp::drain(&*line.socket, &mut heard);
            if !drained && class == ErrorClass::Refused {
                heard(IcmpError::new(IcmpKind::PortUnreachable));
                drained = true;
            }
            // The receiver may have taken what it is from the queue; what is this host's own fails again.
            if stale == STALE_ERRORS || !(drained || stale == 0) {
                return Sent::Failed(Error::new(Operation::Send, host_port(line.peer), error));
            }
            stale += 1;
        }
    }

    /// Closes the source port's sockets.
    pub fn close(&mut self, port_id: PortId) {
        if let Some(line) = self.open.get_mut(port_id.slot()) {
            *line = None;
            self.ports.forget(port_id);
        }
    }

    fn line(&self, port_id: PortId) -> Option<&Line> {
        self.open.get(port_id.slot())?.as_ref()
    }
}

impl Line {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.audience {
            Audience::One => self.socket.send(bytes),
            Audience::Many => self.socket.send_to(bytes, self.peer),
        }
    }
}

/// The failure that `error` is, with its way out.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = denied(&error);
    let failure = Failure::from(error);
    match hint.filter(|_| failure.hint.is_none()) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// The way out of an error that says that something is not permitted, if `error` is one: by
/// `send(2)` and `ip(7)` EACCES is a broadcast address or a route that forbids, and EPERM (1 on
/// every Unix) what a packet filter answers.
pub(crate) fn denied(error: &Error) -> Option<&'static str> {
    match error.source.raw_os_error() {
        _ if error.class() != ErrorClass::Denied => None,
        Some(1) => Some("a packet filter of this host does not let it out"),
        _ => Some("for a broadcast address, give --broadcast"),
    }
}
