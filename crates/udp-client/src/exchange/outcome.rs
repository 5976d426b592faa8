//! The types of the exchange: the message it is given, and what it returns of a datagram (reply,
//! late, unsolicited) or of a message that stays unanswered.

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its number.
    pub seq: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// How often it was sent to addresses that did not answer.
    pub sent_before: u32,
    /// How many addresses did not answer it.
    pub asked: usize,
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
        /// Whether the message had been refused, which was only a hint.
        after_refusal: bool,
    },
    /// The reply to a message that was given up before.
    Late {
        /// The message.
        seq: u64,
        /// How long after the message's first sending.
        after: Duration,
    },
    /// An answer to nothing.
    Unsolicited {
        /// The message that its port was last used for.
        seq: Option<u64>,
        /// What is known about it.
        kind: Unsolicited,
    },
}

/// A message that stays unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The message.
    pub seq: u64,
    /// How long it was waited for, in all.
    pub waited: Duration,
    /// How often it was sent.
    pub attempts: u32,
}

/// Kinds of datagram that answer nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsolicited {
    /// The same bytes as the reply before.
    Duplicate,
    /// Other bytes, after a message had all its replies.
    Extra,
    /// From an address that was not asked.
    Elsewhere,
}

/// What a message's time brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// No reply came in time: another address is to be asked, or it is to be sent
    /// [again](crate::exchange::Exchange::again), or to be [given
    /// up](crate::exchange::Exchange::give_up).
    TimedOut {
        /// The source port.
        port_id: PortId,
    },
    /// It had replies, and the time for more is over.
    Complete {
        /// The message.
        seq: u64,
    },
}
