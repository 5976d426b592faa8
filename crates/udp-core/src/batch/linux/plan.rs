//! What one `sendmmsg` call carries: datagrams of an outbox joined into messages, each of which
//! the kernel cuts into equal segments again. Pure: no socket is touched.
//!
//! Joined are consecutive datagrams to one peer from one source that have the same length; the
//! last of a message may be shorter. `udp(7)`: at most 64 segments, and what fits one IP packet.

use std::net::SocketAddr;

use super::super::outbox::{Entry, Home};
use super::super::{Outbox, Slots, Source};

/// Messages in one call.
pub(super) const MESSAGES: usize = 64;
/// Pieces in one call.
pub(super) const PIECES: usize = 512;
/// Segments of one message: UDP_MAX_SEGMENTS of older kernels.
const SEGMENTS: usize = 64;
/// Bytes of one message: below the 65,507 of IPv4, with room for options.
const BYTES: usize = 65_000;
/// Bytes of datagrams copied behind their prefix for one call.
const SCRATCH: usize = 256 * 1024;

/// One message: datagrams to one peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) peer: SocketAddr,
    pub(super) source: Option<Source>,
    /// Bytes of each datagram but the last.
    pub(super) segment: usize,
    pub(super) datagrams: usize,
    /// The number of its first datagram in the outbox.
    pub(super) first: usize,
    /// Its pieces, up to the next message's first one.
    pub(super) first_piece: usize,
    bytes: usize,
    /// Nothing may follow: its last datagram is shorter, or must stay alone.
    closed: bool,
}

/// A part of a message: whole datagrams of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    /// Bytes of a slot.
    Slot { slot: usize, start: usize, end: usize },
    /// Bytes of a slot from its start, with the prefix that stands before it.
    Prefixed { slot: usize, end: usize },
    /// Bytes of the outbox.
    Own { start: usize, end: usize },
    /// Bytes of the scratch buffer.
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
}

