//! STAMP (RFC 8762): our session-sender and our reflector with each other, and the reflector
//! with packets built here from the RFC's tables.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::{Asker, closed};

scenarios!("stamp":
    sender_and_reflector,
    authenticated,
    a_wrong_key,
    the_reflector_by_the_rfc,
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
        check::has(&out, &line)?;
    }
    check::holds(
        "each beat is announced",
        out.matches(&format!("sendto ('127.0.0.1', {port}): STAMP 44 bytes\n")).count() == 3,
    )?;
    check::has(&out, "\n3 sent, 3 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered\n")?;
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
    check::has(&finished.out(), "STAMP 112 bytes\n")?;
    check::has(&finished.out(), "\n3 sent, 3 received, 0 lost (0.0%), ")?;
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
