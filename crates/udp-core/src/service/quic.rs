//! QUIC version negotiation (RFC 8999, RFC 9000 section 6): a long header of a version that nobody has
//! is answered with those that there are. No handshake, no TLS: it proves a QUIC stack on that
//! port, no certificate and no HTTP/3.
//!
//! A reply is known by both connection ids, swapped. Nothing else in it is fixed.

use std::sync::Arc;
use std::time::Duration;

use super::params::wrong;
use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Verdict};

pub(super) const ENTRY: Entry = Entry {
    scheme: "quic",
    port: 443,
    what: None,
    asks: "which versions there are (version negotiation, 1200 bytes)",
    ok: "a list of versions",
    keys: &[Key::new("version", "N|0xN", "this version must be among them (1: RFC 9000)")],
    facts: &["versions"],
    shown: &["versions="],
    silence: "no QUIC there, version negotiation is off or limited, or 1228 bytes do not fit the path",
    interval: Duration::from_secs(5),
    floor: Duration::from_millis(200),
    identity: Identity::Any,
    parse: |params| Quic::parse(params),
};

/// Shorter datagrams may be dropped (RFC 9000 section 14.1).
const LENGTH: usize = 1200;
/// Of the form that is kept free to force negotiation (RFC 9000 section 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
const ID_LEN: u8 = 8;

#[derive(Debug)]
struct Quic {
    version: Option<u32>,
}

impl Quic {
    fn parse(params: &Params) -> Result<Kind, String> {
        let number = |text: &str| match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(digits) if digits.starts_with('+') => None,
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let form = "a version: a number, or 0x and hex";
        let version =
            params.get("version").map(|it| number(it).ok_or_else(|| wrong("version", it, form)));
        Ok(Kind::Service(Arc::new(Quic { version: version.transpose()? })))
    }
}

/// The ids of a beat: the server's, which it returns as its own, and ours.
fn ids(ask: &Ask<'_>) -> ([u8; 8], [u8; 8]) {
    (ask.nonces.more(ask.number, 2), ask.nonces.long(ask.number))
}

impl Service for Quic {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let (theirs, ours) = ids(ask);
        let start = out.len();
        out.push(0xc0);
        out.extend_from_slice(&NO_VERSION);
        out.push(ID_LEN);
        out.extend_from_slice(&theirs);
        out.push(ID_LEN);
        out.extend_from_slice(&ours);
        // As an Initial of version 1 goes on, for those that look: no token, a length, and zeros.
        let rest = (LENGTH - (out.len() - start) - 3) as u16;
        out.push(0);
        out.extend_from_slice(&(0x4000 | rest).to_be_bytes());
        out.resize(start + LENGTH, 0);
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let ([first, version @ ..], length) = (reader.array::<5>()?, reader.u8()?);
        if first < 0x80 || version != [0; 4] || length != ID_LEN {
            return None;
        }
        let ours = reader.array()?;
        let number = asked.nonces.of_long(ours, asked.last)?;
        if reader.u8()? != ID_LEN || (reader.array()?, ours) != ids(&asked.ask(number)) {
            return None;
        }
        let list = reader.rest();
        let (versions, []) = list.as_chunks::<4>() else {
            return Some(Reply::invalid(number, "malformed"));
        };
        if versions.is_empty() {
            return Some(Reply::invalid(number, "no version"));
        }
        let versions = || versions.iter().map(|it| u32::from_be_bytes(*it));
        // Some of the kind of our own are among them, so that nobody relies on the list.
        let true_ones = || versions().filter(|it| it & 0x0f0f_0f0f != 0x0a0a_0a0a && *it != 0);
        let shown: Vec<String> = true_ones().take(16).map(shown).collect();
        let reply = Reply::ok(number).with("versions", shown);
        let missing = match self.version {
            Some(wanted) => (!versions().any(|it| it == wanted)).then_some("version"),
            None => true_ones().next().is_none().then_some("no version"),
        };
        Some(match missing {
            Some(reason) => Reply { verdict: Verdict::Unexpected, ..reply.because(reason) },
            None => reply,
        })
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        asked.nonces.of_long(*bytes.get(15..)?.first_chunk()?, asked.last)
    }
}

/// As the key takes it: `1`, `0x6b3343cf`.
fn shown(version: u32) -> String {
    if version < 0x1_0000 { version.to_string() } else { format!("{version:#010x}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Fact;
    use crate::service::testing::{Fixture, fixture, hardened, hex};

    fn reply(it: &Fixture, first: u8, versions: &str) -> Vec<u8> {
        let mut bytes = vec![first, 0, 0, 0, 0, 8];
        bytes.extend(it.nonces.long(7));
        bytes.push(8);
        bytes.extend(it.nonces.more(7, 2));
        bytes.extend(hex(versions));
        bytes
    }

    #[test]
    fn what_goes_out() {
        let it = fixture("quic:");
        let bytes = it.request(7);
        assert_eq!(bytes.len(), 1200);
        assert_eq!(bytes[..6], hex("c01a2a3a4a 08"));
        assert_eq!(bytes[23..26], hex("00 4496"));
        assert!(bytes[26..].iter().all(|byte| *byte == 0));
        assert_eq!(it.requested(&bytes[..23]), Some(7));
        assert_eq!(it.requested(&bytes[..22]), None);
        assert_eq!(it.recognise(&bytes), None);
    }

    #[test]
    fn verdicts() {
        use Verdict::{Invalid, Ok, Unexpected};
        // quic-go and aioquic as they answered, and what nobody should.
        let cases = [
            ("", 0x82, "00000001 709a50c4 ff00001d 3a1a8aba", Ok, None, "1 0x709a50c4 0xff00001d"),
            ("?version=1", 0xf1, "6b3343cf 00000001", Ok, None, "0x6b3343cf 1"),
            ("?version=0x6B3343CF", 0xf1, "6b3343cf 00000001", Ok, None, "0x6b3343cf 1"),
            ("?version=2", 0xe2, "eafaca9a 00000001", Unexpected, Some("version"), "1"),
            ("", 0xe2, "eafaca9a", Unexpected, Some("no version"), ""),
            ("", 0xe2, "", Invalid, Some("no version"), "-"),
            ("", 0xe2, "00000001 00", Invalid, Some("malformed"), "-"),
        ];
        for (keys, first, versions, verdict, reason, fact) in cases {
            let it = fixture(&format!("quic:{keys}"));
            let got = it.recognise(&reply(&it, first, versions)).unwrap();
            assert_eq!(
                (got.verdict, got.reason.as_deref()),
                (verdict, reason),
                "{keys} {versions}"
            );
            let fact = fact.split_whitespace().map(String::from).collect();
            match got.facts.get("versions") {
                Some(versions) => assert_eq!(*versions, Fact::List(fact)),
                None => assert_eq!(verdict, Invalid),
            }
        }
        for keys in ["0x", "0x+1", "x", "-1", "0x100000000"] {
            let spec = format!("quic:?version={keys}");
            assert!(crate::service::Spec::parse(&spec, &|_| Result::Ok(vec![])).is_err(), "{keys}");
        }
    }

    #[test]
    fn strangers_and_mutations() {
        let it = fixture("quic:");
        let good = reply(&it, 0x80, "00000001");
        for at in [1, 5, 6, 13, 14, 15, 22] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert_eq!(it.recognise(&bytes), None, "byte {at}");
        }
        let mut short = good.clone();
        short[0] = 0x7f;
        assert_eq!(it.recognise(&short), None);
        hardened(&it, &[good], 1..23);
    }
}
