//! `--record`, `report` and `compare`: every figure of a report against the same computed anew from the
//! recording, by a script that shares nothing with the programs.

use std::fs;

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Peer;
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;

scenarios!("recordings":
    every_figure_of_a_report,
    a_page_as_a_browser_shows_it,
    a_link_compared_with_itself,
);

/// A recording of a path that loses, doubles and delays, in a directory of its own.
fn record(context: &Context, name: &str) -> Result<(tempfile::TempDir, String)> {
    let peer = Peer::new(|request| match request.number % 20 {
        3 => Vec::new(),
        7 => vec![request.echo(), request.echo()],
        _ if (60..64).contains(&request.number) => Vec::new(),
        _ => vec![request.echo()],
    })?;
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let path = directory.path().join(name).display().to_string();
    let target = peer.address.to_string();
    let options = [
        "--number", "--show", "summary", "-c", "150", "-i", "15ms", "-W", "200ms", "--record",
        &path,
    ];
    let finished = context.beat([&[target.as_str()][..], &options].concat())?;
    finished.exits(0)?;
    let report = context.beat(["report", path.as_str()])?;
    check::same("the summary, again", finished.stdout.clone(), report.stdout)?;
    Ok((directory, path))
}

fn every_figure_of_a_report(context: &Context) -> Result<()> {
    let (directory, path) = record(context, "run.ndjson")?;
    let out = |end: &str| directory.path().join(end).display().to_string();
    let reports = ["run.html", "run.json", "run.csv", "run.svg"].map(out);
    for report in &reports {
        context.beat(["report", path.as_str(), "-o", report])?.exits(0)?;
    }
    let script = context.root.join("xtask/interop/recording.py");
    let there = Launch::new("python3").arg("--version").finish();
    if there.and_then(|it| it.exits(0).map(drop)).is_err() {
        return skip("python3 is missing");
    }
    let [page, summary, rows, _] = &reports;
    let checked = Launch::new("python3").arg(script).args([&path, page, summary, rows]).finish()?;
    check::holds(&String::from_utf8_lossy(&checked.stdout), checked.exits(0).is_ok())
}

/// Blank or clipped it would be small: a page with two pictures is not.
fn a_page_as_a_browser_shows_it(context: &Context) -> Result<()> {
    if Launch::new("chromium")
        .arg("--version")
        .finish()
        .and_then(|it| it.exits(0).map(drop))
        .is_err()
    {
        return skip("chromium is missing");
    }
    let (directory, path) = record(context, "run.ndjson.gz")?;
    let page = directory.path().join("run.html");
    let page = page.display().to_string();
    context.beat(["report", path.as_str(), "-o", &page])?.exits(0)?;
    let mut shots = Vec::new();
    for (name, dark) in [("light.png", false), ("dark.png", true)] {
        let shot = directory.path().join(name);
        let browser = Launch::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args([format!("--user-data-dir={}", directory.path().join("home").display())])
            .args([format!("--screenshot={}", shot.display()), "--window-size=1060,1400".into()])
            .args(dark.then_some("--force-dark-mode"))
            .arg(format!("file://{page}"));
        browser.finish()?.exits(0)?;
        let picture = fs::read(&shot).context("no picture")?;
        let bytes = picture.len();
        check::holds(&format!("{name} shows something: {bytes} bytes"), bytes > 30_000)?;
        shots.push(picture);
    }
    check::holds("the page has a dark form", shots[0] != shots[1])
}

fn a_link_compared_with_itself(context: &Context) -> Result<()> {
    let (_directory, path) = record(context, "run.ndjson")?;
    let compared = context.beat(["compare", path.as_str(), &path])?;
    compared.exits(0)?;
    let lines = String::from_utf8_lossy(&compared.stdout).lines().count();
    check::same("a line a figure", 5, lines)?;
    context.beat(["compare", path.as_str(), "/no/such/file"])?.exits(4).map(drop)
}
