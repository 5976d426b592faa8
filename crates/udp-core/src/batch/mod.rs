//! Many datagrams at once: receive a batch, send a batch, through one interface to two backends.
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
//! let mut slots = Slots::new(32, SLOT, 5); // room for the prefix before each
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
//!
//! `examples/batch_echo.rs` does this in a loop. To end one, [`Waker::wake`] lets the receive return 0.

#[cfg(target_os = "linux")]
pub(crate) mod control;
#[cfg(target_os = "linux")]
mod linux;
mod options;
mod outbox;
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

use crate::error::{Error, Operation};

#[cfg(all(feature = "fuzzing", target_os = "linux"))]
#[doc(hidden)]
pub use linux::bench::Joining;
pub use options::{Abilities, Backend, Destination, Options, Wait};
pub use outbox::{Full, Outbox, Sent, Source};
pub use slots::{MAX_V4, MAX_V6, Meta, Received, SLOT, Slots, max_payload};
pub use wake::Waker;

/// A socket to receive from and send to in batches.
#[derive(Debug)]
pub struct Io {
    receiver: Receiver,
    sender: Sender,
}

impl Io {
    /// Takes over `socket` and asks the kernel for what `options` say. How long a receive waits is
    /// said with each one ([`Wait`]); the mode that the socket had before is given up.
    ///
    /// # Errors
    /// The socket cannot be used at all.
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
    /// It may be set to non-blocking if every receive is [`Wait::Now`].
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
    /// Sends everything in the outbox and empties it, calling `report` for every datagram once. The
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
