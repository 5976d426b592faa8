//! Encodes a beat, and finds the beat that a reply belongs to.
//!
//! A plain beat is the payload and nothing else: its reply carries no identity and is known by the
//! port that it comes back to (`udp_core::source_port`). A numbered one ends in a blank and its number, so
//! that an echo, bare or behind a prefix, names it. A STAMP one (RFC 8762) carries its number and
//! its sending time, and an answer must name both. Any bytes may come back; none can do harm.

use std::time::Duration;

use udp_core::clock::{Mono, Wall};
use udp_core::stamp::{
    ErrorEstimate, Format as StampFormat, Key, Mode, ReflectorPacket, SenderPacket, Ssid, Timestamp,
};

use udp_core::service::Identity;

use crate::probe::asking::Asking;
use crate::probe::session::Reflected;
use crate::probe::stats::direction::Numbers;
use crate::probe::window::Seq;

/// How the beats of a target are written.
#[derive(Debug)]
pub(crate) enum Format {
    /// The payload alone.
    Plain { payload: Vec<u8>, padding: Padding },
    /// The payload, a blank, the number.
    Numbered { payload: Vec<u8>, padding: Padding },
    /// A STAMP request of so many bytes.
    Stamp { key: Option<Key>, length: usize },
    /// A service's own request.
    Service(Asking),
}

/// What fills a datagram up to its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Padding {
    /// The length of the whole; a datagram that is longer anyway stays as it is.
    pub(crate) length: usize,
    /// `.` for a text payload, zero otherwise.
    pub(crate) byte: u8,
}

/// What tells the STAMP session with one target from others, and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StampSession {
    pub(crate) ssid: Ssid,
    /// The time of day at the start of the monotonic clock, as this run takes it: a step of the
    /// time of day in between changes nothing.
    pub(crate) epoch: Wall,
}

/// How far a counter probe's number is ahead of the last beat's: no answer of a reflector that counts
/// can have that number.
const COUNTER_PROBE: u32 = 64;

/// What a datagram from the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recognised {
    /// The reply to whatever beat is outstanding where it arrived.
    ByPort,
    /// The reply to this beat.
    Beat(Seq),
    /// An answer that names this beat, if it names its sending time as well.
    Stamp(Seq, ReflectorPacket),
    /// The answer to the counter probe.
    CounterProbe(ReflectorPacket),
    /// Nothing of the sort.
    Stranger,
}

impl Format {
    /// Whether a reply can only be known by the port it comes back to.
    pub(crate) fn needs_ports(&self) -> bool {
        match self {
            Format::Plain { .. } => true,
            Format::Service(asking) => asking.identity() == Identity::Port,
            Format::Numbered { .. } | Format::Stamp { .. } => false,
        }
    }

    /// The service that is asked, if it is one.
    pub(crate) fn service(&self) -> Option<&Asking> {
        match self {
            Format::Service(asking) => Some(asking),
            _ => None,
        }
    }

    /// Whether it is STAMP.
    pub(crate) fn is_stamp(&self) -> bool {
        matches!(self, Format::Stamp { .. })
    }

    /// The length of the first beat: of the later ones only a longer number makes a difference.
    pub(crate) fn length(&self) -> usize {
        match self {
            Format::Plain { payload, padding } => payload.len().max(padding.length),
            Format::Numbered { payload, padding } => (payload.len() + 2).max(padding.length),
            Format::Stamp { length, .. } => *length,
            Format::Service(asking) => asking.length(),
        }
    }

