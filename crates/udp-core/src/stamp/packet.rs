//! The two packets: encoded into a caller's buffer, decoded from whatever came.

use std::fmt;
use std::time::Duration;

use super::layout::{AUTHENTICATED, Base, HMAC, Layout, PLAIN, read, write};
use super::{ErrorEstimate, Key, Timestamp, tlv};
use crate::clock::Wall;

/// Which form packets have; both ends must agree on it beforehand.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'k> {
    /// Without HMAC.
    Plain,
    /// With the HMAC of this key, and refused without it.
    Authenticated(&'k Key),
}

impl<'k> From<Option<&'k Key>> for Mode<'k> {
    fn from(key: Option<&'k Key>) -> Self {
        key.map_or(Mode::Plain, Mode::Authenticated)
    }
}

impl Mode<'_> {
    /// Bytes of a packet with nothing behind it: the smallest that is sent.
    #[must_use]
    pub const fn packet_len(self) -> usize {
        self.layout().len
    }

    pub(super) const fn layout(self) -> &'static Layout {
        match self {
            Mode::Plain => &PLAIN,
            Mode::Authenticated(_) => &AUTHENTICATED,
        }
    }

    /// Writes the HMAC, the last thing to be written.
    pub(super) fn seal(self, base: &mut Base) {
        if let Mode::Authenticated(key) = self {
            let digest = key.sign(&[&base[..HMAC]]);
            write(base, HMAC, &digest);
        }
    }

    /// Refuses bytes that are shorter than `shortest` or whose HMAC is wrong.
    fn open(self, bytes: &[u8], shortest: usize) -> Result<(), PacketError> {
        if bytes.len() < shortest {
            return Err(PacketError::TooShort { need: shortest, have: bytes.len() });
        }
        match self {
            Mode::Authenticated(key) => match bytes.get(..HMAC) {
                Some(covered) if key.verify(&[covered], &read(bytes, HMAC)) => Ok(()),
                _ => Err(PacketError::NotAuthentic),
            },
            Mode::Plain => Ok(()),
        }
    }
}

/// A session's number, which its sender chooses and its reflector returns (RFC 8972 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ssid(pub u16);

impl Ssid {
    /// No number: sent by those that do not know of it.
    pub const NONE: Self = Self(0);
}

/// What a session-sender sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderPacket {
    /// Counts the packets of a session, from 0, and wraps.
    pub sequence: u32,
    /// When it was sent, in the format that `error` names.
    pub timestamp: Timestamp,
    /// How good `timestamp` is.
    pub error: ErrorEstimate,
    /// The session's number.
    pub ssid: Ssid,
}

impl SenderPacket {
    /// Fills `out` with this packet, so its length is the datagram's. What is longer than the
    /// packet becomes padding TLVs of zero bytes; 1 to 3 bytes, too few for a TLV, are zero.
    ///
    /// # Errors
    /// [`PacketError::TooShort`], if `out` is shorter than [`Mode::packet_len`].
    pub fn encode(&self, mode: Mode<'_>, out: &mut [u8]) -> Result<(), PacketError> {
        let at = mode.layout();
        let (head, rest) = split(out, at.len)?;
        let mut base = [0; _];
        self.write_to(at, &mut base);
        mode.seal(&mut base);
        head.copy_from_slice(&base[..at.len]);
        tlv::fill_with_padding(rest);
        Ok(())
    }

    fn write_to(&self, at: &Layout, base: &mut Base) {
        write(base, at.sequence, &self.sequence.to_be_bytes());
        write(base, at.timestamp, &self.timestamp.0.to_be_bytes());
        write(base, at.error, &self.error.0.to_be_bytes());
        write(base, at.ssid, &self.ssid.0.to_be_bytes());
    }

