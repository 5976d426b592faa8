//! The client at a terminal: typing is never disturbed, nothing hangs, every end is a good one.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Peer, Reply, Request, closed};
use crate::e2e::terminal::Terminal;

scenarios!("client_terminal":
    silence_is_said_and_the_prompt_returns,
    a_late_reply_appears_above_what_is_typed,
    refusal_is_said_and_the_prompt_returns,
    control_c_ends_with_a_summary,
    history_is_kept_between_runs,
    escapes_never_reach_the_terminal,
);

fn start(context: &Context, args: &[&str]) -> Result<Terminal> {
    Terminal::start(&context.programs.client, args, context.home.path())
}

fn silence_is_said_and_the_prompt_returns(context: &Context) -> Result<()> {
    let peer = Peer::silent()?;
    let (target, port) = (peer.address.to_string(), peer.address.port());
    let terminal = start(context, &[&target, "-W", "300ms"])?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("anybody\r")?;
    terminal.wait_for(&format!(
        "please input message: anybody\n\
         sendto ('127.0.0.1', {port}): anybody\n\
         no reply from ('127.0.0.1', {port}) within 300ms\n\
         please input message:"
    ))?;
    terminal.type_in("\x04")?;
    let (code, screen) = terminal.finish()?;
    check::same("exit code", 1, code)?;
    check::holds(
        &format!("{screen:?} has a summary"),
        screen.ends_with("\n1 sent, 0 replied, 1 lost"),
    )
}

/// The reply comes when half a word is typed; the word goes on where it was.
fn a_late_reply_appears_above_what_is_typed(context: &Context) -> Result<()> {
    let mut first: Option<Request> = None;
    let peer = Peer::new(move |request| {
        if request.bytes == b"go" {
            return first.take().map(|late| late.echo()).into_iter().collect();
        }
        if request.number == 1 {
            first = Some(request.clone());
            return Vec::new();
        }
        vec![request.echo()]
    })?;
    let (target, port) = (peer.address.to_string(), peer.address.port());
    let terminal = start(context, &[&target, "-W", "300ms"])?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("one\r")?;
    let before = format!(
        "please input message: one\n\
         sendto ('127.0.0.1', {port}): one\n\
         no reply from ('127.0.0.1', {port}) within 300ms\n"
    );
    terminal.wait_for(&format!("{before}please input message:"))?;
    terminal.type_in("half")?;
    terminal.wait_for(&format!("{before}please input message: half"))?;
    // Anybody may tell the peer to go.
    crate::e2e::net::Asker::new()?.send(peer.address, b"go")?;
    terminal.wait_until(|screen| {
        screen.contains("echo one") && screen.ends_with("\nplease input message: half")
    })?;
    let label = terminal.screen();
    check::holds(&format!("{label:?} calls it late"), label.contains("late"))?;
    terminal.type_in(" and half\r")?;
    terminal.wait_until(|screen| {
        screen.ends_with(&format!(
            "please input message: half and half\n\
             sendto ('127.0.0.1', {port}): half and half\n\
             recvfrom ('127.0.0.1', {port}): echo half and half\n\
             please input message:"
        ))
    })?;
    terminal.type_in("\x03")?;
    let (code, screen) = terminal.finish()?;
    check::same("exit code", 1, code)?;
    check::holds(
        &format!("{screen:?} has the counts"),
        screen.contains("\n2 sent, 1 replied, 1 lost, 1 late\n"),
    )
}

fn refusal_is_said_and_the_prompt_returns(context: &Context) -> Result<()> {
    let target = closed()?.to_string();
    let terminal = start(context, &[&target, "-W", "20"])?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("hello\r")?;
    terminal.wait_until(|screen| {
        screen.contains("refused") && screen.ends_with("\nplease input message:")
    })?;
    terminal.type_in("\x04")?;
    let (code, screen) = terminal.finish()?;
    check::same("exit code", 3, code)?;
    check::holds(
        &format!("{screen:?} has the counts"),
        screen.ends_with("\n1 sent, 0 replied, 0 lost, 1 refused"),
    )
}

fn control_c_ends_with_a_summary(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let terminal = start(context, &[&peer.address.to_string()])?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("hello\r")?;
    terminal.wait_until(|s| s.ends_with(": echo hello\nplease input message:"))?;
    terminal.type_in("half a word\x03")?;
    let (code, screen) = terminal.finish()?;
    check::same("exit code", 0, code)?;
    check::holds(
        &format!("{screen:?} has a summary"),
        screen.contains("\n1 sent, 1 replied, 0 lost\nrtt "),
    )?;
    check::same("datagrams", 1, peer.seen().len())
}

fn history_is_kept_between_runs(context: &Context) -> Result<()> {
    let home = tempfile::tempdir()?;
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let run = |args: &[&str], keys: &str| -> Result<()> {
        let terminal = Terminal::start(&context.programs.client, args, home.path())?;
        terminal.wait_for("please input message:")?;
        terminal.type_in(keys)?;
        terminal.wait_until(|screen| screen.ends_with("\nplease input message:"))?;
        terminal.type_in("\x04")?;
        check::same("exit code", 0, terminal.finish()?.0)
    };
    run(&[&target], "remember me\r")?;
    run(&[&target], "\x1b[A\r")?;
    run(&[&target, "--no-history"], "not me\r")?;
    run(&[&target], "\x1b[A\r")?;
    let expected = ["remember me", "remember me", "not me", "remember me"];
    check::same("the datagrams", expected.map(|m| m.as_bytes().to_vec()).to_vec(), peer.payloads())
}

fn escapes_never_reach_the_terminal(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| {
        vec![Reply::now(r.from, "\x1b[2J\x1b[1;1Hforged\r\n\u{202e}please input message: \u{9b}2J")]
    })?;
    let (target, port) = (peer.address.to_string(), peer.address.port());
    let terminal = start(context, &[&target])?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("x\r")?;
    terminal.wait_for(&format!(
        "please input message: x\n\
         sendto ('127.0.0.1', {port}): x\n\
         recvfrom ('127.0.0.1', {port}): \
         \\x1b[2J\\x1b[1;1Hforged\\r\\n\\u{{202e}}please input message: \\u{{9b}}2J\n\
         please input message:"
    ))
}