    /// Writes beat `seq`, sent at `sent`, into `out`, whose old contents are gone.
    pub(crate) fn encode(&self, seq: Seq, sent: Mono, stamp: &StampSession, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Format::Plain { payload, padding } => {
                out.extend_from_slice(payload);
                padding.fill(out);
            }
            Format::Numbered { payload, padding } => {
                number(payload, seq.0, out);
                padding.fill(out);
            }
            Format::Stamp { key, length } => {
                stamp.write(key.as_ref(), *length, wire(seq), sent, out);
            }
            // What its request is made of is known to `Targets` alone.
            Format::Service(_) => {}
        }
    }

    /// Writes the request whose number counter_probes ahead of the last beat `last`. Nothing but for STAMP.
    pub(crate) fn encode_counter_probe(
        &self,
        last: Seq,
        sent: Mono,
        stamp: &StampSession,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        if let Format::Stamp { key, length } = self {
            stamp.write(key.as_ref(), *length, wire(last).wrapping_add(COUNTER_PROBE), sent, out);
        }
    }

    /// What `bytes` from the target are, `last` being the last beat sent.
    pub(crate) fn recognise(&self, bytes: &[u8], last: Seq) -> Recognised {
        match self {
            Format::Plain { .. } => Recognised::ByPort,
            Format::Service(_) => Recognised::Stranger,
            Format::Numbered { payload, padding } => match named(payload, *padding, bytes) {
                Some(seq) if seq.0 <= last.0 => Recognised::Beat(seq),
                _ => Recognised::Stranger,
            },
            Format::Stamp { key, .. } => match ReflectorPacket::decode(bytes, mode(key.as_ref())) {
                Ok(packet) if packet.sender_sequence == wire(last).wrapping_add(COUNTER_PROBE) => {
                    Recognised::CounterProbe(packet)
                }
                Ok(packet) => match from_wire(packet.sender_sequence, last) {
                    Some(seq) => Recognised::Stamp(seq, packet),
                    None => Recognised::Stranger,
                },
                Err(_) => Recognised::Stranger,
            },
        }
    }

    /// Which of our own beats `bytes` are the beginning of, as an ICMP error quotes them.
    pub(crate) fn own(&self, bytes: &[u8], last: Seq) -> Option<Seq> {
        match self {
            Format::Plain { .. } | Format::Service(_) => None,
            Format::Numbered { payload, padding } => {
                named(payload, *padding, bytes).filter(|seq| seq.0 <= last.0)
            }
            Format::Stamp { .. } => {
                let number = bytes.first_chunk().map(|number| u32::from_be_bytes(*number))?;
                from_wire(number, last)
            }
        }
    }

    /// Whether the answer is to beat `seq` that was sent at `sent`, and what it says.
    pub(crate) fn reflected(
        &self,
        packet: &ReflectorPacket,
        seq: Seq,
        sent: Mono,
        stamp: &StampSession,
    ) -> Option<Reflected> {
        packet.answers(&stamp.packet(wire(seq), sent)).then(|| reflected(packet))
    }

    /// Whether the answer is to the counter_probe after beat `last` that was sent at `sent`, and its numbers.
    pub(crate) fn counter_probe_reflected(
        &self,
        packet: &ReflectorPacket,
        last: Seq,
        sent: Mono,
        stamp: &StampSession,
    ) -> Option<Numbers> {
        let asked = stamp.packet(wire(last).wrapping_add(COUNTER_PROBE), sent);
        packet.answers(&asked).then(|| reflected(packet).numbers)
    }
}

impl Padding {
    fn fill(self, out: &mut Vec<u8>) {
        if out.len() < self.length {
            out.resize(self.length, self.byte);
        }
    }
}

impl StampSession {
    fn packet(&self, sequence: u32, sent: Mono) -> SenderPacket {
        let wall = Wall::from_nanos(self.epoch.as_nanos().saturating_add(sent.as_nanos()));
        SenderPacket {
            sequence,
            timestamp: Timestamp::new(wall, StampFormat::Ntp),
            error: ErrorEstimate::UNSYNCHRONIZED,
            ssid: self.ssid,
        }
    }

    fn write(
        &self,
        key: Option<&Key>,
        length: usize,
        sequence: u32,
        sent: Mono,
        out: &mut Vec<u8>,
    ) {
        let mode = mode(key);
        out.resize(length.max(mode.packet_len()), 0);
        // Only a buffer that is too short is refused.
        let _fits = self.packet(sequence, sent).encode(mode, out);
    }
}

fn mode(key: Option<&Key>) -> Mode<'_> {
    Mode::from(key)
}

/// The number of a beat in a STAMP session, which starts at 0 and wraps.
fn wire(seq: Seq) -> u32 {
    seq.0.wrapping_sub(1) as u32
}

/// The latest beat, up to `last`, that has this number.
fn from_wire(number: u32, last: Seq) -> Option<Seq> {
    let back = wire(last).wrapping_sub(number);
    let seq = last.0.checked_sub(u64::from(back))?;
    (seq >= 1).then_some(Seq(seq))
}

fn reflected(packet: &ReflectorPacket) -> Reflected {
    let format = packet.error.format();
    let nanos = |time: Timestamp| Some(i128::from(time.to_wall(format)?.as_nanos()));
    let residence = packet.residence();
    Reflected {
        numbers: Numbers { ours: packet.sender_sequence, theirs: packet.sequence },
        residence: residence.min(Duration::from_secs(3600)),
        received: nanos(packet.receive_timestamp),
        sent: nanos(packet.timestamp),
    }
}

