//! The STAMP session-reflector (RFC 8762 §4.3), stateful: each session's answers are numbered here,
//! so that the sender can tell in which direction a packet was lost.
//!
//! A session is a peer's address and port and its SSID (RFC 8972 §3). The table of sessions is one
//! block of [`SESSIONS`] entries, allocated when the first packet is reflected; a new session takes
//! the place of the one that has been silent for longest among the four it may displace, and a
//! session silent for [`FORGET_AFTER`] starts from 0 again (REFWAIT of RFC 5357 §4.2). Not
//! answered: an answer of ours that came back, or an answer to it; with a key, what is not authenticated; and TWAMP-Light
//! requests so short that their answer would be longer than they are.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::clock::{Mono, Wall};
use udp_core::stamp::{
    ErrorEstimate, Key, Mode, PacketError, Reply, SenderPacket, Ssid, reply_len,
};

use crate::policy::DropCause;

/// Sessions that are remembered at once.
pub const SESSIONS: usize = 65_536;
/// How long a session may be silent before its numbers start anew.
pub const FORGET_AFTER: Duration = Duration::from_secs(900);
/// Entries that a session may be kept in.
const WAYS: usize = 4;

/// When a request came, and how far.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Who sent it.
    pub peer: SocketAddr,
    /// When it came.
    pub at: Wall,
    /// The TTL or hop limit it came with, if known.
    pub ttl: Option<u8>,
}

/// The service, with its sessions.
#[derive(Debug)]
pub struct Reflector {
    key: Option<Key>,
    sessions: Sessions,
}

impl Reflector {
    /// Reflects plain packets, or with a key authenticated ones alone.
    pub fn new(key: Option<Key>) -> Self {
        Reflector { key, sessions: Sessions::default() }
    }

    /// From now on the key is this one; sessions go on.
    pub fn set_key(&mut self, key: Option<Key>) {
        self.key = key;
    }

    /// Reads `request`, which came when it was `now` by this host's clock.
    ///
    /// # Errors
    /// Why it is not answered.
    pub fn open(&self, request: &[u8], now: Wall) -> Result<SenderPacket, DropCause> {
        let mode = self.mode();
        let packet = SenderPacket::decode(request, mode, now).map_err(|error| match error {
            PacketError::Reflected | PacketError::NotReflected => DropCause::Reflection,
            PacketError::TooShort { .. } if self.key.is_none() => DropCause::TooShort,
            // With a key, a packet without a valid HMAC counts as unauthenticated, also a plain one.
            _ => DropCause::Unauthenticated,
        })?;
        if reply_len(request.len(), mode) > request.len() {
            Err(DropCause::TooShort)
        } else {
            Ok(packet)
        }
    }

    /// Writes the answer to `request`, which was opened as `packet`, into `out`, which must be as
    /// long as the request; returns its length, which is the same.
    pub fn reflect(
        &mut self,
        packet: &SenderPacket,
        request: &[u8],
        arrival: Arrival,
        now: (Mono, Wall),
        out: &mut [u8],
    ) -> usize {
        let reply = Reply {
            sequence: self.sessions.next(arrival.peer, packet.ssid, now.0),
            received: arrival.at,
            sent: now.1,
            // Nothing here knows how well the machine's clock is kept, so nothing is claimed.
            error: ErrorEstimate::UNSYNCHRONIZED,
            ttl: arrival.ttl,
        };
        // It fits, as `open` has seen to it.
        reply.encode(packet, request, self.mode(), out).unwrap_or(0)
    }

    fn mode(&self) -> Mode<'_> {
        self.key.as_ref().map_or(Mode::Plain, Mode::Authenticated)
    }
}

/// How many answers each session has had.
#[derive(Debug, Default)]
struct Sessions {
    key: RandomState,
    sets: Vec<[Session; WAYS]>,
}

/// One session; of nobody while `owner` is 0.
#[derive(Debug, Clone, Copy, Default)]
struct Session {
    owner: u64,
    /// When it was last heard, in whole seconds of the monotonic clock.
    heard: u32,
    answers: u32,
}

