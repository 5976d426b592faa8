//! Many datagrams at once: receive a batch, send a batch, with one face over two backends.
//!
//! The backend for Linux takes and sends many datagrams a call (`recvmmsg(2)`, `sendmmsg(2)`),
//! lets the kernel merge what belongs together (UDP_GRO, UDP_SEGMENT of `udp(7)`) and knows which
//! address was asked (IP_PKTINFO, RFC 3542). The portable one takes one datagram a call, as far as
//! it can with the standard library. What the kernel cannot do is found at run
//! time and left out; [`Receiver::abilities`] says what is there.
//!
//! Nothing is allocated or locked for a datagram: the caller owns [`Slots`] to receive into and an
//! [`Outbox`] to send from, and uses them over and over. A send never waits, and says what became
//! of each datagram.
//!
//! ```
//! use udp_core::batch::{Backend, Io, Options, Outbox, Slots, Wait, SLOT};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
//! # let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
//! # client.send_to(b"hello", socket.local_addr()?)?;
//! let mut io = Io::new(socket, Backend::Auto, &Options::default())?;
//! let mut slots = Slots::new(32, SLOT, 64);
//! assert!(slots.set_prefix(b"echo "));
//! let mut outbox = Outbox::new(slots.capacity(), 0);
//!
//! io.receive(&mut slots, Wait::Block(None))?;
//! for (i, received) in slots.iter().enumerate() {
//!     outbox.echo(&slots, i, 0..received.meta.datagrams())?;
//! }
//! io.send(&mut outbox, &slots, |sent| assert!(sent.result.is_ok()));
//! # let mut reply = [0; 100];
//! # let n = client.recv(&mut reply)?;
//! # assert_eq!(&reply[..n], b"echo hello");
//! # Ok(())
//! # }
//! ```

#[cfg(target_os = "linux")]
pub(crate) mod control;
#[cfg(target_os = "linux")]
mod linux;
mod outbox;
mod own;
mod portable;
mod slots;
mod spin;
#[cfg(test)]
mod tests;
mod wake;

use std::io;
use std::net::UdpSocket;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Operation};

#[cfg(all(feature = "fuzzing", target_os = "linux"))]
#[doc(hidden)]
pub use linux::bench::Joining;
pub use outbox::{Full, Outbox, Sent, Source};
pub use slots::{MAX_V4, MAX_V6, Meta, Received, SLOT, Slots, max_payload};
pub use wake::Waker;

/// Which way datagrams take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The fastest that this system has.
    #[default]
    Auto,
    /// One datagram a call, without our own system calls: what works everywhere. Nothing is merged
    /// or joined, and lost datagrams are not counted.
    Portable,
}

/// What to ask of the kernel. All that it cannot do is left out, see [`Receiver::abilities`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Let the kernel merge runs of equal datagrams on receive. Needs slots of [`SLOT`] bytes.
    pub gro: bool,
    /// Tell what each datagram was sent to, so that answers can leave from there. Needed by whoever
    /// serves; without it, [`Meta::local`] and [`Meta::destination`] may be unknown.
    pub destination: bool,
    /// Stamp each datagram with the time of day the kernel took it in.
    pub timestamps: bool,
    /// Tell each datagram's TTL or hop limit.
    pub ttl: bool,
    /// Tell each datagram's ECN bits.
    pub ecn: bool,
    /// The socket is used by other processes too, see [`Adopted`](crate::socket::Adopted): it is
    /// never shut down, and [`Waker::wake`] takes up to 20 ms.
    pub shared: bool,
    /// Ask again and again for so long after a datagram, before sleeping until the next one; only
    /// while datagrams follow each other faster than this. Zero: sleep at once.
    pub busy_poll: Duration,
}

impl Default for Options {
    /// Runs are merged and destinations told; nothing else is asked for.
    fn default() -> Self {
        Options {
            gro: true,
            destination: true,
            timestamps: false,
            ttl: false,
            ecn: false,
            shared: false,
            busy_poll: Duration::ZERO,
        }
    }
}

