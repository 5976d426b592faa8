//! A neutral load generator: it offers UDP datagrams to an echo server, checks every reply to the
//! byte, and says how many came back and what that cost the server.
//!
//! A closed loop keeps a window of datagrams outstanding on each flow (a socket of its own); an
//! open loop offers a rate whatever comes back. On loopback nothing merges datagrams: a server is
//! given merged ones only by [`Sending::Segmented`], as a network card or a modern sender gives
//! them. Everything ends after the time told. `udp(7)`, `recvmmsg(2)`, `sendmmsg(2)`.

mod flow;
mod generator;
mod outstanding;
mod payload;
mod post;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

pub(crate) use payload::{Framing, Name, Payload, Size};

use generator::Generator;

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// Sockets, each a peer of its own to the server.
    pub(crate) flows: u16,
    /// Datagrams outstanding on each flow of a closed loop.
    pub(crate) window: u32,
    pub(crate) size: Size,
    pub(crate) sending: Sending,
    pub(crate) waiting: Waiting,
    pub(crate) pace: Pace,
}

/// How datagrams leave the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// One by one, as plain clients send them.
    Single,
    /// Whole runs as one (UDP_SEGMENT), and replies received as runs where they come as such.
    Segmented,
    /// One by one, each from the next of so many loopback addresses.
    Sources(u32),
}

/// What the generator does while no reply is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Sleeps until there is one, as most clients do.
    Sleeping,
    /// Stays awake and looks again after this pause, so that a server's send need not wake an idle
    /// core; in the pause replies collect.
    Spinning(Duration),
}

/// Closed or open loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// The next datagram goes out when a reply has come or is given up.
    Closed,
    /// So many datagrams a second are offered.
    Open(f64),
}

/// Whom to offer it to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// What the server puts before each echo.
    pub(crate) prefix: String,
    pub(crate) framing: Framing,
}

/// How long: first a time that is not counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) slice: Duration,
}

/// What was counted in the slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Datagrams given to the kernel.
    pub(crate) sent: u64,
    /// Replies that were right in every byte, each the first to its datagram.
    pub(crate) good: u64,
    /// Datagrams given up.
    pub(crate) lost: u64,
    /// Right replies that came after that, or twice.
    pub(crate) late: u64,
    /// Replies that were wrong, or came to the wrong address.
    pub(crate) bad: u64,
    /// Datagrams that the kernel did not take.
    pub(crate) unsent: u64,
}

/// One slice.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) tally: Tally,
    /// What the meter rose by, in nanoseconds.
    pub(crate) metered: Option<u64>,
    /// Round-trip times in nanoseconds, where one datagram at a time is outstanding.
    pub(crate) rtt: Option<Histogram<u64>>,
}

/// Offers `load` for a slice. `meter` is read at its beginning and its end.
pub(crate) fn offer(
    load: &Load,
    target: &Target,
    span: Span,
    meter: &mut dyn FnMut() -> Option<u64>,
) -> Result<Outcome> {
    Generator::new(load, target)?.run(span, meter)
}

impl Load {
    /// One datagram at a time: each reply's time is a round-trip time.
    pub(crate) fn is_timed(&self) -> bool {
        self.pace == Pace::Closed && self.flows == 1 && self.window == 1
    }
}

impl Tally {
    /// What was counted since `earlier`.
    fn since(self, earlier: Tally) -> Tally {
        Tally {
            sent: self.sent - earlier.sent,
            good: self.good - earlier.good,
            lost: self.lost - earlier.lost,
            late: self.late - earlier.late,
            bad: self.bad - earlier.bad,
            unsent: self.unsent - earlier.unsent,
        }
    }
}

#[cfg(test)]
mod tests;