impl Sessions {
    /// The number of this answer within its session, counted from 0 and modulo 2^32.
    fn next(&mut self, peer: SocketAddr, ssid: Ssid, now: Mono) -> u32 {
        if self.sets.is_empty() {
            self.sets = vec![[Session::default(); WAYS]; SESSIONS / WAYS];
        }
        let hash = self.key.hash_one((peer, ssid.0));
        let owner = hash.max(1);
        let heard = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
        let index = hash as usize % self.sets.len();
        let Some(set) = self.sets.get_mut(index) else { return 0 };
        let known = set.iter().position(|session| session.owner == owner);
        let oldest = || set.iter().enumerate().min_by_key(|(_, session)| session.heard);
        let place = known.or_else(|| oldest().map(|(place, _)| place)).unwrap_or(0);
        let Some(session) = set.get_mut(place) else { return 0 };
        let silent = Duration::from_secs(heard.saturating_sub(session.heard).into());
        if session.owner != owner || silent >= FORGET_AFTER {
            *session = Session { owner, heard, answers: 0 };
        }
        session.heard = heard;
        let number = session.answers;
        session.answers = number.wrapping_add(1);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udp_core::stamp::{NtpTimestamp, ReflectorPacket};

    const CAME: Wall = Wall::from_nanos(1_700_000_000_000_000_000);
    const LEAVES: Wall = Wall::from_nanos(1_700_000_000_000_050_000);

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn peer(text: &str) -> Arrival {
        Arrival { peer: text.parse().unwrap(), at: CAME, ttl: Some(61) }
    }

    fn request(sequence: u32, ssid: u16, len: usize, mode: Mode<'_>) -> Vec<u8> {
        let packet = SenderPacket {
            sequence,
            timestamp: NtpTimestamp::from(Wall::from_nanos(1_699_999_999_000_000_000)).into(),
            error: ErrorEstimate::UNSYNCHRONIZED,
            ssid: Ssid(ssid),
        };
        let mut bytes = vec![0; len];
        packet.encode(mode, &mut bytes).unwrap();
        bytes
    }

    /// The number of the answer to a request of this session.
    fn number(reflector: &mut Reflector, from: &str, ssid: u16, now: Mono) -> u32 {
        let bytes = request(77, ssid, 44, Mode::Plain);
        let packet = reflector.open(&bytes, CAME).unwrap();
        let mut out = [0; 44];
        let len = reflector.reflect(&packet, &bytes, peer(from), (now, LEAVES), &mut out);
        ReflectorPacket::decode(&out[..len], Mode::Plain).unwrap().sequence
    }

    #[test]
    fn an_answer_says_when_and_how_the_request_came() {
        let key = Key::from_file_bytes(b"secret").unwrap();
        for (mode, len) in [
            (Mode::Plain, 44),
            (Mode::Plain, 300),
            (Mode::Authenticated(&key), 112),
            (Mode::Authenticated(&key), 400),
        ] {
            let with_key = matches!(mode, Mode::Authenticated(_)).then(|| key.clone());
            let mut reflector = Reflector::new(with_key);
            let bytes = request(5, 9, len, mode);
            let packet = reflector.open(&bytes, CAME).unwrap();
            let mut out = vec![0; len];
            let written =
                reflector.reflect(&packet, &bytes, peer("[::1]:5000"), (at(1), LEAVES), &mut out);
            assert_eq!(written, len);
            let told = ReflectorPacket::decode(&out, mode).unwrap();
            assert_eq!((told.sequence, told.sender_sequence, told.ssid), (0, 5, Ssid(9)));
            assert_eq!(told.sender_ttl, Some(61));
            assert_eq!(told.residence(), Duration::from_micros(50));
            assert!(!told.error.is_synchronized());
            assert_eq!(
                reflector.open(&out, CAME).unwrap_err(),
                DropCause::Reflection,
                "never twice"
            );
        }
    }

    #[test]
    fn each_session_has_numbers_of_its_own() {
        let mut reflector = Reflector::new(None);
        let mut next = |from, ssid| number(&mut reflector, from, ssid, at(1));
        assert_eq!([next("1.2.3.4:5", 0), next("1.2.3.4:5", 0), next("1.2.3.4:5", 0)], [0, 1, 2]);
        assert_eq!(next("1.2.3.4:6", 0), 0, "another port");
        assert_eq!(next("1.2.3.5:5", 0), 0, "another address");
        assert_eq!(next("1.2.3.4:5", 1), 0, "another SSID");
        assert_eq!(next("1.2.3.4:5", 0), 3);
    }

    #[test]
    fn a_long_silence_ends_a_session() {
        let mut reflector = Reflector::new(None);
        for (seconds, expected) in [(1, 0), (900, 1), (1799, 2), (2699, 0), (2700, 1)] {
            assert_eq!(number(&mut reflector, "1.2.3.4:5", 0, at(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn a_million_sessions_fit_into_the_same_memory() {
        let mut sessions = Sessions::default();
        for source in 0..1_000_000u32 {
            let peer = SocketAddr::from((source.to_be_bytes(), 5));
            assert_eq!(sessions.next(peer, Ssid(0), at(u64::from(source / 1000))), 0);
        }
        assert_eq!(size_of_val(sessions.sets.as_slice()), SESSIONS * 16);
    }

    #[test]
    fn what_is_not_answered() {
        let key = Key::from_file_bytes(b"secret").unwrap();
        let other = Key::from_file_bytes(b"guess").unwrap();
        let plain = request(1, 0, 44, Mode::Plain);
        for (with_key, bytes, expected) in [
            (None, Vec::new(), DropCause::TooShort),
            (None, plain[..13].to_vec(), DropCause::TooShort),
            (None, plain[..14].to_vec(), DropCause::TooShort),
            (None, plain[..40].to_vec(), DropCause::TooShort),
            (None, [plain.clone(), vec![0; 20]].concat()[..44].to_vec(), DropCause::Group),
            (None, plain[..41].to_vec(), DropCause::Group),
            (None, vec![0xff; 44], DropCause::Group),
            (Some(key.clone()), plain.clone(), DropCause::Unauthenticated),
            (Some(key.clone()), vec![0; 112], DropCause::Unauthenticated),
            (
                Some(key.clone()),
                request(1, 0, 112, Mode::Authenticated(&other)),
                DropCause::Unauthenticated,
            ),
            (Some(key.clone()), request(1, 0, 112, Mode::Authenticated(&key)), DropCause::Group),
        ] {
            // `Group` stands for none: addresses are not looked at here.
            let cause =
                Reflector::new(with_key).open(&bytes, CAME).err().unwrap_or(DropCause::Group);
            assert_eq!(cause, expected, "{} bytes", bytes.len());
        }
    }
}
