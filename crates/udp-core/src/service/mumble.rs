//! Mumble's ping, from before its protocol had a secret: who is there, of how many. Known by its eight bytes.

use std::sync::Arc;
use std::time::Duration;

use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Kind, Reply, Service};

pub(super) const ENTRY: Entry = Entry {
    scheme: "mumble",
    port: 64738,
    what: None,
    asks: "ping",
    ok: "its answer",
    keys: &[],
    facts: &["version", "users", "max", "bandwidth"],
    shown: &["version", "users=", "max="],
    silence: "the server has its ping switched off (allowping)",
    interval: Duration::from_secs(1),
    floor: Duration::from_millis(200),
    identity: Identity::Any,
    parse: |_| Ok(Kind::Service(Arc::new(Mumble))),
};

#[derive(Debug)]
struct Mumble;

impl Service for Mumble {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&ask.nonces.long(ask.number));
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let ([_, major, minor, patch], nonce) = (reader.array()?, reader.array()?);
        let number = asked.nonces.of_long(nonce, asked.last)?;
        if bytes.len() == 12 && bytes.starts_with(&[0; 4]) {
            // Our own ping, from an echo.
            return None;
        }
        let mut figures = || Some((reader.u32()?, reader.u32()?, reader.u32()?));
        let Some((users, max, bandwidth)) = figures().filter(|_| bytes.len() == 24) else {
            return Some(Reply::invalid(number, "malformed"));
        };
        let version = format!("{major}.{minor}.{patch}");
        let reply = Reply::ok(number).with("version", version).with("users", users);
        Some(reply.with("max", max).with("bandwidth", bandwidth))
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        asked.nonces.of_long(*bytes.get(4..)?.first_chunk()?, asked.last)
    }
}

#[cfg(test)]
mod tests {
    use crate::service::Verdict;
    use crate::service::testing::{fixture, hardened, hex};

    #[test]
    fn a_ping_and_its_answer() {
        let it = fixture("mumble:");
        let nonce = crate::text::hex::encode(&it.nonces.long(7));
        let ask = hex(&format!("00000000 {nonce}"));
        assert_eq!(it.request(7), ask);
        assert_eq!(it.requested(&ask), Some(7));
        assert_eq!(it.recognise(&ask), None);
        // murmur 1.3.4.
        let answer = hex(&format!("00010304 {nonce} 00000003 0000000a 00011940"));
        let reply = it.recognise(&answer).unwrap();
        assert_eq!((reply.number, reply.verdict, &reply.reason), (7, Verdict::Ok, &None));
        assert_eq!(it.spec.shown(&reply), "1.3.4 users=3 max=10");
        assert_eq!(reply.facts.get("bandwidth"), Some(&72_000.into()));
        hardened(&it, &[answer], 4..12);
    }
}
