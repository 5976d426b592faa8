//! A case of a packet with something wrong about it: its frames on the cable, whether the kernel hands
//! it on, and what the server's totals must say of it then.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::e2e::netns::PORT;
use crate::e2e::raw::{frame, packet4, packet6};

/// What the server's totals must say of a datagram that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Echoed,
    Loop,
    Source,
    Destination,
}

/// Whether the kernel hands it to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaches {
    Always,
    Never,
    /// Kernels differ.
    Perhaps,
}

pub(super) struct Case {
    pub(super) name: String,
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) reaches: Reaches,
    pub(super) fate: Fate,
}

pub(super) const SERVER_MAC: [u8; 6] = [2, 0x77, 0, 0, 0, 1];
pub(super) const ALL_MACS: [u8; 6] = [0xff; 6];
pub(super) const GROUP_MAC: [u8; 6] = [1, 0, 0x5e, 0, 0, 1];
pub(super) const FROM: u16 = 40_001;

/// A case by its parts; the frames are for the server, and what arrives is echoed.
pub(super) fn case(name: impl Into<String>, frames: Vec<Vec<u8>>, reaches: Reaches) -> Case {
    Case { name: name.into(), frames, reaches, fate: Fate::Echoed }
}

impl Case {
    /// The same with another fate.
    pub(super) fn fate(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }
}

/// One frame for the server.
pub(super) fn alone(packet: &[u8]) -> Vec<Vec<u8>> {
    vec![frame(SERVER_MAC, packet)]
}

/// A small IPv4 datagram for the server's port.
pub(super) fn four(from: impl Into<Ipv4Addr>, port: u16, to: impl Into<Ipv4Addr>) -> Vec<u8> {
    packet4(
        SocketAddrV4::new(from.into(), port),
        SocketAddrV4::new(to.into(), PORT),
        b"forged datagram",
    )
}

/// A small IPv6 datagram for the server's port.
pub(super) fn six(from: Ipv6Addr, port: u16, to: Ipv6Addr) -> Vec<u8> {
    let (from, to) = (SocketAddrV6::new(from, port, 0, 0), SocketAddrV6::new(to, PORT, 0, 0));
    packet6(from, to, b"forged datagram")
}
