//! `--json`: every line of real output against the published schemas, and its figures against
//! what happened.

use anyhow::Result;
use serde_json::Value;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::net::{Asker, Peer, Reply, closed};
use crate::e2e::process::Launch;

scenarios!("events":
    of_the_server,
    of_a_limited_server,
    of_the_client,
    of_a_refused_client,
    of_stamp,
);

/// A JSON server on a port chosen for it.
fn serve(context: &Context, options: &[&str]) -> Result<crate::e2e::context::Server> {
    let address = closed()?;
    let launch: Launch = context
        .server()
        .args(["--bind", &address.to_string(), "--json"])
        .args(options.iter().copied());
    let process = launch.spawn()?;
    process.out.wait_until(|bytes| bytes.contains(&b'\n').then_some(()))?;
    Ok(crate::e2e::context::Server { process, addresses: vec![address] })
}

fn of_the_server(context: &Context) -> Result<()> {
    let server = serve(context, &[])?;
    let asker = Asker::new()?;
    let long = vec![b'a'; 3_000];
    for payload in [b"hello".as_slice(), b"\xff\0", b"", "two\nlines \u{202e}".as_bytes(), &long] {
        asker.expect(server.address(), payload, &[b"echo ", payload].concat())?;
    }
    let finished = server.stop()?;
    finished.exits(0)?;
    let events = json::events(context, "udp-server", &finished.stdout)?;
    let mut types = vec!["start"];
    types.extend(["datagram"; 5]);
    types.push("summary");
    check::same("the events", types, json::types(&events))?;
    check::same("text", Some("hello"), events[1]["data"].as_str())?;
    check::same("its length", Some(5), events[1]["bytes"].as_u64())?;
    check::same("bytes that are no text", Some("ff00"), events[2]["data_hex"].as_str())?;
    check::holds("and no text beside", events[2]["data"].is_null())?;
    check::same(
        "nothing",
        (Some(""), Some(0)),
        (events[3]["data"].as_str(), events[3]["bytes"].as_u64()),
    )?;
    check::same("text with a line end", Some("two\nlines \u{202e}"), events[4]["data"].as_str())?;
    check::same("all of a long text", Some(3_000), events[5]["data"].as_str().map(str::len))?;
    let summary = json::first(&events, "summary")?;
    for (name, expected) in
        [("received", 5), ("replied", 5), ("dropped", 0), ("failed", 0), ("kernel_drops", 0)]
    {
        check::same(name, Some(expected), count(&summary[name]))?;
    }
    Ok(())
}

/// A count, whether it stands alone or is the sum of an object of counts by reason.
fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Object(parts) => parts.values().map(Value::as_u64).sum(),
        other => other.as_u64(),
    }
}

fn of_a_limited_server(context: &Context) -> Result<()> {
    let server = serve(context, &["--rate-limit", "1/2"])?;
    let asker = Asker::new()?;
    for _ in 0..20 {
        asker.send(server.address(), b"hello")?;
    }
    Asker::on("127.0.0.2:0")?.expect(server.address(), b"probe", b"echo probe")?;
    let finished = server.stop()?;
    finished.exits(0)?;
    let events = json::events(context, "udp-server", &finished.stdout)?;
    json::first(&events, "dropped")?;
    let summary = json::first(&events, "summary")?;
    let received = summary["received"].as_u64();
    check::same("received", Some(21), received)?;
    let sum = count(&summary["replied"]).zip(count(&summary["dropped"])).map(|(a, b)| a + b);
    check::same("replied and refused", received, sum)
}

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
    let events = json::events(context, "udp-client", &finished.stdout)?;
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
    let events = json::events(context, "udp-client", &finished.stdout)?;
    check::same("the events", vec!["sent", "refused", "summary"], json::types(&events))?;
    let summary = json::first(&events, "summary")?;
    check::same(
        "refused",
        (Some(1), Some(0)),
        (summary["refused"].as_u64(), summary["lost"].as_u64()),
    )
}

fn of_stamp(context: &Context) -> Result<()> {
    let reflector = closed()?.to_string();
    let server = context.serve(&["--stamp", &reflector])?;
    let finished = context.beat(["--stamp", &reflector, "--json", "-c", "3", "-i", "0.05"])?;
    finished.exits(0)?;
    let events = json::events(context, "udp-heartbeat", &finished.stdout)?;
    let summary = json::first(&events, "summary")?;
    for (name, expected) in [
        ("sent", 3),
        ("received", 3),
        ("lost_forward", 0),
        ("lost_return", 0),
        ("lost_undetermined", 0),
    ] {
        check::same(name, Some(expected), summary[name].as_u64())?;
    }
    server.stop()?.exits(0)?;
    Ok(())
}
