//! The offset of each field, in packets of the least length, shorter and longer.

use super::*;

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

/// What it copies still says that it is an answer, and to what.
#[test]
fn a_reflector_may_have_no_clock() {
    for (vector, times) in [(REFLECTOR, [4, 16]), (AUTHENTICATED_REFLECTOR, [16, 32])] {
        let key = key();
        let keyed = vector == AUTHENTICATED_REFLECTOR;
        let mode = Mode::from(keyed.then_some(&key));
        let mut vector = bytes(vector);
        times.into_iter().for_each(|at| vector[at..at + 8].fill(0));
        if keyed {
            let digest = key.sign(&[&vector[..96]]);
            vector[96..112].copy_from_slice(&digest);
        }
        let told = ReflectorPacket::decode(&vector, mode).unwrap();
        assert!(told.answers(&asked()));
        assert_eq!(told.receive_timestamp.to_wall(told.error.format()), None);
    }
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