/// `payload`, a blank and `number`, at the end of `out`.
fn number(payload: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(payload);
    out.push(b' ');
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The number of the beat that `bytes` end in: padding, digits without a needless zero, a blank,
/// and the payload before them. What stands before that may be anything.
fn named(payload: &[u8], padding: Padding, bytes: &[u8]) -> Option<Seq> {
    let filled = bytes.iter().rev().take_while(|byte| **byte == padding.byte).count();
    let core = &bytes[..bytes.len() - filled];
    let digits = core.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (head, digits) = core.split_at(core.len() - digits);
    let head = head.strip_suffix(b" ")?;
    if !head.ends_with(payload) || digits.is_empty() || digits.len() > 20 {
        return None;
    }
    if digits[0] == b'0' {
        return None;
    }
    let beat = payload.len() + 1 + digits.len();
    if filled != padding.length.saturating_sub(beat) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use udp_core::stamp::Reply;

    const SENT: Mono = Mono::from_nanos(5_000_000_123);

    fn stamp() -> StampSession {
        StampSession { ssid: Ssid(77), epoch: Wall::from_nanos(1_700_000_000_000_000_000) }
    }

    fn none() -> Padding {
        Padding { length: 0, byte: b'.' }
    }

    fn written(format: &Format, seq: u64) -> Vec<u8> {
        let mut out = vec![1, 2, 3];
        format.encode(Seq(seq), SENT, &stamp(), &mut out);
        out
    }

    #[test]
    fn what_goes_out() {
        let padded = Padding { length: 12, byte: b'.' };
        let zeros = Padding { length: 5, byte: 0 };
        let payload = || b"heartbeat".to_vec();
        let cases: [(Format, u64, &[u8]); 8] = [
            (Format::Plain { payload: payload(), padding: none() }, 7, b"heartbeat"),
            (Format::Plain { payload: payload(), padding: padded }, 7, b"heartbeat..."),
            (Format::Plain { payload: vec![0xff, 1], padding: zeros }, 7, b"\xff\x01\0\0\0"),
            (Format::Plain { payload: vec![], padding: none() }, 7, b""),
            (Format::Numbered { payload: payload(), padding: none() }, 1, b"heartbeat 1"),
            (Format::Numbered { payload: payload(), padding: padded }, 1, b"heartbeat 1."),
            (Format::Numbered { payload: payload(), padding: padded }, 4711, b"heartbeat 4711"),
            (
                Format::Numbered { payload: vec![], padding: none() },
                u64::MAX,
                b" 18446744073709551615",
            ),
        ];
        for (format, seq, expected) in cases {
            assert_eq!(written(&format, seq), expected, "{format:?}");
        }
    }

    #[test]
    fn a_numbered_reply_names_its_beat() {
        let bare = Format::Numbered { payload: b"beat".to_vec(), padding: none() };
        let padded = Format::Numbered {
            payload: b"beat".to_vec(),
            padding: Padding { length: 8, byte: b'.' },
        };
        let zeros = Format::Numbered {
            payload: b"\x01 2".to_vec(),
            padding: Padding { length: 8, byte: 0 },
        };
        let beat = |seq| Recognised::Beat(Seq(seq));
        let strange = Recognised::Stranger;
        let cases: [(&Format, &[u8], Recognised); 21] = [
            (&bare, b"beat 1", beat(1)),
            (&bare, b"echo beat 99", beat(99)),
            (&bare, b"\xff\0beat 12", beat(12)),
            (&bare, b"beat 1beat 2", beat(2)),
            (&bare, b"", strange),
            (&bare, b"beat", strange),
            (&bare, b"beat ", strange),
            (&bare, b"beat1", strange),
            (&bare, b"beat 0", strange),
            (&bare, b"beat 01", strange),
            (&bare, b"beat 1 ", strange),
            (&bare, b"bear 1", strange),
            (&bare, b"beat 1.", strange),
            (&bare, b"beat 100", strange), // not sent yet
            (&bare, b"beat 99999999999999999999", strange),
            (&bare, b"beat 999999999999999999999", strange),
            (&padded, b"echo beat 1..", beat(1)),
            (&padded, b"beat 1.", strange), // cut short
            (&padded, b"beat 1...", strange),
            (&padded, b"beat 99.", beat(99)),
            (&zeros, b"\x01 2 31\0\0", beat(31)),
        ];
        for (format, bytes, expected) in cases {
            assert_eq!(format.recognise(bytes, Seq(99)), expected, "{bytes:?}");
        }
    }

    fn answer(request: &[u8], theirs: u32, key: Option<&Key>) -> Vec<u8> {
        let heard = SenderPacket::decode(request, Mode::from(key), Wall::default()).unwrap();
        let reply = Reply {
            sequence: theirs,
            received: Wall::from_nanos(1_700_000_005_000_400_000),
            sent: Wall::from_nanos(1_700_000_005_000_450_000),
            error: ErrorEstimate::UNSYNCHRONIZED,
            ttl: Some(64),
        };
        let mut out = vec![0; 2000];
        let length = reply.encode(&heard, request, Mode::from(key), &mut out).unwrap();
        out.truncate(length);
        out
    }

    #[test]
    fn a_stamp_answer_names_number_and_time() {
        for key in [None, Some(Key::from_file_bytes(b"secret").unwrap())] {
            let length = if key.is_some() { 130 } else { 44 };
            let format = Format::Stamp { key: key.clone(), length };
            let request = written(&format, 5);
            assert_eq!(request.len(), length);
            let reply = answer(&request, 3, key.as_ref());
            let Recognised::Stamp(seq, packet) = format.recognise(&reply, Seq(9)) else {
                panic!("not recognised")
            };
            assert_eq!(seq, Seq(5));
            let reflected = format.reflected(&packet, seq, SENT, &stamp()).unwrap();
            assert_eq!(reflected.numbers, Numbers { ours: 4, theirs: 3 });
            assert_eq!(reflected.residence, Duration::from_micros(50));
            assert!(reflected.received.is_some() && reflected.sent.is_some());
            let timeless = ReflectorPacket { timestamp: Timestamp(0), ..packet };
            let reflected = format.reflected(&timeless, seq, SENT, &stamp()).unwrap();
            assert_eq!((reflected.sent, reflected.residence), (None, Duration::ZERO));
            let other = StampSession { ssid: Ssid(78), ..stamp() };
            assert_eq!(format.reflected(&packet, seq, SENT, &other), None);
            let later = SENT + Duration::from_nanos(10);
            assert_eq!(format.reflected(&packet, seq, later, &stamp()), None);
            // Our own request, sent back by an echo server, is no answer.
            assert_eq!(format.recognise(&request, Seq(9)), Recognised::Stranger);
            assert_eq!(format.recognise(&reply[..40], Seq(9)), Recognised::Stranger);
            assert_eq!(format.recognise(&reply, Seq(4)), Recognised::Stranger);
        }
        let keyed = Format::Stamp { key: Key::from_file_bytes(b"k").ok(), length: 112 };
        let forged = answer(&written(&Format::Stamp { key: None, length: 112 }, 1), 0, None);
        assert_eq!(keyed.recognise(&forged, Seq(1)), Recognised::Stranger);
    }

    #[test]
    fn a_counter_probe_is_known_by_its_number() {
        let format = Format::Stamp { key: None, length: 44 };
        let mut request = Vec::new();
        format.encode_counter_probe(Seq(10), SENT, &stamp(), &mut request);
        let reply = answer(&request, 8, None);
        let Recognised::CounterProbe(packet) = format.recognise(&reply, Seq(10)) else {
            panic!("not recognised")
        };
        let numbers = format.counter_probe_reflected(&packet, Seq(10), SENT, &stamp());
        assert_eq!(numbers, Some(Numbers { ours: 73, theirs: 8 }));
    }

    #[test]
    fn a_beat_that_is_quoted_to_us_is_known() {
        let plain = Format::Plain { payload: b"beat 1".to_vec(), padding: none() };
        let numbered = Format::Numbered { payload: b"beat".to_vec(), padding: none() };
        let stamp = Format::Stamp { key: None, length: 44 };
        assert_eq!(plain.own(&written(&plain, 3), Seq(9)), None);
        assert_eq!(numbered.own(&written(&numbered, 3), Seq(9)), Some(Seq(3)));
        assert_eq!(numbered.own(&written(&numbered, 10), Seq(9)), None);
        assert_eq!(stamp.own(&written(&stamp, 3)[..8], Seq(9)), Some(Seq(3)));
        assert_eq!(stamp.own(b"abc", Seq(9)), None);
    }

    #[test]
    fn numbers_on_the_wire_wrap() {
        let last = Seq(0x1_0000_0005);
        assert_eq!(wire(last), 4);
        assert_eq!(from_wire(4, last), Some(last));
        assert_eq!(from_wire(u32::MAX, last), Some(Seq(0x1_0000_0000)));
        assert_eq!(from_wire(5, Seq(5)), None);
        assert_eq!(from_wire(0, Seq(5)), Some(Seq(1)));
    }

    proptest! {
        #[test]
        fn any_echo_of_any_payload_names_its_beat(
            payload in proptest::collection::vec(any::<u8>(), 0..20),
            prefix in proptest::collection::vec(any::<u8>(), 0..9),
            length in 0usize..50,
            text: bool,
            seq in 1u64..,
        ) {
            let byte = if text { b'.' } else { 0 };
            let format = Format::Numbered { payload, padding: Padding { length, byte } };
            let mut reply = prefix;
            reply.extend_from_slice(&written(&format, seq));
            prop_assert_eq!(format.recognise(&reply, Seq(u64::MAX)), Recognised::Beat(Seq(seq)));
        }

        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let numbered = Format::Numbered { payload: vec![], padding: none() };
            numbered.recognise(&bytes, Seq(u64::MAX));
            Format::Stamp { key: None, length: 44 }.recognise(&bytes, Seq(3));
        }
    }
}
