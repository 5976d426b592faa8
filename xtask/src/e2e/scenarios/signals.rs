//! Ctrl-C, SIGTERM and the snapshot signal, on all three programs.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::scenarios;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::{Asker, Peer};
use crate::e2e::netns::present;
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;
use crate::e2e::{check, clock};

scenarios!("signals":
    the_client_stops_with_a_summary,
    a_request_heard_twice_is_one_request,
    a_late_interrupt_ends_at_once_and_a_late_term_does_not,
    what_was_ignored_at_the_start_stays_ignored,
    a_snapshot_of_the_client,
    process_1_of_a_container_leaves_no_zombies,
);

fn the_client_stops_with_a_summary(context: &Context) -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let peer = Peer::echo()?;
        let mut client = context.client().arg(peer.address.to_string()).stdin_open().spawn()?;
        client.write(b"hello\n")?;
        client.wait_for("sendto <any>: hello\nrecvfrom <any>: echo hello\n")?;
        client.signal(signal)?;
        client.finish()?.exits(0)?.complains("")?.prints(
            "sendto <any>: hello\nrecvfrom <any>: echo hello\n1 sent, 1 replied, 0 lost\nrtt <any>\n",
        )?;
    }
    // Stopped while a message is unanswered: that one was not answered.
    let peer = Peer::silent()?;
    let client = context.client().args([peer.address.to_string().as_str(), "-m", "x", "-W", "60"]);
    let client = client.spawn()?;
    client.wait_for("sendto <any>: x\n")?;
    let finished = client.interrupt()?;
    finished.exits(1)?;
    check::has(&finished.out(), "\n1 sent, 0 replied, ")
}

/// GNU `timeout` signals its child and then the child's group, so every program hears it twice.
fn a_request_heard_twice_is_one_request(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let pairs = [(Signal::SIGINT, Signal::SIGINT), (Signal::SIGTERM, Signal::SIGTERM)];
    let pairs = pairs
        .into_iter()
        .chain([(Signal::SIGINT, Signal::SIGTERM), (Signal::SIGTERM, Signal::SIGINT)]);
    for (first, second) in pairs.cycle().take(12) {
        let server = context.serve(&["-q"])?.process;
        let heartbeat = context.heartbeat().args([&target, "-i", "0.05"]).spawn()?;
        heartbeat.wait_for("<lines>recvfrom <any>\n")?;
        let mut client = context.client().arg(&target).stdin_open().spawn()?;
        client.write(b"hello\n")?;
        client.wait_for("sendto <any>\nrecvfrom <any>\n")?;
        for (process, summary) in
            [(server, "statistics"), (heartbeat, "statistics"), (client, "1 sent, 1 replied")]
        {
            process.signal(first)?;
            // It may have ended already.
            let _ = process.signal(second);
            let finished = process.finish()?;
            finished.exits(0)?;
            check::has(&finished.out(), summary)?;
        }
    }
    Ok(())
}

/// With an output that nobody reads there is something to wait for after the first signal.
fn a_late_interrupt_ends_at_once_and_a_late_term_does_not(context: &Context) -> Result<()> {
    let server = Server::start_unread(context.server().args(["--bind", "127.0.0.1:0"]))?;
    let asker = Asker::new()?;
    let payload = [b'x'; 1_000];
    for _ in 0..500 {
        asker.expect(server.address(), &payload, &[b"echo ", payload.as_slice()].concat())?;
    }
    server.process.signal(Signal::SIGTERM)?;
    clock::pause(Duration::from_millis(350));
    let _ = server.process.signal(Signal::SIGTERM);
    let _ = server.process.signal(Signal::SIGINT);
    let finished = server.process.finish_unread()?;
    check::holds("no panic", !finished.err().contains("panicked"))
}

/// A shell starts what stands before `&` with SIGINT and SIGQUIT ignored, `nohup` with SIGHUP.
fn what_was_ignored_at_the_start_stays_ignored(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let script = "trap '' INT QUIT HUP; exec \"$0\" \"$@\"";
    let heartbeat = context.programs.heartbeat.clone().into_os_string();
    let process = context
        .launch(&"/bin/sh".into())
        .args(["-c".into(), script.into(), heartbeat])
        .args([&peer.address.to_string(), "-i", "0.05"])
        .spawn()?;
    process.wait_for("<lines>recvfrom <any>\n")?;
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        process.signal(signal)?;
    }
    let seen = peer.seen().len();
    peer.wait_until(|now| now.len() >= seen + 2)?;
    process.signal(Signal::SIGTERM)?;
    process.finish()?.exits(0)?.complains("")?;
    Ok(())
}

fn a_snapshot_of_the_client(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let mut client = context.client().arg(peer.address.to_string()).stdin_open().spawn()?;
    client.write(b"one\n")?;
    client.wait_for("sendto <any>\nrecvfrom <any>\n")?;
    client.signal(Signal::SIGUSR1)?;
    client.wait_for_stderr("<any>\n")?;
    client.write(b"two\n")?;
    client.end_input();
    client.finish()?.exits(0)?.complains("<any>\n")?;
    Ok(())
}

/// A process whose parent has ended is handed to process 1, which has to wait for it.
fn process_1_of_a_container_leaves_no_zombies(context: &Context) -> Result<()> {
    if !geteuid().is_root() || !present("unshare") {
        return skip("a process namespace needs root and unshare");
    }
    let orphan = "p=$( (sh -c 'echo $$' &) ); n=0; \
                  while [ -e /proc/$p ] && [ $n -lt 1000 ]; do n=$((n+1)); sleep 0.01; done; \
                  [ -e /proc/$p ] || echo gone; exit 3";
    let script = "mount -t proc proc /proc && exec \"$@\"";
    let finished = Launch::new("unshare")
        .args(["--fork", "--pid", "--mount", "--net", "sh", "-c", script, "sh"])
        .arg(&context.programs.heartbeat)
        .args(["127.0.0.1:1", "-q", "-c", "1", "-W", "0.05", "--down-after", "1"])
        .args(["--on-change", orphan])
        .finish()?;
    let said = finished.err();
    check::has(&said, "gone\n")?;
    // What is waited for is left to whoever waits.
    check::has(&said, "exit status: 3")
}
