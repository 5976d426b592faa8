//! NTP: the time, asked as RFC 5905 has it and RFC 8633 §4.3 (data minimisation) advises.
//!
//! The transmit timestamp of a request is a nonce, which comes back as the origin timestamp; the true
//! time of sending stays here. A kiss of death (RFC 5905 §7.4) carries it three times.

use std::sync::Arc;
use std::time::Duration;

use super::params::wrong;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Verdict};
use crate::clock::Wall;

pub(super) const ENTRY: Entry = Entry {
    scheme: "ntp",
    port: 123,
    what: None,
    asks: "the time",
    ok: "synchronised, stratum 1 to 15",
    keys: &[
        Key::new("stratum", "MAX", "at most this stratum"),
        Key::new("offset", "DUR", "at most so far from this host's clock"),
        Key::new("dispersion", "DUR", "at most this root dispersion"),
        Key::new("v", "3|4", "the version that is asked with (default 4)"),
    ],
    facts: &["stratum", "refid", "leap", "offset_ns", "root_delay_ns", "root_dispersion_ns"],
    shown: &["stratum=", "refid=", "offset_ns="],
    silence: "the server does not serve this network, or limits rates by silence",
    interval: Duration::from_secs(16),
    floor: Duration::from_secs(4),
    identity: Identity::Any,
    parse: |params| Ok(Kind::Service(Arc::new(Ntp::parse(params)?))),
};

/// The length of a packet without extension fields.
const LENGTH: usize = 48;
/// From 1900 to 1970, in seconds.
const TO_UNIX: u64 = 2_208_988_800;
const NANOS: i128 = 1_000_000_000;

#[derive(Debug)]
struct Ntp {
    version: u8,
    stratum: u8,
    offset: Option<Duration>,
    dispersion: Option<Duration>,
}

impl Ntp {
    fn parse(params: &Params) -> Result<Ntp, String> {
        const STRATUM: &str = "a number from 1 to 15";
        let stratum = params.parsed("stratum", STRATUM)?.unwrap_or(15);
        if !(1..=15).contains(&stratum) {
            return Err(wrong("stratum", &stratum.to_string(), STRATUM));
        }
        Ok(Ntp {
            version: if params.one_of("v", &["3", "4"])? == Some(0) { 3 } else { 4 },
            stratum,
            offset: params.duration("offset")?,
            dispersion: params.duration("dispersion")?,
        })
    }
}

impl Service for Ntp {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        // Mode 3, a client.
        out.push(self.version << 3 | 3);
        out.extend_from_slice(&[0; 39]);
        out.extend_from_slice(&ask.nonces.long(ask.number));
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let number = asked.nonces.of_long(*bytes.get(24..)?.first_chunk()?, asked.last)?;
        let (leap, mode, stratum) = (bytes[0] >> 6, bytes[0] & 7, bytes[1]);
        if mode != 4 {
            // Our own request, returned by an echo, has our nonce elsewhere; other modes are no reply.
            return None;
        }
        let Some((packet, _extensions)) = bytes.split_first_chunk::<LENGTH>() else {
            return Some(Reply::invalid(number, "malformed"));
        };
        let time = |at: usize| u64::from_be_bytes(std::array::from_fn(|n| packet[at + n]));
        let short = |at: usize| u32::from_be_bytes(std::array::from_fn(|n| packet[at + n]));
        let refid: [u8; 4] = std::array::from_fn(|n| packet[12 + n]);
        let word = refid.split(|byte| *byte == 0).next().unwrap_or_default();
        let kiss = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
        let shown = match stratum {
            0 | 1 => String::from_utf8_lossy(word).into_owned(),
            _ => std::net::Ipv4Addr::from(refid).to_string(),
        };
        let (delay, dispersion) = (short_nanos(short(4)), short_nanos(short(8)));
        let mut reply = Reply::ok(number)
            .with("stratum", u32::from(stratum))
            .with("refid", shown)
            .with("leap", u32::from(leap));
        if stratum == 0 && kiss && !matches!(word, b"INIT" | b"STEP") {
            let reason = String::from_utf8_lossy(word).into_owned();
            let (verdict, stop) = match word {
                b"RATE" => (Verdict::Limited, false),
                b"DENY" | b"RSTR" => (Verdict::Declined, true),
                _ => (Verdict::Failing, false),
            };
            (reply.verdict, reply.stop) = (verdict, stop);
            return Some(reply.because(reason));
        }
        if leap == 3 || !(1..=15).contains(&stratum) {
            reply.verdict = Verdict::Failing;
            return Some(reply.because("unsynchronised"));
        }
        if time(40) == 0 {
            reply.verdict = Verdict::Invalid;
            return Some(reply.because("no transmit time"));
        }
        let sent = (asked.sent)(number);
        let offset = sent.map(|sent| offset(sent, time(32), time(40), asked.arrived));
        if let Some(offset) = offset {
            reply = reply.with("offset_ns", offset);
        }
        reply = reply.with("root_delay_ns", delay).with("root_dispersion_ns", dispersion);
        let beyond = |value: i64, most: Option<Duration>| {
            most.is_some_and(|most| u128::from(value.unsigned_abs()) > most.as_nanos())
        };
        let reason = if stratum > self.stratum {
            "stratum"
        } else if offset.is_some_and(|offset| beyond(offset, self.offset)) {
            "offset"
        } else if beyond(dispersion, self.dispersion) {
            "dispersion"
        } else {
            return Some(reply);
        };
        reply.verdict = Verdict::Unexpected;
        Some(reply.because(reason))
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let nonce = bytes.get(40..)?.first_chunk()?;
        asked.nonces.of_long(*nonce, asked.last)
    }
}

