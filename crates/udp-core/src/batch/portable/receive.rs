//! The receiving half.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::super::spin::{self, Spin};
use super::super::{Abilities, Destination, Meta, Options, Slots, Wait, Waker};
use super::{Told, uninterrupted};
use crate::clock;
use crate::endpoint::{canonical, canonical_ip};

/// How long a receive blocks before it looks whether it was woken, where [`Waker::wake`] does not
/// end the call itself.
const LOOK_UP: Option<Duration> =
    if cfg!(target_os = "linux") { None } else { Some(Duration::from_millis(50)) };

/// The receiving half.
#[derive(Debug)]
pub(in super::super) struct PortableReceiver {
    socket: Arc<UdpSocket>,
    waker: Waker,
    /// What is known of every datagram: that it came to the address bound to, if that is one of
    /// this host's own.
    plain: Meta,
    abilities: Abilities,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing is told there"))]
    told: Told,
    spin: Spin,
    mode: Option<Mode>,
    look_up: Option<Duration>,
}

/// How the socket is set to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Now,
    Timed(Duration),
    Ever,
}

impl PortableReceiver {
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        waker: Waker,
        bound: Option<SocketAddr>,
        abilities: Abilities,
        told: Told,
        options: &Options,
    ) -> Self {
        PortableReceiver {
            socket,
            waker,
            plain: plain(bound),
            abilities,
            told,
            spin: Spin::new(options.busy_poll),
            mode: None,
            look_up: LOOK_UP,
        }
    }

    pub(in super::super) fn abilities(&self) -> Abilities {
        self.abilities
    }

    pub(in super::super) fn receive(&mut self, slots: &mut Slots, wait: Wait) -> io::Result<usize> {
        slots.set_filled(0);
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

    /// Waits, in short spans if only between them a wake-up can be seen.
    fn take_within(&mut self, slots: &mut Slots, limit: Option<Duration>) -> io::Result<usize> {
        let mut left = limit;
        while !self.waker.is_woken() {
            let span = match (left, self.look_up) {
                (Some(left), Some(look_up)) => Some(left.min(look_up)),
                (left, look_up) => left.or(look_up),
            };
            let taken = self.take(slots, span.map_or(Mode::Ever, Mode::Timed))?;
            left = left.map(|left| left.saturating_sub(span.unwrap_or_default()));
            if taken > 0 || left == Some(Duration::ZERO) {
                return Ok(taken);
            }
        }
        self.take(slots, Mode::Now)
    }

    /// One datagram into the first slot. How many came.
    fn take(&mut self, slots: &mut Slots, mode: Mode) -> io::Result<usize> {
        if self.mode != Some(mode) {
            self.set_mode(mode)?;
        }
        let (memory, layout, metas) = slots.parts();
        let start = layout.start(0);
        let (Some(room), Some(meta)) =
            (memory.get_mut(start..start + layout.room()), metas.first_mut())
        else {
            return Ok(0);
        };
        match self.receive_one(room, meta, mode) {
            Ok(Some(len)) => {
                meta.truncated = len > layout.size;
                meta.len = len.min(layout.size);
                meta.segment = meta.len;
                slots.set_filled(1);
                Ok(1)
            }
            Ok(None) => Ok(0),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(0)
            }
            // A shutdown ends the call without an address, which is an error to std.
            Err(_) if mode != Mode::Now && self.waker.is_woken() => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Receives one datagram and says who sent it, and all that is known but its length, which is
    /// the result.
    fn receive_one(
        &self,
        room: &mut [u8],
        meta: &mut Meta,
        mode: Mode,
    ) -> io::Result<Option<usize>> {
        #[cfg(target_os = "linux")]
        if self.told.any() {
            let (len, peer, control) =
                uninterrupted(|| super::messages::receive(&self.socket, room, self.told))?;
            // A shutdown ends a wait with no bytes and no address worth looking at.
            let ended = || len == 0 && mode != Mode::Now && self.waker.is_woken();
            let Some(peer) = peer.filter(|_| !ended()) else { return Ok(None) };
            *meta = Meta {
                peer: canonical(peer),
                interface: control.interface,
                timestamp: control.timestamp,
                ttl: control.ttl,
                ecn: control.ecn,
                ..self.plain
            };
            if self.told.destination {
                (meta.local, meta.destination) = control.settled();
            }
            return Ok(Some(len));
        }
        let _only_there = mode;
        let (len, peer) = uninterrupted(|| self.socket.recv_from(room))?;
        *meta = Meta { peer: canonical(peer), ..self.plain };
        Ok(Some(len))
    }

    fn set_mode(&mut self, mode: Mode) -> io::Result<()> {
        self.mode = None;
        self.socket.set_nonblocking(mode == Mode::Now)?;
        match mode {
            Mode::Now => {}
            // Zero would mean to wait for ever.
            Mode::Timed(span) => {
                self.socket.set_read_timeout(Some(span.max(Duration::from_micros(1))))?;
            }
            Mode::Ever => self.socket.set_read_timeout(None)?,
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::super::SLOT;
    use super::*;

    /// Where a shutdown ends no receive, one ends by looking up.
    #[test]
    fn a_wake_up_is_seen_without_a_shutdown() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("bind"));
        let bound = socket.local_addr().expect("an address");
        let waker = Waker::new(Arc::clone(&socket));
        let (mut receiver, _) =
            super::super::open(socket, waker.clone(), bound, &Options::default());
        receiver.look_up = Some(Duration::from_millis(5));
        let waiting = thread::spawn(move || {
            let mut slots = Slots::new(1, SLOT, 0);
            let filled = receiver.receive(&mut slots, Wait::Block(None)).expect("receive");
            (filled, receiver.mode)
        });
        waker.mark();
        assert_eq!(waiting.join().expect("it ended"), (0, Some(Mode::Now)));
    }
}
