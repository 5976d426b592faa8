//! How the heartbeat runs, on both I/O paths: what it sends, when it stops, what its own host drops.
//! Plans, thresholds, states and lists of targets are tested in the crate.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::net::{Asker, Peer};

scenarios!("heartbeat_run":
    payload_and_size,
    what_its_own_host_loses_is_said,
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
    let events = json::events("udp-heartbeat", &finished.stdout)?;
    let summary = json::first(&events, "summary")?;
    check::same("received", Some(1), summary["received"].as_u64())?;
    let lost = summary["kernel_drops"].as_u64().unwrap_or_default();
    let duplicates = summary["duplicate"].as_u64().unwrap_or_default();
    let told = format!("{duplicates} came again and {lost} were lost, of 5,000");
    check::holds(&told, lost > 0 && (lost..=5_000).contains(&(1 + duplicates + lost)))?;
    Ok(())
}
