//! What the generator sends and how it knows its own again: every byte of a reply is checked.
//!
//! All bytes are printable ASCII without a backslash, so that a server which decodes or prints
//! them (the tutorial's does both) has no more to do with ours than with a person's text. The
//! first sixteen name the datagram: its number, its flow and its place in the flow's table, five
//! bits a byte. The rest is cut from a random text at an offset that depends on the number.

use std::ops::RangeInclusive;

/// Bytes that name a datagram.
const NAME: usize = 16;
/// Bytes of sockperf's message header: sequence number (8), flags (2), length (4), big-endian.
const SOCKPERF: usize = 14;
/// The flags of a message from a client that wants an answer.
const SOCKPERF_FLAGS: u16 = 3;
const OFFSETS: u64 = 4096;
const FIVE_BITS: u64 = 0x1f1f_1f1f_1f1f_1f1f;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// What a server expects around the bytes that it echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing: any datagram is echoed.
    Bare,
    /// sockperf's header first, which its server rewrites in the answer.
    Sockperf,
}

/// The lengths of the datagrams of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// All of the same length.
    Fixed(usize),
    /// Each one byte longer than the last, from this to twice this and again. Segmented sends
    /// need equal lengths, so neither side can join any.
    Rising(usize),
}

impl Size {
    /// Bytes of the shortest.
    pub(crate) fn first(self) -> usize {
        match self {
            Size::Fixed(n) | Size::Rising(n) => n,
        }
    }
}

/// Who a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its number, below 2^40.
    pub(crate) number: u64,
    /// Its flow, below 2^16.
    pub(crate) flow: u32,
    /// Its place in the flow's table, below 2^24.
    pub(crate) place: u32,
}

/// Writes and checks the datagrams of one load.
pub(crate) struct Payload {
    text: Vec<u8>,
    prefix: Vec<u8>,
    framing: Framing,
    size: Size,
}

impl Payload {
    /// For a server that puts `prefix` before what it echoes. None if the size has no room for a
    /// name.
    pub(crate) fn new(size: Size, prefix: &str, framing: Framing) -> Option<Self> {
        let shortest = *sizes(size).start();
        if shortest < NAME + head(framing) {
            return None;
        }
        let text = random_text(usize::try_from(OFFSETS).unwrap_or(0) + *sizes(size).end());
        Some(Self { text, prefix: prefix.as_bytes().to_vec(), framing, size })
    }

    /// Bytes of the longest datagram.
    pub(crate) fn longest(&self) -> usize {
        *sizes(self.size).end()
    }

    /// Bytes of the longest reply.
    pub(crate) fn longest_reply(&self) -> usize {
        self.prefix.len() + self.longest()
    }

    /// Bytes of the datagram of this number.
    pub(crate) fn len(&self, number: u64) -> usize {
        match self.size {
            // No division where there is nothing to divide: this is asked for every datagram.
            Size::Fixed(n) => n,
            Size::Rising(n) => n + usize::try_from(number % n as u64).unwrap_or(0),
        }
    }

    /// Writes the datagram to the beginning of `out`, which is long enough. How long it is.
    pub(crate) fn write(&self, name: Name, out: &mut [u8]) -> usize {
        let len = self.len(name.number);
        let head = head(self.framing);
        if self.framing == Framing::Sockperf {
            out[..8].copy_from_slice(&(name.number & 0x7fff_ffff).to_be_bytes());
            out[8..10].copy_from_slice(&SOCKPERF_FLAGS.to_be_bytes());
            out[10..14].copy_from_slice(&u32::try_from(len).unwrap_or(0).to_be_bytes());
        }
        let named = &mut out[head..len];
        named[..8].copy_from_slice(&spell(name.number).to_le_bytes());
        let home = u64::from(name.flow) << 24 | u64::from(name.place);
        named[8..NAME].copy_from_slice(&spell(home).to_le_bytes());
        named[NAME..].copy_from_slice(self.tail(name.number, len - head - NAME));
        len
    }

    /// Whose reply this is; none if a single byte of it is not as it should be.
    pub(crate) fn read(&self, reply: &[u8]) -> Option<Name> {
        // Comparing nothing is not free: an empty vector's address faults in glibc's masked loads
        // on AVX-512 (no harm, but 90 ns each).
        let echoed = match self.prefix.as_slice() {
            [] => reply,
            prefix => reply.strip_prefix(prefix)?,
        };
        let (named, tail) = echoed.get(head(self.framing)..)?.split_at_checked(NAME)?;
        let number = read_spelled(named.first_chunk()?)?;
        let home = read_spelled(named[8..].first_chunk()?)?;
        let right = echoed.len() == self.len(number) && tail == self.tail(number, tail.len());
        right.then(|| Name {
            number,
            flow: u32::try_from(home >> 24).unwrap_or(u32::MAX),
            place: u32::try_from(home & 0xff_ffff).unwrap_or(u32::MAX),
        })
    }

