//! Receives with `recvmmsg(2)`, many datagrams a call; of a merged run (UDP_GRO, `udp(7)`) it tells
//! the segment size. It waits for the first datagram alone.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::{Arc, Once};
use std::time::Duration;

use super::super::control::{Control, read_name};
use super::super::slots::Layout;
use super::super::spin::{self, Spin};
use super::super::wake::LOOK_UP;
use super::super::{Abilities, Destination, Meta, Options, SLOT, Slots, Wait, Waker};
use super::say_one_by_one;
use crate::clock;
use crate::error::is_refused;
use crate::sys::{ReceiveCall, Taken, keep_small_pages, sockopt};

/// Whether it was said that the kernel refuses the call for many.
static SAID: Once = Once::new();

/// So many calls in a row fail before the call is taken to be refused: between two of them another
/// ICMP error may come.
const PROBES: usize = 3;

/// The receiving half.
pub(in super::super) struct LinuxReceiver {
    socket: Arc<UdpSocket>,
    waker: Waker,
    abilities: Abilities,
    call: ReceiveCall,
    /// The slots that the call fits.
    fits: Option<(usize, Layout)>,
    spin: Spin,
    /// SO_RCVTIMEO as it is set now.
    timeout: Option<Duration>,
    drops: Drops,
}

impl LinuxReceiver {
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        waker: Waker,
        abilities: Abilities,
        options: &Options,
    ) -> Self {
        LinuxReceiver {
            socket,
            waker,
            abilities,
            call: ReceiveCall::new(Vec::new(), 0),
            fits: None,
            spin: Spin::new(options.busy_poll),
            timeout: None,
            drops: Drops::default(),
        }
    }

    pub(in super::super) fn abilities(&self) -> Abilities {
        self.abilities
    }

    pub(in super::super) fn is_batched(&self) -> bool {
        !self.call.is_one_by_one()
    }

    pub(in super::super) fn drops(&mut self) -> Option<u64> {
        if !self.abilities.drops {
            return None;
        }
        if let Some(dropped) = sockopt::dropped(self.socket.as_fd()) {
            self.drops.note(dropped);
        }
        Some(self.drops.total)
    }

    pub(in super::super) fn receive(&mut self, slots: &mut Slots, wait: Wait) -> io::Result<usize> {
        slots.set_filled(0);
        if self.abilities.gro && slots.size() < SLOT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "slots are too small for merged runs",
            ));
        }
        self.fit(slots);
        let taken = match wait {
            Wait::Now => self.take(slots, false),
            Wait::Block(_) if self.waker.is_woken() => self.take(slots, false),
            Wait::Block(limit) => match spin::take_now(self, slots) {
                Ok(0) if self.waker.is_by_mark() => self.take_within(slots, limit),
                Ok(0) => {
                    self.set_timeout(limit)?;
                    self.take(slots, true)
                }
                other => other,
            },
        }?;
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
            self.set_timeout(Some(span))?;
            let taken = self.take(slots, true)?;
            left = left.map(|left| left.saturating_sub(span));
            if taken > 0 || left == Some(Duration::ZERO) {
                return Ok(taken);
            }
        }
        self.take(slots, false)
    }

    /// Makes the call fit these slots; allocates only for slots of another kind than before.
    fn fit(&mut self, slots: &mut Slots) {
        let count = slots.capacity();
        let advised = slots.advised;
        let (memory, layout, _) = slots.parts();
        if !advised {
            keep_small_pages(memory);
            slots.advised = true;
        }
        if self.fits != Some((count, layout)) {
            let starts = (0..count).map(|i| layout.start(i)).collect();
            let call = ReceiveCall::new(starts, layout.size);
            self.call = if self.call.is_one_by_one() { call.one_by_one() } else { call };
            self.fits = Some((count, layout));
        }
    }

    /// One call, again if a signal ended it. How many slots it filled.
    fn take(&mut self, slots: &mut Slots, wait: bool) -> io::Result<usize> {
        let (memory, layout, metas) = slots.parts();
        let taken = loop {
            match self.call.receive(self.socket.as_fd(), memory, wait) {
                Ok(taken) => break taken,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(e) if self.is_refusal(&e) => {
                    say_one_by_one(&SAID, "recvmmsg", &e);
                    let call = ReceiveCall::new(Vec::new(), 0);
                    self.call = std::mem::replace(&mut self.call, call).one_by_one();
                }
                Err(e) => return Err(e),
            }
        };
        let mut filled = 0;
        for i in 0..taken.min(metas.len()) {
            let one = self.call.taken(i);
            // A shutdown ends the wait without a datagram, and without an address; datagrams that
            // came that very moment are behind it.
            let Some(peer) = read_name(one.name) else { continue };
            if filled < i {
                let bytes = layout.start(i)..layout.start(i) + one.len;
                memory.copy_within(bytes, layout.start(filled));
            }
            let control = Control::read(one.control);
            if let Some(lost) = control.lost {
                self.drops.note(lost);
            }
            metas[filled] = describe(peer, &one, &control);
            filled += 1;
        }
        slots.set_filled(filled);
        // Whoever has shut it down, every wait would end at once.
        if filled == 0 && taken > 0 && !self.waker.is_woken() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the socket was shut down"));
        }
        Ok(filled)
    }

    /// Whether `error` is about the call itself. An ICMP error that waits on the socket can have the
    /// same numbers (EACCES: administratively prohibited over IPv6), but each makes one call fail.
    fn is_refusal(&mut self, error: &io::Error) -> bool {
        if !is_refused(error) || self.call.is_one_by_one() {
            return false;
        }
        (0..PROBES).all(|_| match self.call.probe(self.socket.as_fd()) {
            Err(again) => again.raw_os_error() == error.raw_os_error(),
            Ok(()) => false,
        })
    }

    fn set_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if self.timeout != limit {
            // Zero would mean to wait for ever.
            let value = limit.map(|limit| limit.max(Duration::from_micros(1)));
            self.socket.set_read_timeout(value)?;
            self.timeout = limit;
        }
        Ok(())
    }
}

