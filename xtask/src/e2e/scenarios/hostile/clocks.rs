//! The wall clock is stepped by hours while a program runs, or the process is suspended: figures
//! stay sane, because no difference is ever taken between two readings of that clock.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{self, Deadline, PATIENCE, pause};
use crate::e2e::context::Context;
use crate::e2e::measure::figure;
use crate::e2e::net::{Asker, Peer};
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;

scenarios!("hostile/clocks":
    heartbeat_under_a_stepped_clock,
    stamp_under_a_stepped_clock,
    client_under_a_stepped_clock,
    server_under_a_stepped_clock,
    no_burst_after_a_suspension,
);

/// A wall clock that only the program under test sees, and that is set by writing a file.
struct WallClock {
    directory: tempfile::TempDir,
    library: PathBuf,
}

impl WallClock {
    fn new() -> Result<Self> {
        let library = std::fs::read_dir("/usr/lib")?
            .flatten()
            .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
            .find(|path| path.exists());
        let Some(library) = library else { return skip("libfaketime is missing") };
        let clock = Self { directory: tempfile::tempdir()?, library };
        clock.set("+0")?;
        Ok(clock)
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }

    /// Steps the clock to so much before or after the right time.
    fn set(&self, offset: &str) -> Result<()> {
        let fresh = self.directory.path().join("fresh");
        std::fs::write(&fresh, offset)?;
        std::fs::rename(&fresh, self.file()).context("cannot step the clock")
    }

