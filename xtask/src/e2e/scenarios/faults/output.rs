//! Faults of the outputs: closed, full, broken, unread, paused, vanished. Whatever becomes of the
//! lines, every datagram is echoed, nothing panics, and the end comes when it is asked for.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pty_process::blocking::{Command as PtyCommand, Pty};
use shared_child::SharedChild;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{self, Deadline, PATIENCE};
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, chosen, figure};
use crate::e2e::net::{Asker, closed};
use crate::e2e::netns::{needs, shell};
use crate::e2e::process::{Launch, Process, Stream};

scenarios!("faults/output":
    stdout_that_takes_nothing,
    stdout_that_nobody_reads,
    stderr_that_takes_nothing,
    terminal_paused,
    terminal_vanished,
);

/// The promise is 100 ms; a busy machine may take longer to let us run at all.
const ENDS_IN: Duration = Duration::from_secs(5);
const WINDOW: usize = 8;
/// How long an output is left unread before the end is asked for.
const STANDSTILL: Duration = Duration::from_millis(1500);

fn datagrams() -> Result<u64> {
    chosen("UDP_FAULT_DATAGRAMS", 5_000)
}

/// The server on `address`, its streams arranged by a shell: `redirections` come behind it.
fn server(context: &Context, address: SocketAddr, before: &str, redirections: &str) -> Launch {
    let line = format!("{before} exec \"$0\" \"$@\" {redirections}");
    let io: &[&str] =
        if context.io == crate::e2e::IoPath::Portable { &["--io", "portable"] } else { &[] };
    Launch::new("sh")
        .args(["-c", &line])
        .arg(&context.programs.server)
        .args(io.iter().copied())
        .args(["-vv", "--bind", &address.to_string()])
}

/// Waits for the first echo: a server that cannot speak cannot say that it is ready.
fn ready(asker: &Asker, address: SocketAddr) -> Result<()> {
    let deadline = Deadline::after(PATIENCE);
    asker.socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    loop {
        let _ = asker.socket.send_to(b"ready?", address);
        if asker.socket.recv(&mut [0; 64]).is_ok() {
            break;
        }
        ensure!(deadline.left().is_some(), "the server never answered");
    }
    // Answers to earlier asks may still come; they must not be taken for others.
    while asker.socket.recv(&mut [0; 64]).is_ok() {}
    asker.socket.set_read_timeout(Some(PATIENCE))?;
    Ok(())
}

/// Exchanges so many datagrams, a few at a time; every one must be echoed.
fn exchange(asker: &Asker, address: SocketAddr, count: u64) -> Result<()> {
    let mut buffer = [0; 2048];
    let numbers: Vec<u64> = (0..count).collect();
    for window in numbers.chunks(WINDOW) {
        for n in window {
            asker.send(address, format!("datagram {n}\n").as_bytes())?;
        }
        for n in window {
            let length =
                asker.socket.recv(&mut buffer).with_context(|| format!("echo {n} of {count}"))?;
            let expected = format!("echo datagram {n}\n");
            ensure!(
                buffer[..length] == *expected.as_bytes(),
                "{}",
                buffer[..length].escape_ascii()
            );
        }
    }
    Ok(())
}

/// Asks it to end as a service manager does; how long that took.
fn end(process: Process, code: i32) -> Result<(Duration, crate::e2e::process::Finished)> {
    let asked = clock::now();
    process.signal(Signal::SIGTERM)?;
    let finished = process.finish()?;
    let took = asked.elapsed();
    finished.exits(code)?;
    ensure!(took <= ENDS_IN, "the end took {took:?}");
    let said = finished.err();
    ensure!(!said.contains("panicked"), "a panic: {said}");
    Ok((took, finished))
}

fn tell(kinds: u64, count: u64, slowest: Duration) {
    let (all, ms) = (kinds * count, slowest.as_secs_f64() * 1e3);
    figure(
        "faults/output",
        &format!("{kinds} kinds: {all} of {all} echoed, the end in {ms:.1} ms at worst"),
    );
}

