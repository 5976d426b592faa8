//! Ports that are closed, and ports where nobody answers.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Peer, closed};

scenarios!("ports":
    a_closed_port_is_refused,
    a_silent_port_is_not_refused,
);

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
    client
        .exits(1)?
        .prints(&format!("sendto ('127.0.0.1', {port}): x\n1 sent, 0 replied, 1 lost\n"))?
        .complains(&format!("no reply from ('127.0.0.1', {port}) within 200ms\n"))?;
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
