//! How an output ends, by one rule for every program: bounded in time and in bytes.
//!
//! What waits is written, and behind it the last value, a summary. After [`SHOW_FOR`] what still waits
//! is left out, so that a slow reader gets the last value all the same; a reader that has taken nothing
//! for a while (a paused terminal, a pipe that nobody reads) is given up, which stderr says.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::{Printer, Shared};
use crate::cli::{Failure, stdout_is_open};
use crate::clock::{self, Mono};
use crate::error::describe;

/// For how long values that wait are still shown. That bounds what a slow terminal can hold up; all
/// that may wait takes a reader that reads a few milliseconds, and a busy machine may take a while
/// to run the printer at all.
const SHOW_FOR: Duration = Duration::from_secs(1);
/// How long a reader that takes something now and then is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the end looks whether the reader is stuck.
const LOOK: Duration = Duration::from_millis(5);
/// How long one write may take before the reader counts as stuck: on a busy machine it may be
/// willing and still not run for longer than a moment.
const SLOW_AFTER: Duration = Duration::from_millis(400);
/// A write that had been under way for so long when the end came had no willing reader …
const STANDSTILL: Duration = Duration::from_millis(60);
/// … and is given up after so long.
const STUCK_AFTER: Duration = Duration::from_millis(40);

/// How a printer ended.
#[derive(Debug)]
pub struct Finished {
    /// Values that were not shown, for want of room or time.
    pub dropped: u64,
    /// Lines that could not be written.
    pub lost_lines: u64,
    /// The first failed write, a reader that went away aside.
    pub error: Option<io::Error>,
    /// Whether the output was still stuck when the time was up.
    pub stuck: bool,
    /// Whether the reader had gone away.
    pub gone: bool,
}

/// Whether somebody still read at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// As far as can be told.
    There,
    /// No more: a broken pipe, a terminal that has hung up.
    Gone,
}

impl Finished {
    /// What this means for the program whose stdout it was. What could not be written was not done;
    /// a reader that went away, or does not read, is no failure.
    ///
    /// # Errors
    /// A local failure: stdout was closed, or did not take everything.
    pub fn outcome(self) -> Result<Reader, Failure> {
        if let Some(error) = self.error.or_else(|| stdout_is_open().err()) {
            let lost = match self.lost_lines {
                0 => String::new(),
                1 => ", 1 line not shown".into(),
                lines => format!(", {lines} lines not shown"),
            };
            return Err(Failure::local(format!(
                "cannot write to stdout: {}{lost}",
                describe(&error)
            )));
        }
        Ok(if self.gone { Reader::Gone } else { Reader::There })
    }
}

impl<T: Send + 'static> Printer<T> {
    /// Writes what is left, and `last` behind it, which needs no room among what waits. All other
    /// handles must have been dropped. As long as `keep_on` says, a reader is waited for however
    /// long it takes, and gets everything.
    pub fn end(self, last: Option<T>, keep_on: impl Fn() -> bool) -> Finished {
        let Printer { handle, last: behind, finished, .. } = self;
        let shared = handle.shared.clone();
        if let Some(last) = last {
            shared.pending.fetch_add(1, Ordering::Relaxed);
            // There is room for one; a printer that has ended by itself is found below.
            let _ = behind.try_send(last);
        }
        drop((handle, behind));
        let mut start = clock::mono();
        let (in_time, error) = loop {
            match finished.recv_timeout(LOOK) {
                Ok(error) => break (true, error),
                Err(RecvTimeoutError::Disconnected) => {
                    break (true, Some(io::Error::other("the printer ended by itself")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = clock::mono();
            if keep_on() {
                start = now;
                continue;
            }
            if now.saturating_since(start) >= PATIENCE || shared.is_stuck(start, now) {
                break (false, None);
            }
            if now.saturating_since(start) >= SHOW_FOR {
                shared.skip.store(true, Ordering::Relaxed);
            }
        };
        let gone = shared.gone.load(Ordering::Relaxed);
        // All may be written, and its thread not have come to its end yet.
        let stuck = !in_time && shared.pending.load(Ordering::Acquire) > 0;
        if stuck && !gone {
            log::warn!("nobody reads stdout: the last lines were not written");
        }
        Finished {
            dropped: shared.dropped.load(Ordering::Relaxed),
            lost_lines: shared.lost_lines.load(Ordering::Relaxed),
            error,
            stuck,
            gone,
        }
    }
}

impl Shared {
    /// Whether the reader has taken nothing for too long of what is being written; what it did not
    /// take before the end came, at `from`, is forgiven.
    pub(super) fn is_stuck(&self, from: Mono, now: Mono) -> bool {
        let since = match self.writing_since.load(Ordering::Relaxed) {
            0 => return false,
            since => Mono::from_nanos(since),
        };
        let stood_still = from.saturating_since(since) >= STANDSTILL;
        let allowed = if stood_still { STUCK_AFTER } else { SLOW_AFTER };
        now.saturating_since(from.max(since)) >= allowed
    }
}