fn stdout_that_takes_nothing(context: &Context) -> Result<()> {
    let count = datagrams()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("limited").display().to_string();
    let limited = format!("> {file}");
    let mut slowest = Duration::ZERO;
    let kinds = [
        ("closed", "", ">&-"),
        ("on a full disk", "", "> /dev/full"),
        ("a file at its limit", "ulimit -f 1;", limited.as_str()),
        ("closed with both others", "", "<&- >&- 2>&-"),
        ("a broken pipe", "", ""),
    ];
    for (name, before, redirections) in kinds {
        let (asker, address) = (Asker::new()?, closed()?);
        let launch = server(context, address, before, redirections);
        let process = launch.stdout_reader_gone().spawn()?;
        ready(&asker, address).with_context(|| format!("stdout {name}"))?;
        exchange(&asker, address, count).with_context(|| format!("stdout {name}"))?;
        // What could not be written was not done; a reader that went away wants no more.
        let code = if name == "a broken pipe" { 0 } else { 4 };
        let (took, finished) = end(process, code).with_context(|| format!("stdout {name}"))?;
        slowest = slowest.max(took);
        // Where a write fails, stderr says that lines are missing.
        let said = finished.err();
        if ["on a full disk", "a file at its limit"].contains(&name) {
            check::has(&said, "not shown")?;
        }
        if name == "on a full disk" {
            let reason = "warning: cannot write to stdout: no space left on device\n";
            check::same("said why", 1, said.matches(reason).count())?;
        }
    }
    tell(kinds.len() as u64, count, slowest);
    Ok(())
}

fn stdout_that_nobody_reads(context: &Context) -> Result<()> {
    // More than the server keeps for a reader that is slow.
    let count = datagrams()? * 4;
    let (asker, address) = (Asker::new()?, closed()?);
    let mut process = server(context, address, "", "").stdout_unread().spawn()?;
    ready(&asker, address)?;
    exchange(&asker, address, count)?;
    // Read at last: what did not fit is said, and together it is all that came.
    process.start_reading();
    process.out.wait_until(|out| said_not_shown(out).then_some(())).context("lines not shown")?;
    let (read, finished) = end(process, 0)?;
    let totals = Totals::parse(&finished.out())?;
    let shown = shown(&finished.out())?;
    check::same("shown or said not to be", totals.received, shown)?;
    // And one that is never read ends all the same.
    let (asker, address) = (Asker::new()?, closed()?);
    let unread = server(context, address, "", "").stdout_unread().spawn()?;
    ready(&asker, address)?;
    exchange(&asker, address, count)?;
    // Nobody has read for a while: this is no reader that is merely slow.
    clock::pause(STANDSTILL);
    let asked = clock::now();
    unread.signal(Signal::SIGTERM)?;
    let ended = unread.finish_unread()?;
    ended.exits(0).context("a server whose pipe is never read")?;
    let said = "warning: nobody reads stdout: the last lines were not written\n";
    check::has(&ended.err(), said)?;
    let took = asked.elapsed();
    ensure!(took <= ENDS_IN, "the end took {took:?}");
    tell(1, count, read.max(took));
    Ok(())
}

fn said_not_shown(out: &[u8]) -> bool {
    String::from_utf8_lossy(out).contains(" datagrams not shown")
}

/// Lines for datagrams, and those that a line says are missing.
fn shown(out: &str) -> Result<u64> {
    let mut shown = 0;
    for line in out.lines() {
        if let Some(rest) = line.strip_prefix("... ") {
            let count = rest.split(' ').next().and_then(|n| n.parse::<u64>().ok());
            shown += count.with_context(|| format!("what is {line:?}"))?;
        }
        shown += u64::from(line.starts_with("recvfrom ("));
    }
    Ok(shown)
}

