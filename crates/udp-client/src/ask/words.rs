//! Prints one exchange with a service: as text, as JSON, or the reply's bytes alone.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use udp_core::Shown;
use udp_core::cli::Tone;
use udp_core::cli::json::{FactValues, Payload, nanos, object};
use udp_core::clock::{self, Wall};
use udp_core::endpoint::ip_text;
use udp_core::service::{Reply, Spec, Verdict};
use udp_core::text::units::Millis;

use crate::config::{Config, Format};
use crate::exchange::Unsolicited;
use crate::output;
use crate::stats::Counts;
use crate::transcript::{self, Event, PendingOutput, Transcript};

/// An answer, and what is known about it.
pub(super) struct Answered<'a> {
    pub(super) reply: &'a Reply,
    pub(super) peer: SocketAddr,
    pub(super) bytes: &'a [u8],
    pub(super) rtt: Duration,
    pub(super) slow: bool,
    pub(super) after_refusal: bool,
}

/// Says it.
pub(super) struct Words<'a> {
    config: &'a Config,
    spec: &'a Spec,
    /// Payloads are not to be shown.
    secret: bool,
    transcript: Box<dyn Transcript>,
    said: PendingOutput,
}

impl<'a> Words<'a> {
    pub(super) fn new(config: &'a Config, spec: &'a Spec, secret: bool) -> Self {
        let (transcript, said) = (output::transcript(config), PendingOutput::default());
        Words { config, spec, secret, transcript, said }
    }

    /// What there is to say.
    pub(super) fn said(&mut self) -> &mut PendingOutput {
        &mut self.said
    }

    pub(super) fn into_said(self) -> PendingOutput {
        self.said
    }

    /// Shows what may happen to any message.
    pub(super) fn event(&mut self, event: Event<'_>) {
        self.transcript.event(event, clock::wall(), &mut self.said);
    }

    /// A datagram that is no answer. It may hold what was asked with.
    pub(super) fn unsolicited(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let kind = Unsolicited::Extra;
        let hidden = format!("{} {} bytes", self.spec.entry().scheme, bytes.len());
        match self.config.format {
            Format::Json if self.secret && !self.config.look.quiet => {
                let extra = Extra { seq: 1, peer: Peer::new(peer), payload: self.payload(bytes) };
                object("unsolicited", clock::wall(), extra, &mut self.said.out);
            }
            _ => {
                let bytes = if self.secret { hidden.as_bytes() } else { bytes };
                self.event(Event::Unsolicited { seq: Some(1), peer, bytes, kind });
            }
        }
    }

    pub(super) fn summary(&mut self, counts: &Counts, peer: SocketAddr) {
        self.transcript.summary(counts, peer, clock::wall(), &mut self.said);
    }

    /// The request left.
    pub(super) fn sent(&mut self, attempt: u32, peer: SocketAddr, bytes: &[u8], at: Wall) {
        if self.config.look.quiet {
            return;
        }
        match self.config.format {
            Format::Raw => {}
            Format::Json => {
                let (seq, payload) = (1, self.payload(bytes));
                let sent = Sent { seq, peer: Peer::new(peer), payload, attempt };
                object("sent", at, sent, &mut self.said.out);
            }
            Format::Text => {
                let scheme = self.spec.entry().scheme;
                self.line(
                    at,
                    Tone::Plain,
                    &format!("sendto {}: {scheme} {} bytes", Shown(peer), bytes.len()),
                );
            }
        }
    }

    /// The answer came. Whether it is other than it is to be.
    pub(super) fn reply(&mut self, answered: &Answered<'_>, at: Wall) -> bool {
        let Answered { reply, peer, bytes, rtt, slow, after_refusal } = *answered;
        let verdict = self.spec.judge(reply);
        let wrong = slow || verdict != Verdict::Ok;
        let (scheme, shown) = (self.spec.entry().scheme, self.spec.shown(reply));
        if verdict != Verdict::Ok {
            self.said.notes.push(format!("wrong reply: {scheme} {shown} ({verdict})"));
        } else if slow {
            self.said.notes.push(format!("wrong reply: too slow, {} ms", Millis(rtt)));
        }
        match self.config.format {
            Format::Raw => self.said.out.extend_from_slice(bytes),
            _ if self.config.look.quiet => {}
            Format::Json => {
                let event = JsonReply {
                    seq: 1,
                    peer: Peer::new(peer),
                    payload: self.payload(bytes),
                    rtt_ns: nanos(rtt),
                    wrong,
                    after_refusal,
                    service: scheme,
                    verdict: verdict.name(),
                    reason: reply.reason.as_deref(),
                    facts: FactValues(&reply.facts),
                };
                object("reply", at, event, &mut self.said.out);
            }
            Format::Text => {
                let tone = if wrong { Tone::Bad } else { Tone::Plain };
                let verdict = match verdict {
                    Verdict::Ok => String::new(),
                    other => format!(" {other}"),
                };
                let rtt = Millis(rtt);
                self.line(
                    at,
                    tone,
                    &format!("recvfrom {}: {scheme} {shown}  rtt={rtt} ms{verdict}", Shown(peer)),
                );
                for (name, fact) in reply.facts.in_words() {
                    self.line(at, Tone::Plain, &format!("  {name}: {fact}"));
                }
                if self.config.look.hexdump {
                    let out = &mut self.said.out;
                    let start = out.len();
                    transcript::hexdump(bytes, out);
                    self.config.look.style.dress(out, start, at, Tone::Plain);
                }
            }
        }
        wrong
    }

    fn payload<'b>(&self, bytes: &'b [u8]) -> Payload<'b> {
        let payload = Payload::from(bytes);
        if self.secret { payload.hidden() } else { payload }
    }

    fn line(&mut self, at: Wall, tone: Tone, text: &str) {
        let out = &mut self.said.out;
        let start = out.len();
        // A vector takes everything.
        let _ = writeln!(out, "{text}");
        self.config.look.style.dress(out, start, at, tone);
    }
}

#[derive(Serialize)]
struct Peer {
    address: String,
    port: u16,
}

impl Peer {
    fn new(peer: SocketAddr) -> Peer {
        Peer { address: ip_text(peer), port: peer.port() }
    }
}

#[derive(Serialize)]
struct Sent<'a> {
    seq: u64,
    #[serde(flatten)]
    peer: Peer,
    #[serde(flatten)]
    payload: Payload<'a>,
    attempt: u32,
}

#[derive(Serialize)]
struct Extra<'a> {
    seq: u64,
    #[serde(flatten)]
    peer: Peer,
    #[serde(flatten)]
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct JsonReply<'a> {
    seq: u64,
    #[serde(flatten)]
    peer: Peer,
    #[serde(flatten)]
    payload: Payload<'a>,
    rtt_ns: u64,
    wrong: bool,
    after_refusal: bool,
    service: &'static str,
    verdict: &'static str,
    reason: Option<&'a str>,
    facts: FactValues<'a>,
}
