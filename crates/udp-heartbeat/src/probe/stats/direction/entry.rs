//! An entry of the record of a direction: requests in a row that share a fate.

use super::evidence::{Known, Request};

/// Requests in a row, answered or not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    /// From this beat on, by its number; 0 for a closing request.
    Known(u64, Known),
    /// From one beat to another, the same.
    Request((u64, u64), Request),
}

impl Entry {
    pub(super) fn until(&self) -> u64 {
        match self {
            Entry::Known(_, known) => known.last.sent,
            Entry::Request(_, request) => request.until,
        }
    }

    /// Entries are in this order.
    pub(super) fn key(&self) -> (u64, i64) {
        match self {
            Entry::Known(_, known) => (known.first.sent, known.low),
            Entry::Request(_, request) => (request.sent, -1),
        }
    }

    pub(super) fn session(&self) -> u32 {
        match self {
            Entry::Known(_, known) => known.session,
            Entry::Request(_, request) => request.session,
        }
    }

    /// The number of the answer to this beat.
    pub(super) fn number_of(&self, seq: u64) -> Option<i64> {
        let Entry::Known(first, known) = self else { return None };
        let number = known.low + i64::try_from(seq.checked_sub(*first)?).ok()?;
        (number <= known.high).then_some(number)
    }

    /// How many requests may have arrived after that.
    pub(super) fn count(&self, after: u64) -> u64 {
        match self {
            Entry::Known(_, it) if it.first.by.max(it.last.by) <= after => 0,
            Entry::Known(_, it) => (it.high - it.low + 1) as u64,
            Entry::Request(_, request) => request.count,
        }
    }
}
