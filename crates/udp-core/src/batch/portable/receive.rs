//! Receives one datagram a call: waits for the first, then takes what is queued behind it; with
//! control messages (`recvmsg(2)`) where nix knows the system.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::super::spin::{self, Spin};
use super::super::wake::LOOK_UP;
use super::super::{Abilities, Destination, Meta, Options, Slots, Wait, Waker};
use super::{Reported, uninterrupted};
use crate::clock;
use crate::endpoint::{canonical, canonical_ip};

/// Whether a receive can look for a datagram without waiting while the socket is set to wait; the
/// standard library alone cannot.
const CAN_LOOK: bool = cfg!(target_os = "linux");

/// The receiving half.
#[derive(Debug)]
pub(in super::super) struct PortableReceiver {
    socket: Arc<UdpSocket>,
    waker: Waker,
    /// What is known of every datagram: that it came to the address bound to, if that is one of
    /// this host's own.
    plain: Meta,
    abilities: Abilities,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is reported there"))]
    reported: Reported,
    spin: Spin,
    mode: Option<Mode>,
    /// What went wrong after the first datagram of a batch, for the next call to say.
    late: Option<io::Error>,
}

/// How the socket is set to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Now,
    Timed(Duration),
}

impl PortableReceiver {
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        waker: Waker,
        bound: Option<SocketAddr>,
        abilities: Abilities,
        reported: Reported,
        options: &Options,
    ) -> Self {
        PortableReceiver {
            socket,
            waker,
            plain: plain(bound),
            abilities,
            reported,
            spin: Spin::new(options.busy_poll),
            mode: None,
            late: None,
        }
    }

    pub(in super::super) fn abilities(&self) -> Abilities {
        self.abilities
    }

    pub(in super::super) fn receive(&mut self, slots: &mut Slots, wait: Wait) -> io::Result<usize> {
        slots.set_filled(0);
        if let Some(error) = self.late.take() {
            return Err(error);
        }
        let taken = match wait {
            Wait::Now => self.take(slots, Mode::Now)?,
            Wait::Block(limit) => match spin::take_now(self, slots)? {
                0 => self.take_within(slots, limit)?,
                taken => taken,
            },
        };
        if taken > 0 && self.spin.enabled() {
            self.spin.received(clock::mono());
        }
        Ok(taken)
    }

    /// Waits in short spans, between which it looks whether it was woken.
    fn take_within(&mut self, slots: &mut Slots, limit: Option<Duration>) -> io::Result<usize> {
        let mut left = limit;
        while !self.waker.is_woken() {
            let span = left.map_or(LOOK_UP, |left| left.min(LOOK_UP));
            let taken = self.take(slots, Mode::Timed(span))?;
            left = left.map(|left| left.saturating_sub(span));
            if taken > 0 || left == Some(Duration::ZERO) {
                return Ok(taken);
            }
        }
        self.take(slots, Mode::Now)
    }

    /// Waits as `mode` says for the first datagram, and takes what is queued behind it. How many
    /// came.
    fn take(&mut self, slots: &mut Slots, mode: Mode) -> io::Result<usize> {
        if self.mode != Some(mode) {
            self.set_mode(mode)?;
        }
        let mut taken = 0;
        if self.take_one(slots, 0, true)? {
            taken = 1;
            while CAN_LOOK && taken < slots.capacity() {
                match self.take_one(slots, taken, false) {
                    Ok(true) => taken += 1,
                    Ok(false) => break,
                    Err(error) => {
                        self.late = Some(error);
                        break;
                    }
                }
            }
        }
        slots.set_filled(taken);
        Ok(taken)
    }

    /// One datagram into slot `i`; whether there was one.
    fn take_one(&self, slots: &mut Slots, i: usize, waits: bool) -> io::Result<bool> {
        let (memory, layout, metas) = slots.parts();
        let start = layout.start(i);
        let (Some(room), Some(meta)) =
            (memory.get_mut(start..start + layout.room()), metas.get_mut(i))
        else {
            return Ok(false);
        };
        match self.receive_one(room, meta, waits) {
            Ok(Some(len)) => {
                meta.truncated = len > layout.size;
                meta.len = len.min(layout.size);
                meta.segment = meta.len;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Receives one datagram and says who sent it, and all that is known but its length, which is
    /// the result.
    fn receive_one(
        &self,
        room: &mut [u8],
        meta: &mut Meta,
        waits: bool,
    ) -> io::Result<Option<usize>> {
        #[cfg(target_os = "linux")]
        if self.reported.any() || !waits {
            let (len, peer, control) = uninterrupted(|| {
                super::messages::receive(&self.socket, room, self.reported, waits)
            })?;
            let Some(peer) = peer else { return Ok(None) };
            *meta = Meta {
                peer: canonical(peer),
                interface: control.interface,
                timestamp: control.timestamp,
                ttl: control.ttl,
                ecn: control.ecn,
                ..self.plain
            };
            if self.reported.destination {
                (meta.local, meta.destination) = control.settled();
            }
            return Ok(Some(len));
        }
        debug_assert!(waits, "the standard library has no other way");
        let (len, peer) = uninterrupted(|| self.socket.recv_from(room))?;
        *meta = Meta { peer: canonical(peer), ..self.plain };
        Ok(Some(len))
    }

    fn set_mode(&mut self, mode: Mode) -> io::Result<()> {
        self.mode = None;
        self.socket.set_nonblocking(mode == Mode::Now)?;
        if let Mode::Timed(span) = mode {
            // Zero would mean to wait for ever.
            self.socket.set_read_timeout(Some(span.max(Duration::from_micros(1))))?;
        }
        self.mode = Some(mode);
        Ok(())
    }
}

/// What is known of every datagram on a socket bound to this address of ours.
fn plain(bound: Option<SocketAddr>) -> Meta {
    Meta {
        local: bound.map(|bound| canonical_ip(bound.ip())),
        destination: match bound {
            Some(_) => Destination::Unicast,
            None => Destination::Unknown,
        },
        ..Meta::EMPTY
    }
}

impl spin::Ask for PortableReceiver {
    fn ask(&mut self, slots: &mut Slots) -> io::Result<usize> {
        self.take(slots, Mode::Now)
    }

    fn spin(&mut self) -> &mut Spin {
        &mut self.spin
    }

    fn is_woken(&self) -> bool {
        self.waker.is_woken()
    }
}
