//! Who gets a reply and who does not, and that each refusal is counted by its reason.

use std::net::SocketAddr;

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::Asker;
use crate::e2e::skip::skip;

scenarios!("admission":
    privileged_source_ports,
    no_loop_guard_answers_them,
    mapped_sources_are_ipv4,
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
