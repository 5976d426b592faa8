//! `--json`: every line of real output against the published schemas, and its figures against
//! what happened.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::net::{Peer, Reply, closed};

scenarios!("events":
    of_the_client,
    of_a_refused_client,
);

fn of_the_client(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| match request.bytes.as_slice() {
        b"silence" => Vec::new(),
        b"bytes" => vec![Reply::now(request.from, *b"\xff\0")],
        _ => vec![request.echo()],
    })?;
    let target = peer.address.to_string();
    let messages = ["-m", "one", "-m", "silence", "-m", "bytes"];
    let client = context.client().args([target.as_str(), "--json", "-W", "300ms"]).args(messages);
    let finished = client.finish()?;
    finished.exits(1)?;
    let events = json::events("udp-client", &finished.stdout)?;
    check::same(
        "the events",
        vec!["sent", "reply", "sent", "timeout", "sent", "reply", "summary"],
        json::types(&events),
    )?;
    let reply = json::first(&events, "reply")?;
    check::same("the reply", Some("echo one"), reply["data"].as_str())?;
    check::holds("its time", reply["rtt_ns"].as_u64().is_some_and(|ns| ns > 0))?;
    check::same("bytes", Some("ff00"), events[5]["data_hex"].as_str())?;
    let summary = json::first(&events, "summary")?;
    for (name, expected) in [("sent", 3), ("replied", 2), ("lost", 1)] {
        check::same(name, Some(expected), summary[name].as_u64())?;
    }
    Ok(())
}

fn of_a_refused_client(context: &Context) -> Result<()> {
    let target = closed()?.to_string();
    let finished = context.ask([target.as_str(), "--json", "-m", "x", "-W", "20"])?;
    finished.exits(3)?;
    let events = json::events("udp-client", &finished.stdout)?;
    check::same("the events", vec!["sent", "refused", "summary"], json::types(&events))?;
    let summary = json::first(&events, "summary")?;
    check::same(
        "refused",
        (Some(1), Some(0)),
        (summary["refused"].as_u64(), summary["lost"].as_u64()),
    )
}
