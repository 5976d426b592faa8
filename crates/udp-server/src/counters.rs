//! The books: what happened to every datagram, once and only once.
//!
//! `received = replied + refused + failed` holds at every moment at which a worker has nothing in
//! hand, and for a service that never replies `received` stands alone. A worker counts in plain
//! integers ([`Books`]) and publishes them once a batch into cells of its own ([`Published`]),
//! which others read.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::policy::{Reason, Refusal};

/// Counts of datagrams, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    /// Taken from the socket.
    pub received: u64,
    /// Answered: the kernel took the reply.
    pub replied: u64,
    /// Not answered by rule, in the order of [`Reason::ALL`].
    pub refused: [u64; Reason::ALL.len()],
    /// Not answered because the kernel did not take the reply.
    pub failed: u64,
}

impl Books {
    /// Counts `datagrams` that are refused.
    pub fn refuse(&mut self, refusal: Refusal, datagrams: u64) {
        self.refused[refusal.reason() as usize] += datagrams;
    }

    /// Not answered by rule, for any reason.
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Not answered for this reason.
    pub fn refused_for(&self, reason: Reason) -> u64 {
        self.refused[reason as usize]
    }

    /// Whether every datagram received has found its place.
    pub fn balance(&self) -> bool {
        self.received == self.replied + self.refused_in_all() + self.failed
    }
}

impl AddAssign for Books {
    fn add_assign(&mut self, other: Books) {
        self.received += other.received;
        self.replied += other.replied;
        self.failed += other.failed;
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
    }
}

/// One worker's books, for others to read; the cells of one worker share no cache line with those
/// of another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Published {
    received: AtomicU64,
    replied: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    failed: AtomicU64,
    lost: AtomicU64,
}

impl Published {
    /// Shows `books`. One writer, so plain stores will do.
    pub fn show(&self, books: &Books) {
        self.received.store(books.received, Relaxed);
        self.replied.store(books.replied, Relaxed);
        self.failed.store(books.failed, Relaxed);
        for (cell, count) in self.refused.iter().zip(books.refused) {
            cell.store(count, Relaxed);
        }
    }

    /// Shows how many datagrams found the receive queue full, by the kernel's count.
    pub fn show_lost(&self, lost: u64) {
        self.lost.store(lost, Relaxed);
    }

    /// The books as last shown.
    pub fn books(&self) -> Books {
        Books {
            received: self.received.load(Relaxed),
            replied: self.replied.load(Relaxed),
            refused: std::array::from_fn(|index| self.refused[index].load(Relaxed)),
            failed: self.failed.load(Relaxed),
        }
    }

    /// The kernel's count as last shown.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_under_its_word_alone() {
        for refusal in [
            Refusal::Group,
            Refusal::PortZero,
            Refusal::PrivilegedPort,
            Refusal::NotAllowed,
            Refusal::Tower,
            Refusal::OverRate,
            Refusal::TooLong,
        ] {
            let mut books = Books { received: 3, ..Books::default() };
            books.refuse(refusal, 3);
            assert_eq!(books.refused_for(refusal.reason()), 3);
            assert_eq!(books.refused_in_all(), 3);
            assert!(books.balance());
        }
    }

    #[test]
    fn what_is_published_is_what_is_read() {
        let books = Books { received: 10, replied: 4, refused: [1, 0, 2, 0, 0, 1], failed: 2 };
        assert!(books.balance());
        let published = Published::default();
        published.show(&books);
        published.show_lost(7);
        assert_eq!((published.books(), published.lost()), (books, 7));
        let mut sum = books;
        sum += books;
        assert_eq!(sum, Books { received: 20, replied: 8, refused: [2, 0, 4, 0, 0, 2], failed: 4 });
    }
}
