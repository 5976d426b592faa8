//! Random values and random bytes: packets round-trip, and nothing panics.

use proptest::prelude::*;

use super::*;

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
        prop_assert!(!is_reflected(&request, mode) && is_reflected(&out, mode));
        let request = ReflectorPacket::decode(&request, mode);
        prop_assert_eq!(request, Err(PacketError::NotReflected));
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