impl Plan {
    pub(super) fn new() -> Plan {
        Plan {
            messages: Vec::with_capacity(MESSAGES),
            pieces: Vec::with_capacity(PIECES),
            scratch: Vec::new(),
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
        let prefix = slots.prefix();
        while let Some(entry) = outbox.entries.get(cursor.entry) {
            let before = if entry.home == Home::Own { &[][..] } else { prefix };
            while cursor.datagram < entry.datagrams {
                let i = cursor.datagram;
                let length = entry.range(i).len() + before.len();
                if self.pieces.len() == PIECES || !self.make_room(before, entry, i) {
                    return true;
                }
                let most = self.place(entry, length, cursor.number, &mut joins);
                if most == 0 {
                    return true;
                }
                let taken = self.append(entry, slots, before, i, most);
                cursor.datagram += taken;
                cursor.number += taken;
            }
            cursor.entry += 1;
            cursor.datagram = 0;
        }
        !self.messages.is_empty()
    }

    /// The pieces of message `i`, and the scratch buffer that some of them lie in.
    pub(super) fn pieces(&self, i: usize) -> impl Iterator<Item = Piece> {
        let end = self.messages.get(i + 1).map_or(self.pieces.len(), |next| next.first_piece);
        self.pieces[self.messages[i].first_piece..end].iter().copied()
    }

    /// The bytes of a piece.
    pub(super) fn bytes<'a>(
        &'a self,
        piece: Piece,
        outbox: &'a Outbox,
        slots: &'a Slots,
    ) -> &'a [u8] {
        match piece {
            Piece::Slot { slot, start, end } => slots.bytes(slot, start..end),
            Piece::Prefixed { slot, end } => slots.prefixed(slot, end),
            Piece::Own { start, end } => &outbox.own[start..end],
            Piece::Scratch { start, end } => &self.scratch[start..end],
        }
    }

    /// Whether the datagrams that must be copied find room.
    fn make_room(&self, prefix: &[u8], entry: &Entry, i: usize) -> bool {
        if prefix.is_empty() || (entry.datagrams == 1 && i == 0) {
            return true;
        }
        self.scratch.len() + entry.segment + prefix.len() <= SCRATCH
    }

    /// Finds the message for a datagram of `length` bytes, starting one if need be. How many
    /// datagrams of that length it can still take; 0 if the call is full.
    fn place(
        &mut self,
        entry: &Entry,
        length: usize,
        number: usize,
        joins: &mut impl FnMut(SocketAddr, usize) -> bool,
    ) -> usize {
        if let Some(last) = self.messages.last() {
            let room = last.room(length);
            if room > 0 && last.peer == entry.peer && last.source == entry.source {
                return room;
            }
        }
        if self.messages.len() == MESSAGES {
            return 0;
        }
        let message = Message {
            peer: entry.peer,
            source: entry.source,
            segment: length,
            datagrams: 0,
            first: number,
            first_piece: self.pieces.len(),
            bytes: 0,
            closed: length == 0 || !joins(entry.peer, length),
        };
        self.messages.push(message);
        if message.closed { 1 } else { message.room(length).max(1) }
    }

    /// Adds up to `most` datagrams of `entry` from number `i` on to the last message. How many.
    fn append(
        &mut self,
        entry: &Entry,
        slots: &Slots,
        prefix: &[u8],
        i: usize,
        most: usize,
    ) -> usize {
        let most = most.min(entry.datagrams - i);
        let (start, end) = (entry.range(i).start, entry.range(i + most - 1).end);
        let added = end - start + most * prefix.len();
        let taken = match entry.home {
            Home::Own => self.add(Piece::Own { start, end }, most),
            Home::Slot(slot) if prefix.is_empty() => {
                self.add(Piece::Slot { slot, start, end }, most)
            }
            Home::Slot(slot) if start == 0 && most == 1 => {
                self.add(Piece::Prefixed { slot, end }, 1)
            }
            Home::Slot(slot) => {
                let from = self.scratch.len();
                let fit = (SCRATCH - from) / (entry.segment + prefix.len());
                let most = most.min(fit);
                for k in i..i + most {
                    self.scratch.extend_from_slice(prefix);
                    self.scratch.extend_from_slice(slots.bytes(slot, entry.range(k)));
                }
                self.add(Piece::Scratch { start: from, end: self.scratch.len() }, most)
            }
        };
        if let Some(last) = self.messages.last_mut() {
            let added = if taken == most { added } else { taken * (entry.segment + prefix.len()) };
            last.datagrams += taken;
            last.bytes += added;
            last.closed |= added < taken * last.segment;
        }
        taken
    }

    fn add(&mut self, piece: Piece, datagrams: usize) -> usize {
        self.pieces.push(piece);
        datagrams
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::super::super::SLOT;
    use super::*;

    fn peer(n: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000 + n)
    }

    /// Plans the whole outbox call by call. Of each message: peer, number of its first datagram,
    /// segment, datagrams, bytes.
    fn plan_all(
        outbox: &Outbox,
        slots: &Slots,
        joins: impl Fn(SocketAddr, usize) -> bool,
    ) -> Vec<(SocketAddr, usize, usize, usize, Vec<u8>)> {
        let (mut plan, mut cursor, mut all) = (Plan::new(), Cursor::default(), Vec::new());
        while plan.next(outbox, slots, &mut cursor, &joins) {
            assert!(!plan.messages.is_empty() && plan.messages.len() <= MESSAGES);
            assert!(plan.pieces.len() <= PIECES);
            for (i, message) in plan.messages.iter().enumerate() {
                let pieces: Vec<Piece> = plan.pieces(i).collect();
                let bytes =
                    pieces.iter().map(|p| plan.bytes(*p, outbox, slots)).collect::<Vec<_>>();
                assert!(!bytes.is_empty());
                for bytes in &bytes[..bytes.len() - 1] {
                    assert_eq!(bytes.len() % message.segment, 0, "pieces are whole datagrams");
                }
                let Message { peer, first, segment, datagrams, .. } = *message;
                all.push((peer, first, segment, datagrams, bytes.concat()));
            }
        }
        all
    }

    #[test]
    fn equal_neighbours_are_joined() {
        // Peer and length of each datagram; datagrams of each message that comes of it.
        type Case = (&'static [(u16, usize)], &'static [usize]);
        let cases: [Case; 9] = [
            (&[(1, 10)], &[1]),
            (&[(1, 10), (1, 10), (1, 10)], &[3]),
            (&[(1, 10), (2, 10), (1, 10)], &[1, 1, 1]),
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
            let joined: Vec<usize> = planned.iter().map(|(.., datagrams, _)| *datagrams).collect();
            assert_eq!(joined, expected, "{datagrams:?}");
            let single = plan_all(&outbox, &Slots::none(), |_, _| false);
            assert_eq!(single.len(), datagrams.len());
        }
    }

    #[test]
    fn different_sources_are_not_joined() {
        let mut outbox = Outbox::new(10, 100);
        for n in [1, 1, 2, 2] {
            let source = Source { address: IpAddr::from([127, 0, 0, n]), interface: 0 };
            outbox.push(peer(1), Some(source), b"alike").expect("room");
        }
        let planned = plan_all(&outbox, &Slots::none(), |_, _| true);
        assert_eq!(planned.iter().map(|(.., n, _)| *n).collect::<Vec<_>>(), [2, 2]);
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
            let mut sent = Vec::new();
            for (peer, first, segment, datagrams, bytes) in plan_all(&outbox, &slots, |_, _| true) {
                prop_assert_eq!(first, sent.len());
                prop_assert!(datagrams <= SEGMENTS);
                prop_assert!(datagrams == 1 || bytes.len() <= BYTES);
                let cut: Vec<&[u8]> =
                    if bytes.is_empty() { vec![&[]] } else { bytes.chunks(segment).collect() };
                prop_assert_eq!(cut.len(), datagrams);
                sent.extend(cut.into_iter().map(|bytes| (peer, bytes.to_vec())));
            }
            prop_assert_eq!(sent, expected);
        }
    }
}
