//! What the programs' command lines share: parsers, logging, shutdown, exit codes, the printer.
//!
//! [`main`] is the whole of a program's `main`: it parses, starts the diagnostics, runs, prints a
//! failure as one line (and perhaps a hint) on stderr and gives the exit code. Nothing here opens
//! a socket or writes to stdout by itself; what goes to stdout goes through a [`printer`].

mod exit;
pub mod json;
mod logging;
pub mod parse;
pub mod printer;
pub mod shutdown;
mod usage;

pub use exit::{Exit, Failure};
pub use logging::Console;

use std::process::ExitCode;

use crate::endpoint::Family;

/// The flags that every program has.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct CommonArgs {
    /// Use IPv4 alone
    #[arg(short = '4', long = "ipv4", conflicts_with = "v6")]
    pub v4: bool,
    /// Use IPv6 alone
    #[arg(short = '6', long = "ipv6")]
    pub v6: bool,
    /// Say more on stderr; twice: everything (RUST_LOG wins)
    #[arg(short = 'v', long = "verbose", action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Put the time before each line on stderr
    #[arg(long)]
    pub log_timestamps: bool,
}

impl CommonArgs {
    /// The family of addresses that was asked for.
    pub fn family(&self) -> Family {
        match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// A program's arguments, which hold the common ones.
pub trait HasCommon {
    /// The common ones.
    fn common(&self) -> &CommonArgs;
}

/// Parses the command line, runs the program, and says how it ended.
///
/// Bad usage is one line on stderr and exit code 2; `--help` and `--version` go to stdout.
pub fn main<A, R>(run: R) -> ExitCode
where
    A: clap::Parser + HasCommon,
    R: FnOnce(A, &Console) -> Result<Exit, Failure>,
{
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::report(&error),
    };
    let common = args.common();
    let diagnostics = logging::start(common.verbose, common.log_timestamps);
    let outcome = run(args, diagnostics.console());
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            diagnostics.console().note(failure.to_string());
            failure.exit
        }
    };
    diagnostics.finish();
    exit.into()
}