    fn tail(&self, number: u64, len: usize) -> &[u8] {
        let from = usize::try_from(number % OFFSETS).unwrap_or(0);
        &self.text[from..from + len]
    }
}

fn head(framing: Framing) -> usize {
    match framing {
        Framing::Bare => 0,
        Framing::Sockperf => SOCKPERF,
    }
}

fn sizes(size: Size) -> RangeInclusive<usize> {
    match size {
        Size::Fixed(n) => n..=n,
        Size::Rising(n) => n..=2 * n - 1,
    }
}

/// Forty bits as eight characters from `0` to `O`.
fn spell(value: u64) -> u64 {
    let spread = (value & 0xf_ffff) | (value >> 20 & 0xf_ffff) << 32;
    let spread = (spread & 0x0000_03ff_0000_03ff) | (spread & 0x000f_fc00_000f_fc00) << 6;
    let spread = (spread & 0x001f_001f_001f_001f) | (spread & 0x03e0_03e0_03e0_03e0) << 3;
    spread + ZEROS
}

fn read_spelled(bytes: &[u8; 8]) -> Option<u64> {
    let spread = u64::from_le_bytes(*bytes).wrapping_sub(ZEROS);
    if spread & !FIVE_BITS != 0 {
        return None;
    }
    let joined = (spread & 0x001f_001f_001f_001f) | (spread >> 3 & 0x03e0_03e0_03e0_03e0);
    let joined = (joined & 0x0000_03ff_0000_03ff) | (joined >> 6 & 0x000f_fc00_000f_fc00);
    Some((joined & 0xf_ffff) | (joined >> 32) << 20)
}

/// Always the same characters, so that runs compare: xorshift64 (Marsaglia 2003).
fn random_text(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // 0x5d to 0x7e: the printable characters after the backslash.
        0x5d + u8::try_from(state >> 32 & 0x1f).unwrap_or(0)
    };
    (0..len).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [Name; 4] = [
        Name { number: 0, flow: 0, place: 0 },
        Name { number: 1, flow: 63, place: 31 },
        Name { number: 123_456_789_012, flow: 0xffff, place: 0xff_ffff },
        Name { number: (1 << 40) - 1, flow: 3, place: 0x1_0000 },
    ];

    fn every_load() -> Vec<Payload> {
        let mut loads = Vec::new();
        for size in [Size::Fixed(30), Size::Fixed(64), Size::Fixed(1400), Size::Rising(64)] {
            for prefix in ["", "echo "] {
                for framing in [Framing::Bare, Framing::Sockperf] {
                    loads.push(Payload::new(size, prefix, framing).unwrap());
                }
            }
        }
        loads
    }

    fn reply(load: &Payload, name: Name) -> Vec<u8> {
        let mut datagram = vec![0; load.longest()];
        let len = load.write(name, &mut datagram);
        [&load.prefix, &datagram[..len]].concat()
    }

    #[test]
    fn knows_its_own() {
        for load in every_load() {
            for name in NAMES {
                assert_eq!(load.read(&reply(&load, name)), Some(name));
            }
        }
    }

    #[test]
    fn a_changed_byte_is_never_a_datagram_that_was_sent() {
        for load in every_load() {
            // The header before a sockperf payload is the server's to change.
            let free = load.prefix.len()..load.prefix.len() + head(load.framing);
            for name in NAMES {
                let whole = reply(&load, name);
                for at in (0..whole.len()).filter(|at| !free.contains(at)) {
                    for change in [0x01, 0x10, 0x80] {
                        let mut bad = whole.clone();
                        bad[at] ^= change;
                        assert_ne!(load.read(&bad), Some(name), "byte {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        for load in every_load() {
            for name in NAMES {
                let whole = reply(&load, name);
                for len in 0..whole.len() {
                    assert_eq!(load.read(&whole[..len]), None);
                }
                let longer = [whole.as_slice(), b"x"].concat();
                assert_eq!(load.read(&longer), None);
            }
        }
    }

    #[test]
    fn a_bare_datagram_is_printable_and_needs_no_escape() {
        let load = Payload::new(Size::Fixed(64), "", Framing::Bare).unwrap();
        for name in NAMES {
            let datagram = reply(&load, name);
            assert!(datagram.iter().all(|b| (0x20..0x7f).contains(b) && *b != b'\\'), "{name:?}");
        }
    }

    #[test]
    fn rising_lengths_rise_by_one_and_start_again() {
        let load = Payload::new(Size::Rising(64), "", Framing::Bare).unwrap();
        let lengths: Vec<usize> = (62..66).map(|n| load.len(n)).collect();
        assert_eq!(lengths, [126, 127, 64, 65]);
    }

    #[test]
    fn a_size_without_room_for_a_name_is_refused() {
        assert!(Payload::new(Size::Fixed(15), "", Framing::Bare).is_none());
        assert!(Payload::new(Size::Fixed(29), "", Framing::Sockperf).is_none());
    }
}