    fn on(&self, launch: Launch) -> Launch {
        launch
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            // The monotonic clock is what must carry everything.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }
}

const STEPS: [&str; 4] = ["+5h", "-5h", "+400d", "+0"];

/// The figures of an `rtt min/avg/max` line, in milliseconds.
fn rtt(out: &str) -> Result<Vec<f64>> {
    let line = out.lines().find_map(|l| l.strip_prefix("rtt min/avg/max/mdev = "));
    let line = line.with_context(|| format!("no rtt line in {out:?}"))?;
    let figures = line.trim_end_matches(" ms").split('/');
    figures.map(|f| f.parse().with_context(|| format!("{f:?} in the rtt line"))).collect()
}

fn sane(out: &str) -> Result<Vec<f64>> {
    let figures = rtt(out)?;
    let limit = PATIENCE.as_secs_f64() * 1e3;
    check::holds(
        &format!("round trips are sane: {figures:?}"),
        figures.iter().all(|&f| (0.0..limit).contains(&f)),
    )?;
    check::holds(&format!("round trips take time: {figures:?}"), figures[0] > 0.0)?;
    Ok(figures)
}

/// Runs a heartbeat of 20 ms while the clock is stepped, `-c` long enough for every step.
fn stepped(context: &Context, target: &str, options: &[&str]) -> Result<String> {
    let wall = WallClock::new()?;
    let launch = context.heartbeat().arg(target).args(["-i", "20ms", "-c", "60", "-W", "10"]);
    let process = wall.on(launch.args(options.iter().copied())).spawn()?;
    let mut beats = 10;
    for step in STEPS {
        process.out.wait_until(|out| (lines_with(out, "recvfrom (") >= beats).then_some(()))?;
        wall.set(step)?;
        beats += 10;
    }
    let finished = process.finish()?;
    finished.exits(0)?;
    Ok(finished.out())
}

fn lines_with(out: &[u8], text: &str) -> usize {
    String::from_utf8_lossy(out).lines().filter(|l| l.contains(text)).count()
}

fn heartbeat_under_a_stepped_clock(context: &Context) -> Result<()> {
    let server = context.serve(&["-q"])?;
    for options in [&[][..], &["--number"]] {
        let out = stepped(context, &server.address().to_string(), options)?;
        let figures = sane(&out)?;
        check::has(&out, "60 sent, 60 received, 0 lost (0.0%), 0 late")?;
        figure(
            "hostile/clocks",
            &format!("clock stepped {STEPS:?}: heartbeat {options:?} rtt {figures:?} ms"),
        );
    }
    Ok(())
}

fn stamp_under_a_stepped_clock(context: &Context) -> Result<()> {
    let server = context.serve(&["-q", "--stamp", "127.0.0.1:0"])?;
    let reflector = server.addresses.get(1).context("no second start line")?;
    let out = stepped(context, &reflector.to_string(), &["--stamp"])?;
    let figures = sane(&out)?;
    check::has(&out, "60 sent, 60 received, 0 lost (0.0%)")?;
    figure("hostile/clocks", &format!("clock stepped {STEPS:?}: STAMP rtt {figures:?} ms"));
    Ok(())
}

fn client_under_a_stepped_clock(context: &Context) -> Result<()> {
    let wall = WallClock::new()?;
    let server = context.serve(&["-q"])?;
    let launch = context.client().arg(server.address().to_string()).args(["-W", "10"]).stdin_open();
    let mut client = wall.on(launch).spawn()?;
    for (n, step) in (1..).zip(STEPS) {
        client.write(b"before\n")?;
        client.out.wait_until(|out| (lines_with(out, "echo before") >= n).then_some(()))?;
        wall.set(step)?;
        client.write(b"after\n")?;
        client.out.wait_until(|out| (lines_with(out, "echo after") >= n).then_some(()))?;
    }
    client.end_input();
    let finished = client.finish()?;
    finished.exits(0)?;
    check::has(&finished.out(), "8 sent, 8 replied, 0 lost")?;
    sane(&finished.out())?;
    Ok(())
}

fn server_under_a_stepped_clock(context: &Context) -> Result<()> {
    let wall = WallClock::new()?;
    // A limit for every source, so that the buckets meet the step, too.
    let launch =
        context.server().args(["--bind", "127.0.0.1:0", "--rate-limit", "1000/1000", "--json"]);
    let server = wall.on(launch).spawn()?;
    let address = server.out.wait_until(|out| {
        let text = String::from_utf8_lossy(out);
        let port = text.split("127.0.0.1:").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?;
        format!("127.0.0.1:{port}").parse().ok()
    })?;
    let asker = Asker::new()?;
    for step in STEPS {
        wall.set(step)?;
        for _ in 0..50 {
            asker.expect(address, b"now?", b"echo now?")?;
        }
    }
    let finished = server.interrupt()?;
    finished.exits(0)?;
    let out = finished.out();
    check::has(&out, "\"replied\":200")?;
    check::holds(
        "the clock was stepped at all",
        out.contains("\"ts\":\"2027") || out.contains("\"ts\":\"2028"),
    )
}

/// A process that stood still for a second has missed its beats; it does not make up for them.
fn no_burst_after_a_suspension(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let began = clock::now();
    let launch = context.heartbeat().arg(peer.address.to_string()).args(["-i", "50ms", "-W", "10"]);
    let process = launch.spawn()?;
    process.out.wait_until(|out| (lines_with(out, "recvfrom (") >= 4).then_some(()))?;
    process.signal(Signal::SIGSTOP)?;
    let before = peer.seen().len();
    pause(std::time::Duration::from_secs(1));
    process.signal(Signal::SIGCONT)?;
    let resumed = clock::now();
    let end = Deadline::after(PATIENCE);
    while peer.seen().len() < before + 8 && end.left().is_some() {
        pause(std::time::Duration::from_millis(1));
    }
    // Eight beats on a schedule of 50 ms take seven intervals, less what the schedule was ahead.
    let took = resumed.elapsed();
    check::holds(
        &format!("8 beats after {took:?}"),
        took >= std::time::Duration::from_millis(6 * 50 - 10),
    )?;
    let finished = process.interrupt()?;
    finished.exits(0)?;
    let slots = began.elapsed().as_millis() / 50;
    let counts =
        finished.out().lines().find(|l| l.contains(" sent, ")).unwrap_or_default().to_owned();
    let count = |word: &str| {
        let part = counts.split(", ").find_map(|p| p.strip_suffix(word));
        part.and_then(|n| n.trim().parse::<u128>().ok()).unwrap_or_default()
    };
    let (sent, missed) = (count("sent"), count("slots skipped"));
    check::holds(&format!("missed slots are counted: {counts}"), missed >= 15)?;
    check::holds(
        &format!("{sent} sent, {missed} missed of {slots} slots"),
        sent + missed <= slots + 2,
    )?;
    check::holds(&format!("missed is not lost: {counts}"), counts.contains(" 0 lost "))?;
    figure("hostile/clocks", &format!("suspended for a second at 20 beats a second: {counts}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rtt_line_is_read() {
        let out = "x\nrtt min/avg/max/mdev = 0.101/0.134/0.170/0.022 ms\n";
        assert_eq!(rtt(out).unwrap(), [0.101, 0.134, 0.170, 0.022]);
    }
}