    /// The request that `bytes` are: the reflector's side, by whose clock it is `now`.
    ///
    /// In plain mode TWAMP-Light's shorter requests are taken as well, from 14 bytes on, with
    /// zero for what is missing. See [`reply_len`](super::reply_len) before answering one.
    ///
    /// # Errors
    /// [`PacketError::TooShort`], [`PacketError::NotAuthentic`], and [`PacketError::Reflected`]
    /// for an answer of ours that came back, or an answer to it: neither must be answered, or two
    /// reflectors would never stop.
    pub fn decode(bytes: &[u8], mode: Mode<'_>, now: Wall) -> Result<Self, PacketError> {
        mode.open(bytes, mode.layout().shortest_request)?;
        if carries_our_time(bytes, mode, now) {
            return Err(PacketError::Reflected);
        }
        Ok(Self::read_from(mode.layout(), bytes))
    }

    fn read_from(at: &Layout, bytes: &[u8]) -> Self {
        Self {
            sequence: u32::from_be_bytes(read(bytes, at.sequence)),
            timestamp: Timestamp(u64::from_be_bytes(read(bytes, at.timestamp))),
            error: ErrorEstimate(u16::from_be_bytes(read(bytes, at.error))),
            ssid: Ssid(u16::from_be_bytes(read(bytes, at.ssid))),
        }
    }
}

/// What a session-reflector answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReflectorPacket {
    /// Counts the answers of a session, from 0, and wraps; a stateless reflector copies
    /// `sender_sequence` instead.
    pub sequence: u32,
    /// When the answer was sent, in the format that `error` names.
    pub timestamp: Timestamp,
    /// How good `timestamp` and `receive_timestamp` are.
    pub error: ErrorEstimate,
    /// The request's; [`Ssid::NONE`] from a reflector that does not know of it.
    pub ssid: Ssid,
    /// When the request came, in the format that `error` names.
    pub receive_timestamp: Timestamp,
    /// The request's.
    pub sender_sequence: u32,
    /// The request's, in the format that `sender_error` names.
    pub sender_timestamp: Timestamp,
    /// The request's.
    pub sender_error: ErrorEstimate,
    /// The TTL or hop limit that the request came with; `None` (0 on the wire) if not known.
    pub sender_ttl: Option<u8>,
}

impl ReflectorPacket {
    /// The answer that `bytes` are: the sender's side. Whether it is one to what was sent is for
    /// [`answers`](Self::answers) to tell.
    ///
    /// In plain mode TWAMP-Light's answers are taken as well, from 41 bytes on.
    ///
    /// # Errors
    /// [`PacketError::TooShort`], [`PacketError::NotAuthentic`], and
    /// [`PacketError::NotReflected`] for a request, as an echo server sends it back.
    pub fn decode(bytes: &[u8], mode: Mode<'_>) -> Result<Self, PacketError> {
        let at = mode.layout();
        mode.open(bytes, at.shortest_reply)?;
        if !is_reflected(bytes, mode) {
            return Err(PacketError::NotReflected);
        }
        let own = SenderPacket::read_from(at, bytes);
        let [ttl] = read(bytes, at.sender_ttl);
        Ok(Self {
            sequence: own.sequence,
            timestamp: own.timestamp,
            error: own.error,
            ssid: own.ssid,
            receive_timestamp: Timestamp(u64::from_be_bytes(read(bytes, at.receive_timestamp))),
            sender_sequence: u32::from_be_bytes(read(bytes, at.sender_sequence)),
            sender_timestamp: Timestamp(u64::from_be_bytes(read(bytes, at.sender_timestamp))),
            sender_error: ErrorEstimate(u16::from_be_bytes(read(bytes, at.sender_error))),
            sender_ttl: (ttl != 0).then_some(ttl),
        })
    }

    /// The packet with its HMAC, of which [`Mode::packet_len`] bytes count.
    pub(super) fn to_base(self, mode: Mode<'_>) -> Base {
        let at = mode.layout();
        let mut base = [0; _];
        let own = SenderPacket {
            sequence: self.sequence,
            timestamp: self.timestamp,
            error: self.error,
            ssid: self.ssid,
        };
        own.write_to(at, &mut base);
        write(&mut base, at.receive_timestamp, &self.receive_timestamp.0.to_be_bytes());
        write(&mut base, at.sender_sequence, &self.sender_sequence.to_be_bytes());
        write(&mut base, at.sender_timestamp, &self.sender_timestamp.0.to_be_bytes());
        write(&mut base, at.sender_error, &self.sender_error.0.to_be_bytes());
        write(&mut base, at.sender_ttl, &[self.sender_ttl.unwrap_or(0)]);
        mode.seal(&mut base);
        base
    }

