//! Whole packets, against bytes that another implementation made: the plain ones are scapy's
//! (2.8.0, `scapy.contrib.stamp`), which also reads ours; the authenticated ones are laid out by
//! the offsets of RFC 8762 and signed with Python's `hmac`.

mod any_bytes;
mod layout;
mod trust;

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
