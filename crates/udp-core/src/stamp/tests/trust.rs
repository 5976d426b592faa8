//! Which requests are answered, and which answers are believed.

use super::*;

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
