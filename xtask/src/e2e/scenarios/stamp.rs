//! STAMP (RFC 8762): our session-sender and our reflector with each other, and the reflector
//! with packets built here from the RFC's tables.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::{Asker, Peer, closed};

scenarios!("stamp":
    sender_and_reflector,
    authenticated,
    a_wrong_key,
    the_reflector_by_the_rfc,
    the_sender_by_the_rfc,
    loss_by_direction,
);

/// An echo server that reflects STAMP on another port beside.
fn reflector(context: &Context, options: &[&str]) -> Result<(Server, SocketAddr)> {
    let address = closed()?;
    let stamp = address.to_string();
    let server = context.serve(&[&["--stamp", stamp.as_str()], options].concat())?;
    Ok((server, address))
}

fn sender_and_reflector(context: &Context) -> Result<()> {
    let (server, address) = reflector(context, &[])?;
    let (target, port) = (address.to_string(), address.port());
    let finished = context.beat(["--stamp", target.as_str(), "-c", "3", "-i", "0.05"])?;
    finished.exits(0)?.complains("")?;
    let out = check::without_missed(&finished.out());
    for seq in 1..=3 {
        let line = format!("recvfrom ('127.0.0.1', {port}): STAMP 44 bytes  seq={seq} rtt=");
        check::holds(&format!("{out:?} has {line:?}"), out.contains(&line))?;
    }
    check::holds(
        "each beat is announced",
        out.matches(&format!("sendto ('127.0.0.1', {port}): STAMP 44 bytes\n")).count() == 3,
    )?;
    check::holds(
        &format!("{out:?} has the counts"),
        out.contains("\n3 sent, 3 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered\n"),
    )?;
    // The echo service beside it is no reflector, and the reflector no echo service.
    Asker::new()?.expect(server.address(), b"hello", b"echo hello")?;
    server.stop()?.exits(0)?;
    Ok(())
}

/// Writes key files: the key, the same key with a line end, another key.
fn keys(directory: &std::path::Path) -> Result<[String; 3]> {
    let mut paths = Vec::new();
    for (name, bytes) in [("a", "secret"), ("b", "secret\n"), ("c", "another")] {
        let path = directory.join(name);
        fs::write(&path, bytes)?;
        paths.push(path.to_str().context("a path that is not UTF-8")?.to_owned());
    }
    paths.try_into().ok().context("three keys")
}

fn authenticated(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let [key, same, _] = keys(directory.path())?;
    let (server, address) = reflector(context, &["--stamp-key-file", &key])?;
    let target = address.to_string();
    let options = ["--stamp", target.as_str(), "--stamp-key-file", &same, "-c", "3", "-i", "0.05"];
    let finished = context.beat(options)?;
    finished.exits(0)?;
    check::holds(
        &format!("{:?} has the size", finished.out()),
        finished.out().contains("STAMP 112 bytes\n"),
    )?;
    check::holds(
        &format!("{:?} has the counts", finished.out()),
        finished.out().contains("\n3 sent, 3 received, 0 lost (0.0%), "),
    )?;
    server.stop()?.exits(0)?;
    Ok(())
}

fn a_wrong_key(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let [key, _, other] = keys(directory.path())?;
    let (server, address) = reflector(context, &["--stamp-key-file", &key])?;
    let target = address.to_string();
    let common = ["--stamp", target.as_str(), "-c", "2", "-i", "0.05", "-W", "300ms"];
    context.heartbeat().args(common).args(["--stamp-key-file", &other]).finish()?.exits(1)?;
    // Without a key the packet is no authenticated one either.
    context.beat(common)?.exits(1)?;
    // A key that cannot be read is a local failure.
    context
        .beat(["--stamp", "--stamp-key-file", "/nonexistent/key"])?
        .exits(4)?
        .complains("error: <any>\n")?;
    server.stop()?.exits(0)?;
    Ok(())
}

/// A sender's packet: sequence number, NTP time stamp, error estimate, zeros (RFC 8762, 4.2.1).
fn sender_packet(sequence: u32) -> Vec<u8> {
    let mut packet = vec![0; 44];
    packet[..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..12].copy_from_slice(&0xe5a1_b2c3_1234_5678_u64.to_be_bytes());
    packet[12..14].copy_from_slice(&0x0101_u16.to_be_bytes());
    packet
}