impl spin::Ask for LinuxReceiver {
    fn ask(&mut self, slots: &mut Slots) -> io::Result<usize> {
        self.take(slots, false)
    }

    fn spin(&mut self) -> &mut Spin {
        &mut self.spin
    }

    fn is_woken(&self) -> bool {
        self.waker.is_woken()
    }
}

/// What is known about a datagram.
fn describe(peer: std::net::SocketAddr, one: &Taken<'_>, control: &Control) -> Meta {
    let (local, destination) = control.settled();
    Meta {
        peer,
        local,
        interface: control.interface,
        // Of control messages that were cut short nothing is concluded.
        destination: if one.control_cut { Destination::Unknown } else { destination },
        len: one.len,
        segment: control.segment.unwrap_or(one.len).min(one.len),
        truncated: one.cut,
        timestamp: control.timestamp,
        ttl: control.ttl,
        ecn: control.ecn,
    }
}

/// A count that the kernel keeps in 32 bits, continued in 64.
#[derive(Debug, Default)]
struct Drops {
    total: u64,
    last: u32,
}

impl Drops {
    fn note(&mut self, now: u32) {
        self.total += u64::from(now.wrapping_sub(self.last));
        self.last = now;
    }
}

impl std::fmt::Debug for LinuxReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinuxReceiver")
            .field("socket", &self.socket)
            .field("abilities", &self.abilities)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_goes_on_where_32_bits_end() {
        let mut drops = Drops::default();
        for (now, total) in [(5, 5), (5, 5), (u32::MAX, u32::MAX.into()), (2, (1 << 32) + 2)] {
            drops.note(now);
            assert_eq!(drops.total, total);
        }
    }
}
