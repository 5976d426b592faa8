//! The benchmark: our server and every peer that this machine has, side by side, in short
//! interleaved slices, as tables and as JSON, with the goals that the figures are held to.
//!
//! CPU time for each reply is the main figure: it holds where the generator is the limit, and
//! where something else runs. Absolute figures belong to the machine and the moment; ratios of
//! one run compare.

mod build;
#[path = "../../src/cargo.rs"]
mod cargo;
mod command;
mod contender;
mod figure;
mod goal;
mod heartbeat;
mod load;
mod machine;
mod report;
mod rounds;
mod running;
#[path = "../../src/say.rs"]
mod say;
mod scenario;
mod services;
mod stats;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match &words[..] {
        [word, port] if word == services::ANSWER => services::serve(port),
        _ => command::run(&command::Args::parse()),
    };
    if let Err(error) = result {
        say::complain(&format!("error: {error:#}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
