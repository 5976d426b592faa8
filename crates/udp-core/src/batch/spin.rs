//! Decides when a receive polls again at once instead of sleeping: the hybrid of spinning and
//! blocking.
//!
//! A sleeping thread takes tens of microseconds to wake up, far longer than an echo takes. Asking
//! again for a short while after each datagram saves that where the next one comes soon, and
//! wastes the processor where it does not. So it is done only while recent datagrams came within
//! the budget, and otherwise tried once in a while, since datagrams may come faster for it.

use std::io;
use std::time::Duration;

use super::Slots;
use crate::clock::{self, Mono};

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

/// A receiver that can be asked without waiting.
pub(super) trait Ask {
    /// Takes what is there. How many slots it filled.
    fn ask(&mut self, slots: &mut Slots) -> io::Result<usize>;
    /// What decides for this receiver.
    fn spin(&mut self) -> &mut Spin;
    /// Whether it was told not to wait any more.
    fn is_woken(&self) -> bool;
}

/// Asks without waiting, as long as that is worth it. How many slots were filled; none if it is
/// time to sleep.
pub(super) fn take_now(receiver: &mut impl Ask, slots: &mut Slots) -> io::Result<usize> {
    if !receiver.spin().enabled() {
        return Ok(0);
    }
    let taken = receiver.ask(slots)?;
    if taken > 0 {
        return Ok(taken);
    }
    let Some(until) = receiver.spin().until(clock::mono()) else { return Ok(0) };
    loop {
        let taken = receiver.ask(slots)?;
        if taken > 0 || receiver.is_woken() || clock::mono() >= until {
            return Ok(taken);
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_micros(50);

    /// What is decided before each of the datagrams that come after these gaps, in microseconds.
    fn decisions(gaps: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let mut spin = Spin::new(BUDGET);
        let mut now = Mono::from_nanos(1_000_000_000);
        let mut decided = Vec::new();
        for gap in gaps {
            decided.push(spin.until(now) == Some(now + BUDGET));
            now = now + Duration::from_micros(gap);
            spin.received(now);
        }
        decided
    }

    #[test]
    fn close_datagrams_keep_it_going() {
        assert_eq!(decisions([20; 100]), [true; 100]);
        assert_eq!(decisions([50; 100]), [true; 100]);
    }

    #[test]
    fn sparse_datagrams_end_it_but_for_a_try_now_and_then() {
        let decided = decisions([1000; 200]);
        let tries = decided[10..].iter().filter(|spun| **spun).count();
        assert!((190 / 16..=190 / 16 + 1).contains(&tries), "{tries} tries");
    }

    #[test]
    fn some_long_gaps_among_short_ones_do_not_end_it() {
        let gaps = (0..100).map(|i| if i % 4 == 3 { 5000 } else { 20 });
        assert_eq!(decisions(gaps), [true; 100]);
    }

    #[test]
    fn a_try_that_works_starts_it_again() {
        // 70 us apart when the receiver sleeps, 25 when it does not, as two sleepers are.
        let mut spin = Spin::new(BUDGET);
        let mut now = Mono::from_nanos(1_000_000_000);
        let mut spun = 0;
        for i in 0..200 {
            let spinning = spin.until(now).is_some();
            spun += usize::from(spinning && i >= 100);
            let gap = if i < 20 {
                5000
            } else if spinning {
                25
            } else {
                70
            };
            now = now + Duration::from_micros(gap);
            spin.received(now);
        }
        assert_eq!(spun, 100);
    }

    #[test]
    fn without_a_budget_it_never_spins() {
        let mut spin = Spin::new(Duration::ZERO);
        assert!(!spin.enabled());
        assert_eq!(spin.until(Mono::from_nanos(5)), None);
    }
}
