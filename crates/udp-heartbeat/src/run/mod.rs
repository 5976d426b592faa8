//! The prober at work: sockets, clocks and look-ups around the pure engine in `probe`.
//!
//! No console, no signals, nothing of the process is changed: several run side by side.

mod discovery;
mod ending;
mod engine;
mod figures;
mod incoming;
mod lookup;
mod names;
mod observers;
mod outgoing;
mod poller;
mod ports;
mod prober;
mod receive;
mod refresh;
mod resolve;
mod setup;
#[cfg(test)]
mod tests;

pub(crate) use prober::Caller;
pub use prober::Prober;
pub(crate) use setup::{descriptors, precision};
