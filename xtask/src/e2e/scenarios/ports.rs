//! Ports that are taken, closed, shared or given away.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::{Asker, Peer, closed};

scenarios!("ports":
    a_second_server_is_refused,
    reuse_address_gives_nothing_away,
    reuse_port_shares,
    workers_share_and_keep_strangers_out,
    restart_binds_at_once,
    a_closed_port_is_refused,
    a_silent_port_is_not_refused,
);

/// One more server on `first`'s port ends with code 4 and leaves the first unharmed.
fn refused(context: &Context, first: &Server, options: &[&str]) -> Result<()> {
    let address = first.address();
    let bind = address.to_string();
    let finished =
        context.server().args(["--bind", &bind]).args(options.iter().copied()).finish()?;
    finished.exits(4)?.prints("")?.complains(&format!(
        "error: cannot bind {address}: address already in use\nhint: <any>\n"
    ))?;
    Asker::new()?.expect(address, b"still here", b"echo still here")
}

fn a_second_server_is_refused(context: &Context) -> Result<()> {
    let first = context.serve(&[])?;
    for options in [&[][..], &["--reuse-address"], &["--workers", "2"], &["--reuse-port"]] {
        refused(context, &first, options)?;
    }
    // The address that the error names is the one that was taken, also among several.
    let free = ["--bind", "127.0.0.1:0", "--bind"];
    let taken = first.address().to_string();
    context
        .server()
        .args(free)
        .arg(taken.as_str())
        .finish()?
        .exits(4)?
        .complains(&format!("error: cannot bind {taken}: address already in use\nhint: <any>\n"))?;
    first.stop()?.exits(0)?;
    Ok(())
}

fn reuse_address_gives_nothing_away(context: &Context) -> Result<()> {
    let first = context.serve(&["--reuse-address"])?;
    for options in [&[][..], &["--reuse-address"], &["--workers", "2"]] {
        refused(context, &first, options)?;
    }
    first.stop()?.exits(0)?;
    Ok(())
}

fn reuse_port_shares(context: &Context) -> Result<()> {
    let first = context.serve(&["--reuse-port"])?;
    let bind = first.address().to_string();
    let second = context.serve_on(&bind, &["--reuse-port"])?;
    for _ in 0..32 {
        Asker::new()?.expect(first.address(), b"either", b"echo either")?;
    }
    let counts = [first.stop()?, second.stop()?].map(|finished| received(&finished.out()));
    check::same("both together received", 32, counts.iter().sum())
}

/// The first figure of a server's summary.
fn received(output: &str) -> u64 {
    let line = output.lines().find(|l| l.contains(" received, ")).unwrap_or_default();
    line.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn workers_share_and_keep_strangers_out(context: &Context) -> Result<()> {
    let first = context.serve(&["--workers", "3"])?;
    for _ in 0..64 {
        Asker::new()?.expect(first.address(), b"any worker", b"echo any worker")?;
    }
    for options in [&[][..], &["--reuse-address"], &["--workers", "2"]] {
        refused(context, &first, options)?;
    }
    check::same("received by all workers", 64 + 3, received(&first.stop()?.out()))
}

fn restart_binds_at_once(context: &Context) -> Result<()> {
    let first = context.serve(&[])?;
    let address = first.address();
    for _ in 0..20 {
        Asker::new()?.expect(address, b"traffic", b"echo traffic")?;
    }
    first.stop()?.exits(0)?;
    let second = context.serve_on(&address.to_string(), &[])?;
    Asker::new()?.expect(address, b"again", b"echo again")?;
    second.stop()?.exits(0)?;
    Ok(())
}

fn a_closed_port_is_refused(context: &Context) -> Result<()> {
    let address = closed()?;
    let (target, port) = (address.to_string(), address.port());
    let client = context.ask([target.as_str(), "-m", "x", "-W", "20"])?;
    client.exits(3)?;
    let out = client.out();
    let last = out.lines().last().unwrap_or_default();
    check::same("the client's summary", "1 sent, 0 replied, 0 lost, 1 refused", last)?;
    let heartbeat = context.beat([target.as_str(), "-c", "1", "-W", "20"])?;
    heartbeat.exits(3)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): heartbeat\n<any>\n\
         --- 127.0.0.1:{port} heartbeat statistics ---\n\
         1 sent, 0 received, 1 lost (100.0%), 0 late, 0 duplicate, 0 reordered, 1 refused\n"
    ))?;
    Ok(())
}

fn a_silent_port_is_not_refused(context: &Context) -> Result<()> {
    let peer = Peer::silent()?;
    let (target, port) = (peer.address.to_string(), peer.address.port());
    let client = context.ask([target.as_str(), "-m", "x", "-W", "200ms"])?;
    client.exits(1)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): x\n\
         no reply from ('127.0.0.1', {port}) within 200ms\n\
         1 sent, 0 replied, 1 lost\n"
    ))?;
    let heartbeat = context.beat([target.as_str(), "-c", "2", "-i", "0.1", "-W", "200ms"])?;
    heartbeat.exits(1)?;
    let tail = format!(
        "--- 127.0.0.1:{port} heartbeat statistics ---\n\
         2 sent, 0 received, 2 lost (100.0%), 0 late, 0 duplicate, 0 reordered\n"
    );
    let out = check::without_missed(&heartbeat.out());
    check::holds(&format!("{out:?} ends with {tail:?}"), out.ends_with(&tail))?;
    check::holds(
        &format!("{:?} says which beat", heartbeat.out()),
        heartbeat.out().contains(&format!("no reply ('127.0.0.1', {port}): seq=2 within 200ms\n")),
    )
}