/// How far the server's clock is before this one (RFC 5905 §8), with the differences taken modulo an
/// era of 136 years.
fn offset(sent: Wall, received: u64, transmitted: u64, arrived: Wall) -> i64 {
    let forward = i128::from(received.wrapping_sub(timestamp(sent)).cast_signed());
    let back = i128::from(transmitted.wrapping_sub(timestamp(arrived)).cast_signed());
    (((forward + back) * NANOS) >> 33) as i64
}

/// Seconds since 1900 and their fraction (RFC 5905 §6), modulo an era.
fn timestamp(wall: Wall) -> u64 {
    let nanos = wall.as_nanos();
    let (seconds, rest) = (nanos / NANOS as u64 + TO_UNIX, nanos % NANOS as u64);
    (seconds << 32) | ((rest << 32) / NANOS as u64)
}

/// A span in the short format, 16 bits of seconds and 16 of their fraction.
fn short_nanos(short: u32) -> i64 {
    ((i128::from(short) * NANOS) >> 16) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Case, Fixture, fixture, hardened, hex};

    fn ask(keys: &str) -> Fixture {
        fixture(&format!("ntp:{keys}"))
    }

    /// A packet of that head, with our nonce, and both times of the server.
    fn packet(fixture: &Fixture, head: &str, received: u64, sent: u64) -> Vec<u8> {
        let mut bytes = hex(head);
        bytes.resize(24, 0);
        bytes.extend_from_slice(&fixture.nonces.long(7));
        bytes.extend_from_slice(&received.to_be_bytes());
        bytes.extend_from_slice(&sent.to_be_bytes());
        bytes
    }

    #[test]
    fn what_goes_out() {
        let bytes = ask("").request(7);
        assert_eq!((bytes.len(), bytes[0]), (48, 0x23));
        assert!(bytes[1..40].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[40..], ask("").nonces.long(7));
        assert_eq!(ask("?v=3").request(7)[0], 0x1b);
        assert_eq!(ask("").requested(&bytes), Some(7));
        assert_eq!(ask("").requested(&bytes[..47]), None);
    }

    #[test]
    fn verdicts() {
        let plain = "240300e60000000000000000c0000201";
        let cases: [Case<'_>; 12] = [
            ("", plain, Verdict::Ok, None),
            ("?stratum=2", plain, Verdict::Unexpected, Some("stratum")),
            ("?offset=1ms", plain, Verdict::Unexpected, Some("offset")),
            ("?offset=1h", plain, Verdict::Ok, None),
            (
                "?dispersion=1ms",
                "240300e60000000000010000c0000201",
                Verdict::Unexpected,
                Some("dispersion"),
            ),
            ("", "e40004e6000100000001000000000000", Verdict::Failing, Some("unsynchronised")),
            ("", "e40000e800000000 00000002494e4954", Verdict::Failing, Some("unsynchronised")),
            ("", "241000e60000000000000000c0000201", Verdict::Failing, Some("unsynchronised")),
            ("", "e4000000000000000000000052415445", Verdict::Limited, Some("RATE")),
            ("", "e400000000000000000000004445 4e59", Verdict::Declined, Some("DENY")),
            ("", "e4000000000000000000000058585858", Verdict::Failing, Some("XXXX")),
            ("?stratum=2&accept=stratum", plain, Verdict::Ok, Some("stratum")),
        ];
        for (keys, head, verdict, reason) in cases {
            let fixture = ask(keys);
            let now = timestamp(fixture.arrived);
            let reply =
                fixture.recognise(&packet(&fixture, head, now + (1 << 32), now + (1 << 32)));
            let reply = reply.unwrap_or_else(|| panic!("{keys} {head}"));
            assert_eq!((reply.number, reply.verdict), (7, verdict), "{keys} {head}");
            assert_eq!(reply.reason.as_deref(), reason, "{keys} {head}");
            assert_eq!(reply.stop, reason == Some("DENY"));
        }
    }

    #[test]
    fn the_offset_is_that_of_the_clocks() {
        let it = ask("");
        // Sent 10 ms before it arrived; the server's clock is 3.5 s ahead, and kept it for 2 ms.
        let at =
            |nanos: u64| timestamp(Wall::from_nanos(it.arrived.as_nanos() - 10_000_000 + nanos));
        let ahead = 7 << 31;
        let reply = it
            .recognise(&packet(&it, "2401", at(4_000_000) + ahead, at(6_000_000) + ahead))
            .unwrap();
        let offset = reply.facts.get("offset_ns").and_then(crate::service::Fact::number).unwrap();
        assert!((3_499_999_990..=3_500_000_010).contains(&offset), "{offset}");
        assert_eq!(it.spec.shown(&reply), "stratum=1 refid= offset=3500.000 ms");
        // Before and after the end of the era, in February 2036.
        let span = offset_of(Wall::from_nanos(2_085_978_495_900_000_000), 400_000_000);
        assert!((span - 400_000_000).abs() < 10, "{span}");
    }

    fn offset_of(clock: Wall, ahead: u64) -> i64 {
        let server = timestamp(Wall::from_nanos(clock.as_nanos() + ahead));
        offset(clock, server, server, clock)
    }

    #[test]
    fn strangers() {
        let it = ask("");
        let good = packet(&it, "240300e6", 1, 1);
        assert!(it.recognise(&good).is_some());
        hardened(&it, std::slice::from_ref(&good), 24..32);
        assert_eq!(it.recognise(&good[..31]), None);
        assert_eq!(it.recognise(&good[..32]).map(|reply| reply.verdict), Some(Verdict::Invalid));
        for (at, byte) in [(0, 0x23), (0, 0x25), (24, !good[24]), (31, !good[31])] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(it.recognise(&bytes), None, "byte {at}");
        }
    }
}
