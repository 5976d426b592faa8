//! When to ask again at once instead of sleeping: the hybrid of spinning and blocking.
//!
//! A sleeping thread takes tens of microseconds to wake up, far longer than an echo takes. Asking
//! again for a short while after each datagram saves that where the next one comes soon, and
//! wastes the processor where it does not. So it is done only while recent datagrams came within
//! the budget, and otherwise tried once in a while, since datagrams may come faster for it.

use std::time::Duration;

use crate::clock::Mono;

/// How many gaps in a row must be longer than the budget before spinning ends.
const PATIENCE: u8 = 4;
/// While not spinning, every so many-th wait is a try.
const TRY_EVERY: u8 = 16;

/// Decides for one socket. Pure: the times are arguments.
#[derive(Debug)]
pub(super) struct Spin {
    budget: Duration,
    last: Option<Mono>,
    patience: u8,
    idle: u8,
}

impl Spin {
    /// A budget of zero means never to spin.
    pub(super) fn new(budget: Duration) -> Spin {
        Spin { budget, last: None, patience: PATIENCE, idle: 0 }
    }

    /// Whether spinning is wanted at all; if not, no clock need be read.
    pub(super) fn enabled(&self) -> bool {
        !self.budget.is_zero()
    }

    /// Something was received at `now`.
    pub(super) fn received(&mut self, now: Mono) {
        if let Some(last) = self.last.replace(now) {
            if now.saturating_since(last) <= self.budget {
                self.patience = PATIENCE;
            } else {
                self.patience = self.patience.saturating_sub(1);
            }
        }
    }

    /// Nothing is there: until when to go on asking before sleeping, if at all.
    pub(super) fn until(&mut self, now: Mono) -> Option<Mono> {
        if !self.enabled() {
            return None;
        }
        if self.patience == 0 {
            self.idle += 1;
            if self.idle < TRY_EVERY {
                return None;
            }
            self.idle = 0;
        }
        Some(now + self.budget)
    }
}
