//! STUN Binding (RFC 8489), and TURN by a Refresh of lifetime 0 (RFC 8656), which allocates nothing.
//!
//! A reply is known by its transaction id. A TURN server refuses the Refresh, because it asks for
//! credentials or because nothing is allocated: that is the answer of one that is well. One that
//! does STUN alone is silent.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::fact::text;
use super::params::wrong;
use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Verdict};

pub(super) const STUN: Entry = Entry {
    scheme: "stun",
    port: 3478,
    what: None,
    asks: "Binding: from which address a request is seen to come",
    ok: "a mapped address",
    keys: &[Key::new(
        "mapped",
        "ADDR",
        "the mapped address must be this one (ADDR:PORT: and port)",
    )],
    facts: &["mapped", "mapped_port", "software"],
    shown: &["mapped", "mapped_port=", "software="],
    silence: "the server wants ICE or other credentials before it answers",
    interval: Duration::from_secs(1),
    floor: Duration::from_millis(200),
    identity: Identity::Any,
    parse: |params| Stun::parse(BINDING, params),
};

pub(super) const TURN: Entry = Entry {
    scheme: "turn",
    asks: "Refresh of lifetime 0, which allocates nothing",
    ok: "an answer of a TURN server (401 and 437 are)",
    silence: "the server does STUN alone",
    parse: |params| Stun::parse(REFRESH, params),
    ..STUN
};

const BINDING: u16 = 0x001;
const REFRESH: u16 = 0x004;
/// The class of a reply, beside the method (RFC 8489 section 5).
const SUCCESS: u16 = 0x100;
const ERROR: u16 = 0x110;
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();

const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const SOFTWARE: u16 = 0x8022;

#[derive(Debug)]
struct Stun {
    method: u16,
    mapped: Option<(IpAddr, Option<u16>)>,
}

impl Stun {
    fn parse(method: u16, params: &Params) -> Result<Kind, String> {
        let mapped = params.get("mapped").map(|text| {
            let both = text.parse::<SocketAddr>().map(|it| (it.ip(), Some(it.port())));
            let alone = || text.trim_matches(['[', ']']).parse().map(|ip| (ip, None));
            both.or_else(|_| alone()).map_err(|_| wrong("mapped", text, "an address"))
        });
        Ok(Kind::Service(Arc::new(Stun { method, mapped: mapped.transpose()? })))
    }

    /// What the attributes say; none if they are broken.
    fn read(&self, id: [u8; 12], length: usize, body: &[u8]) -> Option<Attributes> {
        let mut attributes = Attributes::default();
        let mut body = Reader::new((length == body.len()).then_some(body)?);
        while !body.rest().is_empty() {
            let (kind, length) = (body.u16()?, usize::from(body.u16()?));
            let mut value = Reader::new(body.take(length)?);
            body.take(length.next_multiple_of(4) - length)?;
            match kind {
                XOR_MAPPED_ADDRESS => attributes.mapped = Some(address(&mut value, Some(id))?),
                // Older than RFC 5389, and next to the other one for those that are.
                MAPPED_ADDRESS if attributes.mapped.is_none() => {
                    attributes.mapped = Some(address(&mut value, None)?);
                }
                ERROR_CODE => {
                    let [_, _, class, number] = value.array()?;
                    let code = u16::from(class & 7) * 100 + u16::from(number);
                    attributes.error = Some((code, said(value.rest())));
                }
                SOFTWARE => attributes.software = Some(said(value.rest())),
                _ => {}
            }
        }
        Some(attributes)
    }
}

#[derive(Default)]
struct Attributes {
    mapped: Option<SocketAddr>,
    error: Option<(u16, String)>,
    software: Option<String>,
}

