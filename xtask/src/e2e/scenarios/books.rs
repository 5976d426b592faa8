//! The server's counts add up to the datagram, with many flows below its capacity.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Asker;

scenarios!("books": nothing_is_lost_below_capacity);

/// The five figures of a summary: received, replied, refused, failed, kernel drops.
fn figures(output: &str) -> Result<[u64; 5]> {
    let line = output.lines().find(|l| l.ends_with(" kernel drops"));
    let line = line.with_context(|| format!("no summary in {output:?}"))?;
    let found: Vec<u64> =
        line.split(", ").filter_map(|p| p.split(' ').next()?.parse().ok()).collect();
    found.try_into().ok().with_context(|| format!("not five figures: {line}"))
}

/// Many flows with a few datagrams under way each, the soak's small sister.
fn nothing_is_lost_below_capacity(context: &Context) -> Result<()> {
    const FLOWS: u64 = 8;
    const ROUNDS: u64 = 500;
    const UNDER_WAY: u64 = 8;
    let server = context.serve(&["-q", "--raw"])?;
    let address = server.address();
    let flows: Vec<_> = (0..FLOWS)
        .map(|flow| std::thread::spawn(move || exchange(flow, address, ROUNDS, UNDER_WAY)))
        .collect();
    for flow in flows {
        flow.join().ok().context("a flow panicked")??;
    }
    let all = FLOWS * ROUNDS * UNDER_WAY;
    let finished = server.stop()?;
    finished.exits(0)?;
    check::same("the counts", [all, all, 0, 0, 0], figures(&finished.out())?)
}

/// One flow: each datagram comes back once and unchanged, and nothing else does.
fn exchange(flow: u64, to: SocketAddr, rounds: u64, under_way: u64) -> Result<()> {
    let asker = Asker::new()?;
    for round in 0..rounds {
        let sent: Vec<Vec<u8>> =
            (0..under_way).map(|n| format!("{flow} {round} {n}").into_bytes()).collect();
        for payload in &sent {
            asker.send(to, payload)?;
        }
        let mut back = Vec::new();
        for _ in &sent {
            back.push(asker.receive()?.0);
        }
        back.sort();
        let mut sent = sent;
        sent.sort();
        check::same("what came back", sent, back)?;
    }
    asker.expect_nothing()
}
