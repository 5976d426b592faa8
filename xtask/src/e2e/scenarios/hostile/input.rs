//! Bad input: hundreds of kinds of datagram and thousands of random ones, not one of which ends
//! the server, each of them either echoed to the byte or rightly left unanswered, and all of them
//! in the totals.

use std::net::UdpSocket;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use super::case::{Fate, Reaches};
use super::kinds::{ECHO, payloads};
use super::packets::cases;
use crate::e2e::check;
use crate::e2e::clock::{Deadline, PATIENCE, pause};
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, chosen, figure};
use crate::e2e::net::{Asker, LARGEST};
use crate::e2e::netns::{ASKER, ASKER6, Net, SERVER, SERVER6, at};
use crate::e2e::raw::Framer;

scenarios!("hostile/input": every_kind_of_payload, every_kind_of_packet, random_payloads);

/// An asker on the cable, with the usual patience.
pub(in super::super) fn asker(net: &Net) -> Result<Asker> {
    let socket = net.asker.bind((ASKER, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(Asker { socket })
}

fn every_kind_of_payload(context: &Context) -> Result<()> {
    let net = Net::new()?;
    // Plain, so that every datagram is shown too.
    let server = net.serve(context, &[])?;
    let asker = asker(&net)?;
    let mut expected = Totals::default();
    for (name, payload) in payloads() {
        let reply = [ECHO, payload.as_slice()].concat();
        expected.received += 1;
        if reply.len() <= LARGEST {
            asker.expect(at(SERVER), &payload, &reply).with_context(|| name.clone())?;
            expected.replied += 1;
        } else {
            asker.send(at(SERVER), &payload)?;
            expected.refused += 1;
            expected.size += 1;
        }
    }
    // Chains of prefixes are a loop's, whatever stands on top.
    for chain in [ECHO.repeat(16), [ECHO.repeat(16), b"top".to_vec()].concat(), ECHO.repeat(13_000)]
    {
        asker.send(at(SERVER), &chain)?;
        expected.received += 1;
        expected.refused += 1;
        expected.looped += 1;
    }
    // What went unanswered would have been answered before this is.
    asker.expect(at(SERVER), b"last", b"echo last")?;
    asker.expect_nothing()?;
    expected.received += 1;
    expected.replied += 1;
    let kinds = expected.received;
    let finished = server.stop()?;
    check::same("the totals", expected, Totals::of(&finished)?)?;
    lines_are_datagrams(&finished.out(), kinds)?;
    figure("hostile/input", &format!("{kinds} kinds of payload, 0 deaths, counts exact"));
    Ok(())
}

/// Every datagram is one line, or among those that a line says were not shown.
fn lines_are_datagrams(out: &str, datagrams: u64) -> Result<()> {
    let mut shown = 0;
    for line in out.lines() {
        if line.starts_with("recvfrom ('10.77.0.2', ") {
            shown += 1;
        } else if let Some(rest) = line.strip_prefix("... ") {
            let missed = rest.split(' ').next().and_then(|n| n.parse::<u64>().ok());
            shown += missed.with_context(|| format!("what is this line: {line:?}"))?;
        } else {
            let own = ["server start at: ", "wait for connection...", "--- ", "dropped: "];
            let known = own.iter().any(|o| line.starts_with(o)) || line.contains(" kernel drops");
            check::holds(&format!("a line of the server's own: {line:?}"), known)?;
        }
    }
    check::same("datagrams shown or said not to be", datagrams, shown)?;
    let control = out.chars().find(|c| c.is_control() && *c != '\n');
    check::same("control characters shown as they came", None, control)
}

fn every_kind_of_packet(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve_on(context, "[::]:7000", &["-q"])?;
    let asker = asker(&net)?;
    let asker6 = Asker { socket: net.asker.bind((ASKER6, 0))? };
    asker6.socket.set_read_timeout(Some(PATIENCE))?;
    let mut framer = Framer::new(context, &net.asker)?;
    let mut expected = Totals::default();
    let mut total = 0;
    for case in cases() {
        let before = net.server.kernel()?;
        for frame in &case.frames {
            framer.send(frame).with_context(|| case.name.clone())?;
        }
        // Alive, and what the frame brought is through.
        asker.expect(at(SERVER), b"alive", b"echo alive").with_context(|| case.name.clone())?;
        asker6.expect(at(SERVER6), b"alive", b"echo alive").with_context(|| case.name.clone())?;
        expected.replied += 2;
        let deadline = Deadline::after(PATIENCE);
        let delivered = loop {
            let delivered = net.server.kernel()?.since(before).delivered - 2;
            if delivered > 0 || case.reaches != Reaches::Always || deadline.left().is_none() {
                break delivered;
            }
            pause(std::time::Duration::from_millis(5));
        };
        let allowed = match case.reaches {
            Reaches::Always => 1..=1,
            Reaches::Never => 0..=0,
            Reaches::Perhaps => 0..=1,
        };
        check::holds(
            &format!("{}: {delivered} delivered", case.name),
            allowed.contains(&delivered),
        )?;
        let sent = net.server.kernel()?.since(before).sent - 2;
        let answers = if matches!(case.fate, Fate::Echoed) { delivered } else { 0 };
        check::same(&format!("{}: answers that the kernel sent", case.name), answers, sent)?;
        match case.fate {
            Fate::Echoed => expected.replied += delivered,
            Fate::Loop => expected.looped += delivered,
            Fate::Source => expected.source += delivered,
            Fate::Destination => expected.destination += delivered,
        }
        total += 1;
    }
    expected.refused = expected.looped + expected.source + expected.destination;
    expected.received = expected.replied + expected.refused;
    let kernel = net.server.kernel()?;
    let finished = server.stop()?;
    let totals = Totals::of(&finished)?;
    let told = finished.err();
    check::same(&format!("the totals, told {told:?}"), expected, totals)?;
    check::same("delivered, as the kernel counts", kernel.delivered, totals.received)?;
    check::same("sent, as the kernel counts", kernel.sent, totals.replied)?;
    figure("hostile/input", &format!("{total} kinds of packet, 0 deaths, counts exact"));
    Ok(())
}

/// How many random datagrams are on their way at once.
const WINDOW: usize = 8;

fn random_payloads(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &[])?;
    let asker = asker(&net)?;
    let count = chosen("UDP_HOSTILE_RANDOM", 20_000)?;
    let seed = chosen("UDP_HOSTILE_SEED", fastrand::u64(..))?;
    let mut random = fastrand::Rng::with_seed(seed);
    let sent =
        exchange(&asker.socket, count, &mut random).with_context(|| format!("seed {seed}"))?;
    let finished = server.stop()?;
    let totals = Totals::of(&finished)?;
    let expected = Totals { received: sent, replied: sent, ..Totals::default() };
    check::same(&format!("the totals, seed {seed}"), expected, totals)?;
    lines_are_datagrams(&finished.out(), sent)?;
    figure("hostile/input", &format!("{sent} random payloads echoed to the byte, seed {seed}"));
    Ok(())
}

fn exchange(socket: &UdpSocket, count: u64, random: &mut fastrand::Rng) -> Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut sent = 0;
    while sent < count {
        let batch: Vec<Vec<u8>> = (0..WINDOW).map(|_| payload(random)).collect();
        for payload in &batch {
            socket.send_to(payload, at(SERVER))?;
            sent += 1;
        }
        for payload in &batch {
            let n = socket.recv(&mut buffer).context("no echo came")?;
            let exact = buffer[..n].strip_prefix(ECHO) == Some(payload.as_slice());
            check::holds(&format!("{} is echoed", payload.escape_ascii()), exact)?;
        }
    }
    Ok(sent)
}

/// Mostly short, at times more than a frame holds; mostly random bytes, at times random text of
/// the characters that do harm.
fn payload(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = match random.u8(..) {
        0..200 => random.usize(..64),
        200..250 => random.usize(..1473),
        _ => random.usize(..6000),
    };
    if random.bool() {
        return (0..length).map(|_| random.u8(..)).collect();
    }
    let harm = [
        '\x1b', '[', '\n', '\r', '\\', '\u{9b}', '\u{202e}', '\u{2028}', '\u{200b}', '"', 'e', ' ',
    ];
    let text: String = (0..length / 2).map(|_| random.choice(harm).unwrap_or('x')).collect();
    text.into_bytes()
}
