//! Newline-delimited JSON, one object per event; `schema/client.schema.json` describes it.
//!
//! Payloads come from strangers and JSON ends up on terminals too, so beyond what RFC 8259 asks
//! every character that the text form would escape is written as `\uXXXX`. A reader of JSON sees
//! no difference.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use udp_core::clock::Wall;
use udp_core::endpoint::host_port;
use udp_core::text::{escape, hex};

use super::{Event, Said, Transcript};
use crate::outcome::Stray;
use crate::tally::Tally;

/// The version of the schema.
const VERSION: u32 = 1;

/// The transcript in JSON.
#[derive(Debug, Default)]
pub struct Json;

#[derive(Serialize)]
struct Object<'a, T> {
    r#type: &'a str,
    v: u32,
    ts: String,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Datagram<'a, T> {
    seq: Option<u64>,
    #[serde(flatten)]
    peer: Peer,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_hex: Option<String>,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Peer {
    peer: String,
    address: String,
    port: u16,
}

#[derive(Serialize)]
struct Sent {
    attempt: u32,
}

#[derive(Serialize)]
struct Reply {
    rtt_ns: u64,
    wrong: bool,
}

#[derive(Serialize)]
struct Late {
    rtt_ns: u64,
}

#[derive(Serialize)]
struct Unexpected<'a> {
    reason: &'a str,
}

#[derive(Serialize)]
struct Timeout {
    seq: u64,
    #[serde(flatten)]
    peer: Peer,
    timeout_ns: u64,
    attempts: u32,
}

#[derive(Serialize)]
struct Refused {
    seq: Option<u64>,
    #[serde(flatten)]
    peer: Peer,
}

#[derive(Serialize)]
struct Error<'a> {
    seq: Option<u64>,
    error: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    target: String,
    sent: u64,
    received: u64,
    replied: u64,
    lost: u64,
    refused: u64,
    pending: u64,
    late: u64,
    unexpected: u64,
    wrong: u64,
    failed: u64,
    unusable: u64,
    retries: u64,
    rtt_min_ns: Option<u64>,
    rtt_avg_ns: Option<u64>,
    rtt_max_ns: Option<u64>,
    rtt_mdev_ns: Option<u64>,
}

impl Transcript for Json {
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut Said) {
        let out = &mut said.out;
        match event {
            Event::Sent { seq, attempt, peer, bytes } => {
                object("sent", at, datagram(Some(seq), peer, bytes, Sent { attempt }), out);
            }
            Event::Reply { seq, peer, bytes, rtt, wrong } => {
                let rest = Reply { rtt_ns: nanos(rtt), wrong };
                object("reply", at, datagram(Some(seq), peer, bytes, rest), out);
            }
            Event::Late { seq, peer, bytes, rtt } => {
                let rest = Late { rtt_ns: nanos(rtt) };
                object("late", at, datagram(Some(seq), peer, bytes, rest), out);
            }
            Event::Unexpected { seq, peer, bytes, stray } => {
                let reason = match stray {
                    Stray::Duplicate => "duplicate",
                    Stray::Another => "unasked",
                    Stray::Stranger => "sender",
                };
                object("unexpected", at, datagram(seq, peer, bytes, Unexpected { reason }), out);
            }
            Event::Timeout { seq, peer, waited, attempts } => {
                let timeout_ns = nanos(waited);
                let timeout = Timeout { seq, peer: Peer::new(peer), timeout_ns, attempts };
                object("timeout", at, timeout, out);
            }
            Event::Refused { seq, peer } => {
                object("refused", at, Refused { seq, peer: Peer::new(peer) }, out);
            }
            Event::Error { seq, text, hint } => {
                object("error", at, Error { seq, error: text, hint }, out);
            }
        }
    }

    fn summary(&mut self, tally: &Tally, peer: SocketAddr, at: Wall, said: &mut Said) {
        let rtt = tally.rtt.figures();
        let summary = Summary {
            target: host_port(peer),
            sent: tally.sent,
            received: tally.replies,
            replied: tally.replied,
            lost: tally.lost,
            refused: tally.refused,
            pending: tally.pending,
            late: tally.late,
            unexpected: tally.unexpected,
            wrong: tally.wrong,
            failed: tally.failed,
            unusable: tally.unusable,
            retries: tally.retries,
            rtt_min_ns: rtt.map(|it| it.min),
            rtt_avg_ns: rtt.map(|it| it.avg),
            rtt_max_ns: rtt.map(|it| it.max),
            rtt_mdev_ns: rtt.map(|it| it.mdev),
        };
        object("summary", at, summary, &mut said.out);
    }
}

impl Peer {
    fn new(peer: SocketAddr) -> Peer {
        Peer { peer: host_port(peer), address: peer.ip().to_string(), port: peer.port() }
    }
}

fn datagram<T>(seq: Option<u64>, peer: SocketAddr, bytes: &[u8], rest: T) -> Datagram<'_, T> {
    let data = str::from_utf8(bytes).ok();
    let data_hex = data.is_none().then(|| hex::encode(bytes));
    Datagram { seq, peer: Peer::new(peer), bytes: bytes.len(), data, data_hex, rest }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Appends one object and the line's end; what cannot be written (nothing here) leaves no trace.
fn object(kind: &str, at: Wall, rest: impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    let object = Object { r#type: kind, v: VERSION, ts: at.rfc3339(), rest };
    match object.serialize(&mut Serializer::with_formatter(&mut *out, Harmless)) {
        Ok(()) => out.push(b'\n'),
        Err(_) => out.truncate(start),
    }
}

/// Compact JSON whose strings steer no terminal.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !matches!(c, ' '..='~')) {
            let (plain, other) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut letters = other.chars();
            let c = letters.next().unwrap_or_default();
            let (letter, after) = other.split_at(c.len_utf8());
            if escape::escape(letter.as_bytes()) == letter {
                writer.write_all(letter.as_bytes())?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = after;
        }
        writer.write_all(rest.as_bytes())
    }
}
