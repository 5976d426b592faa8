//! Who gets a reply and who does not, and that each refusal is counted by its reason.

use std::net::SocketAddr;

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::clock;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::Asker;
use crate::e2e::runner::skip;

scenarios!("admission":
    privileged_source_ports,
    own_source_port,
    prefix_towers,
    no_loop_guard_answers_them,
    two_servers_cannot_be_set_on_each_other,
    rate_limit,
    no_rate_limit_for_loopback,
    deny,
    allow,
    the_most_specific_wins,
    mapped_sources_are_ipv4,
    broadcast,
    broadcast_on_dual_stack,
    answer_broadcast,
    sink,
    stop_after_a_count,
);

/// Stops the server and checks its two lines of counts.
#[track_caller]
fn counts(server: Server, first: &str, second: &str) -> Result<()> {
    let place = check::here();
    let finished = server.stop()?;
    finished.exits(0)?;
    let out = finished.out();
    let summary: Vec<&str> = out.lines().skip_while(|l| !l.starts_with("--- ")).skip(1).collect();
    check::same(&format!("{place}: the counts"), vec![first, second], summary)
}

const NONE_REFUSED: &str = "dropped: rate 0, loop 0, access 0, destination 0, source 0, size 0";

/// An asker on a privileged port, or a skip where the system does not allow it.
fn privileged() -> Result<Asker> {
    for port in (1..1024).rev() {
        match Asker::on(&format!("127.0.0.1:{port}")) {
            Ok(asker) => return Ok(asker),
            Err(error) if format!("{error:#}").contains("ermission denied") => {
                return skip("ports below 1024 need privileges here");
            }
            Err(_) => {}
        }
    }
    skip("no port below 1024 is free")
}

/// `refused` sends a datagram that must not be answered, then `welcome` one that must be: once
/// that reply is there, the other one would have been, for one socket is served in order.
#[track_caller]
fn silent(server: &Server, refused: &Asker, to: SocketAddr, payload: &[u8]) -> Result<()> {
    let place = check::here();
    let welcome = Asker::new()?;
    refused.send(to, payload)?;
    welcome.expect(server.address(), b"probe", b"echo probe")?;
    refused.expect_nothing().map_err(|e| e.context(place))
}

fn privileged_source_ports(context: &Context) -> Result<()> {
    let asker = privileged()?;
    let server = context.serve(&[])?;
    silent(&server, &asker, server.address(), b"hello")?;
    counts(
        server,
        "2 received, 1 replied, 1 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 1, access 0, destination 0, source 0, size 0",
    )
}

fn own_source_port(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let asker = Asker::on(&format!("127.0.0.2:{}", server.port()))?;
    silent(&server, &asker, server.address(), b"hello")?;
    counts(
        server,
        "2 received, 1 replied, 1 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 1, access 0, destination 0, source 0, size 0",
    )
}

fn prefix_towers(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let asker = Asker::new()?;
    let fifteen = "echo ".repeat(15).into_bytes();
    asker.expect(server.address(), &fifteen, &[b"echo ", fifteen.as_slice()].concat())?;
    for tower in ["echo ".repeat(16), "echo ".repeat(16) + "hello", "echo ".repeat(1_000)] {
        silent(&server, &asker, server.address(), tower.as_bytes())?;
    }
    counts(
        server,
        "7 received, 4 replied, 3 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 3, access 0, destination 0, source 0, size 0",
    )
}

fn no_loop_guard_answers_them(context: &Context) -> Result<()> {
    let server = context.serve(&["--no-loop-guard"])?;
    let tower = "echo ".repeat(16).into_bytes();
    Asker::new()?.expect(server.address(), &tower, &[b"echo ", tower.as_slice()].concat())?;
    Asker::on(&format!("127.0.0.2:{}", server.port()))?.expect(
        server.address(),
        b"own port",
        b"echo own port",
    )?;
    privileged()?.expect(server.address(), b"low port", b"echo low port")?;
    counts(server, "3 received, 3 replied, 0 dropped, 0 failed, 0 kernel drops", NONE_REFUSED)
}

