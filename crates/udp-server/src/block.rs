//! Records of datagrams on their way from the workers to the printer, in memory that is reused.
//!
//! A worker fills a [`Block`] from a small [`Pool`] and hands it over; the printer's thread renders
//! it and puts it back. Nothing is allocated for a datagram and nobody waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, bounded};
use udp_core::clock::Wall;

use crate::policy::Reason;

/// One datagram, as far as it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When it was taken from the socket; the same for a whole batch.
    pub at: Wall,
    /// Who sent it.
    pub peer: SocketAddr,
    /// Bytes of payload received.
    pub len: usize,
    /// How many of them are kept in the block.
    kept: usize,
    /// Whether its end was cut off on receipt.
    pub truncated: bool,
    /// Why it was not answered, if a rule said so.
    pub dropped: Option<Reason>,
}

impl Record {
    /// A record of a datagram of `len` bytes.
    pub fn new(at: Wall, peer: SocketAddr, len: usize, truncated: bool) -> Self {
        Record { at, peer, len, kept: 0, truncated, dropped: None }
    }
}

/// Records and what they keep of their payloads, in memory that is used over and over.
#[derive(Debug)]
pub struct Block {
    records: Vec<Record>,
    bytes: Vec<u8>,
}

impl Block {
    fn new(shape: Shape) -> Self {
        Block { records: Vec::with_capacity(shape.records), bytes: Vec::with_capacity(shape.bytes) }
    }

    /// Adds a record that keeps at most `most` bytes of `payload`; false if there is no room.
    #[must_use]
    pub fn push(&mut self, mut record: Record, payload: &[u8], most: usize) -> bool {
        let kept = payload.get(..most).unwrap_or(payload);
        let room = self.bytes.capacity() - self.bytes.len();
        if self.records.len() == self.records.capacity() || kept.len() > room {
            return false;
        }
        record.kept = kept.len();
        self.records.push(record);
        self.bytes.extend_from_slice(kept);
        true
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records with the bytes they kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Record, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.records.iter().map(move |record| {
            let (kept, after) = rest.split_at(record.kept.min(rest.len()));
            rest = after;
            (record, kept)
        })
    }

    fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
    }
}

/// How large blocks are, and how much of a payload a record keeps.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Blocks in the pool.
    pub blocks: usize,
    /// Records a block has room for.
    pub records: usize,
    /// Payload bytes a block has room for.
    pub bytes: usize,
    /// Payload bytes a record keeps at most.
    pub keep: usize,
    /// Whether anybody looks at a record's time, so that it is worth reading the clock.
    pub times: bool,
}

/// The pool that blocks come from and go back to.
#[derive(Debug, Clone)]
pub struct Pool {
    free: Receiver<Block>,
    back: Sender<Block>,
    not_shown: Arc<AtomicU64>,
    shape: Shape,
}

impl Pool {
    /// How large its blocks are.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// All of its blocks are free. Their memory is reserved; only what is written to is used.
    pub fn new(shape: Shape) -> Self {
        let (back, free) = bounded(shape.blocks);
        for _ in 0..shape.blocks {
            // The channel was made with room for every one of them.
            let _ = back.try_send(Block::new(shape));
        }
        Pool { free, back, not_shown: Arc::default(), shape }
    }

    /// Takes `block` back, empty.
    pub fn recycle(&self, mut block: Block) {
        block.clear();
        // There is room for every block there is.
        let _ = self.back.try_send(block);
    }

    /// Counts datagrams that are not shown, for want of a block or of time.
    pub fn count_not_shown(&self, datagrams: u64) {
        self.not_shown.fetch_add(datagrams, Relaxed);
    }

    /// How many datagrams were not shown so far.
    pub fn not_shown(&self) -> u64 {
        self.not_shown.load(Relaxed)
    }

    pub(crate) fn take(&self) -> Option<Block> {
        self.free.try_recv().ok()
    }

    /// Whether every block that is not in a worker's hand is free.
    pub(crate) fn is_idle(&self, held: usize) -> bool {
        self.free.len() + held >= self.shape.blocks
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SMALL: Shape =
        Shape { blocks: 2, records: 3, bytes: 10, keep: 4, times: false };

    pub(crate) fn record(len: usize) -> Record {
        Record::new(Wall::from_nanos(1), "127.0.0.1:5000".parse().unwrap(), len, false)
    }

    #[test]
    fn a_block_keeps_what_it_has_room_for_in_order() {
        let mut block = Block::new(SMALL);
        assert!(block.push(record(6), b"abcdef", 4));
        assert!(block.push(record(0), b"", 4));
        assert!(!block.push(record(9), b"123456789", 9), "no room for 9 more bytes");
        assert!(block.push(record(2), b"gh", 4));
        assert!(!block.push(record(0), b"", 4), "no room for a fourth record");
        let kept: Vec<_> = block.iter().map(|(record, kept)| (record.len, kept)).collect();
        assert_eq!(kept, [(6, &b"abcd"[..]), (0, b""), (2, b"gh")]);
        block.clear();
        assert_eq!((block.len(), block.is_empty(), block.iter().count()), (0, true, 0));
    }
}
