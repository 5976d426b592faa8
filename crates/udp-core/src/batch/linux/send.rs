//! Sends an outbox with `sendmmsg(2)`, equal datagrams joined as UDP_SEGMENT (`udp(7)`). The call
//! stops at the first datagram that fails: that one is reported, and the rest is sent.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Once};

use super::super::control;
use super::super::{Outbox, Sent, Slots};
use super::plan::{Cursor, MESSAGES, Message, PIECES, Plan, SEGMENTS};
use super::refusals::{Refusals, reach};
use super::say_one_by_one;
use crate::error::{describe, is_refused};
use crate::sys::{Filling, NAME, Ready, SendCall};

/// Whether it was said that the kernel refuses the call for many.
static SAID: Once = Once::new();

/// The sending half.
pub(in super::super) struct LinuxSender {
    socket: Arc<UdpSocket>,
    wire: Wire,
    gso: bool,
    refusals: Refusals,
    plan: Plan,
    call: SendCall,
    /// For the datagrams of a message that the kernel would not segment.
    single: SendCall,
}

impl LinuxSender {
    pub(super) fn new(socket: Arc<UdpSocket>, bound: SocketAddr, gso: bool) -> Self {
        LinuxSender {
            wire: Wire {
                v6: bound.is_ipv6(),
                connected: socket.peer_addr().is_ok(),
                pinned: !bound.ip().is_unspecified(),
                #[cfg(test)]
                refuse: None,
            },
            socket,
            gso,
            refusals: Refusals::default(),
            plan: Plan::new(),
            call: SendCall::new(MESSAGES, PIECES),
            single: SendCall::new(MESSAGES, MESSAGES),
        }
    }

    pub(in super::super) fn is_batched(&self) -> bool {
        !self.call.is_one_by_one()
    }

    /// From now on, as if the kernel refused to segment datagrams of at least `least` bytes.
    #[cfg(test)]
    pub(in super::super) fn refuse(&mut self, least: usize, number: i32) {
        self.wire.refuse = Some((least, number));
    }

    /// Whether datagrams of `length` bytes to `peer` would be joined.
    #[cfg(test)]
    pub(in super::super) fn joins(&mut self, peer: SocketAddr, length: usize) -> bool {
        self.gso && self.refusals.allow(peer, length)
    }

    pub(in super::super) fn send(
        &mut self,
        outbox: &mut Outbox,
        slots: &Slots,
        mut report: impl FnMut(Sent),
    ) {
        let mut cursor = Cursor::default();
        loop {
            let (gso, refusals) = (self.gso, &mut self.refusals);
            let joins = |peer: SocketAddr, length: usize| gso && refusals.allow(peer, length);
            if !self.plan.next(outbox, slots, &mut cursor, joins) {
                break;
            }
            self.send_planned(outbox, slots, &mut report);
        }
        outbox.clear();
    }

