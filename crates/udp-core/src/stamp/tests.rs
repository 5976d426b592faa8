//! Whole packets, against bytes that another implementation made: the plain ones are scapy's
//! (2.8.0, `scapy.contrib.stamp`), which also reads ours; the authenticated ones are laid out by
//! the offsets of RFC 8762 and signed with Python's `hmac`.

use proptest::prelude::*;

use super::*;
use crate::clock::Wall;
use crate::text::hex;

const SENDER: &str = "01020304 e8fe6f8080000000 8c22 beef
    00000000 00000000 00000000 00000000 00000000 00000000 00000000";
const SENDER_WITH_PADDING: &str = "00000005 e8fe6f8080000000 2001 0007
    00000000 00000000 00000000 00000000 00000000 00000000 00000000
    8001000c 000000000000000000000000";
const SENDER_WITH_TLVS: &str = "00000005 e8fe6f8080000000 2001 0007
    00000000 00000000 00000000 00000000 00000000 00000000 00000000
    80040004 61626364 80010003 78797a 80c80000";
const SENDER_PTP: &str = "00000006 6553f1001dcd6500 c0ff 0007
    00000000 00000000 00000000 00000000 00000000 00000000 00000000";
const REFLECTOR: &str = "0000002a e8fe6f8140000000 8102 beef e8fe6f80c0000000
    01020304 e8fe6f8080000000 8c22 0000 3d 000000";
const REFLECTOR_WITH_TLVS: &str = "0000002a e8fe6f8140000000 8102 0007 e8fe6f80c0000000
    00000005 e8fe6f8080000000 2001 0000 3d 000000
    80040004 61626364 00010003 78797a 80c80000";
const REFLECTOR_TO_PTP: &str = "00000006 e8fe6f8140000000 8102 0007 e8fe6f80c0000000
    00000006 6553f1001dcd6500 c0ff 0000 ff 000000";
const AUTHENTICATED_SENDER: &str = "01020304 000000000000000000000000 e8fe6f8080000000 8c22 beef
    00000000 00000000000000000000000000000000 00000000000000000000000000000000
    00000000000000000000000000000000 00000000000000000000000000000000
    35bd465eb53f8a42ec5b0c679b04d36d";
const AUTHENTICATED_REFLECTOR: &str = "0000002a 000000000000000000000000 e8fe6f8140000000 8102
    beef 00000000 e8fe6f80c0000000 0000000000000000 01020304 000000000000000000000000
    e8fe6f8080000000 8c22 000000000000 3d 000000000000000000000000000000
    9522f259d70f66baee65b430d783292f";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("the vectors are hex")
}

fn key() -> Key {
    Key::from_file_bytes(b"a shared secret\n").expect("not empty")
}

fn wall(quarters: u64) -> Wall {
    Wall::from_nanos(1_700_000_000_000_000_000 + quarters * 250_000_000)
}

/// Half a second after the answer left.
const NOW: Wall = Wall::from_nanos(1_700_000_001_750_000_000);

fn asked() -> SenderPacket {
    SenderPacket {
        sequence: 0x0102_0304,
        timestamp: NtpTimestamp::from(wall(2)).into(),
        error: ErrorEstimate(0x8c22),
        ssid: Ssid(0xbeef),
    }
}

fn reply() -> Reply {
    Reply {
        sequence: 42,
        received: wall(3),
        sent: wall(5),
        error: ErrorEstimate(0x8102),
        ttl: Some(61),
    }
}

fn answer() -> ReflectorPacket {
    ReflectorPacket {
        sequence: 42,
        timestamp: NtpTimestamp::from(wall(5)).into(),
        error: ErrorEstimate(0x8102),
        ssid: Ssid(0xbeef),
        receive_timestamp: NtpTimestamp::from(wall(3)).into(),
        sender_sequence: asked().sequence,
        sender_timestamp: asked().timestamp,
        sender_error: asked().error,
        sender_ttl: Some(61),
    }
}

fn encoded(packet: &SenderPacket, mode: Mode<'_>, length: usize) -> Vec<u8> {
    // Not zero beforehand: every byte must be written.
    let mut out = vec![0xaa; length];
    packet.encode(mode, &mut out).expect("long enough");
    out
}

fn answered(request: &[u8], mode: Mode<'_>) -> Result<Vec<u8>, PacketError> {
    let packet = SenderPacket::decode(request, mode, NOW)?;
    let mut out = vec![0xaa; request.len() + 64];
    let length = reply().encode(&packet, request, mode, &mut out)?;
    assert!(out[length..].iter().all(|byte| *byte == 0xaa), "nothing beyond the answer");
    out.truncate(length);
    Ok(out)
}

