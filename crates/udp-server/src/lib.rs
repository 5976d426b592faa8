//! The UDP echo server and STAMP reflector, as a library: the program is [`run`] and nothing else.
//!
//! A datagram goes `socket -> batch -> policy -> service -> batch -> socket` within one worker
//! thread; what is reported about it goes sideways, through a bounded channel, to the printer.
//! What is public here beside [`run`] is for benches and fuzz targets.

mod accounting;
pub mod args;
mod backoff;
pub mod block;
mod config;
mod count_limit;
pub mod datagram_log;
pub mod event;
mod listeners;
mod log_limit;
mod metrics;
mod outcomes;
pub mod policy;
mod receive_queue;
mod reload;
pub mod report;
mod serve;
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
