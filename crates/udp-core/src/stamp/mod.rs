//! STAMP test packets (RFC 8762, RFC 8972), and TWAMP-Light's where they have the same form.
//!
//! A session-sender sends a [`SenderPacket`]; a session-reflector writes down when it came, by
//! how many hops, and when the answer left: a [`ReflectorPacket`]. With a [`Key`] both are in the
//! authenticated form, which carries an HMAC. Everything here is pure: bytes and times in, bytes
//! and times out, without allocation. The port is 862 unless something else is agreed upon.
//!
//! | bytes | plain | authenticated |
//! |---|---|---|
//! | shortest packet | 44 (TWAMP-Light request 14, reply 41) | 112 |
//! | sequence, timestamp, error estimate, SSID at | 0, 4, 12, 14 | 0, 16, 24, 26 |
//! | receive timestamp, sender's sequence, timestamp, error estimate, TTL at | 16, 24, 28, 36, 40 | 32, 48, 64, 72, 80 |
//! | HMAC at | | 96 |
//!
//! All integers are big-endian and all other bytes zero. Behind the packet may follow [TLVs](tlv),
//! or padding.
//!
//! What is refused: a packet too short for its form; with a key, a packet that is not
//! authenticated; and an answer where a request is due, or the reverse. The receive timestamp
//! tells the two apart: a sender must leave it zero and a reflector must set it. RFC 8762 has a
//! reflector ignore those bytes in a request, but a reflector that answers answers never stops.
//! No TLV is acted on but padding and, with a key, the HMAC TLV: others are returned marked as not
//! recognised. The authenticated forms of TWAMP are not known here.
//!
//! ```
//! use udp_core::clock::Wall;
//! use udp_core::stamp::{ErrorEstimate, Mode, NtpTimestamp, ReflectorPacket, Reply, SenderPacket, Ssid};
//!
//! // The sender: a datagram of 64 bytes, the last 20 of them a padding TLV.
//! let sent = SenderPacket {
//!     sequence: 7,
//!     timestamp: NtpTimestamp::from(Wall::from_nanos(1_700_000_000_000_000_000)).into(),
//!     error: ErrorEstimate::UNSYNCHRONIZED,
//!     ssid: Ssid(99),
//! };
//! let mut request = [0; 64];
//! sent.encode(Mode::Plain, &mut request)?;
//!
//! // The reflector: its own count of answers in this session, when and how the request came.
//! let packet = SenderPacket::decode(&request, Mode::Plain, Wall::from_nanos(1_700_000_000_000_300_000))?;
//! let reply = Reply {
//!     sequence: 0,
//!     received: Wall::from_nanos(1_700_000_000_000_300_000),
//!     sent: Wall::from_nanos(1_700_000_000_000_310_000),
//!     error: ErrorEstimate::UNSYNCHRONIZED,
//!     ttl: Some(61),
//! };
//! let mut datagram = [0; 64];
//! let length = reply.encode(&packet, &request, Mode::Plain, &mut datagram)?;
//!
//! // The sender again: is it an answer, and to this request?
//! let answer = ReflectorPacket::decode(&datagram[..length], Mode::Plain)?;
//! assert!(answer.answers(&sent));
//! assert_eq!(answer.residence().as_nanos(), 10_000);
//! # Ok::<(), udp_core::stamp::PacketError>(())
//! ```
//!
//! Over the network, [`Exchange`](crate::exchange::Exchange) sends the request and gives the bytes to
//! decode; its round trip less [`ReflectorPacket::residence`] is the network's. A reflector stamps with
//! [`clock::wall`](crate::clock::wall), and answers only where [`reply_len`] is no longer than the request.

mod key;
mod layout;
mod packet;
mod reply;
mod time;
pub mod tlv;

pub use key::{Key, KeyError};
pub use packet::{Mode, PacketError, ReflectorPacket, SenderPacket, Ssid, is_reflected};
pub use reply::{Reply, reply_len};
pub use time::{ClockSource, ErrorEstimate, Format, NtpTimestamp, PtpTimestamp, Timestamp};

/// The UDP port of STAMP reflectors (RFC 8762 section 4.1).
pub const DEFAULT_PORT: u16 = 862;

/// Bytes of a plain packet.
pub const PLAIN_LEN: usize = 44;

/// Bytes of an authenticated packet.
pub const AUTHENTICATED_LEN: usize = 112;

#[cfg(test)]
mod tests;
