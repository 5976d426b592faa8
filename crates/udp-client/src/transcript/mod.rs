//! How what happens is told: one transcript a file behind one small trait.
//!
//! A transcript appends to what stdout will get and to the notes that go to stderr; it writes
//! nothing itself and reads no clock.

mod json;
mod raw;
mod text;

pub use json::Json;
pub use raw::Raw;
pub use text::Text;

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::Wall;

use crate::outcome::Stray;
use crate::tally::Tally;

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A message left.
    Sent {
        /// The message.
        seq: u64,
        /// Which sending of it this is, from 1.
        attempt: u32,
        /// To whom.
        peer: SocketAddr,
        /// Its payload.
        bytes: &'a [u8],
    },
    /// A reply was credited.
    Reply {
        /// The message that it answers.
        seq: u64,
        /// From whom.
        peer: SocketAddr,
        /// Its payload.
        bytes: &'a [u8],
        /// How long it took, from the message's first sending.
        rtt: Duration,
        /// Whether it was other than expected.
        wrong: bool,
    },
    /// The reply to a message that was given up.
    Late {
        /// The message.
        seq: u64,
        /// From whom.
        peer: SocketAddr,
        /// Its payload.
        bytes: &'a [u8],
        /// How long it took, from the message's first sending.
        rtt: Duration,
    },
    /// A datagram that answers nothing.
    Unexpected {
        /// The message that its port was last used for, if any.
        seq: Option<u64>,
        /// From whom.
        peer: SocketAddr,
        /// Its payload.
        bytes: &'a [u8],
        /// What is known about it.
        stray: Stray,
    },
    /// A message stays unanswered.
    Timeout {
        /// The message.
        seq: u64,
        /// Who was asked.
        peer: SocketAddr,
        /// How long it was waited for, in all.
        waited: Duration,
        /// How often it was sent.
        attempts: u32,
    },
    /// The peer's host says that nothing listens there.
    Refused {
        /// The message, where it is known.
        seq: Option<u64>,
        /// Who was asked.
        peer: SocketAddr,
    },
    /// Something failed in this host.
    Error {
        /// The message that it is about, if it is about one.
        seq: Option<u64>,
        /// What was attempted, on what, and why it failed.
        text: &'a str,
        /// The way out, where there is an obvious one.
        hint: Option<&'a str>,
    },
}

/// What there is to say.
#[derive(Debug, Default)]
pub struct Said {
    /// For stdout.
    pub out: Vec<u8>,
    /// For stderr, a line each.
    pub notes: Vec<String>,
}

impl Said {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.notes.is_empty()
    }
}

/// A way to tell it.
pub trait Transcript {
    /// Tells what happened at `at`.
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut Said);
    /// Tells the counts at the end of a conversation with `peer`.
    fn summary(&mut self, tally: &Tally, peer: SocketAddr, at: Wall, said: &mut Said);
}