fn the_reflector_by_the_rfc(context: &Context) -> Result<()> {
    let (server, address) = reflector(context, &[])?;
    let asker = Asker::new()?;
    asker.socket.set_ttl(77)?;
    // The reflector counts by itself (4.3, stateful): a gap in the sender's numbers is no gap in
    // its own.
    for (own, sequence) in [(0_u32, 5_u32), (1, 6), (2, 9)] {
        let sent = sender_packet(sequence);
        asker.send(address, &sent)?;
        let (reply, from) = asker.receive()?;
        check::same("the source", address, from)?;
        check::same("the size", 44, reply.len())?;
        check::same("its own sequence number", own.to_be_bytes().as_slice(), &reply[..4])?;
        check::same("the sender's sequence number", &sent[..4], &reply[24..28])?;
        check::same("the sender's time stamp", &sent[4..12], &reply[28..36])?;
        check::same("the sender's error estimate", &sent[12..14], &reply[36..38])?;
        check::same(
            "must be zero",
            &[0_u8, 0, 0, 0, 0][..],
            &[&reply[38..40], &reply[41..44]].concat(),
        )?;
        check::same("the TTL", 77, reply[40])?;
        let stamp = |at: usize| reply[at..at + 8].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        check::holds(
            "it was received before it was answered",
            0 < stamp(16) && stamp(16) <= stamp(4),
        )?;
        check::holds("the multiplier is not zero", reply[13] != 0)?;
    }
    server.stop()?.exits(0)?;
    Ok(())
}

/// The sender's packets as the RFC has them, and what is no reply to them.
fn the_sender_by_the_rfc(context: &Context) -> Result<()> {
    let peer = Peer::silent()?;
    let target = peer.address.to_string();
    context.beat(["--stamp", target.as_str(), "-c", "3", "-i", "0.05", "-W", "300ms"])?.exits(1)?;
    for (index, packet) in peer.payloads().iter().enumerate() {
        check::same("the size", 44, packet.len())?;
        check::same(
            "the sequence number",
            u32::try_from(index)?.to_be_bytes().as_slice(),
            &packet[..4],
        )?;
        check::holds("a time stamp", packet[4..8] != [0; 4])?;
        check::holds("the multiplier is not zero", packet[13] != 0)?;
        check::holds("zeros to the end", packet[16..].iter().all(|b| *b == 0))?;
    }
    // An echo of the packet itself is not a reflected packet.
    let echo = Peer::new(|r| vec![crate::e2e::net::Reply::now(r.from, r.bytes.as_slice())])?;
    let target = echo.address.to_string();
    context.beat(["--stamp", target.as_str(), "-c", "2", "-i", "0.05", "-W", "300ms"])?.exits(1)?;
    Ok(())
}

/// Of 20 beats 4 and 5 never reach the reflector (it does not count them), 8, 9 and 10 do but
/// their replies are lost: two up, three down.
fn loss_by_direction(context: &Context) -> Result<()> {
    let mut own = 0_u32;
    let peer = Peer::new(move |request| {
        let sequence = request.number;
        if (4..=5).contains(&sequence) {
            return Vec::new();
        }
        let mut reply = vec![0; 44];
        reply[..4].copy_from_slice(&own.to_be_bytes());
        own += 1;
        if (8..=10).contains(&sequence) || request.bytes.len() < 44 {
            return Vec::new();
        }
        reply[4..12].copy_from_slice(&request.bytes[4..12]);
        reply[12..14].copy_from_slice(&0x0101_u16.to_be_bytes());
        reply[16..24].copy_from_slice(&request.bytes[4..12]);
        reply[24..28].copy_from_slice(&request.bytes[..4]);
        reply[28..38].copy_from_slice(&request.bytes[4..14]);
        reply[40] = 64;
        vec![crate::e2e::net::Reply::now(request.from, reply)]
    })?;
    let target = peer.address.to_string();
    let options = ["--stamp", target.as_str(), "-c", "20", "-i", "0.05", "-W", "400ms", "--json"];
    let finished = context.beat(options)?;
    finished.exits(0)?;
    let events = crate::e2e::json::events(context, "udp-heartbeat", &finished.stdout)?;
    let summary = crate::e2e::json::first(&events, "summary")?;
    for (name, expected) in [
        ("sent", 20),
        ("received", 15),
        ("lost", 5),
        ("lost_forward", 2),
        ("lost_return", 3),
        ("lost_undetermined", 0),
    ] {
        check::same(name, Some(expected), summary[name].as_u64())?;
    }
    Ok(())
}
