//! RADIUS Status-Server (RFC 5997), to the authentication port or, with `acct=1`, the accounting port.
//!
//! A reply is known by its id and by the response authenticator, an MD5 over our random one and the
//! secret (RFC 2865 section 3): of the beats with that id, the one whose authenticator it fits. With our
//! latest id and none that fits it is not authentic.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};

use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Secret, Service};

pub(super) const ENTRY: Entry = Entry {
    scheme: "radius",
    port: 1812,
    what: None,
    asks: "Status-Server",
    ok: "an authentic reply",
    keys: &[
        Key::new("secret-file", "FILE", "the file with the shared secret (needed)"),
        Key::new("acct", "1", "the accounting server (port 1813)"),
        Key::new("ma", "required", "the reply must have a Message-Authenticator"),
    ],
    facts: &["code"],
    shown: &["code="],
    silence: "another secret, this host is no client there, or Status-Server is off",
    interval: Duration::from_secs(30),
    floor: Duration::from_secs(6),
    identity: Identity::Byte,
    parse: |params| Radius::parse(params),
};

const STATUS_SERVER: u8 = 12;
const ACCESS_ACCEPT: u8 = 2;
const ACCOUNTING_RESPONSE: u8 = 5;
const MESSAGE_AUTHENTICATOR: u8 = 80;
const HEADER: usize = 20;
const DIGEST: usize = 16;
/// Earlier beats of an id that a reply is held against: a week of them, asked each six seconds.
const EARLIER: usize = 400;

#[derive(Debug)]
struct Radius {
    secret: Secret,
    accounting: bool,
    signed: bool,
}

impl Radius {
    fn parse(params: &Params) -> Result<Kind, String> {
        let secret = params.secret("secret-file").ok_or("radius needs secret-file=FILE")?;
        let accounting = params.one_of("acct", &["1"])?.is_some();
        let signed = params.one_of("ma", &["required"])?.is_some();
        Ok(Kind::Service(Arc::new(Radius { secret, accounting, signed })))
    }

    /// The response authenticator is right for a request with this one.
    fn is_authentic(&self, packet: &[u8], authenticator: [u8; DIGEST]) -> bool {
        let Some((head, rest)) = packet.split_at_checked(4) else { return false };
        let Some((theirs, attributes)) = rest.split_at_checked(DIGEST) else { return false };
        let digest = Md5::new().chain_update(head).chain_update(authenticator);
        let digest = digest.chain_update(attributes).chain_update(self.secret.bytes()).finalize();
        digest[..] == *theirs
    }

    /// The HMAC over these parts of a packet.
    fn sign(&self, parts: &[&[u8]]) -> [u8; DIGEST] {
        // The key may have any length, so that this is not refused.
        let keyed = Hmac::<Md5>::new_from_slice(self.secret.bytes());
        let digest = keyed.map(|keyed| parts.iter().fold(keyed, Mac::chain_update).finalize());
        digest.map(|digest| digest.into_bytes().into()).unwrap_or_default()
    }

    /// What is wrong with the attributes of an authentic reply.
    fn complaint(&self, packet: &[u8], authenticator: [u8; DIGEST]) -> Option<&'static str> {
        let mut reader = Reader::new(packet.get(HEADER..)?);
        let mut signed = false;
        while !reader.rest().is_empty() {
            let at = packet.len() - reader.rest().len();
            let Some((kind, value)) = attribute(&mut reader) else { return Some("malformed") };
            if kind == MESSAGE_AUTHENTICATOR {
                const BAD: Option<&str> = Some("Message-Authenticator");
                let Some(behind) = packet.get(at + 2 + DIGEST..) else { return BAD };
                let before = &packet[HEADER..at + 2];
                if value != self.sign(&[&packet[..4], &authenticator, before, &[0; DIGEST], behind])
                {
                    return BAD;
                }
                signed = true;
            }
        }
        (self.signed && !signed).then_some("no Message-Authenticator")
    }
}

/// The type and the value of the next attribute.
fn attribute<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let (kind, length) = (reader.u8()?, usize::from(reader.u8()?));
    Some((kind, reader.take(length.checked_sub(2)?)?))
}

/// What a beat's request has for the reply to be made with.
fn authenticator(ask: &Ask<'_>) -> [u8; DIGEST] {
    let halves = [ask.nonces.more(ask.number, 1), ask.nonces.more(ask.number, 2)];
    std::array::from_fn(|i| halves[i / 8][i % 8])
}

