//! The server's books: what was sent to it = replied + refused + failed + kernel drops, to
//! the datagram, also when it is given far more than its queue holds.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Asker;

scenarios!("books": balance_over_a_mixture, balance_under_overload, nothing_is_lost_below_capacity);

/// The five figures of a summary: received, replied, refused, failed, kernel drops.
fn figures(output: &str) -> Result<[u64; 5]> {
    let line = output.lines().find(|l| l.ends_with(" kernel drops"));
    let line = line.with_context(|| format!("no summary in {output:?}"))?;
    let found: Vec<u64> =
        line.split(", ").filter_map(|p| p.split(' ').next()?.parse().ok()).collect();
    found.try_into().ok().with_context(|| format!("not five figures: {line}"))
}

fn balance_over_a_mixture(context: &Context) -> Result<()> {
    let server = context.serve(&["-q", "--deny", "127.0.0.9"])?;
    let (good, denied) = (Asker::new()?, Asker::on("127.0.0.9:0")?);
    let own = Asker::on(&format!("127.0.0.2:{}", server.port()))?;
    let tower = "echo ".repeat(20);
    for round in 0..50_usize {
        good.expect(server.address(), b"good", b"echo good")?;
        denied.send(server.address(), b"denied")?;
        own.send(server.address(), b"own port")?;
        good.send(server.address(), tower.as_bytes())?;
        if round % 5 == 0 {
            good.send(server.address(), &vec![b'x'; 65_507])?;
        }
    }
    good.expect(server.address(), b"last", b"echo last")?;
    for asker in [&good, &denied, &own] {
        asker.expect_nothing()?;
    }
    let finished = server.stop()?;
    finished.exits(0)?;
    check::holds(
        &format!("{:?} has the counts", finished.out()),
        finished.out().ends_with(
            "211 received, 51 replied, 160 dropped, 0 failed, 0 kernel drops\n\
             dropped: rate 0, loop 100, access 50, destination 0, source 0, size 10\n",
        ),
    )
}

/// The server is held still while more comes than its receive queue can take.
fn balance_under_overload(context: &Context) -> Result<()> {
    const SENT: u64 = 20_000;
    for options in [&["-q", "--recv-buffer", "64K"][..], &["-q", "--sink", "--recv-buffer", "64K"]]
    {
        let server = context.serve(options)?;
        // Two sources, so that neither a flow nor a merged run is all there is.
        let askers = [Asker::new()?, Asker::new()?];
        server.process.signal(Signal::STOP)?;
        for n in 0..SENT {
            let asker = &askers[usize::from(n % 3 == 0)];
            asker.send(server.address(), format!("datagram {n}").as_bytes())?;
        }
        server.process.signal(Signal::CONT)?;
        let mut probes = 0;
        if !options.contains(&"--sink") {
            // Answered when what the queue held before it has been dealt with. One that comes
            // while the queue is still full is lost like the others, and counted like them.
            probes = Asker::new()?.await_service(server.address())?;
        }
        let finished = server.stop()?;
        finished.exits(0)?;
        let [received, replied, refused, failed, lost] =
            if probes > 0 { figures(&finished.out())? } else { sink_figures(&finished.out())? };
        check::holds(&format!("some of it was lost: {:?}", finished.out()), lost > 0)?;
        check::same("sent = received + lost", SENT + probes, received + lost)?;
        check::same("received = replied + refused + failed", received, replied + refused + failed)?;
    }
    Ok(())
}

/// With `--sink` a received datagram is neither replied to nor refused.
fn sink_figures(output: &str) -> Result<[u64; 5]> {
    let line = output.lines().find(|l| l.ends_with(" kernel drops"));
    let line = line.with_context(|| format!("no summary in {output:?}"))?;
    let figure = |word: &str| {
        let part = line.split(", ").find(|p| p.ends_with(word));
        part.and_then(|p| p.split(' ').next()?.parse().ok()).unwrap_or(0_u64)
    };
    let received = figure(" received");
    Ok([received, received, 0, 0, figure(" kernel drops")])
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
