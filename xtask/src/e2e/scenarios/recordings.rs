//! `--record`, `report` and `compare`: every number of a report against the same computed anew from the
//! recording, comparisons against NumPy and SciPy, by scripts that share nothing with the programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{Deadline, PATIENCE, pause};
use crate::e2e::context::Context;
use crate::e2e::net::{self, Peer, Reply};
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;

scenarios!("recordings":
    every_number_of_a_report,
    every_number_of_many_targets,
    every_number_of_several_runs,
    comparisons_of_independent_beats_and_scipy,
    comparisons_of_alike_beats_and_scipy,
    a_link_compared_with_itself,
);

/// A path that loses, doubles and delays.
fn lossy() -> Result<Peer> {
    Peer::new(|request| match request.number % 20 {
        3 => Vec::new(),
        7 => vec![request.echo(), request.echo()],
        _ if (60..64).contains(&request.number) => Vec::new(),
        _ => vec![request.echo()],
    })
}

/// What every run here is told.
const PACE: [&str; 8] = ["--number", "--show", "summary", "-i", "15ms", "-W", "200ms", "--record"];

fn file(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

/// Writes every kind of report, and has a script compute their numbers anew.
fn reports(context: &Context, directory: &Path, recordings: &[String]) -> Result<()> {
    let python = Launch::new("python3").arg("--version").finish();
    if python.and_then(|it| it.exits(0).map(drop)).is_err() {
        return skip("python3 is missing");
    }
    let outs = ["all.txt", "all.html", "all.json", "all.csv"].map(|name| file(directory, name));
    let of = |more: &[&str]| {
        let files = recordings.iter().map(String::as_str);
        context.beat(["report"].into_iter().chain(files).chain(more.iter().copied()))
    };
    let shown = of(&[])?;
    shown.exits(0)?;
    fs::write(&outs[0], &shown.stdout)?;
    for out in &outs[1..] {
        of(&["-o", out])?.exits(0)?;
    }
    let script = context.root.join("xtask/interop/recording.py");
    let checked =
        Launch::new("python3").arg("-B").arg(script).args(&outs).args(recordings).finish()?;
    let said = format!("{}{}", checked.out(), checked.err());
    check::holds(&said, checked.exits(0).is_ok())
}

fn every_number_of_a_report(context: &Context) -> Result<()> {
    let peer = lossy()?;
    let directory = tempfile::tempdir()?;
    let path = file(directory.path(), "run.ndjson");
    let target = peer.address.to_string();
    let options = [&path, "-c", "150", "--expect-regex", "[^7]$", "--max-not-ok", "50"];
    let run = context.beat([&[target.as_str()][..], &PACE, &options].concat())?;
    run.exits(0)?;
    let report = context.beat(["report", path.as_str()])?;
    check::same("the summary, again", run.out(), report.out())?;
    reports(context, directory.path(), &[path])
}

/// A path that loses, one that is silent, one that refuses, a service that fails, a reflector.
fn every_number_of_many_targets(context: &Context) -> Result<()> {
    let (peer, silent) = (lossy()?, Peer::silent()?);
    // SERVFAIL (RFC 1035 §4.1.1).
    let dns = Peer::new(|request| {
        let mut reply = request.bytes.clone();
        (reply[2], reply[3]) = (0x80 | reply[2], 2);
        vec![Reply::now(request.from, reply)]
    })?;
    let refused = net::closed()?;
    let free = net::closed()?.to_string();
    let server = context.serve(&["-q", "--stamp", &free])?;
    let targets = [
        peer.address.to_string(),
        silent.address.to_string(),
        refused.to_string(),
        format!("dns://{}/example.org", dns.address),
        format!("stamp://{free}"),
    ];
    let directory = tempfile::tempdir()?;
    let path = file(directory.path(), "run.ndjson");
    let words = targets.iter().map(String::as_str).chain(PACE).chain([&path, "-c", "60"]);
    context.beat(words)?.exits(1)?;
    server.stop()?;
    reports(context, directory.path(), &[path])
}

/// Of one target and of several, one of them without its end, together.
fn every_number_of_several_runs(context: &Context) -> Result<()> {
    let (peer, other) = (lossy()?, Peer::echo()?);
    let directory = tempfile::tempdir()?;
    let files = ["one", "two", "cut"].map(|name| file(directory.path(), name));
    let (target, other) = (peer.address.to_string(), other.address.to_string());
    let runs: [&[&str]; 3] = [&[&target], &[&target, &other], &[&other]];
    for (targets, file) in runs.into_iter().zip(&files) {
        context.beat([targets, &PACE, &[file, "-c", "40"]].concat())?.exits(0)?;
    }
    let whole = fs::read_to_string(&files[2])?;
    let cut = whole.match_indices(r#""type":"beat""#).nth(25).context("too few beats")?.0;
    fs::write(&files[2], &whole[..cut + 30])?;
    reports(context, directory.path(), &files)
}

fn comparisons_of_independent_beats_and_scipy(context: &Context) -> Result<()> {
    scipy(context, "independent")
}

fn comparisons_of_alike_beats_and_scipy(context: &Context) -> Result<()> {
    scipy(context, "0.9")
}

fn scipy(context: &Context, kind: &str) -> Result<()> {
    let python = context.statistics()?;
    let directory = tempfile::tempdir()?;
    let script = context.root.join("xtask/interop/compare.py");
    let words = [script.as_path(), &context.programs.heartbeat, directory.path()];
    let running = context.launch(&python).arg("-B").args(words).arg(kind).spawn()?;
    // Thousands of draws take their time on a busy machine.
    let deadline = Deadline::after(PATIENCE * 8);
    while running.runs()? && deadline.left().is_some() {
        pause(Duration::from_millis(100));
    }
    let checked = running.finish()?;
    let said = format!("{}{}", checked.out(), checked.err());
    check::holds(&said, checked.exits(0).is_ok())
}

fn a_link_compared_with_itself(context: &Context) -> Result<()> {
    let peer = lossy()?;
    let directory = tempfile::tempdir()?;
    let path = file(directory.path(), "run.ndjson.gz");
    let target = peer.address.to_string();
    context.beat([&[target.as_str()][..], &PACE, &[&path, "-c", "150"]].concat())?.exits(0)?;
    let compared = context.beat(["compare", path.as_str(), &path])?;
    compared.exits(0)?;
    check::same("a line a figure", 5, compared.out().lines().count())?;
    context.beat(["compare", path.as_str(), "/no/such/file"])?.exits(4)?;
    let few = file(directory.path(), "few.ndjson");
    context.beat([&[target.as_str()][..], &PACE, &[&few, "-c", "5"]].concat())?.exits(0)?;
    let compared = context.beat(["compare", few.as_str(), &few])?;
    let warning = format!("warning: {target}: too few beats to compare (5 and 5)\n");
    compared.exits(0)?.complains(&warning).map(drop)
}