impl Service for Radius {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let id = ask.nonces.byte(ask.number);
        let head = [STATUS_SERVER, id, 0, (HEADER + 2 + DIGEST) as u8];
        let (authenticator, attribute) = (authenticator(ask), [MESSAGE_AUTHENTICATOR, 18]);
        let signature = self.sign(&[&head, &authenticator, &attribute, &[0; DIGEST]]);
        for part in [&head[..], &authenticator, &attribute, &signature] {
            out.extend_from_slice(part);
        }
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let ([code, id], length) = (reader.array()?, usize::from(reader.u16()?));
        if code == STATUS_SERVER {
            return None;
        }
        let mut beats = asked.nonces.of_byte(id, asked.last).take(EARLIER);
        let of = |number| authenticator(&asked.ask(number));
        // What is behind the length is padding (RFC 2865 section 3).
        let packet = bytes.get(..length).filter(|packet| packet.len() >= HEADER);
        let latest = asked.nonces.of_byte(id, asked.last).next()?;
        let Some(packet) = packet else { return Some(Reply::invalid(latest, "malformed")) };
        let Some(number) = beats.find(|number| self.is_authentic(packet, of(*number))) else {
            return Some(Reply::invalid(latest, "Response Authenticator"));
        };
        if let Some(complaint) = self.complaint(packet, of(number)) {
            return Some(Reply::invalid(number, complaint));
        }
        let reply = Reply::ok(number).with("code", u32::from(code));
        let expected = if self.accounting { ACCOUNTING_RESPONSE } else { ACCESS_ACCEPT };
        Some(if code == expected { reply } else { reply.because(name(code)) })
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let (&id, length) = (bytes.get(1)?, bytes.len().min(HEADER));
        let mut beats = asked.nonces.of_byte(id, asked.last).take(EARLIER);
        // As much of the authenticator as is quoted.
        let quoted = bytes.get(4..length).filter(|quoted| quoted.len() >= 4)?;
        beats.find(|number| authenticator(&asked.ask(*number)).starts_with(quoted))
    }

    fn port(&self) -> Option<u16> {
        self.accounting.then_some(1813)
    }

    fn is_secret(&self) -> bool {
        true
    }
}

