//! Shared by the protocols' tests: one target, beat 7 just sent, a fixed clock.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::{Ask, Asked, Nonces, Reply, Spec, Verdict};
use crate::clock::Wall;

/// Keys, a reply, and what it means.
pub(super) type Case<'a> = (&'a str, &'a str, Verdict, Option<&'a str>);

/// A target whose last beat has the number 9.
pub(super) struct Fixture {
    pub(super) spec: Spec,
    pub(super) nonces: Nonces,
    pub(super) peer: SocketAddr,
    pub(super) arrived: Wall,
    pub(super) kept: Vec<u8>,
    pub(super) by_port: Option<u64>,
    pub(super) name: Option<&'static str>,
}

/// The service of that spec, asked at 192.0.2.1 and its port. The file `/secret` holds `testing123`.
pub(super) fn fixture(spec: &str) -> Fixture {
    let read = |path: &str| match path {
        "/secret" => Ok(b"testing123\n".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let spec = Spec::parse(spec, &read).unwrap();
    Fixture {
        nonces: Nonces::new([1; 16], 1),
        peer: SocketAddr::from(([192, 0, 2, 1], spec.port())),
        arrived: Wall::from_nanos(1_700_000_000_000_000_000),
        kept: Vec::new(),
        by_port: Some(7),
        name: None,
        spec,
    }
}

impl Fixture {
    fn asked<R>(&self, then: impl FnOnce(&Asked<'_>) -> R) -> R {
        let sent = self.arrived.as_nanos() - Duration::from_millis(10).as_nanos() as u64;
        then(&Asked {
            last: 9,
            nonces: &self.nonces,
            peer: self.peer,
            local: Some(SocketAddr::from(([192, 0, 2, 2], 40000))),
            kept: &self.kept,
            by_port: self.by_port,
            arrived: self.arrived,
            sent: &|_| Some(Wall::from_nanos(sent)),
        })
    }

    /// The request of that beat.
    pub(super) fn request(&self, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.asked(|asked| {
            let ask = Ask { name: self.name, ..asked.ask(number) };
            self.spec.service().unwrap().request(&ask, &mut out);
        });
        out
    }

    /// What the bytes are, with `accept=` applied.
    pub(super) fn recognise(&self, bytes: &[u8]) -> Option<Reply> {
        let reply = self.asked(|asked| self.spec.service().unwrap().recognise(asked, bytes));
        reply.map(|reply| Reply { verdict: self.spec.judge(&reply), ..reply })
    }

    /// Which beat's request begins so.
    pub(super) fn requested(&self, bytes: &[u8]) -> Option<u64> {
        self.asked(|asked| self.spec.service().unwrap().requested(asked, bytes))
    }
}

/// Bytes from hex with blanks.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    crate::text::hex::decode(&digits).unwrap()
}

/// What [`cut`] and [`mutated`] say holds for these replies to beat 7.
pub(super) fn hardened(it: &Fixture, replies: &[Vec<u8>], identity: Range<usize>) {
    replies.iter().for_each(|whole| cut(it, whole));
    mutated(it, replies, identity);
}

/// A reply to beat 7 that is cut short is invalid or nobody's.
pub(super) fn cut(it: &Fixture, whole: &[u8]) {
    assert_eq!(it.recognise(whole).map(|reply| reply.number), Some(7));
    for length in 0..whole.len() {
        if let Some(reply) = it.recognise(&whole[..length]) {
            let got = (reply.number, reply.verdict);
            assert_eq!(got, (7, Verdict::Invalid), "cut to {length}: {reply:?}");
        }
        it.requested(&whole[..length]);
    }
}

/// Whatever becomes of the bytes of these replies to beat 7, none is to another beat, and none is to any
/// beat where the bytes in `identity` are gone.
pub(super) fn mutated(it: &Fixture, replies: &[Vec<u8>], identity: Range<usize>) {
    let mut random = Random(0x5eed);
    for _ in 0..20_000 {
        let mut bytes = replies[random.below(replies.len())].clone();
        let own = bytes[identity.clone()].to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        it.requested(&bytes);
        let Some(reply) = it.recognise(&bytes) else { continue };
        let shown = crate::text::hex::encode(&bytes);
        if identity.len() == 1 && reply.verdict == Verdict::Invalid {
            // Of eight bits nearly all are some beat's: what is not authentic is told of that one.
            continue;
        }
        assert_eq!(reply.number, 7, "{shown}");
        let is_there = own.is_empty() || bytes.windows(own.len()).any(|some| some == own);
        assert!(is_there, "{shown}");
        assert!(!it.spec.shown(&reply).contains(char::is_control), "{shown}");
    }
}

/// A fixed sequence (xorshift, Marsaglia 2003), so that what fails fails again.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }
}

/// One change: a bit, a byte, one with a meaning, some bytes more, fewer, or twice.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let some = random.below(8) + 1;
    let end = (at + some).min(bytes.len());
    match random.below(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        3 => drop(bytes.splice(at..at, std::iter::repeat_n(random.below(256) as u8, some))),
        4 => drop(bytes.drain(at..end)),
        _ => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
    }
}
