//! The live screen on a terminal: what it shows, its keys, and the terminal afterwards.

use std::path::Path;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Peer;
use crate::e2e::netns::needs;
use crate::e2e::terminal::Terminal;

scenarios!("live":
    the_screen_comes_and_goes,
    whatever_ends_it_the_terminal_is_as_before,
    it_ends_by_itself,
    it_ends_when_its_window_is_closed,
    the_job_stops_and_goes_on,
    nothing_is_written_over_it,
    without_a_terminal_there_is_none,
);

/// The alternate screen begins, and ends.
const BEGINS: &[u8] = b"\x1b[?1049h";
const ENDS: &[u8] = b"\x1b[?1049l";

fn the_screen_comes_and_goes(context: &Context) -> Result<()> {
    let (up, silent) = (Peer::echo()?, Peer::silent()?);
    let script = format!(
        "export LANG=C.UTF-8; {} {} {} -i 0.05 -W 0.2 --live; echo exit $?; stty -a | grep -o -e '-*icanon'",
        context.programs.heartbeat.display(),
        up.address,
        silent.address,
    );
    let terminal = Terminal::start(Path::new("bash"), &["-c", &script], context.home.path())?;
    let (up, silent) = (up.address.to_string(), silent.address.to_string());
    terminal.wait_until(|screen| {
        let row = |sign: &str, name: &str| {
            screen.lines().any(|line| line.starts_with(sign) && line.contains(name))
        };
        row("● up", &up) && row("✖ down", &silent) && screen.contains('×')
    })?;
    let footer = |rows: usize| {
        move |screen: &str| screen.lines().nth(rows - 1).is_some_and(|it| it.starts_with("q end"))
    };
    terminal.wait_until(footer(40))?;
    terminal.resize(24, 80)?;
    terminal.wait_until(footer(24))?;
    // The second target, alone.
    terminal.type_in("j\r")?;
    terminal.wait_until(|screen| screen.contains("0 received") && screen.contains("lost"))?;
    terminal.type_in("\x1b")?;
    terminal.wait_until(|screen| screen.contains("2 targets: 1 up, 1 down;"))?;
    terminal.type_in("/")?;
    terminal.type_in(&silent)?;
    terminal.type_in("\r")?;
    terminal.wait_until(|screen| screen.contains("filter: ") && !screen.contains("● up"))?;
    terminal.type_in("q")?;
    let (_, screen) = terminal.finish()?;
    // The summary, the exit code for a target that is down, and lines that are edited again.
    let text = "2 targets: 1 up, 0 degraded, 1 down, 0 unknown; <any>\nexit 1\nicanon";
    let end = screen.lines().rev().take(3).collect::<Vec<_>>();
    check::matches("the end", text, &end.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

fn whatever_ends_it_the_terminal_is_as_before(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    for (key, signal) in [("\x03", None), ("", Some(Signal::SIGTERM)), ("", Some(Signal::SIGINT))] {
        let args = [target.as_str(), "-i", "0.05", "--live", "--ascii"];
        let terminal = Terminal::start(&context.programs.heartbeat, &args, context.home.path())?;
        terminal.wait_until(|screen| screen.contains(&format!("+ up       {target}")))?;
        terminal.type_in(key)?;
        if let Some(signal) = signal {
            let id = i32::try_from(terminal.id())?;
            kill(Pid::from_raw(id), signal)?;
        }
        // Nothing is written to the terminal between its screen and the summary.
        terminal.hear(|bytes| {
            let place = |what: &[u8]| bytes.windows(what.len()).position(|it| it == what);
            let (begins, ends) = (place(BEGINS)?, place(ENDS)?);
            let heading = place(format!("--- {target} heartbeat statistics ---").as_bytes())?;
            (begins < ends && ends < heading).then_some(())
        })?;
        let (code, screen) = terminal.finish()?;
        check::same("exit code", 0, code)?;
        check::has(&screen, "\nrtt p50/p90/p99 = ")?;
    }
    Ok(())
}

fn it_ends_by_itself(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let args = [peer.address.to_string(), "-c".into(), "3".into(), "-i".into(), "0.05".into()];
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.push("--live");
    let terminal = Terminal::start(&context.programs.heartbeat, &args, context.home.path())?;
    let (code, screen) = terminal.finish()?;
    check::same("exit code", 0, code)?;
    let text = "3 sent, 3 received, 0 lost (0.0%)";
    check::has(&screen, text)
}

/// Opens a terminal for a program, and closes it once the screen is shown.
const CLOSED: &str = r"
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b''
while b'\x1b[?1049h' not in seen:
    seen += os.read(terminal, 4096)
os.close(terminal)
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(30)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// Also where the hangup of its terminal is a wish for the recording to be opened again.
fn it_ends_when_its_window_is_closed(context: &Context) -> Result<()> {
    needs(&["python3"])?;
    let peer = Peer::echo()?;
    let directory = tempfile::tempdir()?;
    let launch = context.launch(&"python3".into()).args(["-c", CLOSED]).env("TERM", "xterm");
    let launch = launch.arg(&context.programs.heartbeat).args(["-i", "0.05", "--live"]);
    let launch = launch.arg(peer.address.to_string());
    launch.arg("--record").arg(directory.path().join("run")).finish()?.exits(0)?.prints("0\n")?;
    Ok(())
}

/// Ctrl-Z gives the terminal to the shell as it was, and `fg` brings the screen back.
fn the_job_stops_and_goes_on(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let script = format!(
        "set -m; {} {} -i 0.05 --live --ascii; stty -a | grep -o -e '-*icanon'; echo stopped; read; fg; echo exit $?",
        context.programs.heartbeat.display(),
        peer.address,
    );
    let terminal = Terminal::start(Path::new("bash"), &["-c", &script], context.home.path())?;
    let row = format!("+ up       {}", peer.address);
    terminal.wait_until(|screen| screen.contains(&row))?;
    terminal.type_in("\x1a")?;
    terminal.wait_until(|screen| screen.contains("\nicanon\nstopped") && !screen.contains(&row))?;
    terminal.type_in("\r")?;
    terminal.wait_until(|screen| screen.contains(&row) && !screen.contains("stopped"))?;
    terminal.type_in("q")?;
    let (_, screen) = terminal.finish()?;
    check::holds(&format!("{screen:?} has the exit code"), screen.contains("\nexit 0"))
}

/// What is said before the screen comes, and what commands of `--on-change` print, is not on it. What is
/// said while it is there is its last line, and on stderr afterwards.
fn nothing_is_written_over_it(context: &Context) -> Result<()> {
    let (peer, silent) = (Peer::echo()?, Peer::silent()?);
    let (up, down) = (peer.address.to_string(), silent.address.to_string());
    let args =
        [up.as_str(), &down, "nowhere.invalid", "-i", "0.05", "-W", "0.1", "--live", "--ascii"];
    let more = ["--color", "always", "--on-change", "echo printed; echo complained >&2; exit 3"];
    let args = [&args[..], &more].concat();
    let terminal = Terminal::start(&context.programs.heartbeat, &args, context.home.path())?;
    let row = format!("X down     {down}");
    let failed =
        format!("warning: --on-change: the command for {down} (down) failed: exit status: 3");
    terminal.wait_until(|screen| screen.contains(&row) && screen.contains(&failed))?;
    let screen = terminal.screen();
    let lines: Vec<&str> = screen.lines().collect();
    check::holds(&format!("{screen:?} has its title"), lines[0].starts_with(" udp-heartbeat"))?;
    let over = |line: &&str| ["warning", "[31m"].iter().any(|it| line.contains(it));
    let over: Vec<&str> = lines.into_iter().filter(over).collect();
    let bare = over.iter().all(|line| line.starts_with("warning: "));
    check::holds(&format!("{over:?} is the footer's line"), over.len() <= 1 && bare)?;
    terminal.type_in("q")?;
    // All that was ever written, also what a later frame covered.
    let all = terminal.hear(|bytes| {
        let over = bytes.windows(ENDS.len()).any(|it| it == ENDS);
        over.then(|| String::from_utf8_lossy(bytes).into_owned())
    })?;
    let printed = all.contains("printed") || all.contains("complained");
    check::holds(&format!("{all:?} has nothing of the commands"), !printed)?;
    let (_, screen) = terminal.finish()?;
    check::has(&screen, "warning: nowhere.invalid:7000: cannot resolve")?;
    check::has(&screen, &failed)
}

fn without_a_terminal_there_is_none(context: &Context) -> Result<()> {
    let finished = context.heartbeat().args(["127.0.0.1:7000", "--live"]).finish()?;
    finished.exits(2)?.prints("")?.complains("error: --live needs a terminal\n")?;
    let finished = context.heartbeat().args(["--live", "--json"]).finish()?;
    finished.exits(2)?.prints("")?;
    Ok(())
}
