//! The workspace's chores, each a subcommand of `cargo xtask`: end-to-end tests, continuous
//! integration, packages, pictures, the benchmark.
//!
//! Nothing here is part of the product, and the end-to-end part shares no code with it:
//! it is a black box that knows the programs by their command lines and std sockets.

mod cargo;
mod ci;
mod dist;
mod e2e;
mod interop;
mod pictures;
mod say;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// The workspace's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Drive the built programs on loopback, a scenario a line.
    E2e(e2e::Args),
    /// Install the other implementations of STAMP that e2e talks to, below the target directory.
    Interop,
    /// Run what continuous integration runs, step by step.
    Ci(ci::Args),
    /// Make what is installed: manual pages, completions, packages; and try each part.
    Dist(dist::Args),
    /// Draw the pictures of the documentation: docs/pictures.
    Pictures {
        /// Only these.
        #[arg(value_enum)]
        only: Option<pictures::Which>,
    },
    /// Measure the server, side by side with every peer that this machine has.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::E2e(args) => e2e::run(&args),
        Chore::Interop => interop::prepare().map(|()| true),
        Chore::Ci(args) => ci::run(&args),
        Chore::Dist(args) => dist::run(&args),
        Chore::Pictures { only } => pictures::run(only),
        Chore::Bench { args } => bench(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A program of its own, optimised, because a slow generator would measure itself; not as tight as a
/// release, which would take minutes and gain nothing here.
fn bench(args: &[OsString]) -> Result<bool> {
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--profile", "generator", "-p", "bench", "--"]).args(args);
    Ok(command.status().context("cannot run cargo")?.success())
}
