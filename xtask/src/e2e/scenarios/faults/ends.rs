//! How the three programs end, by one rule: a summary each time, a line of its own below `^C`, nothing
//! said of a terminal that has gone away, and no end that an output can hold up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use pty_process::blocking::Command as PtyCommand;
use shared_child::SharedChild;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{self, Deadline, PATIENCE};
use crate::e2e::context::Context;
use crate::e2e::measure::{chosen, figure};
use crate::e2e::net::Peer;
use crate::e2e::netns::needs;
use crate::e2e::process::{Launch, remember};
use crate::e2e::terminal::Terminal;

scenarios!("faults/ends":
    every_timeout_leaves_a_summary,
    a_summary_stands_below_the_key,
    a_terminal_that_vanishes,
    an_output_that_nobody_reads,
);

/// As users stop a program in a script; the long run is `UDP_TIMEOUT_RUNS=200`.
fn every_timeout_leaves_a_summary(context: &Context) -> Result<()> {
    needs(&["timeout"])?;
    let runs = chosen("UDP_TIMEOUT_RUNS", 5)?;
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let programs = &context.programs;
    let heartbeat = ["-q", "-i", "0.1", target.as_str()];
    let server = ["-q", "-b", "127.0.0.1:0"];
    for _ in 0..runs {
        for (program, args, summary) in [
            (&programs.heartbeat, &heartbeat[..], "--- "),
            (&programs.server, &server, "--- "),
            (&programs.client, &[target.as_str()], "1 sent, 1 replied, 0 lost\n"),
        ] {
            // A client's input stays open: it waits for the next line when it is told to end.
            let launch = Launch::new("timeout").args(["--preserve-status", "1"]).arg(program);
            let mut process = launch.args(args.iter().copied()).stdin_open().spawn()?;
            // The others have not asked for it and may be gone.
            let _ = process.write(b"hello\n");
            let finished = process.finish()?;
            finished.exits(0)?.complains("")?;
            let out = finished.out();
            check::has(&out, summary)?;
        }
    }
    figure("faults/ends", &format!("{runs} of {runs} summaries of each program after a timeout"));
    Ok(())
}

fn a_summary_stands_below_the_key(context: &Context) -> Result<()> {
    let (echo, silent) = (Peer::echo()?, Peer::silent()?);
    let (echo, silent) = (echo.address.to_string(), silent.address.to_string());
    let programs = &context.programs;
    for (program, args, begun, code) in [
        (&programs.server, &["-b", "127.0.0.1:0"][..], "wait for", 0),
        // No line is due at the moment of the key, which would stand behind it.
        (&programs.heartbeat, &["-i", "60", &echo], "recvfrom", 0),
        (&programs.client, &["-W", "60", "-m", "x", &silent], "sendto", 1),
    ] {
        let terminal = Terminal::start(program, args, context.home.path())?;
        terminal.wait_until(|screen| screen.contains(begun))?;
        terminal.type_in("\x03")?;
        let (got, screen) = terminal.finish()?;
        check::same(&format!("exit code; {screen}"), code, got)?;
        let below = screen.lines().skip_while(|line| !line.ends_with("^C")).nth(1);
        let summary = below.is_some_and(|line| line.starts_with("---") || line.contains(" sent, "));
        check::holds(&format!("the summary stands below the key: {screen}"), summary)?;
    }
    Ok(())
}

/// As under nohup: otherwise a vanished terminal is a reason to end for a program without files.
fn a_terminal_that_vanishes(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let directory = tempfile::tempdir()?;
    let said = directory.path().join("said");
    let line = format!("trap '' HUP; exec \"$0\" \"$@\" 2> {}", said.display());
    let programs = &context.programs;
    for (program, args) in [
        (&programs.client, &[target.as_str()][..]),
        (&programs.client, &[&target, "-i", "50ms", "-m", "a", "-m", "b", "-m", "c", "-m", "d"]),
        (&programs.heartbeat, &[&target, "-i", "50ms"]),
    ] {
        let (pty, pts) = pty_process::blocking::open().context("cannot open a terminal")?;
        let command = PtyCommand::new("sh").args(["-c", &line]).arg(program).args(args);
        let home = context.home.path();
        let command = command.env("HOME", home).env("XDG_STATE_HOME", home).env("TERM", "xterm");
        let child = Arc::new(SharedChild::new(command.spawn(pts)?)?);
        remember(&child);
        let mut first = [0; 16];
        std::io::Read::read(&mut &pty, &mut first).context("the first words")?;
        drop(pty);
        let status = child.wait_deadline(Deadline::after(PATIENCE).instant())?;
        let text = std::fs::read_to_string(&said)?;
        ensure!(status.and_then(|it| it.code()) == Some(0), "{args:?}: {status:?}, {text:?}");
        check::same(&format!("stderr of {args:?}"), "", text.as_str())?;
    }
    Ok(())
}

fn an_output_that_nobody_reads(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let heartbeat = context.heartbeat().args([target.as_str(), "-i", "1ms"]);
    let client = context.client().args([target.as_str(), "--window", "8"]);
    let client = client.stdin("some line\n".repeat(20_000));
    for (launch, waits) in [(heartbeat, false), (client, true)] {
        let process = launch.stdout_unread().spawn()?;
        // More than a pipe holds, by the lines of what is asked and answered. The client sends no
        // more then, and when that is depends on how full the kernel packs the pipe's pages.
        let seen = peer.seen().len();
        peer.wait_until(|now| now.len() >= seen + if waits { 300 } else { 700 })?;
        let mut before = 0;
        while waits && before != peer.seen().len() {
            before = peer.seen().len();
            clock::pause(Duration::from_millis(500));
        }
        process.signal(Signal::SIGINT)?;
        let finished = process.finish_unread()?;
        let said = "warning: nobody reads stdout: the last lines were not written\n";
        finished.complains(said)?;
    }
    Ok(())
}
