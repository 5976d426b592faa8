//! IKE: a header of a major version that nobody has, which is refused without any state (RFC 7296 section
//! 2.5). Known by the initiator's SPI. On ports other than 500 four zero bytes come first (RFC 3948).

use std::sync::Arc;
use std::time::Duration;

use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Kind, Reply, Service, Verdict};

pub(super) const ENTRY: Entry = Entry {
    scheme: "ike",
    port: 500,
    what: None,
    asks: "a header of major version 3, which is refused without state",
    ok: "the refusal (INVALID_MAJOR_VERSION)",
    keys: &[],
    facts: &[],
    shown: &[],
    silence: "the peer drops versions that it does not know, or peers that it does not",
    interval: Duration::from_secs(30),
    floor: Duration::from_secs(5),
    identity: Identity::Any,
    parse: |_| Ok(Kind::Service(Arc::new(Ike))),
};

const HEADER: usize = 28;
const VERSION_3: u8 = 0x30;
/// The flag of a response, in version 2.
const RESPONSE: u8 = 0x20;
const NON_ESP_MARKER: [u8; 4] = [0; 4];
const NOTIFY: u8 = 41;
const NOTIFY_V1: u8 = 11;
const INVALID_MAJOR_VERSION: u16 = 5;

#[derive(Debug)]
struct Ike;

impl Service for Ike {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        if ask.peer.port() != 500 {
            out.extend_from_slice(&NON_ESP_MARKER);
        }
        out.extend_from_slice(&ask.nonces.long(ask.number));
        out.extend_from_slice(&[0; 8]);
        // No payload, IKE_SA_INIT, from the initiator, message 0.
        out.extend_from_slice(&[0, VERSION_3, 34, 0x08, 0, 0, 0, 0]);
        out.extend_from_slice(&(HEADER as u32).to_be_bytes());
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let message = bytes.strip_prefix(&NON_ESP_MARKER).unwrap_or(bytes);
        let mut reader = Reader::new(message);
        let (spi, _responder) = (reader.array()?, reader.array::<8>()?);
        let number = asked.nonces.of_long(spi, asked.last)?;
        let [payload, version, _exchange, flags] = reader.array()?;
        let (major, _message) = (version >> 4, reader.u32()?);
        // Our own header, from an echo, is of version 3.
        if !(major == 1 || major == 2 && flags & RESPONSE != 0) {
            return None;
        }
        let length = reader.u32();
        let kind =
            notified(payload, reader).filter(|_| length == u32::try_from(message.len()).ok());
        Some(match kind {
            Some(INVALID_MAJOR_VERSION) => Reply::ok(number),
            Some(kind) => Reply::new(number, Verdict::Unexpected).because(name(kind)),
            None => Reply::invalid(number, "malformed"),
        })
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.strip_prefix(&NON_ESP_MARKER).unwrap_or(bytes);
        asked.nonces.of_long(*bytes.first_chunk()?, asked.last)
    }
}

/// The type of the notification, if there is one and nothing else (RFC 7296 section 3.10, RFC 2408
/// section 3.14).
fn notified(payload: u8, mut reader: Reader<'_>) -> Option<u16> {
    let whole = reader.rest().len();
    let ([next, _], length) = (reader.array()?, usize::from(reader.u16()?));
    match payload {
        NOTIFY => {}
        // Version 1 has its domain of interpretation before.
        NOTIFY_V1 => drop(reader.u32()?),
        _ => return None,
    }
    let [_protocol, spi] = reader.array()?;
    let kind = reader.u16()?;
    reader.take(usize::from(spi))?;
    (next == 0 && length == whole).then_some(kind)
}

/// As RFC 7296 section 3.10.1 has it.
fn name(kind: u16) -> String {
    match kind {
        1 => "UNSUPPORTED_CRITICAL_PAYLOAD".into(),
        4 => "INVALID_IKE_SPI".into(),
        7 => "INVALID_SYNTAX".into(),
        9 => "INVALID_MESSAGE_ID".into(),
        14 => "NO_PROPOSAL_CHOSEN".into(),
        17 => "INVALID_KE_PAYLOAD".into(),
        24 => "AUTHENTICATION_FAILED".into(),
        43 => "TEMPORARY_FAILURE".into(),
        _ => format!("notify {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, fixture, hardened, hex};

    fn answer(it: &Fixture, rest: &str) -> Vec<u8> {
        [&it.nonces.long(7)[..], &hex(rest)].concat()
    }

    /// strongSwan 5.9.8.
    const REFUSAL: &str = "0000000000000000 29202220 00000000 00000024 00000008 00000005";

    #[test]
    fn what_goes_out() {
        let mut it = fixture("ike:");
        let plain = answer(&it, "0000000000000000 00302208 00000000 0000001c");
        assert_eq!(it.request(7), plain);
        assert_eq!((it.requested(&plain[..8]), it.recognise(&plain)), (Some(7), None));
        it.peer.set_port(4500);
        let marked = [&[0; 4][..], &plain].concat();
        assert_eq!(it.request(7), marked);
        assert_eq!((it.requested(&marked), it.recognise(&marked)), (Some(7), None));
    }

    #[test]
    fn verdicts() {
        use Verdict::{Invalid, Ok, Unexpected};
        let it = fixture("ike:");
        let cases = [
            (REFUSAL, Ok, None),
            // Version 1: an informational exchange with a notification.
            ("1111111111111111 0b100500 00000000 00000028 0000000c 00000001 01000005", Ok, None),
            (
                "3c91b532e87cc244 29202220 00000000 00000024 00000008 0000000e",
                Unexpected,
                Some("NO_PROPOSAL_CHOSEN"),
            ),
            (
                "0000000000000000 29202220 00000000 00000024 00000008 00004000",
                Unexpected,
                Some("notify 16384"),
            ),
            (
                "0000000000000000 29202220 00000000 00000025 00000008 00000005",
                Invalid,
                Some("malformed"),
            ),
            (
                "0000000000000000 21202220 00000000 00000024 00000008 00000005",
                Invalid,
                Some("malformed"),
            ),
            ("0000000000000000 00202220 00000000 0000001c", Invalid, Some("malformed")),
        ];
        for (rest, verdict, reason) in cases {
            for marker in [&[][..], &[0; 4]] {
                let got = it.recognise(&[marker, &answer(&it, rest)].concat()).unwrap();
                let got = (got.number, got.verdict, got.reason.as_deref());
                assert_eq!(got, (7, verdict, reason), "{rest}");
            }
        }
        let asks = "0000000000000000 29202208 00000000 00000024 00000008 00000005";
        assert_eq!(it.recognise(&answer(&it, asks)), None);
    }

    #[test]
    fn mutations() {
        let it = fixture("ike:");
        hardened(&it, &[answer(&it, REFUSAL)], 0..8);
    }
}
