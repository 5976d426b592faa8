//! What one `sendmmsg` call carries: datagrams of an outbox joined into messages, each of which
//! the kernel cuts into equal segments again. Pure: no socket is touched.
//!
//! Joined are datagrams to one peer from one source that have the same length; the last of a
//! message may be shorter. `udp(7)`: at most 64 segments, and what fits one IP packet. Datagrams to
//! other peers in between do not matter, since only the order to one peer is kept: a datagram
//! joins nothing but the message that holds its peer's previous one.

use std::net::{IpAddr, SocketAddr};

use super::super::outbox::{Entry, Home};
use super::super::{Outbox, Slots, Source};

/// Messages in one call.
pub(super) const MESSAGES: usize = 64;
/// Pieces in one call.
pub(super) const PIECES: usize = 512;
/// Segments of one message: UDP_MAX_SEGMENTS of older kernels.
pub(super) const SEGMENTS: usize = 64;
/// Bytes of one message: below the 65,507 of IPv4, with room for options.
const BYTES: usize = 65_000;
/// Bytes of datagrams copied behind their prefixes for one call.
const SCRATCH: usize = 256 * 1024;

/// One message: datagrams to one peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) peer: SocketAddr,
    pub(super) source: Option<Source>,
    /// Bytes of each datagram but the last.
    pub(super) segment: usize,
    pub(super) datagrams: usize,
    bytes: usize,
    /// Nothing may follow: its last datagram is shorter, or must stay alone.
    closed: bool,
    first_piece: usize,
    last_piece: usize,
}

/// A part of a message: whole datagrams, consecutive ones of the outbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    home: Place,
    /// The number of its first datagram in the outbox.
    pub(super) first: usize,
    pub(super) datagrams: usize,
    /// Bytes of them all.
    pub(super) bytes: usize,
    /// The message's next piece.
    next: Option<usize>,
}

/// Where the bytes of a piece are.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In a slot.
    Slot { slot: usize, start: usize, end: usize },
    /// In a slot from its start, with the prefix that stands before it.
    Prefixed { slot: usize, end: usize },
    /// In the outbox.
    Own { start: usize, end: usize },
    /// In the scratch buffer.
    Scratch { start: usize, end: usize },
}

/// How far the outbox is planned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    entry: usize,
    datagram: usize,
    number: usize,
}

/// The plan of one call. Its memory is allocated once.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) messages: Vec<Message>,
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    /// The latest message to a peer, by a hash of the peer; the message holds the whole address.
    latest: [u8; PEERS],
}

const PEERS: usize = 64;

impl Plan {
    pub(super) fn new() -> Plan {
        Plan {
            messages: Vec::with_capacity(MESSAGES),
            pieces: Vec::with_capacity(PIECES),
            scratch: Vec::with_capacity(SCRATCH),
            latest: [0; PEERS],
        }
    }

    /// Plans the next call from `cursor` on, which moves along. False if nothing is left.
    /// `joins(peer, length)` says whether datagrams of this length to it may be joined.
    pub(super) fn next(
        &mut self,
        outbox: &Outbox,
        slots: &Slots,
        cursor: &mut Cursor,
        mut joins: impl FnMut(SocketAddr, usize) -> bool,
    ) -> bool {
        self.messages.clear();
        self.pieces.clear();
        self.scratch.clear();
        self.latest = [u8::MAX; PEERS];
        let prefix = slots.prefix();
        while let Some(entry) = outbox.entries.get(cursor.entry) {
            let before = if entry.home == Home::Own { &[][..] } else { prefix };
            while cursor.datagram < entry.datagrams {
                let length = entry.range(cursor.datagram).len() + before.len();
                if self.pieces.len() == PIECES || self.scratch.len() + length > SCRATCH {
                    return true;
                }
                let Some((message, room)) = self.place(entry, length, &mut joins) else {
                    return true;
                };
                let taken = self.append(message, room, entry, cursor, before, slots);
                cursor.datagram += taken;
                cursor.number += taken;
            }
            cursor.entry += 1;
            cursor.datagram = 0;
        }
        !self.messages.is_empty()
    }

    /// The pieces of a message.
    pub(super) fn pieces(&self, message: &Message) -> impl Iterator<Item = &Piece> {
        let first = self.pieces.get(message.first_piece);
        std::iter::successors(first, |piece| piece.next.and_then(|next| self.pieces.get(next)))
    }

