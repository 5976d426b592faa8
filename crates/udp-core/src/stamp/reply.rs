//! The reflector's answer to a request (RFC 8762 section 4.3).

use super::packet::{Mode, PacketError, ReflectorPacket, SenderPacket, split};
use super::{ErrorEstimate, Timestamp, tlv};
use crate::clock::Wall;

/// What a reflector knows about a request and its answer beyond what the request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// How many answers this session has had before (modulo 2^32), or, without a count of them,
    /// the request's own sequence.
    pub sequence: u32,
    /// When the request came.
    pub received: Wall,
    /// When the answer is sent, as near as can be said.
    pub sent: Wall,
    /// How good these two are; its format is theirs.
    pub error: ErrorEstimate,
    /// The TTL or hop limit that the request came with, if known.
    pub ttl: Option<u8>,
}

impl Reply {
    /// Writes the answer to `request`, the bytes that were decoded as `packet`, into the front of
    /// `out`, and returns its length, which is [`reply_len`]. What follows the packet in the
    /// request is returned as [`tlv::reflect`] makes it.
    ///
    /// # Errors
    /// [`PacketError::TooShort`], if `out` is shorter than that.
    pub fn encode(
        &self,
        packet: &SenderPacket,
        request: &[u8],
        mode: Mode<'_>,
        out: &mut [u8],
    ) -> Result<usize, PacketError> {
        let length = reply_len(request.len(), mode);
        let (out, _) = split(out, length)?;
        let format = self.error.format();
        let answer = ReflectorPacket {
            sequence: self.sequence,
            timestamp: Timestamp::new(self.sent, format),
            error: self.error,
            ssid: packet.ssid,
            receive_timestamp: Timestamp::new(self.received, format),
            sender_sequence: packet.sequence,
            sender_timestamp: packet.timestamp,
            sender_error: packet.error,
            sender_ttl: self.ttl,
        };
        let (head, rest) = split(out, mode.packet_len().min(length))?;
        head.copy_from_slice(&answer.to_base(mode)[..head.len()]);
        if let Some(extra) = request.get(head.len()..head.len() + rest.len()) {
            rest.copy_from_slice(extra);
            let key = match mode {
                Mode::Plain => None,
                Mode::Authenticated(key) => Some(key),
            };
            tlv::reflect(rest, key, packet.sequence, self.sequence);
        }
        Ok(length)
    }
}

/// The length of the answer to a request of `request_len` bytes: the same, but for a TWAMP-Light
/// request shorter than 41 bytes, whose answer has those 41. Such an answer is up to three times
/// what was asked: it is for whoever answers strangers to refuse it.
///
/// ```
/// use udp_core::stamp::{Mode, reply_len};
///
/// assert_eq!([14, 41, 44, 1400].map(|length| reply_len(length, Mode::Plain)), [41, 41, 44, 1400]);
/// ```
#[must_use]
pub fn reply_len(request_len: usize, mode: Mode<'_>) -> usize {
    request_len.max(mode.layout().shortest_reply)
}
