//! Everything that a stranger may send, and everything that a network may do to us: threats of the
//! open internet, each as a scenario that must find all three programs unharmed and their totals
//! exact.
//!
//! Those that forge, flood or need a second host run between two network namespaces
//! ([`crate::e2e::netns`]).

mod amplification;
mod broadcast;
mod case;
mod client;
mod clocks;
mod flood;
mod forged;
mod fragments;
mod greetings;
mod input;
mod kinds;
mod loops;
mod merged;
mod names;
mod overload;
mod packets;
mod packets6;
mod reply_address;
mod stamp;
mod terminal;
mod theft;
mod unit;

use crate::e2e::runner::Scenario;
pub(super) use input::asker;

/// Every scenario about strangers.
pub(super) fn all() -> Vec<Scenario> {
    [
        forged::all(),
        overload::all(),
        input::all(),
        flood::all(),
        client::all(),
        clocks::all(),
        merged::all(),
        names::all(),
        theft::all(),
        loops::all(),
        amplification::all(),
        broadcast::all(),
        reply_address::all(),
        stamp::all(),
        terminal::all(),
        unit::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