/// What one forged datagram could start: here the tester plays both network and forger by
/// handing every reply of one server to the other, until one of them falls silent.
fn two_servers_cannot_be_set_on_each_other(context: &Context) -> Result<()> {
    let servers = [context.serve(&["-q"])?, context.serve(&["-q"])?];
    let mut payload = b"x".to_vec();
    let mut passes = 0;
    for turn in 0.. {
        let server = &servers[turn % 2];
        let (forged, probe) = (Asker::new()?, Asker::new()?);
        forged.send(server.address(), &payload)?;
        probe.expect(server.address(), b"probe", b"echo probe")?;
        if forged.expect_nothing().is_ok() {
            break;
        }
        let longer = [b"echo ", payload.as_slice()].concat();
        payload = longer;
        passes += 1;
        check::holds("the loop ends by itself", passes <= 18)?;
        // The reply was taken by `expect_nothing`, so its content is asked for once more.
        let again = Asker::new()?;
        again.expect(server.address(), &payload[5..], &payload)?;
    }
    check::same("passes before silence", 16, passes)
}

fn rate_limit(context: &Context) -> Result<()> {
    let server = context.serve(&["--rate-limit", "1/5"])?;
    let asker = Asker::new()?;
    let began = clock::now();
    for _ in 0..40 {
        asker.send(server.address(), b"hello")?;
    }
    // Another source network has an allowance of its own.
    let other = Asker::on("127.0.0.2:0")?;
    other.expect(server.address(), b"other", b"echo other")?;
    let most = 6 + (clock::now() - began).as_secs();
    let finished = server.stop()?;
    finished.exits(0)?.complains("<any>\n")?;
    let mut replied = 0;
    asker.socket.set_nonblocking(true)?;
    while asker.socket.recv(&mut [0; 64]).is_ok() {
        replied += 1;
    }
    check::holds(&format!("{replied} replies, not 5 to {most}"), (5..=most).contains(&replied))?;
    let (all, refused) = (replied + 1, 40 - replied);
    check::holds(
        &format!("{:?} has the counts", finished.out()),
        finished.out().ends_with(&format!(
            "41 received, {all} replied, {refused} dropped, 0 failed, 0 kernel drops\n\
             dropped: rate {refused}, loop 0, access 0, destination 0, source 0, size 0\n"
        )),
    )
}

fn no_rate_limit_for_loopback(context: &Context) -> Result<()> {
    let server = context.serve(&["-q"])?;
    let asker = Asker::new()?;
    for _ in 0..2_000 {
        asker.expect(server.address(), b"hello", b"echo hello")?;
    }
    counts(server, "2000 received, 2000 replied, 0 dropped, 0 failed, 0 kernel drops", NONE_REFUSED)
}

fn deny(context: &Context) -> Result<()> {
    let server = context.serve(&["--deny", "127.0.0.2/32", "--deny", "127.0.3.0/24"])?;
    for source in ["127.0.0.2:0", "127.0.3.9:0"] {
        silent(&server, &Asker::on(source)?, server.address(), b"hello")?;
    }
    counts(
        server,
        "4 received, 2 replied, 2 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 0, access 2, destination 0, source 0, size 0",
    )
}

fn allow(context: &Context) -> Result<()> {
    let server = context.serve(&["--allow", "127.0.0.1/32", "--allow", "10.0.0.0/8"])?;
    silent(&server, &Asker::on("127.0.0.2:0")?, server.address(), b"hello")?;
    counts(
        server,
        "2 received, 1 replied, 1 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 0, access 1, destination 0, source 0, size 0",
    )
}

fn the_most_specific_wins(context: &Context) -> Result<()> {
    let rules = ["--deny", "127.0.0.0/8", "--allow", "127.0.0.0/24", "--deny", "127.0.0.3"];
    let server = context.serve(&rules)?;
    Asker::on("127.0.0.2:0")?.expect(server.address(), b"hello", b"echo hello")?;
    silent(&server, &Asker::on("127.0.0.3:0")?, server.address(), b"hello")?;
    silent(&server, &Asker::on("127.0.1.1:0")?, server.address(), b"hello")?;
    counts(
        server,
        "5 received, 3 replied, 2 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 0, access 2, destination 0, source 0, size 0",
    )
}