impl Service for Stun {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let lifetime: &[u8] = match self.method {
            REFRESH => &[0x00, 0x0d, 0, 4, 0, 0, 0, 0],
            _ => &[],
        };
        out.extend_from_slice(&self.method.to_be_bytes());
        out.extend_from_slice(&(lifetime.len() as u16).to_be_bytes());
        out.extend_from_slice(&COOKIE);
        out.extend_from_slice(&ask.nonces.wide(ask.number));
        out.extend_from_slice(lifetime);
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let (kind, length, cookie) = (reader.u16()?, reader.u16()?, reader.array::<4>()?);
        let id = reader.array()?;
        let number = asked.nonces.of_wide(id, asked.last)?;
        let is_error = kind == self.method | ERROR;
        if cookie != COOKIE || !(is_error || kind == self.method | SUCCESS) {
            return None;
        }
        let Some(read) = self.read(id, usize::from(length), reader.rest()) else {
            return Some(Reply::invalid(number, "malformed"));
        };
        let mut reply = Reply::ok(number);
        if let Some(mapped) = read.mapped {
            let port = u32::from(mapped.port());
            reply = reply.with("mapped", mapped.ip().to_string()).with("mapped_port", port);
        }
        if let Some(software) = read.software {
            reply = reply.with("software", software);
        }
        if is_error {
            let Some((code, phrase)) = read.error else {
                return Some(Reply::invalid(number, "no error code"));
            };
            reply.verdict = self.of_error(code);
            reply = reply.because(format!("{code} {phrase}").trim_end().to_owned());
        } else if read.mapped.is_none() && self.method == BINDING {
            reply.verdict = Verdict::Unexpected;
            return Some(reply.because("no mapped address"));
        }
        if let Some((ip, port)) = self.mapped
            && reply.verdict == Verdict::Ok
            && read
                .mapped
                .is_none_or(|it| it.ip() != ip || port.is_some_and(|port| port != it.port()))
        {
            reply.verdict = Verdict::Unexpected;
            return Some(reply.because("mapped"));
        }
        Some(reply)
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let id = bytes.get(8..)?.first_chunk()?;
        asked.nonces.of_wide(*id, asked.last)
    }
}

impl Stun {
    fn of_error(&self, code: u16) -> Verdict {
        match code {
            // Credentials are asked for, or a nonce is old, or there is no allocation.
            401 | 437 | 438 if self.method == REFRESH => Verdict::Ok,
            486 | 508 => Verdict::Limited,
            300..=399 | 401 | 403 | 404 => Verdict::Declined,
            500..=699 => Verdict::Failing,
            _ => Verdict::Unexpected,
        }
    }
}

/// A server's words. Some (coturn 4.6) count the zeros behind them, which fill the attribute up, as theirs.
fn said(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    text(&bytes[..end])
}

/// An address attribute (RFC 8489 sections 14.1 and 14.2); with an id its bits are mixed with that.
fn address(value: &mut Reader<'_>, id: Option<[u8; 12]>) -> Option<SocketAddr> {
    let [_, family] = value.array()?;
    let mut mask = [0; 16];
    if let Some(id) = id {
        mask[..4].copy_from_slice(&COOKIE);
        mask[4..].copy_from_slice(&id);
    }
    let port = value.u16()? ^ u16::from_be_bytes([mask[0], mask[1]]);
    let ip = match family {
        1 => IpAddr::from(unmasked::<4>(value.array()?, &mask)),
        2 => IpAddr::from(unmasked::<16>(value.array()?, &mask)).to_canonical(),
        _ => return None,
    };
    value.rest().is_empty().then_some(SocketAddr::new(ip, port))
}

