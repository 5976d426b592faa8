//! How the heartbeat runs: what it sends, when it stops, how many targets it has, where they go.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::clock;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::net::{Asker, Peer, closed};

scenarios!("heartbeat_run":
    payload_and_size,
    a_count_waits_for_the_last_reply,
    a_deadline,
    a_fixed_schedule,
    a_suspended_heartbeat_does_not_catch_up,
    what_its_own_host_loses_is_said,
    poisson_with_a_seed,
    many_targets,
    targets_of_a_file,
    one_refused_target_among_many,
    fast_needs_to_be_asked_for,
);

/// The words of the target's line in the table.
fn row<'a>(output: &'a str, target: &str) -> Vec<&'a str> {
    let row = output.lines().find(|line| line.split(' ').next() == Some(target));
    row.unwrap_or_default().split_whitespace().collect()
}

fn counts(output: &str) -> &str {
    output.lines().find(|l| l.contains(" sent, ")).unwrap_or_default()
}

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

fn a_deadline(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let began = clock::now();
    context.beat([target.as_str(), "-w", "1", "-i", "0.1"])?.exits(0)?;
    let took = clock::now() - began;
    check::holds(&format!("it took {took:?}"), took.as_millis() >= 1_000)?;
    let sent = peer.seen().len();
    check::holds(&format!("{sent} beats in 1 s at 0.1 s"), (2..=11).contains(&sent))
}

/// Every beat has its slot, counted from the start: five intervals lie between six beats.
fn a_fixed_schedule(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let began = clock::now();
    context.beat([target.as_str(), "-c", "6", "-i", "200ms"])?.exits(0)?;
    let took = clock::now() - began;
    check::holds(&format!("six beats took {took:?}"), took.as_millis() >= 1_000)?;
    check::same("beats", 6, peer.seen().len())
}

/// Slots that passed while it was stopped are missed, not made up for.
fn a_suspended_heartbeat_does_not_catch_up(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let process = context.heartbeat().args([target.as_str(), "-i", "50ms"]).spawn()?;
    peer.wait_until(|seen| seen.len() >= 3)?;
    process.signal(Signal::STOP)?;
    // Twenty slots pass.
    clock::pause(Duration::from_secs(1));
    let before = peer.seen().len();
    process.signal(Signal::CONT)?;
    peer.wait_until(|seen| seen.len() >= before + 4)?;
    let finished = process.interrupt()?;
    finished.exits(0)?;
    let out = finished.out();
    let missed = counts(&out).split(", ").find_map(|p| p.strip_suffix(" slots skipped"));
    let missed: usize = missed.and_then(|n| n.parse().ok()).unwrap_or(0);
    check::holds(&format!("{:?} counts the missed slots", counts(&out)), missed >= 15)?;
    check::holds("nothing is lost by it", counts(&out).contains(" 0 lost (0.0%)"))
}

/// More than a receive queue holds, while nobody reads it.
fn what_its_own_host_loses_is_said(context: &Context) -> Result<()> {
    let peer = Asker::new()?;
    let target = peer.address()?.to_string();
    let process =
        context.heartbeat().args([target.as_str(), "--json", "-q", "-i", "60s"]).spawn()?;
    let (beat, from) = peer.receive()?;
    process.signal(Signal::STOP)?;
    for _ in 0..5_000 {
        peer.send(from, &beat)?;
    }
    process.signal(Signal::CONT)?;
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

fn poisson_with_a_seed(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let options = ["-c", "10", "-i", "20ms", "--schedule", "poisson", "--seed", "7"];
    let finished = context.heartbeat().arg(target.as_str()).args(options).finish()?;
    finished.exits(0)?;
    check::same("beats", 10, peer.seen().len())
}

fn many_targets(context: &Context) -> Result<()> {
    let peers = [Peer::echo()?, Peer::echo()?, Peer::echo()?];
    let targets: Vec<String> = peers.iter().map(|p| p.address.to_string()).collect();
    let finished = context.heartbeat().args(&targets).args(["-c", "2", "-i", "0.1"]).finish()?;
    finished.exits(0)?;
    let out = finished.out();
    for target in &targets {
        let row = row(&out, target);
        let shown = ["2", "2", "0", "0.0"];
        check::holds(&format!("{out:?} has {target}"), row.get(1..5) == Some(&shown[..]))?;
    }
    let total = "3 targets: 3 up, 0 degraded, 0 down, 0 unknown; 6 sent, 6 received, 0 lost (0.0%)";
    check::same("the total", Some(total), out.lines().last())?;
    for peer in &peers {
        check::same("beats of a target", 2, peer.seen().len())?;
    }
    Ok(())
}

fn targets_of_a_file(context: &Context) -> Result<()> {
    let peers = [Peer::echo()?, Peer::echo()?, Peer::echo()?];
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("targets");
    fs::write(&file, format!("{}\n{}\n", peers[0].address, peers[1].address))?;
    let named = peers[2].address.to_string();
    let launch = context.heartbeat().args([named.as_str(), "-q", "-c", "1", "--targets-file"]);
    launch.arg(&file).finish()?.exits(0)?;
    for peer in &peers {
        check::same("beats of a target", 1, peer.seen().len())?;
    }
    Ok(())
}

/// Each target must have answered: one that refuses is told apart, the others go on.
fn one_refused_target_among_many(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let (good, bad) = (peer.address.to_string(), closed()?.to_string());
    let finished =
        context.beat([good.as_str(), bad.as_str(), "-c", "3", "-i", "0.1", "-W", "5"])?;
    let out = finished.out();
    check::same("the good one's beats", 3, peer.seen().len())?;
    for (target, shown) in [(good, ["3", "3", "0", "0.0"]), (bad, ["3", "0", "3", "100.0"])] {
        let row = row(&out, &target);
        check::holds(&format!("{out:?} has {target}"), row.get(1..5) == Some(&shown[..]))?;
    }
    finished.exits(1)?;
    Ok(())
}

/// 192.0.2.1 is set aside for documentation (RFC 5737); nothing is sent there, for the
/// command line is refused.
fn fast_needs_to_be_asked_for(context: &Context) -> Result<()> {
    let finished = context.beat(["192.0.2.1", "-i", "1ms", "-c", "1", "-W", "1ms"])?;
    finished.exits(2)?.prints("")?;
    check::holds("it names the option", finished.err().contains("--fast"))
}