#[test]
fn a_request_is_what_others_make_of_it() {
    let key = key();
    let plain = |sequence, timestamp: Timestamp, error, ssid| SenderPacket {
        sequence,
        timestamp,
        error: ErrorEstimate(error),
        ssid: Ssid(ssid),
    };
    let table = [
        (SENDER, Mode::Plain, asked()),
        (SENDER_WITH_PADDING, Mode::Plain, plain(5, asked().timestamp, 0x2001, 7)),
        (SENDER_PTP, Mode::Plain, plain(6, PtpTimestamp::from(wall(2)).into(), 0xc0ff, 7)),
        (AUTHENTICATED_SENDER, Mode::Authenticated(&key), asked()),
    ];
    for (vector, mode, packet) in table {
        let vector = bytes(vector);
        assert_eq!(hex::encode(&encoded(&packet, mode, vector.len())), hex::encode(&vector));
        assert_eq!(SenderPacket::decode(&vector, mode, NOW), Ok(packet));
        assert_eq!(packet.timestamp.to_wall(packet.error.format()), Some(wall(2)));
    }
}

#[test]
fn an_answer_is_what_others_make_of_it() {
    let key = key();
    let table = [
        (SENDER, Mode::Plain, REFLECTOR),
        (AUTHENTICATED_SENDER, Mode::Authenticated(&key), AUTHENTICATED_REFLECTOR),
    ];
    for (request, mode, vector) in table {
        let (request, vector) = (bytes(request), bytes(vector));
        assert_eq!(hex::encode(&answered(&request, mode).unwrap()), hex::encode(&vector));
        let told = ReflectorPacket::decode(&vector, mode).unwrap();
        assert_eq!(told, answer());
        assert!(told.answers(&asked()));
        assert_eq!(told.residence().as_millis(), 500);
    }
    let with_tlvs = answered(&bytes(SENDER_WITH_TLVS), Mode::Plain).unwrap();
    assert_eq!(with_tlvs, bytes(REFLECTOR_WITH_TLVS));
    // A sender that stamps in PTP's format gets its own stamp back, beside NTP's.
    let told = ReflectorPacket::decode(&bytes(REFLECTOR_TO_PTP), Mode::Plain).unwrap();
    let sent = told.sender_timestamp.to_wall(told.sender_error.format());
    assert_eq!((sent, told.sender_error.format()), (Some(wall(2)), Format::Ptp));
    assert_eq!(told.receive_timestamp.to_wall(told.error.format()), Some(wall(3)));
}

#[test]
fn a_reflector_may_stamp_in_ptp_format() {
    let request = bytes(SENDER);
    let packet = SenderPacket::decode(&request, Mode::Plain, NOW).unwrap();
    let reply = Reply { error: ErrorEstimate(0x4001), ..reply() };
    let mut out = [0; PLAIN_LEN];
    reply.encode(&packet, &request, Mode::Plain, &mut out).unwrap();
    let told = ReflectorPacket::decode(&out, Mode::Plain).unwrap();
    assert_eq!(told.receive_timestamp, PtpTimestamp::from(wall(3)).into());
    assert_eq!(told.residence().as_millis(), 500);
}

#[test]
fn an_answer_is_never_answered_and_a_request_never_taken_for_one() {
    let key = key();
    for (request, mode) in
        [(SENDER, Mode::Plain), (AUTHENTICATED_SENDER, Mode::Authenticated(&key))]
    {
        let request = bytes(request);
        let answer = answered(&request, mode).unwrap();
        assert!(!is_reflected(&request, mode) && is_reflected(&answer, mode));
        assert_eq!(SenderPacket::decode(&answer, mode, NOW), Err(PacketError::Reflected));
        assert_eq!(ReflectorPacket::decode(&request, mode), Err(PacketError::NotReflected));
    }
}

