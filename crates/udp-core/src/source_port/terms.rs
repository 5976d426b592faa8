//! The arguments and results of a pool of source ports: plain values.

use std::time::Duration;

#[cfg(doc)]
use super::PortPool;
use crate::clock::Mono;

/// One source port during the life of one socket. A source port that is closed and opened anew has a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl PortId {
    /// Where in a table the source port's socket is kept: below [`PortPool::capacity`], and used again by a
    /// later source port once this one is closed.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// Which of the source ports that used the slot this is.
    pub fn generation(self) -> u32 {
        self.generation
    }
}

/// How many source ports there are to leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// One, that the user chose.
    One,
    /// As many as this (at least one), each chosen by the kernel.
    UpTo(usize),
}

/// How source ports are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How many sockets may be open at once.
    pub ports: Ports,
    /// How long an answered source port rests before it is used again, while others can be opened. Zero
    /// keeps a conversation on one port as long as every request is answered.
    pub rest: Duration,
    /// How long an unanswered source port is kept open to recognise what comes late. With one port: how
    /// long after a time-out the next request waits.
    pub linger: Duration,
}

/// Where the next request leaves from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// From a source port that is open.
    Reuse(PortId),
    /// From a new source port: open a socket for it, and close that of `close` first.
    Open {
        /// The new source port.
        port_id: PortId,
        /// The oldest of the unanswered source ports, given up to keep within the number of sockets.
        close: Option<PortId>,
    },
    /// From none yet: not before `until`, or before some source port is settled or expires.
    Wait {
        /// When a source port will be ready if nothing else happens.
        until: Option<Mono>,
    },
}

/// What a datagram is, by the source port that it arrived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival<T> {
    /// A reply to the request outstanding there. The source port stays as it is: say [`PortPool::settle`]
    /// when no more replies are to be credited to the request.
    Answers(T),
    /// The first reply to a request whose time was over.
    Late(T),
    /// One more than was asked for: the last request of the source port, if there was one, had its
    /// replies already.
    Extra(Option<T>),
}