    /// The bytes of a piece.
    pub(super) fn bytes<'a>(
        &'a self,
        piece: &Piece,
        outbox: &'a Outbox,
        slots: &'a Slots,
    ) -> &'a [u8] {
        match piece.home {
            Place::Slot { slot, start, end } => slots.bytes(slot, start..end),
            Place::Prefixed { slot, end } => slots.prefixed(slot, end),
            Place::Own { start, end } => &outbox.own[start..end],
            Place::Scratch { start, end } => &self.scratch[start..end],
        }
    }

    /// Finds the message for a datagram of `length` bytes, starting one if need be, and how many
    /// of that length it can still take. None if the call is full.
    fn place(
        &mut self,
        entry: &Entry,
        length: usize,
        joins: &mut impl FnMut(SocketAddr, usize) -> bool,
    ) -> Option<(usize, usize)> {
        let latest = &mut self.latest[hash(entry.peer)];
        if let Some(message) = self.messages.get(usize::from(*latest)) {
            let room = message.room(length);
            if room > 0 && message.peer == entry.peer && message.source == entry.source {
                return Some((usize::from(*latest), room));
            }
        }
        let number = self.messages.len();
        if number == MESSAGES {
            return None;
        }
        *latest = number as u8;
        let message = Message {
            peer: entry.peer,
            source: entry.source,
            segment: length,
            datagrams: 0,
            bytes: 0,
            closed: length == 0 || !joins(entry.peer, length),
            first_piece: self.pieces.len(),
            last_piece: self.pieces.len(),
        };
        self.messages.push(message);
        Some((number, message.room(length).max(1)))
    }

    /// Adds up to `room` datagrams of `entry` from `cursor` on to a message. How many.
    fn append(
        &mut self,
        message: usize,
        room: usize,
        entry: &Entry,
        cursor: &Cursor,
        prefix: &[u8],
        slots: &Slots,
    ) -> usize {
        let i = cursor.datagram;
        let mut taken = room.min(entry.datagrams - i);
        let (start, mut end) = (entry.range(i).start, entry.range(i + taken - 1).end);
        let home = match entry.home {
            // Only at the start of a slot does a prefix stand before the datagram.
            Home::Slot(slot) if !prefix.is_empty() && (taken > 1 || start > 0) => {
                let from = self.scratch.len();
                taken = taken.min((SCRATCH - from) / (entry.segment + prefix.len()).max(1)).max(1);
                end = entry.range(i + taken - 1).end;
                for k in i..i + taken {
                    self.scratch.extend_from_slice(prefix);
                    self.scratch.extend_from_slice(slots.bytes(slot, entry.range(k)));
                }
                Place::Scratch { start: from, end: self.scratch.len() }
            }
            Home::Own => Place::Own { start, end },
            Home::Slot(slot) if prefix.is_empty() => Place::Slot { slot, start, end },
            Home::Slot(slot) => Place::Prefixed { slot, end },
        };
        let message = &mut self.messages[message];
        let added = end - start + taken * prefix.len();
        message.closed |= added < taken * message.segment;
        message.datagrams += taken;
        message.bytes += added;
        let piece =
            Piece { home, first: cursor.number, datagrams: taken, bytes: added, next: None };
        let number = self.pieces.len();
        if let Some(last) = self.pieces.get_mut(message.last_piece) {
            last.next = Some(number);
        }
        message.last_piece = number;
        self.pieces.push(piece);
        taken
    }
}

impl Message {
    /// How many more datagrams of `length` bytes it can take.
    fn room(&self, length: usize) -> usize {
        if self.closed || length == 0 || length > self.segment {
            return 0;
        }
        let by_bytes = (BYTES.saturating_sub(self.bytes)) / length;
        let room = by_bytes.min(SEGMENTS - self.datagrams);
        if length < self.segment { room.min(1) } else { room }
    }
}

