//! CoAP (RFC 7252): a ping, or GET of a path, without confirmation.
//!
//! A GET is known by its token of eight bytes, a ping by its message id alone. A reply that wants to be
//! confirmed is, else it would come again.

use std::sync::Arc;
use std::time::Duration;

use super::spec::PATH;
use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Then, Verdict};

pub(super) const ENTRY: Entry = Entry {
    scheme: "coap",
    port: 5683,
    what: Some(PATH),
    asks: "GET of the path (/: the root's); without one a ping",
    ok: "2.xx; the ping's answer",
    keys: &[Key::new("query", "QUERY", "the path's query (a%26b: two of them)")],
    facts: &["code"],
    shown: &["code"],
    silence: "the server limits pings, wants DTLS (port 5684), or is slower than the timeout",
    interval: Duration::from_secs(5),
    floor: Duration::from_secs(1),
    // A ping's.
    identity: Identity::Short,
    parse: |params| Coap::parse(params),
};

/// Version 1, with the type and the length of the token.
const VERSION: u8 = 0x40;
const CONFIRMABLE: u8 = 0;
const NON_CONFIRMABLE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 2;
const RESET: u8 = 3;
const GET: u8 = 0x01;
const EMPTY: u8 = 0x00;
const URI_PATH: u16 = 11;
const URI_QUERY: u16 = 15;
const PAYLOAD: u8 = 0xff;

/// The options of a GET; none for a ping.
#[derive(Debug)]
struct Coap {
    options: Option<Vec<u8>>,
}

impl Coap {
    fn parse(params: &Params) -> Result<Kind, String> {
        let (what, query) = (params.what(), params.get("query"));
        if what.is_none() && query.is_none() && !params.is_root() {
            return Ok(Kind::Service(Arc::new(Coap { options: None })));
        }
        let path = what.unwrap_or("").split('/').filter(|part| !part.is_empty());
        let parts = path.map(|part| (URI_PATH, part));
        let queries =
            query.into_iter().flat_map(|query| query.split('&')).map(|it| (URI_QUERY, it));
        let (mut options, mut last) = (Vec::new(), 0);
        for (option, value) in parts.chain(queries) {
            // RFC 7252 section 3.1: what is above 12 goes into a byte of its own, less 13.
            let (delta, more) = nibble(usize::from(option - last));
            let (length, longer) = nibble(value.len());
            if value.len() > 255 {
                return Err("a part of the path or query is longer than 255 bytes".into());
            }
            options.push(delta << 4 | length);
            options.extend(more.into_iter().chain(longer));
            options.extend_from_slice(value.as_bytes());
            last = option;
        }
        if options.len() > 1024 {
            return Err("path and query are longer than 1024 bytes".into());
        }
        Ok(Kind::Service(Arc::new(Coap { options: Some(options) })))
    }
}

