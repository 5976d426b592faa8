//! A peer that lies in each service's own language: late, twice, broken behind our identity, with another
//! identity, from another port. Each datagram takes a time of its own, so that a round trip tells which one it
//! is of: nothing is credited to another beat, and nothing that is not ours to any.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use udp_core::clock::Wall;
use udp_core::service::Spec;

use super::link::{Kind, Link, MS, at};
use super::setup::setup;
use crate::probe::event::{Event, Observer, What};
use crate::probe::format::{Format, StampSession};
use crate::probe::targets::{Datagram, Dispatch, Listed, Sharing, Targets};
use crate::probe::verdict::Verdict;

/// The answer to a request, and what of it is nobody else's.
type Answer = fn(&[u8]) -> (Vec<u8>, Range<usize>);

const TIMEOUT: u64 = 1000 * MS;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    Late,
    Twice,
    Broken,
    Foreign,
    Elsewhere,
}

const ALL: [Lie; 6] = [Lie::None, Lie::Late, Lie::Twice, Lie::Broken, Lie::Foreign, Lie::Elsewhere];

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    udp_core::text::hex::decode(&digits).unwrap()
}

fn found(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|some| some == what).unwrap()
}

/// Each written from its protocol's document, as short as it may be.
const SERVICES: [(&str, Answer); 14] = [
    ("dns:example.org", |ask| {
        let end = found(ask, b"org\0") + 8;
        let head = [&ask[..2], &hex("8580 0001 0001 0000 0000"), &ask[12..end]].concat();
        // Sixteen bits are soon another's: the name is not.
        ([head, hex("c00c 0001 0001 0000012c 0004 c0000207")].concat(), 13..20)
    }),
    ("ntp:", |ask| {
        (
            [&hex("240100e6 00000000 00000000 47505300")[..], &[1; 8], &ask[40..], &[1; 16]]
                .concat(),
            24..32,
        )
    }),
    ("stun:", |ask| {
        (
            [&hex("0101 000c 2112a442")[..], &ask[8..20], &hex("0020 0008 0001 a147 e112a643")]
                .concat(),
            8..20,
        )
    }),
    ("turn:", |ask| {
        ([&hex("0114 0008 2112a442")[..], &ask[8..20], &hex("0009 0004 00000401")].concat(), 8..20)
    }),
    ("sip:", |ask| {
        let ask = String::from_utf8(ask.to_vec()).unwrap();
        let headers = ["Via", "From", "To", "Call-ID", "CSeq"]
            .map(|name| ask.lines().find(|line| line.starts_with(name)).unwrap());
        let answer =
            format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"));
        let at = found(answer.as_bytes(), b"z9hG4bK") + 7;
        (answer.into_bytes(), at..at + 16)
    }),
    ("quic:", |ask| {
        let ids = [&[8][..], &ask[15..23], &[8], &ask[6..14]].concat();
        ([&hex("80 00000000")[..], &ids, &hex("00000001")].concat(), 6..14)
    }),
    ("snmp:", |ask| {
        let mut answer = [&ask[..ask.len() - 2], &hex("43020100")].concat();
        let pdu = found(ask, &[0xa0]);
        answer[pdu] = 0xa2;
        [1, pdu + 1, pdu + 15, pdu + 17].iter().for_each(|length| answer[*length] += 2);
        (answer, pdu + 4..pdu + 8)
    }),
    // Without the secret, so that none is authentic.
    ("radius:?secret-file=x", |ask| ([&[2, ask[1], 0, 20][..], &[7; 16]].concat(), 1..2)),
    ("coap:x", |ask| ([&hex("58 45 1234")[..], &ask[4..12], b"\xffhello"].concat(), 4..12)),
    ("a2s:", |_| {
        (b"\xff\xff\xff\xffI\x11name\0map\0dir\0game\0\x0f\0\x03\x08\0dl\0\x011.0\0".to_vec(), 0..0)
    }),
    ("bedrock:", |ask| {
        let status = b"MCPE;a;1;1.16;3;20";
        let head = [&[0x1c][..], &ask[1..9], &[0; 8], &ask[9..25], &[0, status.len() as u8]];
        ([&head.concat()[..], status].concat(), 1..9)
    }),
    ("mumble:", |ask| ([&hex("00010304")[..], &ask[4..12], &[0; 12]].concat(), 4..12)),
    ("openvpn:", |ask| ([&b"\x40serverid\x01\0\0\0\0"[..], &ask[1..9], &[0; 4]].concat(), 14..22)),
    ("ike:", |ask| {
        let rest = hex("0000000000000000 29202220 00000000 00000024 00000008 00000005");
        ([&ask[..8], &rest].concat(), 0..8)
    }),
];

/// What was told of each beat.
#[derive(Default)]
struct Told {
    replies: HashMap<u64, (Duration, Verdict)>,
    late: HashMap<u64, Duration>,
    duplicates: HashMap<u64, Duration>,
    unsolicited: u64,
}

impl Observer for Told {
    fn observe(&mut self, event: &Event<'_>) {
        match event.what {
            What::Reply { seq, reply, .. } => {
                let told = self.replies.insert(seq.0, (reply.rtt, reply.verdict));
                assert_eq!(told, None, "beat {seq} was answered twice");
            }
            What::Late { seq, rtt, .. } => drop(self.late.insert(seq.0, rtt)),
            What::Duplicate { seq, rtt, .. } => drop(self.duplicates.insert(seq.0, rtt)),
            What::Unsolicited { .. } => self.unsolicited += 1,
            _ => {}
        }
    }
}