fn stderr_that_takes_nothing(context: &Context) -> Result<()> {
    let count = datagrams()?;
    let directory = tempfile::tempdir()?;
    let mut slowest = Duration::ZERO;
    needs(&["mkfifo"])?;
    let kinds = ["closed", "on a full disk", "a broken pipe", "an unread pipe"];
    for name in kinds {
        let pipe = directory.path().join(name.replace(' ', "-"));
        let (redirection, held) = match name {
            "closed" => ("2>&-".to_owned(), None),
            "on a full disk" => ("2> /dev/full".to_owned(), None),
            _ => {
                shell(&format!("mkfifo {}", pipe.display()))?;
                (format!("2> {}", pipe.display()), Some(both_ends(&pipe)?))
            }
        };
        let (asker, address) = (Asker::new()?, closed()?);
        // Everything that can be said on stderr is.
        let launch = server(context, address, "", &redirection).env("RUST_LOG", "trace");
        let process = launch.spawn()?;
        ready(&asker, address).with_context(|| format!("stderr {name}"))?;
        let held = if name == "a broken pipe" { None } else { held };
        exchange(&asker, address, count / 2).with_context(|| format!("stderr {name}"))?;
        for _ in 0..100 {
            process.signal(Signal::SIGUSR1)?;
        }
        exchange(&asker, address, count - count / 2).with_context(|| format!("stderr {name}"))?;
        let (took, finished) = end(process, 0).with_context(|| format!("stderr {name}"))?;
        drop(held);
        slowest = slowest.max(took);
        let totals = Totals::parse(&finished.out()).with_context(|| format!("stderr {name}"))?;
        check::same("shown or said not to be", totals.received, shown(&finished.out())?)?;
    }
    tell(kinds.len() as u64, count, slowest);
    Ok(())
}

/// A named pipe, held open at both ends so that opening it waits for nobody.
fn both_ends(pipe: &Path) -> Result<File> {
    File::options().read(true).write(true).open(pipe).context("cannot open a named pipe")
}

/// The server on a terminal that nobody reads until somebody does.
fn on_terminal(
    context: &Context,
    address: SocketAddr,
    before: &str,
) -> Result<(Arc<SharedChild>, Pty)> {
    let (pty, pts) = pty_process::blocking::open().context("cannot open a terminal")?;
    let address = address.to_string();
    let line = format!("{before} exec \"$0\" --bind {address}");
    let command = PtyCommand::new("sh").args(["-c", &line]).arg(&context.programs.server);
    let child = command.spawn(pts).context("cannot start on a terminal")?;
    let child = Arc::new(SharedChild::new(child)?);
    crate::e2e::process::remember(&child);
    Ok((child, pty))
}

fn terminal_paused(context: &Context) -> Result<()> {
    use std::io::Write as _;
    let count = datagrams()? * 4;
    let (asker, address) = (Asker::new()?, closed()?);
    let (child, pty) = on_terminal(context, address, "")?;
    ready(&asker, address)?;
    // Ctrl-S
    (&pty).write_all(b"\x13")?;
    exchange(&asker, address, count)?;
    // Ctrl-Q, and somebody reads again.
    (&pty).write_all(b"\x11")?;
    let output = Stream::default();
    output.drain(File::from(pty.as_fd().try_clone_to_owned()?));
    output.wait_until(|out| said_not_shown(out).then_some(())).context("lines not shown")?;
    // Paused again, and told to end.
    (&pty).write_all(b"\x13")?;
    exchange(&asker, address, count)?;
    clock::pause(STANDSTILL);
    let took = end_child(&child)?;
    tell(1, count, took);
    Ok(())
}

fn terminal_vanished(context: &Context) -> Result<()> {
    let count = datagrams()?;
    let (asker, address) = (Asker::new()?, closed()?);
    // As under nohup: otherwise a vanished terminal is a reason to end.
    let (child, pty) = on_terminal(context, address, "trap '' HUP;")?;
    ready(&asker, address)?;
    drop(pty);
    exchange(&asker, address, count)?;
    let took = end_child(&child)?;
    tell(1, count, took);
    Ok(())
}

fn end_child(child: &SharedChild) -> Result<Duration> {
    if child.try_wait()?.is_some() {
        bail!("the server has ended by itself");
    }
    let pid = i32::try_from(child.id()).context("a process id out of range")?;
    let asked = clock::now();
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    let status = child.wait_deadline(Deadline::after(PATIENCE).instant())?;
    let took = asked.elapsed();
    check::same("exit code", Some(Some(0)), status.map(|s| s.code()))?;
    ensure!(took <= ENDS_IN, "the end took {took:?}");
    Ok(took)
}
