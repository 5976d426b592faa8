//! The measuring engine: what is sent when, what came of it, and what that means.
//!
//! Pure: no socket, no clock, no text. Times and bytes are arguments (RFC 2681, 3550, 4737, 6673, 8762).

pub(crate) mod asking;
pub(crate) mod counts;
pub(crate) mod event;
pub(crate) mod format;
pub(crate) mod meter;
pub(crate) mod recent;
pub(crate) mod schedule;
pub(crate) mod session;
#[cfg(test)]
mod simulation;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod targets;
pub(crate) mod thresholds;
pub(crate) mod verdict;
pub(crate) mod window;
