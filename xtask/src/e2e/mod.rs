//! The end-to-end run: the three built programs, driven on loopback as a person or a script
//! drives them, checked against the text and the exit codes that they promise.
//!
//! A black box: std sockets, pipes, signals and a pseudo-terminal, no code shared with the
//! programs. A scenario that cannot run here says why and is counted as skipped; where `CI=true`
//! it fails instead, so that nothing is ever left out unseen.

mod alone;
mod context;
mod json;
mod measure;
mod netns;
mod programs;
mod raw;
mod readme;
mod runner;
mod scenarios;
mod screenshot;
mod skip;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::cargo::workspace_root;
use crate::say;
use context::Context;
pub(crate) use driver::clock::pause;
pub(crate) use driver::{Launch, Server, Terminal, check, clock, net, process, terminal};
pub(crate) use measure::memory;
pub(crate) use netns::present;
pub(crate) use programs::{Programs, build};
pub(crate) use skip::{Skipped, skip};

/// Which receive and send path the server is told to use.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IoPath {
    /// Whatever is best here; what a user gets.
    Auto,
    /// The one that works on every system, forced.
    Portable,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the scenarios whose name holds one of these.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print the names of the scenarios and stop.
    #[arg(long)]
    list: bool,
    /// The receive and send path that the server is to use.
    #[arg(long, value_enum, default_value = "auto", value_name = "PATH")]
    io: IoPath,
    /// How many scenarios run at once.
    #[arg(long, default_value_t = 6, value_name = "N")]
    jobs: usize,
    /// Say how long each scenario took.
    #[arg(long)]
    times: bool,
}

/// Runs the chosen scenarios; true when none of them failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = workspace_root()?;
    let mut chosen = scenarios::all();
    chosen.extend(readme::scenarios(&root)?);
    if !args.names.is_empty() {
        chosen.retain(|s| args.names.iter().any(|wanted| s.name.contains(wanted.as_str())));
    }
    if chosen.is_empty() {
        bail!("no scenario is named like {}", args.names.join(" or "));
    }
    if args.list {
        for scenario in &chosen {
            say::line(&scenario.name);
        }
        return Ok(true);
    }
    if let Some(passed) = alone::again()? {
        return Ok(passed);
    }
    let context = Context::new(root, args.io)?;
    Ok(runner::run(&chosen, &context, args.jobs.max(1), args.times))
}
