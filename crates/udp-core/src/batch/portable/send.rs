//! Sends one datagram a call, from the address that was asked where the system lets it be chosen. It
//! never waits: a full socket is `WouldBlock`.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use socket2::SockRef;

use super::super::outbox::Home;
use super::super::{Outbox, Sent, Slots, Source};
use super::uninterrupted;

/// Never wait for room, `send(2)`; elsewhere a UDP send does not wait.
#[cfg(unix)]
const DONT_WAIT: i32 = libc::MSG_DONTWAIT;
#[cfg(not(unix))]
const DONT_WAIT: i32 = 0;

/// The sending half.
#[derive(Debug)]
pub(in super::super) struct PortableSender {
    socket: Arc<UdpSocket>,
    v6: bool,
    connected: bool,
    /// Bound to a wildcard, and able to say what address to leave from.
    sources: bool,
    scratch: Vec<u8>,
}

impl PortableSender {
    pub(super) fn new(socket: Arc<UdpSocket>, bound: SocketAddr, sources: bool) -> Self {
        let connected = socket.peer_addr().is_ok();
        PortableSender { socket, v6: bound.is_ipv6(), connected, sources, scratch: Vec::new() }
    }

    pub(in super::super) fn send(
        &mut self,
        outbox: &mut Outbox,
        slots: &Slots,
        mut report: impl FnMut(Sent),
    ) {
        let mut first = 0;
        let PortableSender { socket, v6, connected, sources, scratch } = self;
        for entry in &outbox.entries {
            let target = (!*connected).then(|| as_family(entry.peer, *v6));
            let source = entry.source.filter(|s| *sources && !s.is_implied(entry.peer));
            for i in 0..entry.datagrams {
                let range = entry.range(i);
                let bytes = match entry.home {
                    Home::Own => &outbox.own[range],
                    Home::Slot(slot) if range.start == 0 => slots.prefixed(slot, range.end),
                    Home::Slot(slot) => {
                        scratch.clear();
                        scratch.extend_from_slice(slots.prefix());
                        scratch.extend_from_slice(slots.bytes(slot, range));
                        &scratch[..]
                    }
                };
                let result = uninterrupted(|| send_one(socket, bytes, target, source));
                let (peer, bytes) = (entry.peer, bytes.len());
                report(Sent { peer, first, datagrams: 1, bytes, result });
                first += 1;
            }
        }
        outbox.clear();
    }
}

/// Sends one datagram without waiting.
fn send_one(
    socket: &UdpSocket,
    bytes: &[u8],
    target: Option<SocketAddr>,
    source: Option<Source>,
) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let (Some(target), Some(source)) = (target, source) {
        return super::messages::send(socket, bytes, target, source, DONT_WAIT);
    }
    let _only_there = source;
    let socket = SockRef::from(socket);
    match target {
        Some(target) => socket.send_to_with_flags(bytes, &target.into(), DONT_WAIT).map(drop),
        None => socket.send_with_flags(bytes, DONT_WAIT).map(drop),
    }
}

/// The address as a socket of this family wants it.
fn as_family(peer: SocketAddr, v6: bool) -> SocketAddr {
    match peer {
        SocketAddr::V4(v4) if v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        peer => peer,
    }
}
