//! The words in which the exchange speaks of messages and of what came of them.

use std::time::Duration;

use udp_core::source_port::PortId;

/// How many replies a message may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// So many; once they came it is done.
    UpTo(u64),
    /// As many as come within the timeout.
    Any,
}

/// A message, numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub seq: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What a datagram turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reply to a message, or one of several.
    Reply {
        /// The message.
        seq: u64,
        /// From the message's first sending to this reply.
        rtt: Duration,
        /// Whether it was other than expected.
        wrong: bool,
    },
    /// The reply to a message that was given up before.
    Late {
        /// The message.
        seq: u64,
        /// How long after the message's first sending.
        after: Duration,
    },
    /// An answer to nothing.
    Unexpected {
        /// The message that its port was last used for.
        seq: Option<u64>,
        /// What is known about it.
        stray: Stray,
    },
}

/// Kinds of datagram that answer nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// The same bytes as the reply before.
    Duplicate,
    /// Other bytes, after a message had all its replies.
    Another,
    /// From an address that was not asked.
    Stranger,
}

/// What a message's time brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is to be sent again from its source port, for the `attempt`th time (2 and up).
    Again {
        /// The source port.
        port_id: PortId,
        /// Which sending this is.
        attempt: u32,
    },
    /// It stays unanswered.
    Lost {
        /// The message.
        seq: u64,
        /// How long it was waited for, in all.
        waited: Duration,
        /// How often it was sent.
        attempts: u32,
    },
    /// It had replies, and the time for more is over.
    Heard {
        /// The message.
        seq: u64,
    },
}