impl Service for Coap {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let message = ask.nonces.short(ask.number).to_be_bytes();
        let Some(options) = &self.options else {
            out.extend_from_slice(&[VERSION | CONFIRMABLE << 4, EMPTY]);
            out.extend_from_slice(&message);
            return;
        };
        out.extend_from_slice(&[VERSION | NON_CONFIRMABLE << 4 | 8, GET]);
        out.extend_from_slice(&message);
        out.extend_from_slice(&ask.nonces.long(ask.number));
        out.extend_from_slice(options);
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let ([first, code], message) = (reader.array()?, reader.u16()?);
        let (kind, token) = (first >> 4 & 3, first & 0xf);
        if first & 0xc0 != VERSION {
            return None;
        }
        if code == EMPTY {
            let number = asked.nonces.of_short(message, asked.last);
            let number = number.filter(|_| matches!(kind, RESET | ACKNOWLEDGEMENT))?;
            let pong = kind == RESET && self.options.is_none();
            let verdict = if pong { Verdict::Ok } else { Verdict::Declined };
            return Some(match (token == 0 && reader.rest().is_empty(), pong, kind) {
                (false, ..) => Reply::invalid(number, "malformed"),
                (_, true, _) => Reply::new(number, verdict).with("code", "0.00"),
                // A reset says that there is no such thing as a GET here.
                (_, _, RESET) => Reply::new(number, verdict).because("RST"),
                _ => Reply::new(number, Verdict::Unexpected).because("ACK"),
            });
        }
        if self.options.is_none() || token != 8 {
            return None;
        }
        let number = asked.nonces.of_long(reader.array()?, asked.last)?;
        let (class, detail) = (code >> 5, code & 0x1f);
        if class == 0 {
            // Our own request, from an echo.
            return None;
        }
        let shown = format!("{class}.{detail:02}");
        let verdict = match class {
            2 => Verdict::Ok,
            4 => Verdict::Declined,
            5 => Verdict::Failing,
            _ => Verdict::Invalid,
        };
        let mut reply = match verdict {
            _ if !well_formed(reader) || kind == RESET => Reply::invalid(number, "malformed"),
            Verdict::Ok => Reply::ok(number).with("code", shown),
            _ => Reply::new(number, verdict).with("code", shown.clone()).because(shown),
        };
        if kind == CONFIRMABLE {
            let [high, low] = message.to_be_bytes();
            let first = VERSION | ACKNOWLEDGEMENT << 4;
            reply = reply.then(Then::Acknowledge(vec![first, EMPTY, high, low]));
        }
        Some(reply)
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        match (&self.options, bytes.get(4..)) {
            (Some(_), Some(token)) => asked.nonces.of_long(*token.first_chunk()?, asked.last),
            _ => asked.nonces.of_short(Reader::new(bytes.get(2..)?).u16()?, asked.last),
        }
    }
}

/// A number up to 255 as a nibble, and the byte that belongs to it.
fn nibble(number: usize) -> (u8, Option<u8>) {
    match number {
        0..13 => (number as u8, None),
        _ => (13, Some((number - 13) as u8)),
    }
}

