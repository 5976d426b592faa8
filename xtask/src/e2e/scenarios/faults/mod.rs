//! What kernels, networks, operators and terminals do to a server that runs for months: each fault
//! is caused, lived through and cured, and the server must have survived it, counted what failed,
//! burnt no processor time over it, and answer again as soon as it is over.

mod bursts;
mod ends;
mod icmp;
mod limits;
mod network;
mod output;
mod streams;
mod trial;

use crate::e2e::runner::Scenario;

/// Every scenario about faults.
pub(super) fn all() -> Vec<Scenario> {
    [
        bursts::all(),
        ends::all(),
        icmp::all(),
        network::all(),
        limits::all(),
        output::all(),
        streams::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
