//! How the heartbeat runs, on both I/O paths: what it sends, when it stops, what its own host drops.
//! Plans, thresholds, states and lists of targets are tested in the crate.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::net::{Asker, Peer};

scenarios!("heartbeat_run":
    payload_and_size,
    a_count_waits_for_the_last_reply,
    what_its_own_host_loses_is_said,
    fast_needs_to_be_asked_for,
);

fn payload_and_size(context: &Context) -> Result<()> {
    for (options, expected) in [
        (&["-p", "ping"][..], b"ping".to_vec()),
        (&["-p", "ping", "-s", "8"], b"ping....".to_vec()),
        (&["--payload-hex", "00ff"], b"\x00\xff".to_vec()),
        (&["--payload-hex", "00ff", "-s", "4"], b"\x00\xff\0\0".to_vec()),
        (&["-p", ""], Vec::new()),
        (&["--number", "-p", "n"], b"n 1".to_vec()),
    ] {
        let peer = Peer::echo()?;
        let target = peer.address.to_string();
        context.beat([&[target.as_str(), "-c", "1"], options].concat())?.exits(0)?;
        check::same(&format!("{options:?}"), vec![expected], peer.payloads())?;
    }
    let peer = Peer::echo()?;
    context.beat([&peer.address.to_string(), "-c", "1", "-s", "1400"])?.exits(0)?;
    check::same("the size", Some(1_400), peer.payloads().first().map(Vec::len))?;
    // A hex payload is shown as hex.
    let port = peer.address.port();
    let target = peer.address.to_string();
    let finished = context.beat([target.as_str(), "-c", "1", "--payload-hex", "00 FF"])?;
    let line = format!("sendto ('127.0.0.1', {port}): 00ff\n");
    check::holds(&format!("{:?} has {line:?}", finished.out()), finished.out().starts_with(&line))
}

/// The run is not over before its last beat is answered or given up.
fn a_count_waits_for_the_last_reply(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| {
        let mut reply = r.echo();
        reply.after = Duration::from_millis(300);
        vec![reply]
    })?;
    let target = peer.address.to_string();
    let finished = context.beat([target.as_str(), "-c", "3", "-i", "0.05", "-W", "20"])?;
    finished.exits(0)?;
    check::same(
        "the counts",
        "3 sent, 3 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered",
        check::beats(&finished.out()).as_str(),
    )
}

/// More than a receive queue holds, while nobody reads it.
fn what_its_own_host_loses_is_said(context: &Context) -> Result<()> {
    let peer = Asker::new()?;
    let target = peer.address()?.to_string();
    let process =
        context.heartbeat().args([target.as_str(), "--json", "-q", "-i", "60s"]).spawn()?;
    let (beat, from) = peer.receive()?;
    process.signal(Signal::SIGSTOP)?;
    for _ in 0..5_000 {
        peer.send(from, &beat)?;
    }
    process.signal(Signal::SIGCONT)?;
    let finished = process.interrupt()?;
    finished.exits(0)?;
    let events = json::events(context, "udp-heartbeat", &finished.stdout)?;
    let summary = json::first(&events, "summary")?;
    check::same("received", Some(1), summary["received"].as_u64())?;
    let lost = summary["kernel_drops"].as_u64().unwrap_or_default();
    let duplicates = summary["duplicate"].as_u64().unwrap_or_default();
    let told = format!("{duplicates} came again and {lost} were lost, of 5,000");
    check::holds(&told, lost > 0 && (lost..=5_000).contains(&(1 + duplicates + lost)))?;
    Ok(())
}

/// 192.0.2.1 is set aside for documentation (RFC 5737); nothing is sent there, for the
/// command line is refused.
fn fast_needs_to_be_asked_for(context: &Context) -> Result<()> {
    let finished = context.beat(["192.0.2.1", "-i", "1ms", "-c", "1", "-W", "1ms"])?;
    finished.exits(2)?.prints("")?;
    check::holds("it names the option", finished.err().contains("--fast"))
}