/// What this socket can tell and do. What is false is None or Unknown in [`Meta`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Abilities {
    /// The destination of each datagram is told: address, kind, and on a wildcard bind replies
    /// leave from it.
    pub destination: bool,
    /// Runs are merged on receive.
    pub gro: bool,
    /// Datagrams that belong together are sent as one.
    pub gso: bool,
    /// Datagrams are stamped by the kernel.
    pub timestamps: bool,
    /// Datagrams lost to a full receive queue are counted, see [`Receiver::drops`].
    pub drops: bool,
}

/// How long a receive waits for the first datagram. It never waits for a second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until there is one, or for so long. Kept by the kernel's timer tick, so it may end a few
    /// milliseconds late. After [`Waker::wake`] the same as `Now`.
    Block(Option<Duration>),
    /// Not at all: what is queued now.
    Now,
}

/// What kind of address a datagram was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// One of this host's own addresses.
    Unicast,
    /// The broadcast address of a network, or of all.
    Broadcast,
    /// A multicast group.
    Multicast,
    /// The backend cannot tell.
    Unknown,
}

/// A socket to receive from and send to in batches.
#[derive(Debug)]
pub struct Io {
    receiver: Receiver,
    sender: Sender,
}

impl Io {
    /// Takes over `socket`, which becomes a blocking one, and asks the kernel for what `options`
    /// say. An error only if the socket cannot be used at all.
    pub fn new(socket: UdpSocket, backend: Backend, options: &Options) -> Result<Io, Error> {
        let bound = socket.local_addr().map_err(|source| Error {
            operation: Operation::Configure("batched i/o"),
            address: None,
            source,
        })?;
        let fail = |e| Error::new(Operation::Configure("blocking mode"), bound, e);
        socket.set_nonblocking(false).map_err(fail)?;
        socket.set_read_timeout(None).map_err(fail)?;
        let socket = Arc::new(socket);
        #[cfg(target_os = "linux")]
        if backend == Backend::Auto {
            let waker = if options.shared {
                Waker::by_mark()
            } else {
                Waker::by_shutdown(Arc::clone(&socket))
            };
            let (receiver, sender) = linux::open(&socket, &waker, bound, options);
            return Ok(Io {
                receiver: Receiver { socket, waker, half: ReceiveHalf::Linux(receiver) },
                sender: Sender { half: SendHalf::Linux(Box::new(sender)) },
            });
        }
        let (Backend::Auto | Backend::Portable) = backend;
        let waker = Waker::by_mark();
        let (receiver, sender) = portable::open(&socket, &waker, bound, options);
        Ok(Io {
            receiver: Receiver { socket, waker, half: ReceiveHalf::Portable(receiver) },
            sender: Sender { half: SendHalf::Portable(sender) },
        })
    }

    /// See [`Receiver::receive`].
    pub fn receive(&mut self, slots: &mut Slots, wait: Wait) -> io::Result<usize> {
        self.receiver.receive(slots, wait)
    }

    /// See [`Sender::send`].
    pub fn send(&mut self, outbox: &mut Outbox, slots: &Slots, report: impl FnMut(Sent)) {
        self.sender.send(outbox, slots, report);
    }

    /// See [`Receiver::drops`].
    pub fn drops(&mut self) -> Option<u64> {
        self.receiver.drops()
    }

    /// See [`Receiver::waker`].
    pub fn waker(&self) -> Waker {
        self.receiver.waker()
    }

    /// See [`Receiver::abilities`].
    pub fn abilities(&self) -> Abilities {
        self.receiver.abilities()
    }

    /// Both halves, for two threads.
    pub fn split(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }
}

/// The half of an [`Io`] that receives.
#[derive(Debug)]
pub struct Receiver {
    socket: Arc<UdpSocket>,
    waker: Waker,
    half: ReceiveHalf,
}