#[test]
fn an_answer_is_known_by_our_own_time_in_it_and_random_padding_is_answered() {
    let key = key();
    let ago = |seconds: u64| Wall::from_nanos(NOW.as_nanos() - seconds * 1_000_000_000);
    for mode in [Mode::Plain, Mode::Authenticated(&key)] {
        let verdict = |sender: Wall, received: Wall| {
            let packet = ReflectorPacket {
                sender_timestamp: NtpTimestamp::from(sender).into(),
                receive_timestamp: NtpTimestamp::from(received).into(),
                ..answer()
            };
            let base = packet.to_base(mode);
            SenderPacket::decode(&base[..mode.packet_len()], mode, NOW).map(drop)
        };
        let (old, refused) = (ago(3600), Err(PacketError::Reflected));
        for (sender, received, expected) in [
            (old, old, Ok(())),
            (NOW, old, refused),
            (old, NOW, refused),
            (ago(59), old, refused),
            (ago(61), old, Ok(())),
            // Another reflector's answer to ours, whatever its clock says.
            (NOW, Wall::from_nanos(0), refused),
        ] {
            assert_eq!(verdict(sender, received), expected);
        }
    }
    let mut random = 1_u64;
    for length in [14, 41, 44, 64, 1400] {
        for _ in 0..100 {
            let mut request = bytes(SENDER);
            request.resize(length.max(16), 0);
            for byte in &mut request[16..] {
                // Knuth's multiplier and increment, RFC 4086 quality not needed.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (random >> 56) as u8;
            }
            request.truncate(length);
            assert!(SenderPacket::decode(&request, Mode::Plain, NOW).is_ok(), "{request:?}");
        }
    }
}

#[test]
fn an_answer_names_what_it_answers() {
    let told = answer();
    assert!(told.answers(&asked()));
    assert!(ReflectorPacket { ssid: Ssid::NONE, ..told }.answers(&asked()), "knows no SSID");
    assert!(!told.answers(&SenderPacket { sequence: 1, ..asked() }));
    assert!(!told.answers(&SenderPacket { timestamp: Timestamp(1), ..asked() }));
    assert!(!told.answers(&SenderPacket { ssid: Ssid(1), ..asked() }));
    assert!(!told.answers(&SenderPacket { ssid: Ssid::NONE, ..asked() }));
}

#[test]
fn a_residence_that_cannot_be_is_none() {
    let back =
        ReflectorPacket { receive_timestamp: NtpTimestamp::from(wall(6)).into(), ..answer() };
    assert!(back.residence().is_zero());
    let unset = ReflectorPacket { timestamp: Timestamp(0), ..answer() };
    assert!(unset.residence().is_zero());
}

#[test]
fn shorter_packets_of_twamp_light_are_read_with_zero_for_what_is_missing() {
    let (request, answer) = (bytes(SENDER), bytes(REFLECTOR));
    for length in 0..PLAIN_LEN {
        let got = SenderPacket::decode(&request[..length], Mode::Plain, NOW);
        let ssid = if length < 15 {
            0
        } else if length < 16 {
            0xbe00
        } else {
            0xbeef
        };
        let want = if length < 14 {
            Err(PacketError::TooShort { need: 14, have: length })
        } else {
            Ok(SenderPacket { ssid: Ssid(ssid), ..asked() })
        };
        assert_eq!(got, want, "{length}");
        let got = ReflectorPacket::decode(&answer[..length], Mode::Plain);
        assert_eq!(got.is_ok(), length >= 41, "{length}");
    }
    assert_eq!(answered(&request[..14], Mode::Plain).unwrap().len(), 41);
    assert_eq!(answered(&request[..41], Mode::Plain).unwrap(), answer[..41]);
    assert_eq!(answered(&request[..43], Mode::Plain).unwrap(), answer[..43]);
    // An answer longer than the request, as TWAMP's come, is read without its padding.
    let padded = [answer, b"\x12\x34\x56padding".to_vec()].concat();
    assert_eq!(ReflectorPacket::decode(&padded, Mode::Plain), Ok(self::answer()));
}

#[test]
fn zero_padding_comes_back_as_it_is() {
    for extra in [1, 4, 27, 100] {
        let request = [bytes(SENDER), vec![0; extra]].concat();
        let got = answered(&request, Mode::Plain).unwrap();
        assert_eq!(got, [bytes(REFLECTOR), vec![0; extra]].concat());
    }
}

