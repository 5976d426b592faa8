//! What goes wrong is counted always and said at most once a minute a kind, so that neither a
//! fault nor a stranger can flood the log; what was left unsaid is said as a number next time.

use std::time::Duration;

use udp_core::ErrorClass;
use udp_core::clock::Mono;

use crate::policy::DropCause;

/// How long a kind stays silent once it was said.
const SILENCE: Duration = Duration::from_secs(60);
/// After so many failed receives in a row, the worker waits before the next.
const PATIENCE: u32 = 3;
/// The shortest and the longest of these waits.
const WAITS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Replies that the kernel did not take.
    Send(ErrorClass),
    /// Receives that failed.
    Receive(ErrorClass),
    /// Datagrams that were not answered.
    Dropped(DropCause),
}

/// Which kinds were said, and when. There are some 30 kinds, so the list stays short.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    kinds: Vec<(Kind, Mono, u64)>,
}

impl LogLimit {
    /// Whether `kind` is to be said now, that it happened `times` more: if so, how often it went
    /// unsaid before.
    pub(crate) fn speak(&mut self, kind: Kind, times: u64, now: Mono) -> Option<u64> {
        let Some((_, last, unsaid)) = self.kinds.iter_mut().find(|(known, ..)| *known == kind)
        else {
            self.kinds.push((kind, now, times - 1));
            return Some(0);
        };
        if now.saturating_since(*last) < SILENCE {
            *unsaid += times;
            return None;
        }
        *last = now;
        Some(std::mem::replace(unsaid, times - 1))
    }
}

/// `, 12 more since it was last said`, or nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct More(pub(crate) u64);

impl std::fmt::Display for More {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            more => write!(f, " ({more} more since this was last said)"),
        }
    }
}

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

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn each_kind_is_said_once_a_minute() {
        let mut said = LogLimit::default();
        let denied = Kind::Send(ErrorClass::Denied);
        let unreachable = Kind::Send(ErrorClass::Unreachable);
        for (seconds, kind, times, expected) in [
            (0, denied, 1, Some(0)),
            (1, denied, 5, None),
            (1, unreachable, 3, Some(0)),
            (2, Kind::Receive(ErrorClass::Denied), 1, Some(0)),
            (59, denied, 2, None),
            (60, denied, 4, Some(7)),
            (119, denied, 1, None),
            (500, denied, 1, Some(4)),
            (500, unreachable, 1, Some(2)),
            (500, Kind::Dropped(DropCause::PrefixChain), 1, Some(0)),
            (501, Kind::Dropped(DropCause::OwnPort), 1, Some(0)),
            (502, Kind::Dropped(DropCause::PrefixChain), 1, None),
        ] {
            assert_eq!(said.speak(kind, times, at(seconds)), expected, "{kind:?} at {seconds}");
        }
        assert_eq!(More(0).to_string(), "");
        assert_eq!(More(7).to_string(), " (7 more since this was last said)");
    }

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
