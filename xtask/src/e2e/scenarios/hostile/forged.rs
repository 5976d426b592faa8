//! A flood in the names of a million others: the server's memory does not grow with the number of
//! sources, an honest client is still answered, and the totals are exact.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock;
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, chosen, figure, memory};
use crate::e2e::netns::{ASKER, Net, PORT, SERVER, SERVER6, at};
use crate::e2e::raw::{Forger, packet4};

scenarios!("hostile/forged":
    a_million_sources_cost_no_memory,
    one_source_is_limited,
    one_network_of_ipv6_is_one_source,
);

/// KiB. The development build that is driven here is no smaller than the one that is shipped.
const PEAK: u64 = 16 * 1024;
const GROWTH: u64 = 4 * 1024;

/// What a flood sent and how it was paced.
struct Flood {
    sent: u64,
    took: Duration,
}

/// Sends `count` datagrams, each from an address of its own, `rate` a second.
fn flood(net: &Net, count: u64, rate: u64) -> Result<Flood> {
    net.asker.inside(|| {
        let forger = Forger::new()?;
        let from = |n: u64| {
            // Public addresses, 11.0.0.0 and up: those whose rate is limited by default.
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            Ipv4Addr::from(u32::from(Ipv4Addr::new(11, 0, 0, 1)) + n)
        };
        let to = SocketAddrV4::new(SERVER, PORT);
        let mut packet = packet4(SocketAddrV4::new(from(0), 40_000), to, b"forged");
        // IPv4 lets a datagram go without a checksum, and the kernel fills in the header's.
        packet[26..28].fill(0);
        let began = clock::now();
        for n in 0..count {
            packet[12..16].copy_from_slice(&from(n).octets());
            forger.send(&packet, 0)?;
            if n % 16 == 15 {
                let due = Duration::from_nanos(n * 1_000_000_000 / rate);
                if let Some(early) = due.checked_sub(began.elapsed()) {
                    clock::pause(early);
                }
            }
        }
        Ok(Flood { sent: count, took: began.elapsed() })
    })
}

/// What an honest client saw.
struct Honest {
    asked: u64,
    answered: u64,
}

/// Asks every few milliseconds until told to end; an answer may take its time.
fn ask(net: &Net, over: &AtomicBool) -> Result<Honest> {
    let socket = net.asker.bind((ASKER, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(5)))?;
    let mut honest = Honest { asked: 0, answered: 0 };
    let mut buffer = [0; 64];
    while !over.load(Ordering::Relaxed) {
        socket.send_to(b"honest", at(SERVER))?;
        honest.asked += 1;
        honest.answered += u64::from(socket.recv(&mut buffer).is_ok());
        clock::pause(Duration::from_millis(2));
    }
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    while honest.answered < honest.asked && socket.recv(&mut buffer).is_ok() {
        honest.answered += 1;
    }
    Ok(honest)
}

fn a_million_sources_cost_no_memory(context: &Context) -> Result<()> {
    let count = chosen("UDP_HOSTILE_SOURCES", 100_000)?;
    let rate = chosen("UDP_HOSTILE_SOURCES_RATE", 20_000)?;
    // In percent; a machine that is busy with other things loses honest datagrams, too.
    let answered_at_least = chosen("UDP_HOSTILE_HONEST", 50)?;
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let pid = server.process.id();
    let warm = flood(&net, 1000, 10_000)?;
    let before = memory(pid)?;
    let over = AtomicBool::new(false);
    let (flood, honest) = std::thread::scope(|scope| {
        let honest = scope.spawn(|| ask(&net, &over));
        let flood = flood(&net, count, rate);
        over.store(true, Ordering::Relaxed);
        let honest = honest.join().map_err(|_| anyhow::anyhow!("the honest client panicked"))?;
        Ok::<_, anyhow::Error>((flood?, honest?))
    })?;
    let after = memory(pid).context("the server is gone")?;
    let totals = Totals::of(&server.stop()?)?;
    let share = honest.answered as f64 * 100.0 / honest.asked as f64;
    figure(
        "hostile/forged",
        &format!(
            "{} sources at {:.0}/s: peak {} KiB, growth {} KiB, honest {} of {} ({share:.2} %), {} lost",
            flood.sent,
            flood.sent as f64 / flood.took.as_secs_f64(),
            after.peak,
            after.peak - before.now.min(after.peak),
            honest.answered,
            honest.asked,
            totals.lost
        ),
    );
    check::holds(&format!("peak memory: {after:?}"), after.peak <= PEAK)?;
    check::holds(&format!("growth: {before:?} {after:?}"), after.peak <= before.now + GROWTH)?;
    check::holds(&format!("honest answers: {share} %"), share >= answered_at_least as f64)?;
    let sent = warm.sent + flood.sent + honest.asked;
    check::same("received and kernel drops", sent, totals.received + totals.lost)?;
    check::holds(&format!("the totals balance: {totals:?}"), totals.balance())?;
    check::same(
        "replied, refused, failed",
        (totals.received, 0, 0),
        (totals.replied, totals.refused, totals.failed),
    )
}