    /// Whether this answers `sent`: it names its sequence and its timestamp, and its session
    /// unless the reflector names none.
    #[must_use]
    pub fn answers(&self, sent: &SenderPacket) -> bool {
        self.sender_sequence == sent.sequence
            && self.sender_timestamp == sent.timestamp
            && (self.ssid == sent.ssid || self.ssid == Ssid::NONE)
    }

    /// How long the reflector had the packet, by its own two timestamps. Zero if they tell
    /// nothing, or that it left before it came: then the round trip stands as measured.
    #[must_use]
    pub fn residence(&self) -> Duration {
        let read = |time: Timestamp| Some(time.to_wall(self.error.format())?.as_nanos());
        let span = || read(self.timestamp)?.checked_sub(read(self.receive_timestamp)?);
        span().map_or(Duration::ZERO, Duration::from_nanos)
    }
}

/// Times of ours are recognised in what comes back within this span.
const OURS: Duration = Duration::from_secs(60);

/// Whether `bytes` carry a time that this host wrote into an answer within the last minute: as the
/// receive timestamp in an answer of ours that somebody sent back, as the sender's timestamp in an
/// answer to it. A session-sender's packet has zeros there (RFC 8762 §4.2.1) or, as TWAMP-Light
/// pads (RFC 5357 §4.1.2), random bytes: of these, one in 18 million falls into that minute.
fn carries_our_time(bytes: &[u8], mode: Mode<'_>, now: Wall) -> bool {
    let at = mode.layout();
    let fields = [(at.receive_timestamp, at.error), (at.sender_timestamp, at.sender_error)];
    fields.into_iter().any(|(time, error)| {
        let format = ErrorEstimate(u16::from_be_bytes(read(bytes, error))).format();
        let time = Timestamp(u64::from_be_bytes(read(bytes, time))).to_wall(format);
        time.is_some_and(|time| time.as_nanos().abs_diff(now.as_nanos()) <= OURS.as_nanos() as u64)
    })
}

/// Whether `bytes` look like an answer to a sender that pads with zeros: their receive timestamp
/// is set, or, of a reflector that has none, the sender's. TWAMP's random padding looks like one too.
#[must_use]
pub fn is_reflected(bytes: &[u8], mode: Mode<'_>) -> bool {
    let at = mode.layout();
    [at.receive_timestamp, at.sender_timestamp].into_iter().any(|at| read(bytes, at) != [0; 8])
}

/// Why bytes are not the packet asked for, or do not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketError {
    /// Fewer bytes than the packet needs.
    TooShort {
        /// The fewest bytes that it needs.
        need: usize,
        /// The bytes there are.
        have: usize,
    },
    /// The HMAC is not the key's.
    NotAuthentic,
    /// An answer of ours that came back, or an answer to it.
    Reflected,
    /// A request where an answer is due.
    NotReflected,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacketError::TooShort { need, have } => {
                write!(f, "{have} bytes, where a STAMP packet needs {need}")
            }
            PacketError::NotAuthentic => f.write_str("not authenticated with this key"),
            PacketError::Reflected => f.write_str("a STAMP answer, not a request"),
            PacketError::NotReflected => f.write_str("a STAMP request, not an answer"),
        }
    }
}

impl std::error::Error for PacketError {}

/// `out` as the `len` bytes of the packet and the rest.
pub(super) fn split(out: &mut [u8], len: usize) -> Result<(&mut [u8], &mut [u8]), PacketError> {
    let have = out.len();
    out.split_at_mut_checked(len).ok_or(PacketError::TooShort { need: len, have })
}
