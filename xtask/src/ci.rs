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

struct Step {
    name: &'static str,
    what: &'static str,
    commands: fn() -> Result<Vec<Command>>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the code is formatted", commands: fmt },
    Step { name: "clippy", what: "no warning anywhere", commands: clippy },
    Step { name: "alone", what: "each crate builds without the others' features", commands: alone },
    Step {
        name: "deny",
        what: "licences, sources and versions of what is built in",
        commands: deny,
    },
    Step { name: "docs", what: "the documentation builds without a warning", commands: docs },
    Step { name: "peers", what: "the servers to measure against build", commands: peers },
    Step { name: "test", what: "unit and integration tests", commands: test },
    Step { name: "benches", what: "the microbenchmarks build", commands: benches },
    Step { name: "doctest", what: "the examples in the documentation", commands: doctest },
    Step { name: "examples", what: "the library's examples build", commands: examples },
    Step {
        name: "interop",
        what: "other STAMP implementations, for the next two",
        commands: interop,
    },
    Step { name: "e2e", what: "the built programs, end to end", commands: e2e },
    Step { name: "e2e-portable", what: "the same on the portable path", commands: e2e_portable },
    Step { name: "dist", what: "what is installed, quick parts", commands: dist },
];

/// Runs the chosen steps; true when none of them failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    for name in &args.steps {
        if !STEPS.iter().any(|step| step.name == name) {
            bail!("no step is named {name}; `cargo xtask ci --list` names them");
        }
    }
    if args.list {
        for step in STEPS {
            say::line(&format!("{:<13} {}", step.name, step.what));
        }
        return Ok(true);
    }
    let began = now();
    let mut failed = Vec::new();
    let mut ran = 0;
    for step in STEPS {
        if args.steps.is_empty() || args.steps.iter().any(|name| name == step.name) {
            ran += 1;
            if !run_step(step)? {
                failed.push(step.name);
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

fn run_step(step: &Step) -> Result<bool> {
    say::line(&format!("== {}: {}", step.name, step.what));
    let began = now();
    let mut good = true;
    let commands = (step.commands)().unwrap_or_else(|error| {
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
    say::line(&format!("{verdict} {} ({:.1} s)", step.name, began.elapsed().as_secs_f64()));
    Ok(good)
}

fn shown(command: &Command) -> String {
    let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    format!("cargo {}", args.join(" "))
}

fn cargo_with(args: &[&str]) -> Command {
    let mut command = cargo();
    command.args(args);
    command
}

fn fmt() -> Result<Vec<Command>> {
    Ok(vec![cargo_with(&["fmt", "--all", "--check"])])
}

fn clippy() -> Result<Vec<Command>> {
    Ok(vec![cargo_with(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ])])
}

/// One by one, because in a build of the whole workspace one crate's features help the others.
fn alone() -> Result<Vec<Command>> {
    let mut commands = Vec::new();
    for crate_ in [
        "udp-core",
        "udp-server",
        "udp-client",
        "udp-heartbeat",
        "xtask",
        "driver",
        "pages",
        "bench",
    ] {
        commands.push(cargo_with(&["check", "--quiet", "-p", crate_]));
    }
    // The other combinations of udp-core's features; `fuzzing` contains `service` and `web`.
    let combinations =
        "cli expect service cli,expect cli,service web web,expect fuzzing fuzzing,expect";
    for features in combinations.split(' ') {
        commands.push(cargo_with(&["check", "--quiet", "-p", "udp-core", "--features", features]));
    }
    Ok(commands)
}

/// A workspace of their own, so that nobody who builds the product builds them.
fn peers() -> Result<Vec<Command>> {
    let manifest = "xtask/peers/Cargo.toml";
    Ok(vec![
        cargo_with(&["fmt", "--check", "--manifest-path", manifest]),
        cargo_with(&[
            "clippy",
            "--quiet",
            "--locked",
            "--all-targets",
            "--manifest-path",
            manifest,
            "--",
            "-D",
            "warnings",
        ]),
    ])
}

fn docs() -> Result<Vec<Command>> {
    let mut command = cargo_with(&["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    Ok(vec![command])
}

/// As deny.toml says. cargo-deny is no part of Rust: `.ci/run` installs it, a person may lack it.
fn deny() -> Result<Vec<Command>> {
    if has("deny") {
        // The lock file is what is judged: nothing is asked of the network.
        return Ok(vec![cargo_with(&[
            "deny",
            "--locked",
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ])]);
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
    let mut command = cargo_with(&[subcommand, "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// In the profile of the tests: that they build is the question, not how fast they are.
fn benches() -> Result<Vec<Command>> {
    Ok(vec![cargo_with(&[
        "bench",
        "--quiet",
        "--no-run",
        "--workspace",
        "--all-features",
        "--bench",
        "*",
        "--profile",
        "dev",
    ])])
}

/// With cargo-nextest where it is installed, else with cargo's own runner.
fn test() -> Result<Vec<Command>> {
    Ok(vec![if has("nextest") {
        cargo_with(&[
            "nextest",
            "run",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
            "--cargo-quiet",
            "--status-level",
            "fail",
            "--final-status-level",
            "fail",
        ])
    } else {
        cargo_with(&[
            "test",
            "--quiet",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
        ])
    }])
}

fn doctest() -> Result<Vec<Command>> {
    Ok(vec![cargo_with(&["test", "--quiet", "--doc", "--all-features", "-p", "udp-core"])])
}

fn examples() -> Result<Vec<Command>> {
    Ok(vec![cargo_with(&["build", "--quiet", "-p", "udp-core", "--examples", "--all-features"])])
}

fn interop() -> Result<Vec<Command>> {
    ourselves(&["interop"])
}

fn e2e() -> Result<Vec<Command>> {
    ourselves(&["e2e"])
}

fn e2e_portable() -> Result<Vec<Command>> {
    ourselves(&["e2e", "--io", "portable"])
}

fn dist() -> Result<Vec<Command>> {
    ourselves(&["dist", "--check"])
}

/// By way of cargo: building the tests may have replaced the file that we were started from.
fn ourselves(args: &[&str]) -> Result<Vec<Command>> {
    let mut command = cargo_with(&["run", "--quiet", "--package", "xtask", "--"]);
    command.args(args);
    Ok(vec![command])
}

/// When a step began.
#[expect(clippy::disallowed_methods, reason = "how long a step took is no part of the product")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
