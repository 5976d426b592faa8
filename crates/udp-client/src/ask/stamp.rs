//! A STAMP reflector (RFC 8762), asked once, without authentication.

use udp_core::clock::Wall;
use udp_core::service::{Ask, Asked, Reply, Service};
use udp_core::stamp::{
    ErrorEstimate, Format, Mode, ReflectorPacket, SenderPacket, Ssid, Timestamp,
};

/// The first packet that is sent. Others differ in their number.
#[derive(Debug)]
pub(super) struct Stamp(SenderPacket);

impl Stamp {
    /// With this as its time, and this as its session.
    pub(super) fn new(now: Wall, session: u16) -> Self {
        Stamp(SenderPacket {
            sequence: 0,
            timestamp: Timestamp::new(now, Format::Ntp),
            error: ErrorEstimate::UNSYNCHRONIZED,
            ssid: Ssid(session),
        })
    }

    fn packet(&self, number: u64) -> SenderPacket {
        SenderPacket { sequence: number.wrapping_sub(1) as u32, ..self.0 }
    }
}

impl Service for Stamp {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        out.resize(Mode::Plain.packet_len(), 0);
        // Only a buffer that is too short is refused.
        let _fits = self.packet(ask.number).encode(Mode::Plain, out);
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let answer = ReflectorPacket::decode(bytes, Mode::Plain).ok()?;
        let number = (1..=asked.last).find(|number| answer.answers(&self.packet(*number)))?;
        let residence = i64::try_from(answer.residence().as_nanos()).unwrap_or(i64::MAX);
        let reply = Reply::ok(number).with("sequence", answer.sequence);
        Some(reply.with("reflector_time_ns", residence))
    }
}
