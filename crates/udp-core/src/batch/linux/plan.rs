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
