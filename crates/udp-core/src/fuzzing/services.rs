//! What must hold for the decoder of each service, whatever comes.
//!
//! The nonces are always the same, so that a seed is a true reply to beat 7, and what a fuzzer makes of
//! it gets past the identity.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use md5::{Digest, Md5};

use super::one_line;
use crate::clock::Wall;
use crate::service::{Asked, Nonces, Spec, Then, Verdict, target};

const LAST: u64 = 9;
const BEAT: u64 = 7;
const SECRET: &[u8] = b"testing123";

/// A URL is read, or refused in one line; what is read is read again as it is shown.
pub fn url(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Spec::parse(text, &secret) {
        Ok(spec) => {
            let again = Spec::parse(&spec.to_string(), &secret);
            assert!(again.is_ok_and(|again| again == spec));
        }
        Err(error) => one_line(&error.to_string()),
    }
    if let Err(error) = target(text, &secret) {
        one_line(&error.to_string());
        error.hint().into_iter().for_each(|hint| one_line(&hint));
    }
}

/// What `a2s` makes of any bytes.
pub fn a2s(data: &[u8]) {
    recognised(&["a2s:?players=1"], data);
}

/// What `bedrock` makes of any bytes.
pub fn bedrock(data: &[u8]) {
    recognised(&["bedrock:", "bedrock:?edition=any"], data);
}

/// What `coap` makes of any bytes.
pub fn coap(data: &[u8]) {
    recognised(&["coap:a/b?query=c", "coap:"], data);
}

/// What `dns` makes of any bytes.
pub fn dns(data: &[u8]) {
    recognised(
        &[
            "dns:example.org?nsid=1&expect=192.0.2.7&aa=1",
            "dns:n{n}.example?type=TXT&class=CH",
            "dns:?type=SOA",
        ],
        data,
    );
}

/// What `ike` makes of any bytes.
pub fn ike(data: &[u8]) {
    recognised(&["ike:"], data);
}

/// What `mumble` makes of any bytes.
pub fn mumble(data: &[u8]) {
    recognised(&["mumble:"], data);
}

/// What `ntp` makes of any bytes.
pub fn ntp(data: &[u8]) {
    recognised(&["ntp:?stratum=3&offset=1s&dispersion=1s"], data);
}

/// What `openvpn` makes of any bytes.
pub fn openvpn(data: &[u8]) {
    recognised(&["openvpn:"], data);
}

/// What `quic` makes of any bytes.
pub fn quic(data: &[u8]) {
    recognised(&["quic:?version=1"], data);
}

/// What `radius` makes of any bytes: as they are, which is to say not authentic, and as whoever has
/// the secret could send them.
pub fn radius(data: &[u8]) {
    let specs = ["radius:?secret-file=x&ma=required", "radius:?secret-file=x"];
    recognised(&specs, data);
    let (mut packet, request) = (data.to_vec(), request(specs[0]));
    let length = (packet.len() as u16).to_be_bytes();
    if let [_, id, high, low, digest @ ..] = packet.as_mut_slice()
        && let Some((digest, attributes)) = digest.split_first_chunk_mut::<16>()
    {
        (*id, [*high, *low]) = (request[1], length);
        let head = [data[0], request[1], length[0], length[1]];
        let signed = Md5::new().chain_update(head).chain_update(&request[4..20]);
        *digest = signed.chain_update(attributes).chain_update(SECRET).finalize().into();
    }
    recognised(&specs, &packet);
}

/// What `sip` makes of any bytes.
pub fn sip(data: &[u8]) {
    recognised(&["sip:?user=probe", "sip:?accept=any"], data);
}

/// What `snmp` makes of any bytes.
pub fn snmp(data: &[u8]) {
    recognised(&["snmp:", "snmp:?v=1&expect=7", "snmp:?v=3"], data);
}

/// What `stun` makes of any bytes.
pub fn stun(data: &[u8]) {
    recognised(&["stun:?mapped=192.0.2.2"], data);
}

/// What `turn` makes of any bytes.
pub fn turn(data: &[u8]) {
    recognised(&["turn:"], data);
}

fn secret(_file: &str) -> io::Result<Vec<u8>> {
    Ok([SECRET, b"\n"].concat())
}

/// The request of that beat, which a seed is a reply to.
pub fn request(spec: &str) -> Vec<u8> {
    let mut out = Vec::new();
    asked(spec, &mut |asked, spec| {
        if let Some(service) = spec.service() {
            service.request(&asked.ask(BEAT), &mut out);
        }
    });
    out
}

/// The specification, read once: that takes longer than what is tried with it.
fn parsed(text: &str) -> Option<&'static Spec> {
    static SPECS: Mutex<BTreeMap<String, &Spec>> = Mutex::new(BTreeMap::new());
    let mut specs = SPECS.lock().ok()?;
    if let Some(spec) = specs.get(text) {
        return Some(spec);
    }
    let spec: &Spec = Box::leak(Box::new(Spec::parse(text, &secret).ok()?));
    specs.insert(text.to_owned(), spec);
    Some(spec)
}

fn asked(spec: &str, then: &mut dyn FnMut(&Asked<'_>, &Spec)) {
    let Some(spec) = parsed(spec) else { return };
    let nonces = Nonces::new([1; 16], 1);
    let peer = SocketAddr::from(([192, 0, 2, 1], spec.port()));
    let sent = |_| Some(Wall::from_nanos(1_700_000_000_000_000_000));
    let asked = Asked {
        last: LAST,
        nonces: &nonces,
        peer,
        local: Some(SocketAddr::from(([192, 0, 2, 2], 40_000))),
        kept: &[],
        by_port: Some(BEAT),
        arrived: Wall::from_nanos(1_700_000_000_010_000_000),
        sent: &sent,
    };
    then(&asked, spec);
}

/// A reply names a beat that was sent, its words are short and harmless in text, and its facts are those
/// of the table; what our own requests begin with never fails either.
fn recognised(specs: &[&str], data: &[u8]) {
    for spec in specs {
        asked(spec, &mut |asked, spec| {
            let Some(service) = spec.service() else { return };
            if let Some(number) = service.requested(asked, data) {
                assert!((1..=LAST).contains(&number));
            }
            let Some(reply) = service.recognise(asked, data) else { return };
            assert!((1..=LAST).contains(&reply.number));
            assert!(reply.reason.as_ref().is_none_or(|reason| !reason.is_empty()));
            assert!(reply.facts.iter().all(|(name, _)| spec.entry().facts.contains(&name)));
            one_line(&spec.shown(&reply));
            if let Then::Follow(bytes)
            | Then::Acknowledge(bytes)
            | Then::AcknowledgeRepeats(bytes) = &reply.then
            {
                assert!((1..=1500).contains(&bytes.len()));
            }
            // What is broken is accepted by no key.
            let invalid = reply.verdict == Verdict::Invalid;
            assert_eq!(spec.judge(&reply) == Verdict::Invalid, invalid);
        });
    }
}
