//! OpenVPN's hard reset: the first packet of a handshake that goes no further. Known by our session id.
//!
//! A server with a cookie (2.6) answers it once and keeps nothing; it must not be acknowledged, because that
//! would open a session. Older and point-to-point ones repeat their answer until it is; a point-to-point one
//! that is in a handshake already acknowledges the packet and no more.

use std::sync::Arc;
use std::time::Duration;

use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Kind, Reply, Service, Then};

pub(super) const ENTRY: Entry = Entry {
    scheme: "openvpn",
    port: 1194,
    what: None,
    asks: "hard reset, the first packet of a handshake",
    ok: "the server's hard reset, or its acknowledgement",
    keys: &[],
    facts: &[],
    shown: &[],
    silence: "tls-auth or tls-crypt is on, which ask for a key first, or the server limits handshakes",
    interval: Duration::from_secs(30),
    floor: Duration::from_secs(10),
    identity: Identity::Any,
    parse: |_| Ok(Kind::Service(Arc::new(OpenVpn))),
};

/// Opcodes in the upper five bits, key id 0 in the lower three.
const HARD_RESET_CLIENT_V2: u8 = 7 << 3;
const HARD_RESET_SERVER_V2: u8 = 8;
const ACK_V1: u8 = 5;
/// No more packet ids are acknowledged at once.
const MOST_ACKS: usize = 8;

#[derive(Debug)]
struct OpenVpn;

impl Service for OpenVpn {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        out.push(HARD_RESET_CLIENT_V2);
        out.extend_from_slice(&ask.nonces.long(ask.number));
        // Nothing acknowledged; packet id 0.
        out.extend_from_slice(&[0; 5]);
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let (opcode, server, acks) =
            (reader.u8()?, reader.array::<8>()?, usize::from(reader.u8()?));
        let is_reset = opcode >> 3 == HARD_RESET_SERVER_V2;
        if !(is_reset || opcode >> 3 == ACK_V1) || !(1..=MOST_ACKS).contains(&acks) {
            return None;
        }
        let acknowledged = reader.take(acks * 4)?;
        let ours = reader.array()?;
        let number = asked.nonces.of_long(ours, asked.last)?;
        let ours_is_in = acknowledged.chunks(4).any(|id| id == [0; 4]);
        if !is_reset && ours_is_in && reader.rest().is_empty() {
            return Some(Reply::ok(number));
        }
        // Behind its packet id there may be what both can do (2.6).
        let Some(id) = reader.array::<4>().filter(|_| is_reset && ours_is_in) else {
            return Some(Reply::invalid(number, "malformed"));
        };
        let acknowledge = [&[ACK_V1 << 3][..], &ours, &[1], &id, &server].concat();
        Some(Reply::ok(number).then(Then::AcknowledgeRepeats(acknowledge)))
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        asked.nonces.of_long(*bytes.get(1..)?.first_chunk()?, asked.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Verdict;
    use crate::service::testing::{fixture, hardened, hex};

    #[test]
    fn a_reset_and_its_answer() {
        let it = fixture("openvpn:");
        let session = crate::text::hex::encode(&it.nonces.long(7));
        let ask = hex(&format!("38 {session} 00 00000000"));
        assert_eq!(it.request(7), ask);
        assert_eq!((it.requested(&ask), it.recognise(&ask)), (Some(7), None));
        // OpenVPN 2.6.14.
        let answer = hex(&format!("40 d32f5d314ea7a59e 01 00000000 {session} 00000000"));
        let reply = it.recognise(&answer).unwrap();
        assert_eq!((reply.number, reply.verdict, &reply.reason), (7, Verdict::Ok, &None));
        let acknowledge = hex(&format!("28 {session} 01 00000000 d32f5d314ea7a59e"));
        assert_eq!(reply.then, Then::AcknowledgeRepeats(acknowledge));
        assert_eq!(it.spec.shown(&reply), "ok");
        let capable = [&answer[..], &hex("0001 0002 0003")].concat();
        assert_eq!(it.recognise(&capable).unwrap().verdict, Verdict::Ok);
        let other = hex(&format!("40 d32f5d314ea7a59e 01 00000001 {session} 00000000"));
        assert_eq!(it.recognise(&other).unwrap().verdict, Verdict::Invalid);
        // 2.6.14, point-to-point, in the handshake of an earlier session.
        let busy = hex(&format!("28 1406831b3ea27df0 01 00000000 {session}"));
        let reply = it.recognise(&busy).unwrap();
        assert_eq!((reply.number, reply.verdict, reply.then), (7, Verdict::Ok, Then::Nothing));
        for head in ["20", "38", "48"] {
            assert_eq!(it.recognise(&[&hex(head)[..], &answer[1..]].concat()), None);
        }
        hardened(&it, &[answer, busy], 14..22);
    }
}