    /// Sends the planned messages, however often the kernel stops.
    fn send_planned(&mut self, outbox: &Outbox, slots: &Slots, report: &mut impl FnMut(Sent)) {
        let LinuxSender { socket, wire, plan, call, single, refusals, .. } = self;
        let mut filling = call.fill();
        for message in &plan.messages {
            wire.address(&mut filling, message, message.datagrams);
            for piece in plan.pieces(message) {
                filling.piece(plan.bytes(piece, outbox, slots));
            }
        }
        let mut ready = filling.ready();
        let mut next = 0;
        while next < plan.messages.len() {
            let message = &plan.messages[next];
            match wire.send(&mut ready, socket, &plan.messages, next) {
                Ok(sent) => {
                    for message in &plan.messages[next..next + sent] {
                        tell(plan, message, || Ok(()), report);
                    }
                    next += sent;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => match reach(&e).filter(|_| message.datagrams > 1) {
                    None => tell(plan, message, || Err(repeat(&e)), report),
                    Some(reach) => {
                        let pieces = plan
                            .pieces(message)
                            .map(|piece| (piece.first, plan.bytes(piece, outbox, slots)));
                        let sent = send_singly(single, socket, wire, message, pieces, report);
                        // EIO is of the path, whatever the length.
                        let any = e.raw_os_error() == Some(libc::EIO);
                        let least = if any { 1 } else { message.segment };
                        if sent > 0 && refusals.note(message.peer, least, reach) {
                            log::info!(
                                "the kernel does not segment {}-byte datagrams to {} ({}): \
                                 they go out one by one",
                                message.segment,
                                message.peer,
                                describe(&e)
                            );
                        }
                    }
                },
            }
            next += 1;
        }
    }
}

/// Tells what became of a message's datagrams, those with consecutive numbers together.
fn tell(
    plan: &Plan,
    message: &Message,
    result: impl Fn() -> io::Result<()>,
    report: &mut impl FnMut(Sent),
) {
    let mut pieces = plan.pieces(message).peekable();
    while let Some(piece) = pieces.next() {
        let (mut datagrams, mut bytes) = (piece.datagrams, piece.bytes);
        while let Some(next) = pieces.next_if(|next| next.first == piece.first + datagrams) {
            datagrams += next.datagrams;
            bytes += next.bytes;
        }
        let (peer, first) = (message.peer, piece.first);
        report(Sent { peer, first, datagrams, bytes, result: result() });
    }
}

/// The same error once more.
fn repeat(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Sends the datagrams of a message each by itself. How many went out.
fn send_singly<'a>(
    call: &mut SendCall,
    socket: &UdpSocket,
    wire: &Wire,
    message: &Message,
    pieces: impl Iterator<Item = (usize, &'a [u8])>,
    report: &mut impl FnMut(Sent),
) -> usize {
    let mut filling = call.fill();
    let mut numbers = [(0, 0); SEGMENTS];
    let mut datagrams = 0;
    for (first, bytes) in pieces {
        for (number, bytes) in (first..).zip(bytes.chunks(message.segment.max(1))) {
            wire.address(&mut filling, message, 1);
            filling.piece(bytes);
            numbers[datagrams] = (number, bytes.len());
            datagrams += 1;
        }
    }
    let mut ready = filling.ready();
    let (mut next, mut out) = (0, 0);
    let peer = message.peer;
    let mut tell = |(first, bytes), result| {
        report(Sent { peer, first, datagrams: 1, bytes, result });
    };
    while next < datagrams {
        match send_or_singly(&mut ready, socket, next) {
            Ok(sent) => {
                numbers[next..next + sent].iter().for_each(|number| tell(*number, Ok(())));
                next += sent;
                out += sent;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                tell(numbers[next], Err(e));
                next += 1;
            }
        }
    }
    out
}

/// Makes the call from message `next` on; where it is refused as such, one message at a time.
fn send_or_singly(ready: &mut Ready<'_, '_>, socket: &UdpSocket, next: usize) -> io::Result<usize> {
    match ready.send(socket.as_fd(), next) {
        Err(e) if is_refused(&e) && !ready.is_one_by_one() && !ready.has_worked() => {
            one_by_one(ready, socket, next, &e)
        }
        result => result,
    }
}

/// Tries the call for one message. EPERM is what a packet filter says of a datagram as well; only
/// this call, which then fails alike, tells it from a refusal of the call for many.
fn one_by_one(
    ready: &mut Ready<'_, '_>,
    socket: &UdpSocket,
    next: usize,
    refusal: &io::Error,
) -> io::Result<usize> {
    ready.set_one_by_one(true);
    let result = ready.send(socket.as_fd(), next);
    if result.is_ok() || refusal.raw_os_error() == Some(libc::ENOSYS) {
        say_one_by_one(&SAID, "sendmmsg", refusal);
    } else {
        ready.set_one_by_one(false);
    }
    result
}

/// How the socket wants its messages addressed.
#[derive(Debug)]
struct Wire {
    /// The socket is an IPv6 one, which takes IPv4 addresses in their mapped form.
    v6: bool,
    connected: bool,
    /// Bound to one address, which datagrams leave from anyway.
    pinned: bool,
    /// In tests: refuse to segment datagrams of at least so many bytes, with this error number.
    #[cfg(test)]
    refuse: Option<(usize, i32)>,
}

impl Wire {
    /// Starts a message of `datagrams` datagrams.
    fn address(&self, filling: &mut Filling<'_, '_>, message: &Message, datagrams: usize) {
        let mut name = [0; NAME];
        let used = match self.connected {
            true => 0,
            false => control::write_name(&mut name, message.peer, self.v6),
        };
        filling.message(&name[..used], |out| {
            let source = message.source.filter(|s| !self.pinned && !s.is_implied(message.peer));
            let segment = u16::try_from(message.segment).ok().filter(|_| datagrams > 1);
            control::write(out, source, segment)
        });
    }

    /// Makes the call from message `next` on.
    #[cfg(not(test))]
    fn send(
        &self,
        ready: &mut Ready<'_, '_>,
        socket: &UdpSocket,
        _messages: &[Message],
        next: usize,
    ) -> io::Result<usize> {
        send_or_singly(ready, socket, next)
    }

    /// The same before a kernel that refuses what the test says.
    #[cfg(test)]
    fn send(
        &self,
        ready: &mut Ready<'_, '_>,
        socket: &UdpSocket,
        messages: &[Message],
        next: usize,
    ) -> io::Result<usize> {
        match self.refuse {
            Some((least, errno))
                if messages[next].datagrams > 1 && messages[next].segment >= least =>
            {
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => send_or_singly(ready, socket, next),
        }
    }
}

impl std::fmt::Debug for LinuxSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinuxSender")
            .field("socket", &self.socket)
            .field("gso", &self.gso)
            .finish_non_exhaustive()
    }
}