#[derive(Debug)]
enum ReceiveHalf {
    #[cfg(target_os = "linux")]
    Linux(linux::LinuxReceiver),
    Portable(portable::PortableReceiver),
}

impl Receiver {
    /// Receives into `slots`, whose old contents are gone: waits for the first datagram as `wait`
    /// says, then takes what is there. How many slots are filled; none if the time ran out or
    /// [`Waker::wake`] was called. Signals do not end it.
    ///
    /// An error is of one moment: a connected socket reports a refusal this way, and the next call
    /// may well succeed. With [`Options::gro`], slots below [`SLOT`] bytes are an
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) error.
    pub fn receive(&mut self, slots: &mut Slots, wait: Wait) -> io::Result<usize> {
        match &mut self.half {
            #[cfg(target_os = "linux")]
            ReceiveHalf::Linux(half) => half.receive(slots, wait),
            ReceiveHalf::Portable(half) => half.receive(slots, wait),
        }
    }

    /// How many datagrams were lost since the socket was made because its receive queue was full,
    /// by the kernel's own count; None if it has none. A merged run that is lost counts as one.
    pub fn drops(&mut self) -> Option<u64> {
        match &mut self.half {
            #[cfg(target_os = "linux")]
            ReceiveHalf::Linux(half) => half.drops(),
            ReceiveHalf::Portable(_) => None,
        }
    }

    /// Whether one system call takes many datagrams, as far as the calls so far have shown.
    pub fn is_batched(&self) -> bool {
        match &self.half {
            #[cfg(target_os = "linux")]
            ReceiveHalf::Linux(half) => half.is_batched(),
            ReceiveHalf::Portable(_) => false,
        }
    }

    /// A handle that ends a blocked receive from another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The socket: to wait on several at once, or to send on a connected one without an outbox.
    /// Whoever only ever receives with [`Wait::Now`] may make it a non-blocking one.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// What this socket can tell and do.
    pub fn abilities(&self) -> Abilities {
        match &self.half {
            #[cfg(target_os = "linux")]
            ReceiveHalf::Linux(half) => half.abilities(),
            ReceiveHalf::Portable(half) => half.abilities(),
        }
    }
}

/// To wait on several at once, or in a runtime's reactor; receive with [`Wait::Now`] then.
#[cfg(unix)]
impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// As of its [`Receiver`]: both halves are one socket.
#[cfg(unix)]
impl AsFd for Io {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

/// The half of an [`Io`] that sends.
#[derive(Debug)]
pub struct Sender {
    half: SendHalf,
}

#[derive(Debug)]
enum SendHalf {
    #[cfg(target_os = "linux")]
    Linux(Box<linux::LinuxSender>),
    Portable(portable::PortableSender),
}

impl Sender {
    /// Sends everything in the outbox and empties it, telling `report` of every datagram once. The
    /// order of datagrams to one peer is kept, that among peers is not. It never waits: what the
    /// socket has no room for fails with [`WouldBlock`](io::ErrorKind::WouldBlock). One datagram's
    /// failure does not hold up another.
    ///
    /// `slots` are those that the outbox's echoes refer to, or [`Slots::none`].
    pub fn send(&mut self, outbox: &mut Outbox, slots: &Slots, report: impl FnMut(Sent)) {
        match &mut self.half {
            #[cfg(target_os = "linux")]
            SendHalf::Linux(half) => half.send(outbox, slots, report),
            SendHalf::Portable(half) => half.send(outbox, slots, report),
        }
    }

    /// Whether one system call sends many datagrams, as far as the calls so far have shown.
    pub fn is_batched(&self) -> bool {
        match &self.half {
            #[cfg(target_os = "linux")]
            SendHalf::Linux(half) => half.is_batched(),
            SendHalf::Portable(_) => false,
        }
    }
}
