//! What the heartbeat's own host drops, on both I/O paths. What it sends, when it stops, and all else that
//! needs no fault of the machine is tested in the crate.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::net::Asker;

scenarios!("heartbeat_run":
    what_its_own_host_loses_is_said,
);

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