/// Whether options, and a payload that is not empty, follow (RFC 7252 section 3.1).
fn well_formed(mut reader: Reader<'_>) -> bool {
    while let Some(head) = reader.u8() {
        if head == PAYLOAD {
            return !reader.rest().is_empty();
        }
        let mut extended = |nibble: u8| match nibble {
            13 => reader.u8().map(|more| usize::from(more) + 13),
            14 => reader.u16().map(|more| usize::from(more) + 269),
            15 => None,
            short => Some(usize::from(short)),
        };
        let (delta, length) = (extended(head >> 4), extended(head & 0xf));
        if delta.is_none() || length.and_then(|length| reader.take(length)).is_none() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, cut, fixture, hex, mutated};

    /// `MM` is the message id of beat 7, `TT` its token.
    fn bytes(it: &Fixture, text: &str) -> Vec<u8> {
        let message = crate::text::hex::encode(&it.nonces.short(7).to_be_bytes());
        let token = crate::text::hex::encode(&it.nonces.long(7));
        hex(&text.replace("MM", &message).replace("TT", &token))
    }

    #[test]
    fn what_goes_out() {
        let long = format!("coap:{}", "x".repeat(20));
        let cases = [
            ("coap:", "4000 MM"),
            // A delta of 15 from nothing takes a byte of its own.
            ("coap:/", "5801 MM TT"),
            ("coap:?query=a", "5801 MM TT d10261"),
            ("coap:time", "5801 MM TT b474696d65"),
            ("coap:a/bc?query=1%26d%3d2", "5801 MM TT b161 026263 4131 03643d32"),
            (&long, "5801 MM TT bd07 7878787878787878787878787878787878787878"),
        ];
        for (spec, expected) in cases {
            let it = fixture(spec);
            assert_eq!(it.request(7), bytes(&it, expected), "{spec}");
            assert_eq!(it.requested(&it.request(7)), Some(7), "{spec}");
            assert_eq!(it.recognise(&it.request(7)), None, "{spec}");
        }
        let too_long = format!("coap:{}", "x".repeat(256));
        assert!(crate::service::Spec::parse(&too_long, &|_| Ok(vec![])).is_err());
    }

    #[test]
    fn verdicts() {
        use Verdict::{Declined, Failing, Invalid, Ok, Unexpected};
        let cases = [
            ("coap:", "7000 MM", Ok, None, "0.00"),
            ("coap:", "6000 MM", Unexpected, Some("ACK"), "ACK"),
            ("coap:", "7000 MM 00", Invalid, Some("malformed"), "malformed"),
            // libcoap 4.3.1.
            ("coap:time", "5845 MM TT d30102ffffff 54686973", Ok, None, "2.05"),
            ("coap:time", "5845 1234 TT ff 54686973", Ok, None, "2.05"),
            ("coap:time", "5845 1234 TT c0 d10600 ff 54", Ok, None, "2.05"),
            ("coap:time", "5845 1234 TT ff", Invalid, Some("malformed"), "malformed"),
            ("coap:time", "5845 1234 TT f0", Invalid, Some("malformed"), "malformed"),
            ("coap:nope", "5884 1234 TT ff 4e6f", Declined, Some("4.04"), "4.04"),
            ("coap:nope?accept=4.04", "5884 1234 TT", Ok, Some("4.04"), "4.04"),
            ("coap:nope?accept=4.05", "5884 1234 TT", Declined, Some("4.04"), "4.04"),
            ("coap:time", "589d 1234 TT", Declined, Some("4.29"), "4.29"),
            ("coap:time", "58a3 1234 TT", Failing, Some("5.03"), "5.03"),
            ("coap:time", "5860 1234 TT", Invalid, Some("3.00"), "3.00"),
            ("coap:time", "7000 MM", Declined, Some("RST"), "RST"),
        ];
        for (spec, text, verdict, reason, shown) in cases {
            let it = fixture(spec);
            let reply = it.recognise(&bytes(&it, text)).unwrap_or_else(|| panic!("{spec} {text}"));
            let got = (reply.number, reply.verdict, reply.reason.as_deref());
            assert_eq!(got, (7, verdict, reason), "{spec} {text}");
            assert_eq!(it.spec.shown(&reply), shown);
        }
    }

    #[test]
    fn what_wants_to_be_confirmed_is() {
        let it = fixture("coap:async");
        let reply = it.recognise(&bytes(&it, "4845 ea25 TT ff 646f6e65")).unwrap();
        assert_eq!(reply.then, Then::Acknowledge(hex("6000ea25")));
        let reply = it.recognise(&bytes(&it, "5845 ea25 TT ff 646f6e65")).unwrap();
        assert_eq!(reply.then, Then::Nothing);
    }

    #[test]
    fn strangers_and_mutations() {
        for (spec, texts) in [
            ("coap:", ["4000 MM", "5000 MM", "b000 MM", "5845 MM TT", "7000"]),
            ("coap:x", ["4000 MM", "5801 MM TT", "9845 MM TT", "5745 MM TT", "5845 MM"]),
        ] {
            let it = fixture(spec);
            for text in texts {
                assert_eq!(it.recognise(&bytes(&it, text)), None, "{spec} {text}");
            }
        }
        let it = fixture("coap:x");
        // A message has no length: what is left may be whole.
        cut(&it, &bytes(&it, "5884 1234 TT"));
        mutated(&it, &[bytes(&it, "5884 1234 TT d30102ffffff 4e6f20466f756e64")], 4..12);
        // Sixteen bits: nearly each has a beat, but no other than these nine.
        let it = fixture("coap:");
        let ids: Vec<u16> = (1..=9).map(|number| it.nonces.short(number)).collect();
        for id in 0..=u16::MAX {
            let [high, low] = id.to_be_bytes();
            let reply = it.recognise(&[0x70, 0, high, low]).map(|reply| reply.number);
            let expected = ids.iter().position(|it| *it == id).map(|at| at as u64 + 1);
            assert_eq!(reply, expected);
        }
    }
}
