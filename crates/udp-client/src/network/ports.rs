//! The open ports, shared between the session, which opens and closes them, and the receiver.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::net::UdpSocket;
use mio::{Interest, Poll, Registry, Token, Waker};
use udp_core::Error;
use udp_core::endpoint::host_port;
use udp_core::socket::SocketConfig;
use udp_core::source_port::PortId;

use super::receiver::{self, Receiver};
use super::route::{Audience, Route};
use crate::stats::Mode;

/// The token of what wakes the receiver; no slot comes near it.
pub(super) const WAKE: Token = Token(usize::MAX);

/// The sockets of one source port before it has a name.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    strangers: Option<UdpSocket>,
    peer: SocketAddr,
}

/// The sockets of one source port, as the receiver sees them.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) port_id: PortId,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) strangers: Option<UdpSocket>,
}

/// The open ports.
#[derive(Debug)]
pub struct Ports {
    registry: Registry,
    waker: Waker,
    over: AtomicBool,
    /// By the source port's slot.
    table: Mutex<Vec<Option<Listening>>>,
}

impl Ports {
    /// An empty table and the receiver that serves it.
    pub(super) fn start() -> io::Result<(Arc<Ports>, Receiver)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKE)?;
        let table = Mutex::default();
        let ports = Arc::new(Ports { registry, waker, over: AtomicBool::new(false), table });
        let receiver = receiver::start(poll, Arc::clone(&ports))?;
        Ok((ports, receiver))
    }

    /// Hands a port's sockets to the receiver; the one to send with comes back.
    pub(super) fn listen(&self, port_id: PortId, port: Port) -> io::Result<Arc<UdpSocket>> {
        let Port { mut socket, mut strangers, .. } = port;
        // Held over the registration: the receiver must find the port when its first event comes.
        let mut table = self.table();
        self.registry.register(&mut socket, token(port_id.slot(), false), Interest::READABLE)?;
        if let Some(strangers) = &mut strangers {
            self.registry.register(strangers, token(port_id.slot(), true), Interest::READABLE)?;
        }
        let socket = Arc::new(socket);
        while table.len() <= port_id.slot() {
            table.push(None);
        }
        let listening = Listening { port_id, socket: Arc::clone(&socket), strangers };
        if let Some(place) = table.get_mut(port_id.slot()) {
            *place = Some(listening);
        }
        Ok(socket)
    }

    /// Takes a source port's sockets away from the receiver; closed, they leave the poll by themselves.
    pub(super) fn forget(&self, port_id: PortId) {
        if let Some(place) = self.table().get_mut(port_id.slot()) {
            *place = None;
        }
    }

    /// Ends the receiver.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        if let Err(error) = self.waker.wake() {
            log::debug!("cannot wake the receiver: {error}");
        }
    }

    /// Whether it has been ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Vec<Option<Listening>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of a source port's socket, or of its companion.
fn token(slot: usize, strangers: bool) -> Token {
    Token(slot * 2 + usize::from(strangers))
}

/// The slot behind a token, and whether it is the companion's.
pub(super) fn untoken(token: Token) -> (usize, bool) {
    (token.0 / 2, token.0 % 2 == 1)
}

/// Asks for the time of each arrival and for what the network says; without either it goes as well.
fn prepare(socket: &std::net::UdpSocket) {
    #[cfg(target_os = "linux")]
    udp_core::socket::stamped::enable(socket);
    udp_core::socket::icmp::enable(socket);
}

impl Port {
    /// Opens the sockets of one source port.
    pub(super) fn open(route: &Route, peer: SocketAddr, mode: Mode) -> Result<Port, Error> {
        let config = route.socket(peer);
        if route.audience(peer) == Audience::Many {
            let socket = config.open()?.socket;
            prepare(&socket);
            let socket = UdpSocket::from_std(socket);
            return Ok(Port { socket, strangers: None, peer });
        }
        let connected = SocketConfig { connect: Some(peer), ..config };
        if mode == Mode::OneWay {
            let socket = UdpSocket::from_std(connected.open()?.socket);
            return Ok(Port { socket, strangers: None, peer });
        }
        let (socket, strangers) = connected.open_beside()?;
        prepare(&socket);
        let strangers = strangers.map(UdpSocket::from_std);
        Ok(Port { socket: UdpSocket::from_std(socket), strangers, peer })
    }

    /// Whom it leads to.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Where it sends from, as text.
    pub(super) fn local(&self) -> String {
        self.socket.local_addr().map_or_else(|_| "nowhere".into(), host_port)
    }

    /// The socket to send with, where nothing is received.
    pub(super) fn into_socket(self) -> Arc<UdpSocket> {
        Arc::new(self.socket)
    }
}