/// The default limit for one public address, and that it is said.
fn one_source_is_limited(context: &Context) -> Result<()> {
    let net = Net::new()?;
    net.asker.run("ip addr add 11.9.9.9/32 dev lo")?;
    let server = net.serve(context, &["-q"])?;
    let socket = net.asker.bind((Ipv4Addr::new(11, 9, 9, 9), 0))?;
    let began = clock::now();
    for _ in 0..2000 {
        socket.send_to(b"more", at(SERVER))?;
    }
    let honest = super::input::asker(&net)?;
    honest.expect(at(SERVER), b"well?", b"echo well?")?;
    let took = began.elapsed().as_secs_f64();
    let finished = server.stop()?;
    let totals = Totals::of(&finished)?;
    // A burst of 400, and 200 more for every second that it lasted.
    let allowed = 400.0 + 200.0 * (took + 1.0);
    check::holds(
        &format!("{totals:?}"),
        totals.replied > 400 && (totals.replied as f64) <= allowed + 1.0,
    )?;
    check::same("refused for its rate", totals.refused, totals.rate)?;
    check::same("received", 2001, totals.received + totals.lost)?;
    let said = finished.err().lines().filter(|l| l.contains("rate")).count();
    check::same(&format!("lines that say so: {:?}", finished.err()), 1, said)
}

/// Whoever has one address of IPv6 has 2^64 of them: they are one source.
fn one_network_of_ipv6_is_one_source(context: &Context) -> Result<()> {
    let net = Net::new()?;
    net.asker.run(
        "for n in $(seq 1 40); do ip -6 addr add 2001:4860:9::$n/64 dev lo nodad; done
         ip -6 addr add 2001:4860:a::1/64 dev lo nodad",
    )?;
    let server = net.serve_on(context, "[::]:7000", &["-q"])?;
    let began = clock::now();
    for n in 1..=40 {
        let socket = net.asker.bind((format!("2001:4860:9::{n}").parse::<Ipv6Addr>()?, 0))?;
        for _ in 0..50 {
            socket.send_to(b"more", at(SERVER6))?;
        }
    }
    // Another network is another source, and not made to suffer for it.
    let other = net.asker.bind(("2001:4860:a::1".parse::<Ipv6Addr>()?, 0))?;
    other.set_read_timeout(Some(clock::PATIENCE))?;
    other.send_to(b"well?", at(SERVER6))?;
    let mut buffer = [0; 64];
    let n = other.recv(&mut buffer).context("another network is answered")?;
    check::same("the reply", &b"echo well?"[..], &buffer[..n])?;
    let took = began.elapsed().as_secs_f64();
    let totals = Totals::of(&server.stop()?)?;
    let allowed = 400.0 + 200.0 * (took + 1.0) + 1.0;
    let replied = totals.replied as f64;
    check::holds(&format!("{totals:?} in {took:.1} s"), replied > 400.0 && replied <= allowed)?;
    check::same(
        "refused for their rate",
        (2001 - totals.replied, totals.rate),
        (totals.refused, totals.refused),
    )
}
