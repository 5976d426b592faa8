//! Where the programs serve and whom they ask: both families, both at once, every written form
//! of an endpoint, and replies that leave from the address that was asked.

use std::net::SocketAddr;

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::{Asker, Peer};

scenarios!("addresses":
    ipv6,
    dual_stack,
    several_binds,
    every_form_of_a_target,
    every_form_of_a_bind,
    mapped_target_is_ipv4,
    names_of_both_families,
    source_is_what_was_bound,
);

fn at(address: &str, port: u16) -> Result<SocketAddr> {
    Ok(SocketAddr::new(address.parse()?, port))
}

fn ipv6(context: &Context) -> Result<()> {
    let server = context.serve_on("[::1]:0", &[])?;
    let port = server.port();
    let asker = Asker::on("[::1]:0")?;
    asker.expect(server.address(), b"hello", b"echo hello")?;
    let from = asker.port()?;
    let target = format!("[::1]:{port}");
    context.ask([target.as_str(), "-m", "by client"])?.exits(0)?.prints(&format!(
        "sendto ('::1', {port}): by client\n\
         recvfrom ('::1', {port}): echo by client\n\
         1 sent, 1 replied, 0 lost\nrtt <any>\n"
    ))?;
    context.beat([target.as_str(), "-c", "1"])?.exits(0)?.prints(&format!(
        "sendto ('::1', {port}): heartbeat\n\
         recvfrom ('::1', {port}): echo heartbeat  seq=1 rtt=<ms> ms\n\
         --- [::1]:{port} heartbeat statistics ---\n\
         1 sent, 1 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered<missed>\n\
         rtt <any>\nrtt <any>\n"
    ))?;
    server.stop()?.exits(0)?.prints(&format!(
        "server start at: [::1]:{port}\n\
         wait for connection...\n\
         recvfrom ('::1', {from}): hello\n\
         recvfrom ('::1', <port>): by client\n\
         recvfrom ('::1', <port>): heartbeat\n\
         --- [::1]:{port} server statistics ---\n\
         3 received, 3 replied, 0 dropped, 0 failed, 0 kernel drops\n\
         dropped: rate 0, loop 0, access 0, destination 0, source 0, size 0\n"
    ))?;
    Ok(())
}

fn dual_stack(context: &Context) -> Result<()> {
    let server = context.serve_on("[::]:0", &[])?;
    let port = server.port();
    let (four, six) = (Asker::new()?, Asker::on("[::1]:0")?);
    four.expect(at("127.0.0.1", port)?, b"four", b"echo four")?;
    six.expect(at("::1", port)?, b"six", b"echo six")?;
    let (from_four, from_six) = (four.port()?, six.port()?);
    server.stop()?.exits(0)?.prints(&format!(
        "server start at: [::]:{port}\n\
         wait for connection...\n\
         recvfrom ('127.0.0.1', {from_four}): four\n\
         recvfrom ('::1', {from_six}): six\n\
         --- [::]:{port} server statistics ---\n\
         2 received, 2 replied, 0 dropped, 0 failed, 0 kernel drops\n\
         dropped: rate 0, loop 0, access 0, destination 0, source 0, size 0\n"
    ))?;
    Ok(())
}

fn several_binds(context: &Context) -> Result<()> {
    let binds = ["--bind", "127.0.0.1:0", "--bind", "127.0.0.2:0", "--bind", "[::1]:0"];
    let server = Server::start(context.server().args(binds))?;
    check::same("start lines", 3, server.addresses.len())?;
    let addresses = server.addresses.clone();
    for address in &addresses {
        let asker = Asker::on(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" })?;
        asker.expect(*address, b"hello", b"echo hello")?;
    }
    let finished = server.stop()?;
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let header = finished.out().lines().find(|l| l.starts_with("---")).map(str::to_owned);
    let header = header.unwrap_or_default();
    for address in &all {
        check::holds(&format!("{header:?} names {address}"), header.contains(address.as_str()))?;
    }
    check::has(&finished.out(), "\n3 received, 3 replied, 0 dropped, 0 failed, 0 kernel drops\n")
}

fn every_form_of_a_target(context: &Context) -> Result<()> {
    let server = context.serve_on("0.0.0.0:0", &[])?;
    let port = server.port();
    for target in [format!("127.0.0.1:{port}"), format!(":{port}"), format!("localhost:{port}")] {
        let finished = context.ask(["-4", target.as_str(), "-m", "x"])?;
        finished.exits(0)?.prints(&format!(
            "sendto ('127.0.0.1', {port}): x\n\
             recvfrom ('127.0.0.1', {port}): echo x\n\
             1 sent, 1 replied, 0 lost\nrtt <any>\n"
        ))?;
    }
    let six = context.serve_on("[::]:0", &[])?;
    let port = six.port();
    for target in [format!("[::1]:{port}"), format!(":{port}"), format!("[::1%lo]:{port}")] {
        let finished = context.ask(["-6", target.as_str(), "-m", "x"])?;
        finished.exits(0)?.prints(&format!(
            "sendto ('::1', {port}): x\n\
             recvfrom ('::1', {port}): echo x\n\
             1 sent, 1 replied, 0 lost\nrtt <any>\n"
        ))?;
    }
    Ok(())
}

/// Without a port the default stands: a host, a bracketed and a bare IPv6 address.
fn every_form_of_a_bind(context: &Context) -> Result<()> {
    let _port = context.default_port()?;
    for (options, start) in [
        (["--bind", "127.0.0.1"].as_slice(), "127.0.0.1:7000"),
        (&["--bind", "localhost", "-4"], "127.0.0.1:7000"),
        (&["--bind", ":7000"], "0.0.0.0:7000"),
        (&["--bind", "[::1]"], "[::1]:7000"),
        (&["--bind", "::1"], "[::1]:7000"),
        (&["--bind", ":7000", "-6"], "[::]:7000"),
        (&["-b", "127.0.0.1:7000"], "127.0.0.1:7000"),
    ] {
        let server = Server::start(context.server().args(options.iter().copied()))?;
        server.process.wait_for(&format!("server start at: {start}\n"))?;
        server.stop()?.exits(0)?;
    }
    Ok(())
}

fn mapped_target_is_ipv4(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let port = server.port();
    context
        .ask([format!("[::ffff:127.0.0.1]:{port}"), "-m".into(), "x".into()])?
        .exits(0)?
        .prints(&format!(
            "sendto ('127.0.0.1', {port}): x\n\
             recvfrom ('127.0.0.1', {port}): echo x\n\
             1 sent, 1 replied, 0 lost\nrtt <any>\n"
        ))?;
    Ok(())
}

fn names_of_both_families(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let port = server.port();
    context.beat([format!("localhost:{port}"), "-4".into(), "-c".into(), "1".into()])?.exits(0)?;
    // An address of the other family than the one that was forced is a name without an address.
    context.ask(["-6", "127.0.0.1", "-m", "x"])?.exits(2)?.complains("error: <any>\n")?;
    context.ask(["-4", "::1", "-m", "x"])?.exits(2)?.complains("error: <any>\n")?;
    Ok(())
}

fn source_is_what_was_bound(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    context.ask([target.as_str(), "--bind", "127.0.0.7:0", "-m", "x"])?.exits(0)?;
    context.beat([target.as_str(), "--bind", "127.0.0.8:0", "-c", "1"])?.exits(0)?;
    let sources: Vec<String> = peer.seen().iter().map(|r| r.from.ip().to_string()).collect();
    check::same("sources", vec!["127.0.0.7".to_owned(), "127.0.0.8".into()], sources)
}