/// Bytes that say something else, but for what is ours.
fn broken(mut bytes: Vec<u8>, ours: &Range<usize>, random: &mut fastrand::Rng) -> Vec<u8> {
    // What is before a name is the id of another question, soon.
    let kept = if bytes[ours.clone()] == *b"example" { 0..ours.end } else { ours.clone() };
    for _ in 0..random.usize(1..5) {
        let place = random.usize(0..bytes.len());
        if !kept.contains(&place) {
            bytes[place] = random.u8(..);
        }
    }
    if random.bool() {
        bytes.truncate(random.usize(kept.end..=bytes.len()));
    }
    bytes
}

fn lied_to(scheme: &str, answer: Answer, lies: u64) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut link = Link::random(&mut fastrand::Rng::with_seed(1));
    (link.kind, link.sharing, link.fixed) = (Kind::Plain, Sharing::Shared, false);
    link.timeout_ms = TIMEOUT / MS;
    let plain = Format::Plain { payload: Vec::new(), padding: Default::default() };
    let mut setup = setup(&link, plain);
    setup.pool.linger = Duration::from_nanos(2 * TIMEOUT);
    let mut targets = Targets::new(setup);
    let clocks = (Wall::from_nanos(1_800_000_000_000_000_000), at(0));
    let spec = Spec::parse(scheme, &|_| Ok(b"secret".to_vec())).unwrap();
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], spec.port()));
    let listed = Listed { spec: Some(spec), ..Listed::bare(peer.to_string().parse().unwrap()) };
    let stamp = StampSession { ssid: udp_core::stamp::Ssid(1), epoch: Wall::from_nanos(1) };
    let mut told = Told::default();
    targets.add(scheme.into(), listed, stamp, None, at(0));
    targets.place(0, &[peer], at(0), &mut told);
    let mut air = BTreeMap::new();
    let mut told_lies = vec![Lie::None];
    let mut bytes = Vec::new();
    for number in 1..=lies + 200 {
        let now = number * 10 * MS;
        while let Some(next) = air.first_entry()
            && *next.key() <= now
        {
            let (when, (port, from, bytes)): (u64, (_, _, Vec<u8>)) = next.remove_entry();
            let datagram = Datagram { port, from, bytes: &bytes, at: at(when), clocks };
            targets.arrive(&datagram, &mut told);
            targets.take_outgoing();
            targets.take_paces();
        }
        targets.expire(at(now), &mut told);
        if number > lies {
            continue;
        }
        let begun = targets.begin(0, (at(now), at(now)), &mut told);
        let Dispatch::Send { seq, port, to, .. } = begun else { panic!("{scheme}: {begun:?}") };
        let local = Some(std::net::SocketAddr::from(([192, 0, 2, 2], 40000)));
        targets.encode(0, seq, local, &mut bytes);
        let (mut bytes, ours) = answer(&bytes);
        let lie = match random.choice(ALL).unwrap() {
            // One of eight bits is soon another's, and none is nobody's.
            Lie::Foreign if ours.len() < 2 => Lie::None,
            lie => lie,
        };
        told_lies.push(lie);
        let after = after(number, lie);
        let mut from = to;
        match lie {
            Lie::None | Lie::Late => {}
            Lie::Twice => drop(air.insert(now + after + 5 * MS, (port, from, bytes.clone()))),
            Lie::Broken => bytes = broken(bytes, &ours, &mut random),
            Lie::Foreign => bytes[random.usize(ours)] ^= 1,
            Lie::Elsewhere => from.set_port(9),
        }
        air.insert(now + after, (port, from, bytes));
    }
    let right = if scheme.starts_with("radius") { Verdict::Invalid } else { Verdict::Ok };
    let mut foreign = 0;
    for (number, lie) in (1..).zip(&told_lies[1..]) {
        let own = Duration::from_nanos(after(number, *lie));
        let told = (
            told.replies.get(&number).copied(),
            told.late.get(&number).copied(),
            told.duplicates.get(&number).copied(),
        );
        let answered = Some((own, right));
        // What is repeated until it is acknowledged is no duplicate.
        let again = Some(own + Duration::from_millis(5)).filter(|_| scheme != "openvpn:");
        let expected = match lie {
            Lie::None => (answered, None, None),
            Lie::Late => (None, Some(own), None),
            Lie::Twice => (answered, None, again),
            Lie::Broken => {
                let verdict = told.0.map(|(_, verdict)| (own, verdict));
                (verdict, None, None)
            }
            Lie::Foreign | Lie::Elsewhere => {
                foreign += 1;
                (None, None, None)
            }
        };
        assert_eq!(told, expected, "{scheme} beat {number}: {lie:?}");
    }
    assert!(told.unsolicited >= foreign, "{scheme}: {} of {foreign}", told.unsolicited);
    let counts = targets.totals();
    let settled = counts.received + counts.lost + counts.failed;
    assert_eq!((counts.sent, settled), (lies, lies), "{scheme}");
}

/// How long the answer to a beat takes: as long as no other.
fn after(number: u64, lie: Lie) -> u64 {
    number * 101 + if lie == Lie::Late { TIMEOUT + 500 * MS } else { MS }
}

#[test]
fn no_lie_is_believed() {
    // More of them, 20,000 a service.
    let lies = std::env::var("UDP_LIES").map_or(2_000, |lies| lies.parse().unwrap());
    SERVICES.iter().for_each(|(scheme, answer)| lied_to(scheme, *answer, lies));
}
