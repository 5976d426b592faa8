//! Overload: a server that has a fifth of a processor is offered four times what it can serve. It
//! keeps its rate, answers soon after the overload ends, and its totals are exact.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{self, Deadline, PATIENCE, pause};
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::{Totals, chosen, figure};
use crate::e2e::netns::{ASKER, Net, SERVER, at};

scenarios!("hostile/overload": four_times_the_capacity);

/// Of every ten milliseconds the server has two.
const RUNS: Duration = Duration::from_millis(2);
const STANDS: Duration = Duration::from_millis(8);
const SENDERS: usize = 16;

/// What came of one offer.
struct Outcome {
    sent: u64,
    offered: f64,
    kept: f64,
    first_answer: Duration,
    totals: Totals,
}

fn four_times_the_capacity(context: &Context) -> Result<()> {
    let lasts = Duration::from_millis(chosen("UDP_HOSTILE_OVERLOAD_MS", 800)?);
    // In percent of the best rate; other work on the machine takes its part of either.
    let kept_at_least = chosen("UDP_HOSTILE_KEPT", 15)?;
    let flat_out = offer(context, lasts, None)?;
    let once = offer(context, lasts, Some(flat_out.kept))?;
    let served = flat_out.kept.max(once.kept);
    let four = offer(context, lasts, Some(served * 4.0))?;
    let best = served.max(four.kept);
    let share = four.kept * 100.0 / best;
    figure(
        "hostile/overload",
        &format!(
            "best {best:.0}/s; offered {:.0}/s, {:.1} times as much: {:.0}/s kept ({share:.0} %), {} of {} lost and counted, \
             first answer after {:.0} ms",
            four.offered,
            four.offered / best,
            four.kept,
            four.totals.lost,
            four.sent,
            four.first_answer.as_secs_f64() * 1e3
        ),
    );
    for outcome in [&flat_out, &once, &four] {
        let totals = outcome.totals;
        check::same("received and kernel drops", outcome.sent, totals.received + totals.lost)?;
        check::holds(&format!("the totals balance: {totals:?}"), totals.balance())?;
        check::holds(
            &format!("first answer after {:?}", outcome.first_answer),
            outcome.first_answer < PATIENCE,
        )?;
    }
    check::holds(&format!("{share:.0} % of the best rate kept"), share >= kept_at_least as f64)
}

/// Offers `rate` a second, or as much as goes, to a fresh server that has a fifth of a processor.
fn offer(context: &Context, lasts: Duration, rate: Option<f64>) -> Result<Outcome> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let sockets: Vec<UdpSocket> =
        (0..SENDERS).map(|_| net.asker.bind((ASKER, 0))).collect::<Result<_>>()?;
    let over = AtomicBool::new(false);
    let (sent, took, first_answer, asked) = std::thread::scope(|scope| {
        let share = scope.spawn(|| fifth(&server, &over));
        let result = send(&sockets, lasts, rate).and_then(|(sent, took)| {
            let (first, asked) = first_answer(&net)?;
            Ok((sent, took, first, asked))
        });
        over.store(true, Ordering::Relaxed);
        share.join().map_err(|_| anyhow::anyhow!("the governor panicked"))??;
        result
    })?;
    let totals = Totals::of(&server.stop()?)?;
    Ok(Outcome {
        sent: sent + asked,
        offered: sent as f64 / took.as_secs_f64(),
        kept: totals.replied as f64 / took.as_secs_f64(),
        first_answer,
        totals,
    })
}

/// Stops and lets go the server in turn, until told to end.
fn fifth(server: &Server, over: &AtomicBool) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        server.process.signal(Signal::SIGSTOP)?;
        pause(STANDS);
        server.process.signal(Signal::SIGCONT)?;
        pause(RUNS);
    }
    server.process.signal(Signal::SIGCONT)
}

fn send(sockets: &[UdpSocket], lasts: Duration, rate: Option<f64>) -> Result<(u64, Duration)> {
    let began = clock::now();
    let mut sent = 0;
    while began.elapsed() < lasts {
        for socket in sockets {
            socket.send_to(&[b'o'; 64], at(SERVER))?;
            sent += 1;
        }
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(sent as f64 / rate);
            if let Some(early) = due.checked_sub(began.elapsed()) {
                pause(early);
            }
        }
    }
    Ok((sent, began.elapsed()))
}

/// How long after the end of it an honest client has its first answer, and how often it asked.
fn first_answer(net: &Net) -> Result<(Duration, u64)> {
    let socket = net.asker.bind((ASKER, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let (began, end) = (clock::now(), Deadline::after(PATIENCE));
    for asked in 1.. {
        socket.send_to(b"honest", at(SERVER))?;
        if socket.recv(&mut [0; 64]).is_ok() {
            return Ok((began.elapsed(), asked));
        }
        if end.left().is_none() {
            break;
        }
    }
    bail!("no answer after the overload");
}
