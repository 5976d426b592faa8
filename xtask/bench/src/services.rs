//! A server that answers DNS, NTP and STAMP on one port of every address, told apart by their bytes: what our
//! heartbeat asks of many targets at once. It runs as a process of its own, as every server does.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use udp_core::batch::{Backend, Io, MAX_V4, Options, Outbox, SLOT, Slots, Source, Wait};
use udp_core::socket::SocketConfig;

/// The word on the command line that stands before its port.
pub(crate) const ANSWER: &str = "answer-services";

const BATCH: usize = 64;

/// Answers until it is killed.
pub(crate) fn serve(port: &str) -> Result<()> {
    let port: u16 = port.parse().context("no port")?;
    let bind = Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    let socket = SocketConfig { bind, ..SocketConfig::default() }.open()?.socket;
    let mut io = Io::new(socket, Backend::Auto, &Options { gro: false, ..Options::default() })?;
    let mut slots = Slots::new(BATCH, SLOT, 0);
    let mut outbox = Outbox::new(BATCH, BATCH * MAX_V4);
    loop {
        io.receive(&mut slots, Wait::Block(None))?;
        for received in slots.iter() {
            let source = received.meta.local.map(|address| Source { address, interface: 0 });
            let answers = received.segments().filter_map(answer);
            for answer in answers {
                // One that does not fit is lost, and told by the heartbeat.
                let _ = outbox.push(received.meta.peer, source, &answer);
            }
        }
        io.send(&mut outbox, &slots, |_| {});
    }
}

/// The answer of a server that is well.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    /// 2026, in seconds since 1900.
    const TIME: [u8; 8] = [0xee, 0xb2, 0x07, 0x09, 0, 0, 0, 0];
    match (request.first()?, request.len()) {
        // RFC 5905: stratum 1; the transmit time comes back as the origin's.
        (0x23, 48) => {
            let head = [&[0x24, 1, 0, 0xe6][..], &[0; 8], b"GPS\0", &TIME];
            Some([&head.concat(), &request[40..], &TIME, &TIME].concat())
        }
        // RFC 8762 section 4.3.1, with the sender's first 14 bytes behind both times.
        (0, 44 | 64) => {
            let head = [&request[..4], &TIME, &request[12..16], &TIME];
            let mut reply = [&head.concat(), &request[..14], &[0, 0, 64]].concat();
            reply.resize(request.len(), 0);
            Some(reply)
        }
        // RFC 1035: the question, and an address.
        _ => {
            let end = 12 + request.get(12..)?.iter().position(|byte| *byte == 0)? + 5;
            let answer = [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 7];
            let flags = [0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
            Some([&request[..2], &flags, request.get(12..end)?, &answer].concat())
        }
    }
}