/// As the IANA registry has it.
fn name(code: u8) -> String {
    match code {
        ACCESS_ACCEPT => "Access-Accept".into(),
        3 => "Access-Reject".into(),
        ACCOUNTING_RESPONSE => "Accounting-Response".into(),
        11 => "Access-Challenge".into(),
        52 => "Protocol-Error".into(),
        _ => format!("code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Verdict;
    use crate::service::testing::{Fixture, fixture, hex, mutated};

    const SECRET: &str = "secret-file=/secret";

    fn radius(secret: &Fixture) -> Radius {
        assert!(!format!("{:?}", secret.spec).contains("testing123"));
        Radius { secret: Secret::new(b"testing123"), accounting: false, signed: false }
    }

    /// A reply to beat 7, as a server with the secret makes it: attributes with an `MA` are signed.
    fn reply(it: &Fixture, code: u8, attributes: &str) -> Vec<u8> {
        let server = radius(it);
        let request = it.request(7);
        let own: [u8; 16] = request[4..20].try_into().unwrap();
        let at = attributes.split(" MA").next().filter(|_| attributes.contains("MA"));
        let at = at.map(|before| hex(before).len());
        let mut attributes = hex(&attributes.replace("MA", &format!("5012 {}", "00".repeat(16))));
        let mut head = vec![code, request[1]];
        head.extend(((20 + attributes.len()) as u16).to_be_bytes());
        if let Some(at) = at {
            let digest = server.sign(&[&head, &own, &attributes]);
            attributes[at + 2..at + 18].copy_from_slice(&digest);
        }
        let digest = Md5::new().chain_update(&head).chain_update(own).chain_update(&attributes);
        let digest = digest.chain_update(b"testing123").finalize();
        [&head[..], &digest[..], &attributes[..]].concat()
    }

    /// FreeRADIUS 3.2.1.
    #[test]
    fn a_true_exchange() {
        let it = radius(&fixture(&format!("radius:?{SECRET}")));
        let authenticator = hex("8a54f4686fb394c52866e302185d0623");
        let own: [u8; 16] = authenticator.try_into().unwrap();
        let head = hex("0cda0026");
        let signature = it.sign(&[&head, &own, &[80, 18], &[0; 16]]);
        assert_eq!(signature[..], hex("7fc60e92dc01b1d5fbb311593bb75713"));
        let accept = hex("02da0014 71d4689e8adf21e370246f016a9a82c2");
        assert!(it.is_authentic(&accept, own));
        assert!(it.is_authentic(&hex("05db0014 f4f838d4e09818dad89d1eb58a627c8b"), own));
        assert!(!it.is_authentic(&accept, [0; 16]));
        assert_eq!(it.complaint(&accept, own), None);
    }

    #[test]
    fn what_goes_out() {
        let it = fixture(&format!("radius:?{SECRET}&acct=1"));
        let bytes = it.request(7);
        assert_eq!((bytes.len(), it.spec.port()), (38, 1813));
        assert_eq!(bytes[..4], [12, it.nonces.byte(7), 0, 38]);
        assert_eq!(bytes[20..22], [80, 18]);
        assert_eq!((it.requested(&bytes[..8]), it.requested(&bytes[..7])), (Some(7), None));
        assert_eq!(it.recognise(&bytes), None);
        for keys in ["", "?secret-file=/none", "?acct=1", "?secret-file=/secret&ma=1"] {
            let read = |path: &str| match path {
                "/secret" => Ok(b"x\n".to_vec()),
                _ => Err(std::io::ErrorKind::NotFound.into()),
            };
            assert!(
                crate::service::Spec::parse(&format!("radius:{keys}"), &read).is_err(),
                "{keys}"
            );
        }
    }

    #[test]
    fn verdicts() {
        use Verdict::{Invalid, Ok};
        let accept = |it: &Fixture| reply(it, 2, "");
        let broken = |it: &Fixture, at: usize| {
            let mut bytes = reply(it, 2, "1203 61 MA");
            bytes[at] ^= 1;
            bytes
        };
        let it = fixture(&format!("radius:?{SECRET}"));
        let acct = fixture(&format!("radius:?{SECRET}&acct=1"));
        let signed = fixture(&format!("radius:?{SECRET}&ma=required"));
        let wrong = Some("Response Authenticator");
        let cases = [
            (&it, accept(&it), Ok, None),
            (&it, [accept(&it), vec![0]].concat(), Ok, None),
            (&it, reply(&it, 3, ""), Ok, Some("Access-Reject")),
            (&it, reply(&it, 5, ""), Ok, Some("Accounting-Response")),
            (&acct, reply(&acct, 5, ""), Ok, None),
            (&it, reply(&it, 2, "1203 61 MA 1203 62"), Ok, None),
            (&signed, reply(&it, 2, "1203 61 MA"), Ok, None),
            (&signed, reply(&it, 2, "1203 61"), Invalid, Some("no Message-Authenticator")),
            (&it, reply(&it, 2, "1204 61"), Invalid, Some("malformed")),
            (&it, reply(&it, 2, "1201 61"), Invalid, Some("malformed")),
            (
                &it,
                reply(&it, 2, &format!("5012 {}", "ab".repeat(16))),
                Invalid,
                Some("Message-Authenticator"),
            ),
            (&it, broken(&it, 4), Invalid, wrong),
            (&it, broken(&it, 22), Invalid, wrong),
            (&it, broken(&it, 30), Invalid, wrong),
            (&it, accept(&it)[..19].to_vec(), Invalid, Some("malformed")),
        ];
        for (it, bytes, verdict, reason) in cases {
            let got = it.recognise(&bytes).unwrap();
            let got = (got.number, got.verdict, got.reason.as_deref());
            assert_eq!(got, (7, verdict, reason), "{bytes:?}");
        }
        assert_eq!(it.spec.shown(&it.recognise(&accept(&it)).unwrap()), "code=2");
    }

    #[test]
    fn strangers_and_mutations() {
        let it = fixture(&format!("radius:?{SECRET}"));
        let good = reply(&it, 2, "1203 61 MA");
        (0..4).for_each(|length| assert_eq!(it.recognise(&good[..length]), None));
        (4..good.len()).for_each(|length| {
            let got = it.recognise(&good[..length]).map(|it| (it.number, it.verdict));
            assert_eq!(got, Some((7, Verdict::Invalid)), "{length}");
        });
        // Ids of beats that were not sent.
        for number in 10..256 {
            let mut bytes = good.clone();
            bytes[1] = it.nonces.byte(number);
            assert_eq!(it.recognise(&bytes), None, "{number}");
        }
        mutated(&it, &[good], 1..2);
    }
}
