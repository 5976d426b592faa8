//! The UDP echo server and STAMP reflector, as a library: the program is [`run`] and nothing else.
//!
//! A datagram goes `socket -> batch -> policy -> service -> batch -> socket` within one worker
//! thread; what is told about it goes sideways, through a bounded channel, to the printer.

pub mod accounting;
pub mod args;
pub mod config;
mod count_limit;
pub mod event;
mod interfaces;
mod ledger;
mod listeners;
mod log_limit;
mod output;
pub mod policy;
pub mod reload;
pub mod report;
mod server;
pub mod service;
mod stdout;
mod systemd;
mod worker;
mod workers;

use udp_core::cli::{Console, Exit, Failure};

/// Runs the program: from what was typed to how it ended.
///
/// # Errors
/// Bad usage, or what keeps the server from starting.
pub fn run(args: args::Args, console: &Console) -> Result<Exit, Failure> {
    server::run(&config::Config::try_from(args)?, console)
}
