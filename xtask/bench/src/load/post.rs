//! Sends a flow's datagrams: many a call, singly or in segmented runs. `sendmmsg(2)`, UDP_SEGMENT
//! of `udp(7)`.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use udp_core::batch::{Io, Outbox, Slots, Source};

use super::payload::{Name, Payload};

/// Datagrams or runs in one call.
const MESSAGES: usize = 64;
/// Runs in one call.
const RUNS: usize = 16;
/// Segments of one run (UDP_MAX_SEGMENTS of older kernels), and its bytes.
const SEGMENTS: usize = 64;
const RUN_BYTES: usize = 65_000;
/// The first of the addresses that stand for many peers: 127.16.0.0 and those after it.
const FIRST_SOURCE: u32 = 0x7f10_0000;

/// Sends datagrams of one load. Its memory is allocated once.
pub(super) enum Post {
    Connected(Box<Connected>),
    Sources(Box<Sources>),
}

/// From connected sockets.
pub(super) struct Connected {
    memory: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
    /// Datagrams in a run, 1 without segmentation.
    run: usize,
    messages: usize,
}

/// From one socket that is not connected, a source address a datagram.
pub(super) struct Sources {
    outbox: Outbox,
    none: Slots,
    memory: Vec<u8>,
    to: SocketAddr,
    sources: u32,
}

impl Post {
    /// Singly, from connected sockets.
    pub(super) fn single(payload: &Payload) -> Self {
        Self::connected(payload, 1, MESSAGES)
    }

    /// In runs whose datagrams are all of the payload's one length.
    pub(super) fn segmented(payload: &Payload) -> Self {
        // The server may put a prefix before each, and shall be able to answer the run as one.
        let run = (RUN_BYTES / payload.longest_reply()).clamp(1, SEGMENTS);
        Self::connected(payload, run, RUNS)
    }

    fn connected(payload: &Payload, run: usize, messages: usize) -> Self {
        Self::Connected(Box::new(Connected {
            memory: vec![0; payload.longest() * run * messages],
            headers: MultiHeaders::preallocate(messages, None),
            run,
            messages,
        }))
    }

    /// Singly, each from the next of `sources` addresses.
    pub(super) fn sources(payload: &Payload, to: SocketAddr, sources: u32) -> Self {
        Self::Sources(Box::new(Sources {
            outbox: Outbox::new(MESSAGES, MESSAGES * payload.longest()),
            none: Slots::none(),
            memory: vec![0; payload.longest()],
            to,
            sources: sources.max(1),
        }))
    }

    /// The most datagrams that one call takes.
    pub(super) fn most(&self) -> usize {
        match self {
            Self::Connected(post) => post.run * post.messages,
            Self::Sources(_) => MESSAGES,
        }
    }

    /// Sends the datagrams named, at most [`most`](Self::most). How many the kernel took, the
    /// first ones always.
    pub(super) fn send(
        &mut self,
        (socket, io): (&UdpSocket, &mut Io),
        payload: &Payload,
        names: &[Name],
    ) -> io::Result<usize> {
        match self {
            Self::Connected(post) => post.send(socket, payload, names),
            Self::Sources(post) => post.send(io, payload, names),
        }
    }
}

impl Connected {
    fn send(&mut self, socket: &UdpSocket, payload: &Payload, names: &[Name]) -> io::Result<usize> {
        let mut ends = Vec::with_capacity(self.messages);
        let mut end = 0;
        for run in names.chunks(self.run) {
            for name in run {
                end += payload.write(*name, &mut self.memory[end..]);
            }
            ends.push(end);
        }
        let mut from = 0;
        let messages: Vec<[IoSlice<'_>; 1]> = ends
            .iter()
            .map(|end| {
                let message = [IoSlice::new(&self.memory[from..*end])];
                from = *end;
                message
            })
            .collect();
        let addresses = [None; MESSAGES];
        let control: [ControlMessage<'_>; 0] = [];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        match sendmmsg(fd, &mut self.headers, &messages, addresses, control, flags) {
            Ok(sent) => Ok((sent.count() * self.run).min(names.len())),
            // No room in the socket, or the refusal of an earlier datagram.
            Err(Errno::EAGAIN | Errno::ECONNREFUSED | Errno::ENOBUFS) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl Sources {
    fn send(&mut self, io: &mut Io, payload: &Payload, names: &[Name]) -> io::Result<usize> {
        self.outbox.clear();
        for name in names {
            let len = payload.write(*name, &mut self.memory);
            let address = source(name.number, self.sources);
            let from = Source { address, interface: 0 };
            let pushed = self.outbox.push(self.to, Some(from), &self.memory[..len]);
            pushed.map_err(io::Error::other)?;
        }
        let (mut taken, mut failure) = (0, None);
        io.send(&mut self.outbox, &self.none, |sent| match sent.result {
            Ok(()) if failure.is_none() => taken += sent.datagrams,
            Ok(()) => {}
            Err(error) => failure = failure.take().or(Some(error)),
        });
        match failure {
            Some(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }
}

/// The address that the datagram of this number comes from.
pub(super) fn source(number: u64, sources: u32) -> IpAddr {
    let offset = u32::try_from(number % u64::from(sources)).unwrap_or(0);
    IpAddr::V4(Ipv4Addr::from(FIRST_SOURCE + offset))
}
