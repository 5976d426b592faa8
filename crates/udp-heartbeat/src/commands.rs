//! The command lines of the subcommands `report` and `compare`, as clap parses them.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use udp_core::cli::parse;

/// What is done with recordings; as the first word but for common flags, so that a target keeps its
/// name.
#[derive(Subcommand, Debug, Clone)]
pub(crate) enum Command {
    /// Sum recordings up, or draw them
    Report(ReportArgs),
    /// Compare two recordings
    Compare(CompareArgs),
}

/// The order of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// As they were named
    Given,
    /// That of which most was lost first
    Loss,
}

/// `report`.
#[derive(clap::Args, Debug, Clone)]
#[command(after_long_help = "\
Without -o the summary is printed as it was at the end of the run; recordings of several runs are summed up.

Exit codes: 0 written, 2 no recording or another ending, 4 a file that cannot be read or written

Examples:
  udp-heartbeat report run.ndjson.gz
  udp-heartbeat report mon.ndjson tue.ndjson -o week.html")]
pub(crate) struct ReportArgs {
    /// Recordings (--record), plain or compressed
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Write a report: OUT ends in .html, .svg, .csv or .json
    ///
    /// .html is one page that needs nothing else, .svg the picture of each target over time, .csv a row a beat, .json
    /// the summary, an object a target.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// The order of several targets; loss: the worst first
    #[arg(long, value_enum, value_name = "HOW", default_value = "given")]
    pub(crate) sort: Sort,
}

/// `compare`.
#[derive(clap::Args, Debug, Clone)]
#[command(after_long_help = "\
For each target of both: p50, p90, p99 and loss, the change, and between which changes the true one lies with 95 %
confidence, by a moving block bootstrap. ~ is what chance may explain, - what a sample cannot support.

Exit codes: 0 nothing got worse beyond chance and the tolerance, 1 something did, 2 nothing to compare, 4 a file that
cannot be read")]
pub(crate) struct CompareArgs {
    /// The recording to compare with
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The recording to judge
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// Allow changes up to PCT percent of the old figure, for loss too
    #[arg(long, value_name = "PCT", default_value = "5", value_parser = tolerance)]
    pub(crate) tolerance: f64,
    /// One JSON object a target instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Percent, which may be more than a hundred.
fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    parse::decimal(number).map_err(|_| "not a number of percent, 0 or more".into())
}