#[test]
fn without_the_key_nothing_is_read_or_answered() {
    let (key, other) = (key(), Key::from_file_bytes(b"another secret").unwrap());
    let mode = Mode::Authenticated(&key);
    let (request, answer) = (bytes(AUTHENTICATED_SENDER), bytes(AUTHENTICATED_REFLECTOR));
    for length in 0..AUTHENTICATED_LEN {
        let short = Err(PacketError::TooShort { need: AUTHENTICATED_LEN, have: length });
        assert_eq!(SenderPacket::decode(&request[..length], mode, NOW), short);
    }
    for bit in 0..AUTHENTICATED_LEN * 8 {
        let (mut request, mut answer) = (request.clone(), answer.clone());
        request[bit / 8] ^= 1 << (bit % 8);
        answer[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            SenderPacket::decode(&request, mode, NOW),
            Err(PacketError::NotAuthentic),
            "{bit}"
        );
        assert_eq!(ReflectorPacket::decode(&answer, mode), Err(PacketError::NotAuthentic), "{bit}");
    }
    let other = Mode::Authenticated(&other);
    assert_eq!(SenderPacket::decode(&request, other, NOW), Err(PacketError::NotAuthentic));
    // Padding is not covered, and comes back all the same.
    let padded = [request, b"\x80\x01\x00\x02ab".to_vec()].concat();
    let got = answered(&padded, mode).unwrap();
    assert_eq!(got, [answer, b"\x00\x01\x00\x02ab".to_vec()].concat());
}

#[test]
fn a_buffer_too_short_is_said_and_not_written() {
    let key = key();
    for (mode, need) in [(Mode::Plain, 44), (Mode::Authenticated(&key), 112)] {
        assert_eq!(mode.packet_len(), need);
        let mut out = vec![0xaa; need - 1];
        let error = PacketError::TooShort { need, have: need - 1 };
        assert_eq!(asked().encode(mode, &mut out), Err(error));
        let request = encoded(&asked(), mode, need);
        assert_eq!(reply().encode(&asked(), &request, mode, &mut out), Err(error));
        assert!(out.iter().all(|byte| *byte == 0xaa));
        assert_eq!(
            error.to_string(),
            format!("{} bytes, where a STAMP packet needs {need}", need - 1)
        );
    }
}

#[test]
fn no_key_is_the_plain_mode() {
    let key = key();
    assert!(matches!(Mode::from(None), Mode::Plain));
    assert!(matches!(Mode::from(Some(&key)), Mode::Authenticated(_)));
}

/// Bytes that are often nearly a packet.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let vectors = [SENDER, SENDER_WITH_TLVS, REFLECTOR, AUTHENTICATED_SENDER];
    let near = (prop::sample::select(vectors.to_vec()), 0..130_usize, any::<[(u8, u8); 3]>())
        .prop_map(|(vector, length, changes)| {
            let mut bytes = bytes(vector);
            bytes.resize(length, 0);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(usize::from(at)) {
                    *byte = value;
                }
            }
            bytes
        });
    prop_oneof![near, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn a_session_holds_for_any_values(
        sequence: u32, bits: u64, error: u16, ssid: u16, count: u32,
        received in 0..4_000_000_000_000_000_000_u64, took in 0..10_000_000_000_u64, ttl: u8,
        extra in 0..100_usize, keyed: bool,
    ) {
        let key = key();
        let mode = Mode::from(keyed.then_some(&key));
        let asked = SenderPacket {
            sequence, timestamp: Timestamp(bits), error: ErrorEstimate(error), ssid: Ssid(ssid),
        };
        let request = encoded(&asked, mode, mode.packet_len() + extra);
        prop_assert_eq!(SenderPacket::decode(&request, mode, Wall::from_nanos(received)), Ok(asked));
        let reply = Reply {
            sequence: count,
            received: Wall::from_nanos(received),
            sent: Wall::from_nanos(received + took),
            error: ErrorEstimate::UNSYNCHRONIZED,
            ttl: (ttl != 0).then_some(ttl),
        };
        let mut out = vec![0xaa; request.len()];
        prop_assert_eq!(reply.encode(&asked, &request, mode, &mut out), Ok(request.len()));
        let told = ReflectorPacket::decode(&out, mode).unwrap();
        prop_assert!(told.answers(&asked));
        prop_assert_eq!((told.sequence, told.sender_ttl), (count, reply.ttl));
        prop_assert_eq!(u64::try_from(told.residence().as_nanos()), Ok(took));
        prop_assert_eq!(SenderPacket::decode(&out, mode, reply.received), Err(PacketError::Reflected));
    }

    #[test]
    fn any_bytes_are_refused_or_answered_once_by_no_more_than_they_are(bytes in datagram(), keyed: bool) {
        let key = key();
        let mode = Mode::from(keyed.then_some(&key));
        let _ = ReflectorPacket::decode(&bytes, mode);
        if let Ok(answer) = answered(&bytes, mode) {
            prop_assert_eq!(answer.len(), bytes.len().max(41));
            prop_assert!(ReflectorPacket::decode(&answer, mode).is_ok());
            prop_assert_eq!(answered(&answer, mode), Err(PacketError::Reflected));
        }
    }
}