fn unmasked<const N: usize>(bytes: [u8; N], mask: &[u8; 16]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i] ^ mask[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, fixture, hardened, hex};

    /// A reply with our transaction id for beat 7, and the mapped address mixed anew for it.
    fn reply(it: &Fixture, kind: &str, body: &str) -> Vec<u8> {
        let body = hex(body);
        let mut bytes = hex(kind);
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&it.nonces.wide(7));
        bytes.extend(body);
        bytes
    }

    /// coturn 4.6.1, as it answers from 192.0.2.1:32853.
    const COTURN: &str = "0020 0008 0001 a147 e112a643 \
        8022 0014 436f7475726e2d342e362e312027476f72737427";
    const UNAUTHORIZED: &str = "0009 0010 00000401 556e617574686f72697a6564 8022 0004 61626364";

    #[test]
    fn what_goes_out() {
        let (stun, turn) = (fixture("stun:"), fixture("turn:"));
        let mut bytes = hex("0001 0000 2112a442");
        bytes.extend(stun.nonces.wide(7));
        assert_eq!(stun.request(7), bytes);
        let mut bytes = hex("0004 0008 2112a442");
        bytes.extend(turn.nonces.wide(7));
        bytes.extend(hex("000d 0004 00000000"));
        assert_eq!(turn.request(7), bytes);
        assert_eq!(turn.requested(&bytes[..20]), Some(7));
        assert_eq!(turn.requested(&bytes[..19]), None);
    }

    #[test]
    fn verdicts() {
        use Verdict::*;
        let none = "8022 0004 61626364";
        let legacy = "0001 0008 0001 8055 c0000201";
        let error = |code: &str| format!("0009 0004 0000{code}");
        let phrase = "0009 0007 0000050f 6f6f7000";
        let filled = "0009 0008 00000425 6f6f0000";
        let cases = [
            ("stun:", "0101", COTURN, Ok, None),
            ("stun:", "0101", legacy, Ok, None),
            ("stun:?mapped=192.0.2.1", "0101", COTURN, Ok, None),
            ("stun:?mapped=192.0.2.1:32853", "0101", COTURN, Ok, None),
            ("stun:?mapped=192.0.2.1:1", "0101", COTURN, Unexpected, Some("mapped")),
            ("stun:?mapped=::1", "0101", COTURN, Unexpected, Some("mapped")),
            ("stun:", "0101", none, Unexpected, Some("no mapped address")),
            ("stun:", "0101", "0020 0008 0003 a147 e112a643", Invalid, Some("malformed")),
            ("stun:", "0101", "0020 0009 0001 a147 e112a643", Invalid, Some("malformed")),
            ("stun:", "0111", none, Invalid, Some("no error code")),
            ("stun:", "0111", UNAUTHORIZED, Declined, Some("401 Unauthorized")),
            ("stun:?accept=401", "0111", UNAUTHORIZED, Ok, Some("401 Unauthorized")),
            ("stun:", "0111", &error("0300"), Declined, Some("300")),
            ("stun:", "0111", &error("0414"), Unexpected, Some("420")),
            ("stun:", "0111", &error("0456"), Limited, Some("486")),
            ("stun:", "0111", phrase, Failing, Some("515 oop")),
            ("turn:", "0114", UNAUTHORIZED, Ok, Some("401 Unauthorized")),
            ("turn:", "0114", &error("0425"), Ok, Some("437")),
            ("turn:", "0114", filled, Ok, Some("437 oo")),
            ("turn:", "0104", "000d 0004 00000000", Ok, None),
            ("turn:?mapped=192.0.2.1", "0114", UNAUTHORIZED, Unexpected, Some("mapped")),
            ("turn:", "0114", &error("0508"), Limited, Some("508")),
        ];
        for (spec, kind, body, verdict, reason) in cases {
            let it = fixture(spec);
            let got =
                it.recognise(&reply(&it, kind, body)).unwrap_or_else(|| panic!("{spec} {body}"));
            let got = (got.number, got.verdict, got.reason.as_deref());
            assert_eq!(got, (7, verdict, reason), "{spec} {kind} {body}");
        }
        assert!(crate::service::Spec::parse("stun:?mapped=x", &|_| Result::Ok(vec![])).is_err());
    }

    #[test]
    fn facts() {
        let it = fixture("stun:");
        let got = it.recognise(&reply(&it, "0101", COTURN)).unwrap();
        let shown = "192.0.2.1 mapped_port=32853 software=Coturn-4.6.1 'Gorst'";
        assert_eq!(it.spec.shown(&got), shown);
        // Over IPv6 the transaction id is in the mix.
        let mask = [&COOKIE[..], &it.nonces.wide(7)].concat();
        let mut v6 = reply(&it, "0101", "0020 0014 0002 9d8b");
        v6.extend(std::net::Ipv6Addr::LOCALHOST.octets().iter().zip(mask).map(|(a, b)| a ^ b));
        v6[3] = 24;
        assert_eq!(it.spec.shown(&it.recognise(&v6).unwrap()), "::1 mapped_port=48281");
        let it = fixture("turn:");
        let got = it.recognise(&reply(&it, "0114", UNAUTHORIZED)).unwrap();
        assert_eq!(it.spec.shown(&got), "401 Unauthorized");
    }

    #[test]
    fn strangers_and_mutations() {
        let it = fixture("stun:");
        for kind in ["0001", "0111", "0101", "0114", "0011", "4101"] {
            let known = it.recognise(&reply(&it, kind, COTURN)).is_some();
            assert_eq!(known, ["0111", "0101"].contains(&kind), "{kind}");
        }
        hardened(&it, &[reply(&it, "0101", COTURN), reply(&it, "0111", UNAUTHORIZED)], 4..20);
        let it = fixture("turn:");
        hardened(&it, &[reply(&it, "0114", UNAUTHORIZED)], 4..20);
    }
}
