//! Counts what happened to every datagram, once and only once.
//!
//! `received = replied + dropped + failed` holds at every moment at which a worker has nothing in
//! hand, and for a service that never replies `received` stands alone. A worker counts in plain
//! integers ([`Counts`]) and publishes them once a batch into cells of its own ([`Published`]),
//! which others read.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::policy::{DropCause, Reason};

/// Counts of datagrams, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Taken from the socket.
    pub received: u64,
    /// Answered: the kernel took the reply.
    pub replied: u64,
    /// Not answered by rule, in the order of [`Reason::ALL`].
    pub dropped: [u64; Reason::ALL.len()],
    /// Not answered because the kernel did not take the reply.
    pub failed: u64,
    /// Bytes of the received.
    pub received_bytes: u64,
    /// Bytes of the replies.
    pub replied_bytes: u64,
}

impl Counts {
    /// Counts `datagrams` that are dropped.
    pub fn drop_run(&mut self, cause: DropCause, datagrams: u64) {
        self.dropped[cause.reason() as usize] += datagrams;
    }

    /// Not answered by rule, for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Not answered for this reason.
    pub fn dropped_for(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Whether every datagram received has found its place.
    pub fn balance(&self) -> bool {
        self.received == self.replied + self.dropped_total() + self.failed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.received += other.received;
        self.replied += other.replied;
        self.failed += other.failed;
        self.received_bytes += other.received_bytes;
        self.replied_bytes += other.replied_bytes;
        for (mine, theirs) in self.dropped.iter_mut().zip(other.dropped) {
            *mine += theirs;
        }
    }
}

/// One worker's counts, for others to read; the cells of one worker share no cache line with those
/// of another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Published {
    received: AtomicU64,
    replied: AtomicU64,
    dropped: [AtomicU64; Reason::ALL.len()],
    failed: AtomicU64,
    received_bytes: AtomicU64,
    replied_bytes: AtomicU64,
}

impl Published {
    /// Shows `counts`. One writer, so plain stores will do.
    pub(crate) fn show(&self, counts: &Counts) {
        self.received.store(counts.received, Relaxed);
        self.replied.store(counts.replied, Relaxed);
        self.failed.store(counts.failed, Relaxed);
        self.received_bytes.store(counts.received_bytes, Relaxed);
        self.replied_bytes.store(counts.replied_bytes, Relaxed);
        for (cell, count) in self.dropped.iter().zip(counts.dropped) {
            cell.store(count, Relaxed);
        }
    }

    /// The counts as last shown.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Relaxed),
            replied: self.replied.load(Relaxed),
            dropped: std::array::from_fn(|index| self.dropped[index].load(Relaxed)),
            failed: self.failed.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            replied_bytes: self.replied_bytes.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_under_its_word_alone() {
        for cause in [
            DropCause::Group,
            DropCause::PortZero,
            DropCause::PrivilegedPort,
            DropCause::NotAllowed,
            DropCause::PrefixChain,
            DropCause::OverRate,
            DropCause::TooLong,
        ] {
            let mut counts = Counts { received: 3, ..Counts::default() };
            counts.drop_run(cause, 3);
            assert_eq!(counts.dropped_for(cause.reason()), 3);
            assert_eq!(counts.dropped_total(), 3);
            assert!(counts.balance());
        }
    }

    #[test]
    fn what_is_published_is_what_is_read() {
        let counts = Counts {
            received: 10,
            replied: 4,
            dropped: [1, 0, 2, 0, 0, 1],
            failed: 2,
            received_bytes: 50,
            replied_bytes: 30,
        };
        assert!(counts.balance());
        let published = Published::default();
        published.show(&counts);
        assert_eq!(published.counts(), counts);
        let mut sum = counts;
        sum += counts;
        assert_eq!(
            sum,
            Counts {
                received: 20,
                replied: 8,
                dropped: [2, 0, 4, 0, 0, 2],
                failed: 4,
                received_bytes: 100,
                replied_bytes: 60,
            }
        );
    }
}
