//! Limits log lines to one a minute for each kind, so that neither a fault nor an untrusted peer can
//! flood the log; how many were left out is part of the next line.

use std::time::Duration;

use udp_core::ErrorClass;
use udp_core::clock::Mono;

use crate::policy::DropCause;

/// How long a kind stays silent once it was said.
const SILENCE: Duration = Duration::from_secs(60);
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
}