/// Where to look for a peer's latest message. Peers that collide are not joined, no more.
fn hash(peer: SocketAddr) -> usize {
    let host = match peer.ip() {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => v6.to_bits() as u32,
    };
    let mixed = (host ^ (u32::from(peer.port()) << 16)).wrapping_mul(0x9e37_79b1);
    (mixed >> 26) as usize
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::super::super::SLOT;
    use super::*;

    fn peer(n: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000 + n)
    }

    /// A message as it goes out: its peer, and number and bytes of each of its datagrams.
    type Planned = (SocketAddr, Vec<(usize, Vec<u8>)>);

    /// Plans the whole outbox call by call.
    fn plan_all(
        outbox: &Outbox,
        slots: &Slots,
        joins: impl Fn(SocketAddr, usize) -> bool,
    ) -> Vec<Planned> {
        let (mut plan, mut cursor, mut all) = (Plan::new(), Cursor::default(), Vec::new());
        while plan.next(outbox, slots, &mut cursor, &joins) {
            assert!(!plan.messages.is_empty() && plan.messages.len() <= MESSAGES);
            assert!(plan.pieces.len() <= PIECES);
            for message in &plan.messages {
                let mut datagrams = Vec::new();
                let mut bytes = 0;
                for piece in plan.pieces(message) {
                    assert_eq!(bytes % message.segment.max(1), 0, "pieces are whole datagrams");
                    let piece_bytes = plan.bytes(piece, outbox, slots);
                    bytes += piece_bytes.len();
                    let cut: Vec<&[u8]> = match piece_bytes {
                        [] => vec![&[]],
                        bytes => bytes.chunks(message.segment).collect(),
                    };
                    assert_eq!(cut.len(), piece.datagrams);
                    datagrams.extend((piece.first..).zip(cut.into_iter().map(<[u8]>::to_vec)));
                }
                assert_eq!((datagrams.len(), bytes), (message.datagrams, message.bytes));
                assert!(datagrams.len() <= SEGMENTS);
                assert!(datagrams.len() == 1 || bytes <= BYTES);
                all.push((message.peer, datagrams));
            }
        }
        all
    }

    #[test]
    fn equal_neighbours_are_joined() {
        // Peer and length of each datagram; datagrams of each message that comes of it.
        type Case = (&'static [(u16, usize)], &'static [usize]);
        let cases: [Case; 10] = [
            (&[(1, 10)], &[1]),
            (&[(1, 10), (1, 10), (1, 10)], &[3]),
            (&[(1, 10), (2, 10), (1, 10), (2, 10), (2, 10)], &[2, 3]),
            (&[(1, 10), (2, 10), (1, 12), (1, 10)], &[1, 1, 2]),
            (&[(1, 10), (1, 10), (1, 4), (1, 4)], &[3, 1]),
            (&[(1, 4), (1, 10), (1, 10)], &[1, 2]),
            (&[(1, 10), (1, 0), (1, 10)], &[1, 1, 1]),
            (&[(1, 0), (1, 0)], &[1, 1]),
            (&[(1, 40_000), (1, 40_000)], &[1, 1]),
            (&[(1, 40_000), (1, 25_000), (1, 1)], &[2, 1]),
        ];
        for (datagrams, expected) in cases {
            let mut outbox = Outbox::new(10, 100_000);
            for (n, length) in datagrams {
                outbox.push(peer(*n), None, &vec![1; *length]).expect("room");
            }
            let planned = plan_all(&outbox, &Slots::none(), |_, _| true);
            let joined: Vec<usize> = planned.iter().map(|(_, datagrams)| datagrams.len()).collect();
            assert_eq!(joined, expected, "{datagrams:?}");
            let single = plan_all(&outbox, &Slots::none(), |_, _| false);
            assert_eq!(single.len(), datagrams.len());
        }
    }

    #[test]
    fn different_sources_are_not_joined() {
        let mut outbox = Outbox::new(10, 100);
        for n in [1, 1, 2, 2, 1] {
            let source = Source { address: IpAddr::from([127, 0, 0, n]), interface: 0 };
            outbox.push(peer(1), Some(source), b"alike").expect("room");
        }
        let planned = plan_all(&outbox, &Slots::none(), |_, _| true);
        let numbers = |(_, datagrams): &Planned| datagrams.iter().map(|(n, _)| *n).collect();
        let numbers: Vec<Vec<usize>> = planned.iter().map(numbers).collect();
        assert_eq!(numbers, [vec![0, 1], vec![2, 3], vec![4]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is joined: every datagram goes out once, whole, behind its prefix, in order,
        /// and no message is more than the kernel takes.
        #[test]
        fn nothing_is_lost_or_reordered(
            entries in proptest::collection::vec(
                (0_u16..3, prop_oneof![0_usize..40, 1300_usize..1500, 60_000_usize..65_000], 1_usize..140,
                 any::<bool>()),
                0..40,
            ),
            prefix in prop_oneof![Just(&b""[..]), Just(&b"echo "[..])],
        ) {
            let mut slots = Slots::new(40, SLOT, 64);
            prop_assert!(slots.set_prefix(prefix));
            let mut outbox = Outbox::new(40, 1 << 20);
            let mut expected = Vec::new();
            for (i, (n, segment, datagrams, own)) in entries.into_iter().enumerate() {
                if own {
                    let bytes = vec![i as u8; segment];
                    if outbox.push(peer(n), None, &bytes).is_ok() {
                        expected.push((peer(n), bytes));
                    }
                    continue;
                }
                // A run whose last datagram is shorter.
                let datagrams = datagrams.min(SLOT / segment.max(1)).max(1);
                let tail = segment - if datagrams > 1 { segment / 3 } else { 0 };
                let len = segment * (datagrams - 1) + tail;
                let (memory, layout, metas) = slots.parts();
                for (k, byte) in memory[layout.start(i)..][..len].iter_mut().enumerate() {
                    *byte = (i + k) as u8;
                }
                metas[i].peer = peer(n);
                (metas[i].len, metas[i].segment) = (len, segment);
                slots.set_filled(40);
                outbox.echo(&slots, i, 0..slots.get(i).meta.datagrams()).expect("room");
                for bytes in slots.get(i).segments() {
                    expected.push((peer(n), [prefix, bytes].concat()));
                }
            }
            prop_assert_eq!(outbox.len(), expected.len());
            let mut sent: Vec<Option<(SocketAddr, Vec<u8>)>> = vec![None; expected.len()];
            let mut last = std::collections::HashMap::new();
            for (peer, datagrams) in plan_all(&outbox, &slots, |_, _| true) {
                for (number, bytes) in datagrams {
                    prop_assert!(last.insert(peer, number).is_none_or(|last| last < number), "order");
                    prop_assert_eq!(sent[number].replace((peer, bytes)), None, "once");
                }
            }
            let sent: Vec<_> = sent.into_iter().flatten().collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
