//! What is told about datagrams, on its way from the workers to the printer.
//!
//! A worker writes records into a [`Block`] from a small pool and hands the block over; the
//! printer's thread turns it into text and puts it back. Nothing is allocated for a datagram and
//! nobody waits: where no block is free, the datagram is counted as not shown, and that is all.
//! While the printer has nothing to do a block is handed over at once, so that a lone datagram is
//! seen when it comes; while it is busy, blocks are filled first, so that under load a hand-over
//! pays for hundreds of datagrams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, bounded};
use udp_core::cli::printer::Handle;
use udp_core::clock::Wall;

use crate::accounting::Counts;
use crate::policy::Reason;

/// What is told.
#[derive(Debug)]
pub enum Event {
    /// The server is ready, on these addresses.
    Start(Vec<Service>),
    /// Datagrams came.
    Datagrams(Block),
    /// So many datagrams were dropped since this was last said.
    Dropped(Reason, u64),
    /// The end.
    Summary(Summary),
}

/// An address that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where.
    pub address: SocketAddr,
    /// What.
    pub kind: Kind,
}

/// What is served at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Datagrams come back.
    Echo,
    /// Datagrams are counted.
    Sink,
    /// STAMP packets are reflected.
    Stamp,
}

/// The final counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Every address that was served.
    pub services: Vec<Service>,
    /// What happened.
    pub counts: Counts,
    /// Datagrams that found a receive queue full; `None` where the kernel does not count them.
    pub lost: Option<u64>,
}

/// One datagram, as far as it is told.
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

impl Shape {
    /// For lines of text, which show at most [`crate::report::SHOWN`] bytes of a payload; the few
    /// bytes more tell whether a character was cut in two.
    pub const TEXT: Shape = Shape {
        blocks: 16,
        records: 256,
        bytes: 24 * 1024,
        keep: crate::report::SHOWN + 4,
        times: false,
    };
    /// For JSON, which has all of every payload.
    pub const JSON: Shape =
        Shape { blocks: 8, records: 512, bytes: 128 * 1024, keep: usize::MAX, times: true };
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

    fn take(&self) -> Option<Block> {
        self.free.try_recv().ok()
    }

    /// Whether every block that is not in a worker's hand is free.
    fn is_idle(&self, held: usize) -> bool {
        self.free.len() + held >= self.shape.blocks
    }
}

/// A worker's end: where it tells of datagrams.
#[derive(Debug)]
pub struct DatagramLog {
    printer: Handle<Event>,
    pool: Pool,
    block: Option<Block>,
    /// How many workers may hold a block of the pool.
    holders: usize,
}

impl DatagramLog {
    /// A teller that shares `pool` with others, `holders` of them in all.
    pub fn new(printer: Handle<Event>, pool: Pool, holders: usize) -> Self {
        DatagramLog { printer, pool, block: None, holders }
    }

    /// Whether records want the time of day.
    pub fn wants_times(&self) -> bool {
        self.pool.shape.times
    }

    /// Tells of one datagram, or counts it as not shown.
    pub fn tell(&mut self, record: Record, payload: &[u8]) {
        let keep = self.pool.shape.keep;
        if self.printer.is_gone() {
            return;
        }
        if let Some(block) = &mut self.block
            && block.push(record, payload, keep)
        {
            return;
        }
        self.hand_over();
        self.block = self.pool.take();
        let told = self.block.as_mut().is_some_and(|block| block.push(record, payload, keep));
        if !told {
            self.pool.count_not_shown(1);
        }
    }

    /// At the end of a batch: hands over what there is if the printer waits for it. False if
    /// something is held back, to be handed over before the worker sleeps.
    #[must_use]
    pub fn end_batch(&mut self) -> bool {
        if self.block.is_none() {
            return true;
        }
        let idle = self.pool.is_idle(self.holders);
        if idle {
            self.hand_over();
        }
        idle
    }

    /// Hands over what there is.
    pub fn hand_over(&mut self) {
        let Some(block) = self.block.take() else { return };
        if block.is_empty() {
            return self.pool.recycle(block);
        }
        // The printer has room for every block there is, unless it has ended.
        if let Err(Event::Datagrams(block)) = self.printer.offer(Event::Datagrams(block)) {
            self.pool.count_not_shown(block.len() as u64);
            self.pool.recycle(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use udp_core::cli::printer::{Policy, Printer};

    const SMALL: Shape = Shape { blocks: 2, records: 3, bytes: 10, keep: 4, times: false };

    fn record(len: usize) -> Record {
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

    /// A printer that renders nothing until the gate is dropped, and what it was given.
    fn gated(pool: &Pool) -> (Printer<Event>, Sender<()>, Receiver<usize>) {
        let (gate, opened) = bounded::<()>(0);
        let (told, seen) = bounded(1000);
        let home = pool.clone();
        let render = move |event, _: &mut Vec<u8>| {
            let _ = opened.recv();
            if let Event::Datagrams(block) = event {
                told.send(block.len()).unwrap();
                home.recycle(block);
            }
        };
        let printer = Printer::start(io::sink(), render, |_, _| {}, 64, Policy::Lossy).unwrap();
        (printer, gate, seen)
    }

    #[test]
    fn what_finds_no_block_is_counted_and_nobody_waits() {
        let pool = Pool::new(SMALL);
        let (printer, gate, seen) = gated(&pool);
        let mut datagram_log = DatagramLog::new(printer.handle().clone(), pool.clone(), 1);
        for _ in 0..100 {
            datagram_log.tell(record(1), b"x");
        }
        datagram_log.hand_over();
        assert_eq!(pool.not_shown(), 94, "two blocks of three are held");
        drop(gate);
        drop(datagram_log);
        printer.finish(None);
        assert_eq!(seen.iter().sum::<usize>(), 6);
    }

    #[test]
    fn a_lone_datagram_goes_at_once_and_a_busy_printer_gets_full_blocks() {
        let pool = Pool::new(Shape { blocks: 3, ..SMALL });
        let (printer, gate, seen) = gated(&pool);
        let mut datagram_log = DatagramLog::new(printer.handle().clone(), pool, 1);
        assert!(datagram_log.end_batch(), "there is nothing to hold back");
        datagram_log.tell(record(1), b"x");
        assert!(datagram_log.end_batch(), "the printer was idle");
        datagram_log.tell(record(1), b"x");
        assert!(!datagram_log.end_batch(), "it has not given the first block back");
        datagram_log.tell(record(1), b"x");
        assert!(!datagram_log.end_batch());
        datagram_log.hand_over();
        drop(gate);
        drop(datagram_log);
        printer.finish(None);
        assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
