//! The backend that works everywhere: one datagram a call, by the standard library.
//!
//! It knows the local address of a datagram only where the socket is bound to one address; bound
//! to a wildcard, a datagram's destination is [`Destination::Unknown`] and replies leave from the
//! address that routing picks. No run is merged or segmented, and stamps and header fields are
//! never known.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::outbox::Home;
use super::{Abilities, Destination, Meta, Outbox, Sent, Slots, Wait, Waker};
use crate::endpoint::{canonical, canonical_ip};

/// How long a receive blocks before it looks whether it was woken.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The receiving half.
#[derive(Debug)]
pub(super) struct PortableReceiver {
    socket: Arc<UdpSocket>,
    waker: Waker,
    /// The address bound to, unless it is a wildcard.
    bound: Option<SocketAddr>,
    mode: Option<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Now,
    Timed(Duration),
}

/// The sending half.
#[derive(Debug)]
pub(super) struct PortableSender {
    socket: Arc<UdpSocket>,
    v6: bool,
    connected: bool,
    scratch: Vec<u8>,
}

impl PortableReceiver {
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        waker: Waker,
        bound: SocketAddr,
        _busy_poll: Duration,
    ) -> Self {
        let bound = (!bound.ip().is_unspecified()).then_some(bound);
        PortableReceiver { socket, waker, bound, mode: None }
    }

    pub(super) fn abilities(&self) -> Abilities {
        Abilities { destination: self.bound.is_some(), ..Abilities::default() }
    }

    pub(super) fn receive(&mut self, slots: &mut Slots, wait: Wait) -> io::Result<usize> {
        let (memory, layout, metas) = slots.parts();
        let start = layout.start(0);
        let Some(room) = memory.get_mut(start..start + layout.room()) else { return Ok(0) };
        let Some((len, peer)) = self.wait_for_one(room, wait)? else { return Ok(0) };
        let local = self.bound.map(|bound| canonical_ip(bound.ip()));
        let kept = len.min(layout.size);
        metas[0] = Meta {
            peer: canonical(peer),
            local: local.filter(|local| !local.is_multicast()),
            interface: 0,
            destination: match local {
                None => Destination::Unknown,
                Some(local) if local.is_multicast() => Destination::Multicast,
                Some(_) => Destination::Unicast,
            },
            len: kept,
            segment: kept,
            truncated: len > kept,
            timestamp: None,
            ttl: None,
            ecn: None,
        };
        slots.set_filled(1);
        Ok(1)
    }

    fn wait_for_one(
        &mut self,
        room: &mut [u8],
        wait: Wait,
    ) -> io::Result<Option<(usize, SocketAddr)>> {
        let mut left = match wait {
            Wait::Now => Some(Duration::ZERO),
            Wait::Block(limit) => limit,
        };
        loop {
            let span = match (wait, left) {
                (Wait::Now, _) => None,
                (Wait::Block(_), None) => Some(LOOK_UP),
                (Wait::Block(_), Some(left)) => Some(left.clamp(Duration::from_micros(1), LOOK_UP)),
            };
            let span = span.filter(|_| !self.waker.is_woken());
            self.set_mode(span.map_or(Mode::Now, Mode::Timed))?;
            match self.socket.recv_from(room) {
                Ok(one) => return Ok(Some(one)),
                // A shutdown ends the call without a datagram and without an address.
                Err(_) if self.waker.is_woken() => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    let Some(span) = span else { return Ok(None) };
                    left = left.map(|left| left.saturating_sub(span));
                    if left == Some(Duration::ZERO) {
                        return Ok(None);
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn set_mode(&mut self, mode: Mode) -> io::Result<()> {
        if self.mode == Some(mode) {
            return Ok(());
        }
        self.socket.set_nonblocking(mode == Mode::Now)?;
        if let Mode::Timed(span) = mode {
            self.socket.set_read_timeout(Some(span))?;
        }
        self.mode = Some(mode);
        Ok(())
    }
}

impl PortableSender {
    pub(super) fn new(socket: Arc<UdpSocket>, bound: SocketAddr) -> Self {
        let connected = socket.peer_addr().is_ok();
        PortableSender { socket, v6: bound.is_ipv6(), connected, scratch: Vec::new() }
    }

    pub(super) fn send(
        &mut self,
        outbox: &mut Outbox,
        slots: &Slots,
        mut report: impl FnMut(Sent),
    ) {
        let mut first = 0;
        for entry in &outbox.entries {
            for i in 0..entry.datagrams {
                let range = entry.range(i);
                let bytes = match entry.home {
                    Home::Own => &outbox.own[range],
                    Home::Slot(slot) if range.start == 0 => slots.prefixed(slot, range.end),
                    Home::Slot(slot) => {
                        self.scratch.clear();
                        self.scratch.extend_from_slice(slots.prefix());
                        self.scratch.extend_from_slice(slots.bytes(slot, range));
                        &self.scratch
                    }
                };
                let result = send_one(&self.socket, bytes, self.target(entry.peer));
                report(Sent { peer: entry.peer, first, datagrams: 1, result });
                first += 1;
            }
        }
        outbox.clear();
    }

    /// The address as the socket's family wants it; none on a connected socket.
    fn target(&self, peer: SocketAddr) -> Option<SocketAddr> {
        match peer {
            _ if self.connected => None,
            SocketAddr::V4(v4) if self.v6 => {
                Some(SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()))
            }
            peer => Some(peer),
        }
    }
}

/// Sends one datagram without waiting, where the system has a flag for that.
fn send_one(socket: &UdpSocket, bytes: &[u8], target: Option<SocketAddr>) -> io::Result<()> {
    let socket = SockRef::from(socket);
    loop {
        let result = match target {
            Some(target) => socket.send_to_with_flags(bytes, &target.into(), DONT_WAIT),
            None => socket.send_with_flags(bytes, DONT_WAIT),
        };
        match result {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// MSG_DONTWAIT, `send(2)`.
const DONT_WAIT: i32 = if cfg!(target_os = "linux") {
    0x40
} else if cfg!(unix) {
    0x80
} else {
    0
};
