//! Opens the sockets of one source port: one that is connected to the peer, and its companion.
//!
//! Only to a connected socket does the kernel tell a refusal (`udp(7)`); the companion on the same
//! port hears everybody else. Nothing is sent or received here.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;
use udp_core::Error;
use udp_core::endpoint::host_port;
use udp_core::socket::SocketConfig;

use super::route::{Audience, Route};
use crate::stats::Mode;

/// The sockets of one source port before it has a name.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: UdpSocket,
    /// Hears what others send to the port.
    pub(super) companion: Option<UdpSocket>,
    peer: SocketAddr,
}

/// Asks for the time of each arrival and for what the network says; without either it goes as well.
fn prepare(socket: &std::net::UdpSocket) {
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
            return Ok(Port { socket, companion: None, peer });
        }
        let connected = SocketConfig { connect: Some(peer), ..config };
        if mode == Mode::OneWay {
            let socket = connected.open()?.socket;
            prepare(&socket);
            let socket = UdpSocket::from_std(socket);
            return Ok(Port { socket, companion: None, peer });
        }
        let (socket, companion) = connected.open_beside()?;
        prepare(&socket);
        let companion = companion.map(UdpSocket::from_std);
        Ok(Port { socket: UdpSocket::from_std(socket), companion, peer })
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
