//! Delays a worker after failed receives, so that one that goes on failing does not spin.

use std::time::Duration;

/// After so many failed receives in a row, the worker waits before the next.
const PATIENCE: u32 = 3;
/// The shortest and the longest of these waits.
const WAITS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// How long to wait after failed receives: one that goes on failing must not spin.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// A receive worked.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }

    /// A receive failed; how long to wait before the next, if at all.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.checked_sub(PATIENCE)?.min(16);
        Some((WAITS.0 * (1 << doublings)).min(WAITS.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_wait_longer_and_longer() {
        let mut back_off = BackOff::default();
        let waits: Vec<_> = (0..12).map(|_| back_off.failed().map(|w| w.as_millis())).collect();
        let ms = Some;
        assert_eq!(
            waits,
            [
                None,
                None,
                ms(1),
                ms(2),
                ms(4),
                ms(8),
                ms(16),
                ms(32),
                ms(64),
                ms(100),
                ms(100),
                ms(100)
            ]
        );
        back_off.worked();
        assert_eq!(back_off.failed(), None);
        for _ in 0..100 {
            back_off.failed();
        }
        assert_eq!(back_off.failed(), Some(WAITS.1));
    }
}
