//! The tutorial's lines, for people and for scripts that read lines.
//!
//! A credited reply begins with `recvfrom`, and nothing else does: a late, second or foreign
//! datagram has its label before it, where no payload can forge or hide one. Payloads are shown
//! escaped (or as hex), so that one datagram is one line.

use std::io::Write;
use std::net::SocketAddr;

use udp_core::Shown;
use udp_core::cli::parse::ShownDuration;
use udp_core::clock::Wall;
use udp_core::text::{escape, hex};

use super::{Event, Said, Transcript};
use crate::config::Coding;
use crate::expectation::Expectation;
use crate::outcome::Stray;
use crate::tally::Tally;

/// Datagrams that answer nothing are shown up to this many a second; anyone can send them.
const UNEXPECTED_PER_SECOND: u64 = 20;

/// The transcript in text.
#[derive(Debug)]
pub struct Text {
    coding: Coding,
    expectation: Expectation,
    /// The last peer, as it is shown.
    shown: Option<(SocketAddr, String)>,
    quota: Quota,
}

#[derive(Debug, Default)]
struct Quota {
    second: u64,
    shown: u64,
    hidden: u64,
}

impl Text {
    /// One that shows payloads in `coding` and holds replies to `expectation` when it says why
    /// they are wrong.
    pub fn new(coding: Coding, expectation: Expectation) -> Self {
        Text { coding, expectation, shown: None, quota: Quota::default() }
    }

    /// `sendto ('127.0.0.1', 7000): hello`
    fn line(&mut self, verb: &str, peer: SocketAddr, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(verb.as_bytes());
        out.push(b' ');
        match &self.shown {
            Some((last, text)) if *last == peer => out.extend_from_slice(text.as_bytes()),
            _ => {
                let text = Shown(peer).to_string();
                out.extend_from_slice(text.as_bytes());
                self.shown = Some((peer, text));
            }
        }
        out.extend_from_slice(b": ");
        match self.coding {
            Coding::Hex => hex::encode_into(bytes, out),
            Coding::Text | Coding::Escape => escape::escape_into(bytes, out),
        }
        out.push(b'\n');
    }
}

impl Transcript for Text {
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut Said) {
        let out = &mut said.out;
        match event {
            Event::Sent { peer, bytes, .. } => self.line("sendto", peer, bytes, out),
            Event::Reply { seq, peer, bytes, wrong, .. } => {
                self.line("recvfrom", peer, bytes, out);
                if wrong {
                    let complaint = self.expectation.complaint(bytes);
                    said.notes.push(format!("wrong reply to message {seq}: {complaint}"));
                }
            }
            Event::Late { seq, peer, bytes, .. } => {
                self.line(&format!("late (message {seq}): recvfrom"), peer, bytes, out);
            }
            Event::Unexpected { peer, bytes, stray, .. } => {
                if self.quota.admits(at, out) {
                    let label = match stray {
                        Stray::Duplicate => "duplicate: recvfrom",
                        Stray::Another => "unexpected: recvfrom",
                        Stray::Stranger => "unexpected sender: recvfrom",
                    };
                    self.line(label, peer, bytes, out);
                }
            }
            Event::Timeout { peer, waited, .. } => {
                let waited = ShownDuration(waited);
                line(out, format_args!("no reply from {} within {waited}", Shown(peer)));
            }
            Event::Refused { peer, .. } => {
                line(out, format_args!("refused by {}: nothing listens there", Shown(peer)));
            }
            Event::Error { text, hint, .. } => {
                said.notes.push(format!("error: {text}"));
                said.notes.extend(hint.map(|hint| format!("hint: {hint}")));
            }
        }
    }

    fn summary(&mut self, tally: &Tally, _peer: SocketAddr, _at: Wall, said: &mut Said) {
        self.quota.tell(&mut said.out);
        line(&mut said.out, format_args!("{tally}"));
        if let Some(figures) = tally.rtt.figures() {
            line(&mut said.out, format_args!("{figures}"));
        }
    }
}

impl Quota {
    fn admits(&mut self, at: Wall, out: &mut Vec<u8>) -> bool {
        let second = at.as_nanos() / 1_000_000_000;
        if second != self.second {
            self.tell(out);
            (self.second, self.shown) = (second, 0);
        }
        self.shown += 1;
        let admitted = self.shown <= UNEXPECTED_PER_SECOND;
        self.hidden += u64::from(!admitted);
        admitted
    }

    /// Says how many were not shown since it was last said.
    fn tell(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.hidden) {
            0 => {}
            hidden => line(out, format_args!("... {hidden} unexpected datagrams not shown")),
        }
    }
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = writeln!(out, "{text}");
}
