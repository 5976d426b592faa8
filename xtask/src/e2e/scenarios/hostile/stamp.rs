//! The STAMP reflector under strangers: nothing that comes back is longer than what was sent,
//! nothing that is no STAMP packet ends it, and with a key nothing unsigned is answered.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use super::kinds::payloads;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::{Totals, figure};
use crate::e2e::net::{Asker, LARGEST};

scenarios!("hostile/stamp":
    no_reflection_is_longer_than_its_request,
    every_kind_of_payload_is_borne,
    without_the_key_there_is_no_answer,
);

fn reflector(context: &Context, options: &[&str]) -> Result<(Server, SocketAddr)> {
    let server = context.serve(&[&["-q", "--stamp", "127.0.0.1:0"], options].concat())?;
    let address = *server.addresses.get(1).context("no second start line")?;
    Ok((server, address))
}

/// A session-sender's packet of `length` bytes, whose padding is `fill`.
fn request(length: usize, fill: u8) -> Vec<u8> {
    let mut packet = vec![fill; length];
    for (at, bytes) in [(0, &[0, 0, 0, 7][..]), (4, &[0xe9; 8]), (12, &[0x80, 1]), (14, &[0; 30])] {
        let end = (at + bytes.len()).min(length);
        if at < end {
            packet[at..end].copy_from_slice(&bytes[..end - at]);
        }
    }
    packet
}

/// Asks with `packet`; what came back, if anything. The echo service of the same server says when
/// an answer would have been there.
fn reflect(asker: &Asker, to: SocketAddr, packet: &[u8]) -> Result<Option<Vec<u8>>> {
    // The reflector's own queue is in order: a packet that it answers for certain comes behind.
    asker.send(to, packet)?;
    let marker = [&[0, 0, 0xff, 0xff][..], &request(44, 0)[4..]].concat();
    asker.send(to, &marker)?;
    let (first, _) = asker.receive()?;
    let is_marker = |reply: &[u8]| reply.len() == 44 && reply[24..28] == [0, 0, 0xff, 0xff];
    if is_marker(&first) {
        return Ok(None);
    }
    let (second, _) = asker.receive()?;
    check::holds("at most one reply", is_marker(&second))?;
    Ok(Some(first))
}

fn no_reflection_is_longer_than_its_request(context: &Context) -> Result<()> {
    let (server, address) = reflector(context, &[])?;
    let asker = Asker::new()?;
    let (mut answered, mut silent) = (0, 0);
    for length in (0..=200).chain([512, 1400, 1472, 9000, LARGEST]) {
        for fill in [0, 0xff] {
            let packet = request(length, fill);
            match reflect(&asker, address, &packet)? {
                Some(reply) => {
                    let told = format!("{} bytes for {length}", reply.len());
                    check::holds(&told, reply.len() <= length)?;
                    answered += 1;
                }
                None => silent += 1,
            }
        }
    }
    let finished = server.stop()?;
    let totals = Totals::of(&finished)?;
    check::same("answered", 2 * answered + silent, totals.replied)?;
    check::same("refused", silent, totals.refused)?;
    figure(
        "hostile/stamp",
        &format!("{answered} reflections, none longer than its request, {silent} refused"),
    );
    Ok(())
}

fn every_kind_of_payload_is_borne(context: &Context) -> Result<()> {
    let (server, address) = reflector(context, &[])?;
    let asker = Asker::new()?;
    let mut random = fastrand::Rng::with_seed(7);
    for (name, payload) in payloads() {
        let reply = reflect(&asker, address, &payload).with_context(|| name.clone())?;
        check::holds(&name, reply.is_none_or(|r| r.len() <= payload.len()))?;
    }
    for _ in 0..2000 {
        let length = random.usize(..200);
        let payload: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        let reply = reflect(&asker, address, &payload).with_context(|| format!("{payload:?}"))?;
        check::holds("no longer than the request", reply.is_none_or(|r| r.len() <= payload.len()))?;
    }
    let totals = Totals::of(&server.stop()?)?;
    check::holds(&format!("the totals balance: {totals:?}"), totals.balance() && totals.failed == 0)
}

fn without_the_key_there_is_no_answer(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let key = directory.path().join("key");
    std::fs::write(&key, "a key that no stranger has\n")?;
    let (server, address) = reflector(context, &["--stamp-key-file", &key.display().to_string()])?;
    let asker = Asker::new()?;
    let mut sent = 0;
    for length in (0..=300).chain([512, 1400, LARGEST]) {
        for fill in [0, 0xff] {
            asker.send(address, &request(length, fill))?;
            sent += 1;
        }
    }
    // The echo service answers still, and by then the reflector has had its turn: wait for it.
    asker.expect(server.address(), b"alive", b"echo alive")?;
    let target = address.to_string();
    let beat =
        [target.as_str(), "--stamp", "-c", "3", "-i", "10ms", "-W", "20", "--stamp-key-file"];
    let key = key.display().to_string();
    context.beat(beat.into_iter().chain([key.as_str()]))?.exits(0)?;
    asker.expect_nothing()?;
    let totals = Totals::of(&server.stop()?)?;
    check::same("replied", 1 + 3, totals.replied)?;
    check::same("refused", sent, totals.refused + totals.lost)?;
    figure("hostile/stamp", &format!("0 answers to {sent} packets without the key"));
    Ok(())
}
