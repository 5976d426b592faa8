//! Everything that continuous integration runs, as steps that can each be run alone.
//!
//! All steps are run even when one fails, so that one run tells all there is to mend. A step's
//! own output is passed through: the counts of tests are read there.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, workspace_root};
use crate::e2e::{Skipped, skip};
use crate::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the steps with these names.
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Print the names of the steps and what they do, and stop.
    #[arg(long)]
    list: bool,
}

/// A step by its name: what it shows, and what it runs.
struct Step(&'static str, &'static str, fn() -> Result<Vec<Command>>);

const STEPS: &[Step] = &[
    Step("fmt", "the code is formatted", fmt),
    Step("clippy", "no warning anywhere", clippy),
    Step("alone", "each crate builds without the others' features", alone),
    Step("deny", "licences, sources and versions of what is built in", deny),
    Step("docs", "the documentation builds without a warning", docs),
    Step("peers", "the servers to measure against build", peers),
    Step("test", "unit and integration tests", test),
    Step("benches", "the microbenchmarks build", benches),
    Step("doctest", "the examples in the documentation", doctest),
    Step("examples", "the libraries' examples build", examples),
    Step("interop", "other STAMP implementations, for the next two", interop),
    Step("e2e", "the built programs, end to end", e2e),
    Step("e2e-portable", "the same on the portable path", e2e_portable),
    Step("dist", "what is installed, quick parts", dist),
];

/// Runs the chosen steps; true when none of them failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    for name in &args.steps {
        if !STEPS.iter().any(|Step(step, ..)| *step == name) {
            bail!("no step is named {name}; `cargo xtask ci --list` names them");
        }
    }
    if args.list {
        for Step(name, what, _) in STEPS {
            say::line(&format!("{name:<13} {what}"));
        }
        return Ok(true);
    }
    let began = now();
    let mut failed = Vec::new();
    let mut ran = 0;
    for step @ Step(name, ..) in STEPS {
        if args.steps.is_empty() || args.steps.iter().any(|it| it == name) {
            ran += 1;
            if !run_step(step)? {
                failed.push(*name);
            }
        }
    }
    let took = began.elapsed().as_secs();
    if failed.is_empty() {
        say::line(&format!("ci: all {ran} steps are good, in {took} s"));
    } else {
        say::line(&format!("ci: {} of {ran} steps failed: {}", failed.len(), failed.join(", ")));
    }
    Ok(failed.is_empty())
}

fn run_step(Step(name, what, commands): &Step) -> Result<bool> {
    say::line(&format!("== {name}: {what}"));
    let began = now();
    let mut good = true;
    let commands = commands().unwrap_or_else(|error| {
        say::line(&format!("failed: {error:#}"));
        good = false;
        Vec::new()
    });
    for mut command in commands {
        let shown = shown(&command);
        let status = command
            .current_dir(workspace_root()?)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {shown}"))?;
        if !status.success() {
            say::line(&format!("failed: {shown}"));
            good = false;
        }
    }
    let verdict = if good { "ok" } else { "FAILED" };
    say::line(&format!("{verdict} {name} ({:.1} s)", began.elapsed().as_secs_f64()));
    Ok(good)
}

fn shown(command: &Command) -> String {
    let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    format!("cargo {}", args.join(" "))
}

fn cargo_with(args: &str) -> Command {
    let mut command = cargo();
    command.args(args.split(' '));
    command
}

fn fmt() -> Result<Vec<Command>> {
    Ok(vec![cargo_with("fmt --all --check")])
}

fn clippy() -> Result<Vec<Command>> {
    Ok(vec![cargo_with("clippy --quiet --workspace --all-targets --all-features -- -D warnings")])
}

/// One by one, because in a build of the whole workspace one crate's features help the others.
fn alone() -> Result<Vec<Command>> {
    let crates = "udp-core udp-server udp-client udp-heartbeat xtask driver pages bench".split(' ');
    // `web` contains `cli`, and `fuzzing` contains `service` and `web`.
    let combinations = "cli expect service cli,expect cli,service expect,service cli,expect,service \
                        web web,expect web,service web,expect,service fuzzing fuzzing,expect";
    let of_core = combinations.split(' ').map(|it| format!("udp-core --features {it}"));
    let all = crates.map(String::from).chain(of_core);
    let bare = "udp-heartbeat --no-default-features";
    let all = all.chain([bare.into(), format!("{bare} --features fuzzing")]);
    Ok(all.map(|package| cargo_with(&format!("check --quiet -p {package}"))).collect())
}

/// A workspace of their own, so that nobody who builds the product builds them.
fn peers() -> Result<Vec<Command>> {
    let manifest = "--manifest-path xtask/peers/Cargo.toml";
    let clippy = format!("clippy --quiet --locked --all-targets {manifest} -- -D warnings");
    Ok(vec![cargo_with(&format!("fmt --check {manifest}")), cargo_with(&clippy)])
}

fn docs() -> Result<Vec<Command>> {
    let mut command = cargo_with("doc --quiet --workspace --no-deps --all-features");
    command.env("RUSTDOCFLAGS", "-D warnings");
    Ok(vec![command])
}

/// As deny.toml says. cargo-deny is no part of Rust: `.ci/run` installs it, a person may lack it.
fn deny() -> Result<Vec<Command>> {
    if has("deny") {
        // The lock file is what is judged: nothing is asked of the network.
        let check = "deny --locked --log-level error check bans licenses sources";
        return Ok(vec![cargo_with(check)]);
    }
    let reason = "cargo-deny is not installed";
    match skip(reason) {
        Err(error) if error.is::<Skipped>() => {
            say::line(&format!("skipped: {reason}"));
            Ok(Vec::new())
        }
        otherwise => otherwise,
    }
}

/// Whether cargo has this subcommand.
fn has(subcommand: &str) -> bool {
    let mut command = cargo_with(&format!("{subcommand} --version"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// In the profile of the tests: that they build is the question, not how fast they are.
fn benches() -> Result<Vec<Command>> {
    let build = "bench --quiet --no-run --workspace --all-features --bench * --profile dev";
    Ok(vec![cargo_with(build)])
}

/// With cargo-nextest where it is installed, else with cargo's own runner.
fn test() -> Result<Vec<Command>> {
    Ok(vec![cargo_with(if has("nextest") {
        "nextest run --workspace --all-features --no-fail-fast --cargo-quiet --status-level fail \
         --final-status-level fail"
    } else {
        "test --quiet --workspace --all-features --no-fail-fast --lib --bins --tests"
    })])
}

fn doctest() -> Result<Vec<Command>> {
    let libraries = "-p udp-core -p udp-heartbeat";
    Ok(vec![cargo_with(&format!("test --quiet --doc --all-features {libraries}"))])
}

fn examples() -> Result<Vec<Command>> {
    let libraries = "-p udp-core -p udp-heartbeat";
    Ok(vec![cargo_with(&format!("build --quiet --examples --all-features {libraries}"))])
}

fn interop() -> Result<Vec<Command>> {
    ourselves("interop")
}

fn e2e() -> Result<Vec<Command>> {
    ourselves("e2e")
}

fn e2e_portable() -> Result<Vec<Command>> {
    ourselves("e2e --io portable")
}

fn dist() -> Result<Vec<Command>> {
    ourselves("dist --check")
}

/// By way of cargo: building the tests may have replaced the file that we were started from.
fn ourselves(args: &str) -> Result<Vec<Command>> {
    Ok(vec![cargo_with(&format!("run --quiet --package xtask -- {args}"))])
}

/// When a step began.
#[expect(clippy::disallowed_methods, reason = "how long a step took is no part of the product")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
