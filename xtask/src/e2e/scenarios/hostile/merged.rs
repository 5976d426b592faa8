//! Runs of datagrams that the kernel hands over as one (UDP_SEGMENT on the way in, UDP_GRO on the
//! way out, udp(7)): each is still a datagram of its own to every rule, every count and every line.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};

use super::super::scenarios;
use super::kinds::{ECHO, pattern};
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, figure};
use crate::e2e::net::Asker;

scenarios!("hostile/merged":
    each_of_a_run_is_echoed,
    each_of_a_run_is_cut,
    each_of_a_run_is_limited,
    each_of_a_run_is_looked_at,
    a_count_stops_within_a_run,
);

/// Sends `bytes` as datagrams of `size`, in one system call.
fn send_run(asker: &Asker, to: SocketAddr, bytes: &[u8], size: usize) -> Result<()> {
    setsockopt(&asker.socket, UdpGsoSegment, &i32::try_from(size)?).context("no UDP_SEGMENT")?;
    asker.send(to, bytes).with_context(|| format!("{} bytes in pieces of {size}", bytes.len()))?;
    setsockopt(&asker.socket, UdpGsoSegment, &0).context("no UDP_SEGMENT")
}

/// Expects the echo of each piece, in order, of which at most `most` bytes were received.
fn expect_run(asker: &Asker, bytes: &[u8], size: usize, most: usize) -> Result<u64> {
    let mut count = 0;
    for (n, piece) in bytes.chunks(size).enumerate() {
        let expected = [ECHO, &piece[..piece.len().min(most)]].concat();
        let (reply, _) = asker.receive().with_context(|| format!("piece {n} of size {size}"))?;
        check::holds(&format!("piece {n} of size {size} is echoed"), reply == expected)?;
        count += 1;
    }
    Ok(count)
}

/// Lengths of a whole run and of its pieces; the last piece may be shorter.
const RUNS: [(usize, usize); 10] = [
    (1, 1),
    (64, 1),
    (64, 63),
    (100, 7),
    (320, 5),
    (4096, 64),
    (4097, 64),
    (60_000, 1000),
    (65_000, 1400),
    (65_507, 1472),
];

fn each_of_a_run_is_echoed(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let asker = Asker::new()?;
    let mut sent = 0;
    for (length, size) in RUNS {
        let bytes = pattern(length);
        send_run(&asker, server.address(), &bytes, size)?;
        sent += expect_run(&asker, &bytes, size, size)?;
        // An empty one behind, which ends no run and is none.
        asker.expect(server.address(), b"", ECHO)?;
        sent += 1;
    }
    let totals = Totals::of(&server.stop()?)?;
    check::same(
        "the totals",
        Totals { received: sent, replied: sent, ..Totals::default() },
        totals,
    )?;
    figure("hostile/merged", &format!("{sent} datagrams in {} runs echoed one by one", RUNS.len()));
    Ok(())
}

fn each_of_a_run_is_cut(context: &Context) -> Result<()> {
    let server = context.serve(&["--max-datagram", "16", "-q"])?;
    let asker = Asker::new()?;
    let mut sent = 0;
    for (length, size) in RUNS {
        let bytes = pattern(length);
        send_run(&asker, server.address(), &bytes, size)?;
        sent += expect_run(&asker, &bytes, size, 16)?;
    }
    let totals = Totals::of(&server.stop()?)?;
    check::same("the totals", Totals { received: sent, replied: sent, ..Totals::default() }, totals)
}

fn each_of_a_run_is_limited(context: &Context) -> Result<()> {
    let server = context.serve(&["--rate-limit", "1/10", "-q"])?;
    let asker = Asker::new()?;
    let bytes = pattern(64 * 50);
    send_run(&asker, server.address(), &bytes, 50)?;
    expect_run(&asker, &bytes[..500], 50, 50)?;
    asker.socket.set_read_timeout(Some(Duration::from_millis(1)))?;
    let mut more = 0;
    while asker.socket.recv(&mut [0; 64]).is_ok() {
        more += 1;
    }
    let totals = Totals::of(&server.stop()?)?;
    check::same("received", 64, totals.received)?;
    check::holds(
        &format!("{totals:?}, {more} more"),
        totals.balance() && totals.refused == totals.rate,
    )?;
    check::holds(&format!("{totals:?}"), (10..=20).contains(&totals.replied))
}

/// Chains of prefixes among honest datagrams of the same length.
fn each_of_a_run_is_looked_at(context: &Context) -> Result<()> {
    let server = context.serve(&["-q"])?;
    let asker = Asker::new()?;
    let chain = ECHO.repeat(16);
    let honest = [b"x".as_slice(), &chain[1..]].concat();
    let kinds = [1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0].repeat(4);
    let run: Vec<u8> =
        kinds.iter().flat_map(|&k| if k == 1 { &chain } else { &honest }).copied().collect();
    send_run(&asker, server.address(), &run, chain.len())?;
    let answered = kinds.iter().filter(|&&k| k == 0).count();
    expect_run(&asker, &honest.repeat(answered), honest.len(), honest.len())?;
    asker.expect(server.address(), b"last", b"echo last")?;
    let totals = Totals::of(&server.stop()?)?;
    let (answered, all) = (answered as u64 + 1, kinds.len() as u64 + 1);
    let counts = (totals.received, totals.replied, totals.looped);
    check::same("received, replied, looped", (all, answered, all - answered), counts)
}

fn a_count_stops_within_a_run(context: &Context) -> Result<()> {
    let server = context.serve(&["--count", "7"])?;
    let asker = Asker::new()?;
    let bytes = pattern(64 * 20);
    send_run(&asker, server.address(), &bytes, 20)?;
    expect_run(&asker, &bytes[..7 * 20], 20, 20)?;
    let finished = server.process.finish()?;
    let totals = Totals::of(&finished)?;
    check::same("received, replied", (7, 7), (totals.received, totals.replied))?;
    let lines = finished.out().lines().filter(|l| l.starts_with("recvfrom (")).count();
    check::same("lines", 7, lines)?;
    asker.expect_nothing()
}
