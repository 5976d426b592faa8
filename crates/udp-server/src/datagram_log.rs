//! Passes records of datagrams from a worker to the printer without waiting; what does not fit is
//! counted.
//!
//! Where no block is free, the datagram is counted as not shown, and that is all. While the printer
//! has nothing to do a block is handed over at once, so that a lone datagram is seen when it comes;
//! while it is busy, blocks are filled first, so that under load a hand-over pays for hundreds of
//! datagrams.

use udp_core::cli::printer::Handle;

use crate::block::{Block, Pool, Record};
use crate::event::Event;

/// A worker's end.
#[derive(Debug)]
pub struct DatagramLog {
    printer: Handle<Event>,
    pool: Pool,
    block: Option<Block>,
    /// How many workers may hold a block of the pool.
    holders: usize,
}

impl DatagramLog {
    /// One that shares `pool` with others, `holders` of them in all.
    pub fn new(printer: Handle<Event>, pool: Pool, holders: usize) -> Self {
        DatagramLog { printer, pool, block: None, holders }
    }

    /// Whether records want the time of day.
    pub fn wants_times(&self) -> bool {
        self.pool.shape().times
    }

    /// Reports one datagram, or counts it as not shown.
    pub fn record(&mut self, record: Record, payload: &[u8]) {
        let keep = self.pool.shape().keep;
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
        let kept = self.block.as_mut().is_some_and(|block| block.push(record, payload, keep));
        if !kept {
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
    use crate::block::Shape;
    use crate::block::tests::{SMALL, record};
    use crossbeam_channel::{Receiver, Sender, bounded};
    use std::io;
    use udp_core::cli::printer::{Policy, Printer};

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
            datagram_log.record(record(1), b"x");
        }
        datagram_log.hand_over();
        assert_eq!(pool.not_shown(), 94, "two blocks of three are held");
        drop(gate);
        drop(datagram_log);
        printer.end(None, || true);
        assert_eq!(seen.iter().sum::<usize>(), 6);
    }

    #[test]
    fn a_lone_datagram_goes_at_once_and_a_busy_printer_gets_full_blocks() {
        let pool = Pool::new(Shape { blocks: 3, ..SMALL });
        let (printer, gate, seen) = gated(&pool);
        let mut datagram_log = DatagramLog::new(printer.handle().clone(), pool, 1);
        assert!(datagram_log.end_batch(), "there is nothing to hold back");
        datagram_log.record(record(1), b"x");
        assert!(datagram_log.end_batch(), "the printer was idle");
        datagram_log.record(record(1), b"x");
        assert!(!datagram_log.end_batch(), "it has not given the first block back");
        datagram_log.record(record(1), b"x");
        assert!(!datagram_log.end_batch());
        datagram_log.hand_over();
        drop(gate);
        drop(datagram_log);
        printer.end(None, || true);
        assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
