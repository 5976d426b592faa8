//! The chores' output: a line at a time, flushed, so that a run whose output goes to a file or a
//! pipe can be followed. Write errors are ignored: a reader that went away is no reason to stop a
//! test run.

use std::io::Write as _;

/// Writes `text` and a line end to stdout.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes `text` and a line end to stderr.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