fn mapped_sources_are_ipv4(context: &Context) -> Result<()> {
    let server = context.serve_on("[::]:0", &["--deny", "127.0.0.2/32"])?;
    let four: SocketAddr = ([127, 0, 0, 1], server.port()).into();
    let refused = Asker::on("127.0.0.2:0")?;
    refused.send(four, b"hello")?;
    Asker::new()?.expect(four, b"probe", b"echo probe")?;
    refused.expect_nothing()?;
    counts(
        server,
        "2 received, 1 replied, 1 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 0, access 1, destination 0, source 0, size 0",
    )
}

/// Ten datagrams to the loopback network's broadcast address, none of them answered.
fn broadcast_on(context: &Context, bind: &str) -> Result<()> {
    let server = context.serve_on(bind, &[])?;
    let four: SocketAddr = ([127, 0, 0, 1], server.port()).into();
    let asker = Asker::new()?;
    asker.socket.set_broadcast(true)?;
    for _ in 0..10 {
        asker.send(([127, 255, 255, 255], server.port()).into(), b"who is there")?;
    }
    Asker::new()?.expect(four, b"probe", b"echo probe")?;
    asker.expect_nothing()?;
    counts(
        server,
        "11 received, 1 replied, 10 dropped, 0 failed, 0 kernel drops",
        "dropped: rate 0, loop 0, access 0, destination 10, source 0, size 0",
    )
}

fn broadcast(context: &Context) -> Result<()> {
    broadcast_on(context, "0.0.0.0:0")
}

fn broadcast_on_dual_stack(context: &Context) -> Result<()> {
    broadcast_on(context, "[::]:0")
}

fn answer_broadcast(context: &Context) -> Result<()> {
    let server = context.serve_on("0.0.0.0:0", &["--answer-broadcast"])?;
    let asker = Asker::new()?;
    asker.socket.set_broadcast(true)?;
    asker.send(([127, 255, 255, 255], server.port()).into(), b"who is there")?;
    let (reply, from) = asker.receive()?;
    check::same("the reply", b"echo who is there".to_vec(), reply)?;
    check::same("its source", SocketAddr::from(([127, 0, 0, 1], server.port())), from)?;
    counts(server, "1 received, 1 replied, 0 dropped, 0 failed, 0 kernel drops", NONE_REFUSED)
}

fn sink(context: &Context) -> Result<()> {
    let server = context.serve(&["--sink", "--count", "3"])?;
    let asker = Asker::new()?;
    for payload in [b"one", b"two", b"six"] {
        asker.send(server.address(), payload)?;
    }
    let port = asker.port()?;
    let finished = server.process.finish()?;
    asker.expect_nothing()?;
    finished.exits(0)?;
    let out = finished.out();
    for payload in ["one", "two", "six"] {
        let line = format!("recvfrom ('127.0.0.1', {port}): {payload}\n");
        check::holds(&format!("{out:?} has {line:?}"), out.contains(&line))?;
    }
    check::holds(&format!("{out:?} has the count"), out.contains("\n3 received"))
}

fn stop_after_a_count(context: &Context) -> Result<()> {
    let server = context.serve(&["--count", "2"])?;
    let asker = Asker::new()?;
    asker.expect(server.address(), b"one", b"echo one")?;
    asker.expect(server.address(), b"two", b"echo two")?;
    server.process.finish()?.exits(0)?.prints(
        "server start at: <any>\nwait for connection...\n\
         recvfrom <any>: one\nrecvfrom <any>: two\n--- <any>\n\
         2 received, 2 replied, 0 dropped, 0 failed, 0 kernel drops\ndropped: <any>\n",
    )?;
    Ok(())
}
