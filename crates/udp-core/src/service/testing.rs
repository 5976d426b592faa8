//! What the tests of all protocols have in common: one target, beat 7 just sent from a fixed clock.

use std::net::SocketAddr;
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
            let ask: Ask<'_> = asked.ask(number);
            self.spec.service().unwrap().request(&ask, &mut out);
        });
        out
    }

    /// What the bytes are, with `accept=` applied.
    pub(super) fn recognise(&self, bytes: &[u8]) -> Option<Reply> {
        let reply = self.asked(|asked| self.spec.service().unwrap().recognise(asked, bytes));
        reply.map(|reply| self.spec.judge(reply))
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
