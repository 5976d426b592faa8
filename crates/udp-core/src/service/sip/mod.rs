//! SIP OPTIONS (RFC 3261 section 11): is there a SIP stack, and does it answer us.
//!
//! A reply is known by the branch of its first Via, its Call-ID and its CSeq; each request has a call of its
//! own, because some take a second one of the same call for old. `rport` (RFC 3581) has the answer come to
//! where the request came from.

mod message;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::fact::text;
use super::params::wrong;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Then, Verdict};
use crate::text::hex;
use message::Message;

pub(super) const ENTRY: Entry = Entry {
    scheme: "sip",
    port: 5060,
    what: None,
    asks: "OPTIONS",
    ok: "2xx",
    keys: &[
        Key::new("user", "NAME", "who is asked for (default: the server itself)"),
        Key::new("hops", "N", "Max-Forwards, 0 to 255 (default 70; 0: the first proxy itself)"),
    ],
    facts: &["code", "reason", "server"],
    shown: &["code", "reason", "server="],
    silence: "the server answers only whom it knows",
    interval: Duration::from_secs(10),
    floor: Duration::from_secs(1),
    identity: Identity::Any,
    parse: |params| Ok(Kind::Service(Arc::new(Sip::parse(params)?))),
};

/// What every branch begins with (RFC 3261 section 8.1.1.7).
const COOKIE: &str = "z9hG4bK";

#[derive(Debug)]
struct Sip {
    /// `user@`, or nothing.
    user: String,
    hops: u8,
}

impl Sip {
    fn parse(params: &Params) -> Result<Sip, String> {
        let is_user = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/%".contains(c);
        let user = match params.get("user") {
            Some(user) if !user.chars().all(is_user) => {
                return Err(wrong("user", user, "letters, digits and -_.!~*'()&=+$,;?/% alone"));
            }
            Some(user) => format!("{user}@"),
            None => String::new(),
        };
        let hops = params.parsed("hops", "a number from 0 to 255")?.unwrap_or(70);
        Ok(Sip { user, hops })
    }
}

/// The parts of a beat's identity, in hex: the branch's, the Call-ID's, the tag's.
fn identity(ask: &Ask<'_>) -> [String; 3] {
    let more = |purpose| hex::encode(&ask.nonces.more(ask.number, purpose));
    [hex::encode(&ask.nonces.long(ask.number)), more(2), more(3)]
}

impl Service for Sip {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let peer = match ask.name {
            // A proxy serves domains, which it knows by their names.
            Some(name) => format!("{name}:{}", ask.peer.port()),
            None => uri_host(ask.peer),
        };
        let local = ask.local.map_or_else(|| "unknown.invalid".to_owned(), uri_host);
        let here = ask.local.map_or_else(|| "unknown.invalid".to_owned(), without_port);
        let ([branch, call, tag], user, hops) = (identity(ask), &self.user, self.hops);
        let request = format!(
            "OPTIONS sip:{user}{peer} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch={COOKIE}{branch};rport\r\n\
             Max-Forwards: {hops}\r\n\
             From: <sip:probe@{here}>;tag={tag}\r\n\
             To: <sip:{user}{peer}>\r\n\
             Call-ID: {call}@{here}\r\n\
             CSeq: 1 OPTIONS\r\n\
             Contact: <sip:probe@{local}>\r\n\
             Accept: application/sdp\r\n\
             User-Agent: udp-heartbeat\r\n\
             Content-Length: 0\r\n\r\n"
        );
        out.extend_from_slice(request.as_bytes());
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let message = Message::new(bytes)?;
        let branch = message.branch()?.strip_prefix(COOKIE)?;
        let number = asked.nonces.of_long(nonce(branch.as_bytes())?, asked.last)?;
        let invalid = |reason| Some(Reply::invalid(number, reason));
        let [_, call, _] = identity(&asked.ask(number));
        let (theirs, sequence) = (message.header("call-id", "i"), message.header("cseq", "cseq"));
        let (Some(theirs), Some(sequence)) = (theirs, sequence) else {
            return invalid("malformed");
        };
        let is_whole = message.is_whole();
        let our_call = theirs.split(|byte| *byte == b'@').next() == Some(call.as_bytes());
        let mut sequence = sequence.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let our_sequence = sequence.next() == Some(b"1") && sequence.next() == Some(b"OPTIONS");
        if !is_whole {
            return invalid("malformed");
        }
        if !our_call || !our_sequence {
            return None;
        }
        let Some((code, phrase)) = message.status() else { return invalid("malformed") };
        let phrase = text(phrase);
        let verdict = match code {
            200..=299 => Verdict::Ok,
            486 => Verdict::Limited,
            503 if message.header("retry-after", "retry-after").is_some() => Verdict::Limited,
            500..=599 => Verdict::Failing,
            _ => Verdict::Declined,
        };
        let reason = format!("{code} {phrase}").trim_end().to_owned();
        let mut reply =
            Reply::new(number, verdict).with("code", u32::from(code)).with("reason", phrase);
        if let Some(server) = message.header("server", "server") {
            reply = reply.with("server", text(server));
        }
        Some(match code {
            100..=199 => reply.because(reason).then(Then::Wait),
            200..=299 => reply,
            _ => reply.because(reason),
        })
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let mark = b"branch=z9hG4bK";
        let at = bytes.windows(mark.len()).position(|some| some == mark)? + mark.len();
        asked.nonces.of_long(nonce(bytes.get(at..at + 16)?)?, asked.last)
    }

    fn wants_local(&self) -> bool {
        true
    }
}

/// The eight bytes of 16 hex digits, which are as they were sent.
fn nonce(digits: &[u8]) -> Option<[u8; 8]> {
    let bytes: [u8; 8] = hex::decode(str::from_utf8(digits).ok()?).ok()?.try_into().ok()?;
    (hex::encode(&bytes).as_bytes() == digits).then_some(bytes)
}

/// An address as URIs have it, with its port and without its zone.
fn uri_host(address: SocketAddr) -> String {
    SocketAddr::new(address.ip(), address.port()).to_string()
}

fn without_port(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

#[cfg(test)]
mod tests;
