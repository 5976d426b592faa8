//! `udp-heartbeat`: watches UDP paths and measures them.

mod args;
mod beat;
mod config;
mod event;
mod expectation;
mod fleet;
mod report;
mod run;
mod schedule;
mod session;
#[cfg(test)]
mod simulation;
mod state;
mod stats;
mod verdict;
mod window;

use std::process::ExitCode;

fn main() -> ExitCode {
    udp_core::cli::main(run::run)
}
