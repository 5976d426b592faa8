//! The prober at work: sockets, clocks and look-ups around the pure engine in `probe`.
//!
//! No console, no signals, nothing of the process is changed: several run side by side.

mod ending;
mod engine;
mod incoming;
mod lookup;
mod observers;
mod outgoing;
mod poller;
mod ports;
mod prober;
mod refresh;
mod setup;

pub(crate) use prober::Caller;
pub use prober::Prober;
