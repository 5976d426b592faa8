//! How events are printed: one transcript (text, raw, JSON) a file, behind one small trait.
//!
//! A transcript appends to what stdout will get and to the notes that go to stderr; it writes
//! nothing itself and reads no clock.

mod json;
mod raw;
mod text;

pub use json::Json;
pub use raw::Raw;
pub(crate) use text::hexdump;
pub use text::{Look, Text};

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use udp_core::Shown;
use udp_core::cli::parse::ShownDuration;
use udp_core::clock::Wall;
use udp_core::text::units::Millis;

use crate::exchange::Unsolicited;
use crate::stats::Counts;
use udp_core::expect::Expectation;

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
        /// Whether the network had said before that nobody listens.
        after_refusal: bool,
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
    Unsolicited {
        /// The message that its port was last used for, if any.
        seq: Option<u64>,
        /// From whom.
        peer: SocketAddr,
        /// Its payload.
        bytes: &'a [u8],
        /// What is known about it.
        kind: Unsolicited,
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
        /// Who says so, where it is known.
        by: Option<IpAddr>,
    },
    /// The network says something, or an address is silent, that ends no message.
    Network {
        /// The message that it is about, where it is known.
        seq: Option<u64>,
        /// Who was asked.
        peer: SocketAddr,
        /// What it says and who says it.
        text: &'a str,
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
pub struct PendingOutput {
    /// For stdout.
    pub out: Vec<u8>,
    /// For stderr, a line each.
    pub notes: Vec<String>,
}

impl PendingOutput {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.notes.is_empty()
    }
}

/// What is said about refusals: who says so is the peer's host, or somebody in its name.
pub fn refused_by(peer: SocketAddr, by: Option<IpAddr>) -> String {
    match by.filter(|by| *by != peer.ip()) {
        Some(by) => format!("refused by {by}: nothing listens at {}", Shown(peer)),
        None => format!("refused by {}: nothing listens there", Shown(peer)),
    }
}

/// What replies are held to.
#[derive(Debug, Clone)]
pub struct Demands {
    /// What every reply must be.
    pub expectation: Expectation,
    /// How long it may take.
    pub max_rtt: Option<Duration>,
}

/// Notes what went wrong, which is the same for people and for pipes.
fn note_failure(event: Event<'_>, demands: &Demands, said: &mut PendingOutput) {
    let note = match event {
        Event::Reply { seq, bytes, rtt, wrong: true, .. } => {
            let complaint = if demands.expectation.holds(bytes) {
                format!("too slow, {} ms", Millis(rtt))
            } else {
                demands.expectation.complaint(bytes)
            };
            format!("wrong reply to message {seq}: {complaint}")
        }
        Event::Timeout { peer, waited, .. } => {
            format!("no reply from {} within {}", Shown(peer), ShownDuration(waited))
        }
        Event::Refused { peer, by, .. } => refused_by(peer, by),
        Event::Network { text, .. } => text.to_string(),
        Event::Error { text, hint, .. } => {
            said.notes.push(format!("error: {text}"));
            said.notes.extend(hint.map(|hint| format!("hint: {hint}")));
            return;
        }
        _ => return,
    };
    said.notes.push(note);
}

/// A way to tell it.
pub trait Transcript {
    /// Tells what happened at `at`.
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut PendingOutput);
    /// Tells the counts at the end of a conversation with `peer`.
    fn summary(&mut self, counts: &Counts, peer: SocketAddr, at: Wall, said: &mut PendingOutput);
}
