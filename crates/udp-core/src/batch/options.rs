//! What is asked of a batched socket and of each receive, and what it says it can do: plain values.

use std::time::Duration;

#[cfg(doc)]
use super::{Meta, Receiver, SLOT, Waker};

/// Which way datagrams take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
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
    /// Runs are merged and destinations reported; nothing else is asked for.
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
    /// The destination of each datagram is reported: address, kind, and on a wildcard bind replies
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
#[non_exhaustive]
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
