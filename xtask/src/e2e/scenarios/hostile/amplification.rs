//! Amplification: what a forger can make the server send at somebody else, measured on the cable,
//! in packets and in bytes of frames, against what the forger has to send for it.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use super::input::asker;
use super::kinds::{ECHO, pattern};
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::measure::figure;
use crate::e2e::netns::{CABLE, Host, Net, SERVER, at};

scenarios!("hostile/amplification": never_more_than_a_prefix);

const EXCHANGES: u64 = 20;
/// Bytes out for a byte in: the prefix on an empty datagram, in frames as they are on a cable.
const BYTES: f64 = 1.12;
/// A prefix that no longer fits the last fragment makes one more of them.
const PACKETS: f64 = 2.0;
/// The MTU of the cable less the headers: the last size that goes in one packet.
const WHOLE: usize = 1472;

/// What has come in and gone out on the server's end of the cable.
#[derive(Clone, Copy)]
struct Traffic {
    bytes: [u64; 2],
    packets: [u64; 2],
}

fn traffic(host: &Host) -> Result<Traffic> {
    let text = host.run(&format!("ip -j -s link show dev {CABLE}"))?;
    let link: serde_json::Value = serde_json::from_str(&text)?;
    let figure = |way: &str, what: &str| {
        let value = link[0]["stats64"][way][what].as_u64();
        value.with_context(|| format!("no {what} for {way} in {text}"))
    };
    Ok(Traffic {
        bytes: [figure("rx", "bytes")?, figure("tx", "bytes")?],
        packets: [figure("rx", "packets")?, figure("tx", "packets")?],
    })
}

fn never_more_than_a_prefix(context: &Context) -> Result<()> {
    let net = Net::new()?;
    for host in [&net.server, &net.asker] {
        // IPv6 says things of its own on the cable.
        host.set(&format!("net/ipv6/conf/{CABLE}/disable_ipv6"), "1")?;
    }
    let mut worst = [(0.0, 0); 2];
    for (options, prefix) in [(&["-q"][..], ECHO), (&["-q", "--raw"], b"")] {
        let server = net.serve(context, options)?;
        let asker = asker(&net)?;
        let bare = prefix.is_empty();
        let mut all = Vec::new();
        for size in [0, 1, 2, 5, 18, 64, 512, 1400, 1467, 1468, WHOLE, 1473, 2948, 9000, 65_502] {
            let payload = pattern(size);
            let reply = [prefix, payload.as_slice()].concat();
            asker.expect(at(SERVER), &payload, &reply)?;
            let before = traffic(&net.server)?;
            for _ in 0..EXCHANGES {
                asker.expect(at(SERVER), &payload, &reply)?;
            }
            let after = traffic(&net.server)?;
            let ratio = |now: [u64; 2], then: [u64; 2]| {
                (now[1] - then[1]) as f64 / (now[0] - then[0]) as f64
            };
            let bytes = ratio(after.bytes, before.bytes);
            let packets = ratio(after.packets, before.packets);
            let told =
                format!("{size} bytes, {options:?}: bytes x {bytes:.3}, packets x {packets:.2}");
            all.push(format!("{size}: {bytes:.3}, {packets:.2}"));
            // One frame more or less of the hosts' own is no amplification.
            let slack = 0.02;
            let [most_bytes, most_packets] = if bare { [1.0, 1.0] } else { [BYTES, PACKETS] };
            check::holds(&told, bytes <= most_bytes + slack && packets <= most_packets + slack)?;
            for (worst, ratio) in worst.iter_mut().zip([bytes, packets]) {
                if ratio > worst.0 {
                    *worst = (ratio, size);
                }
            }
        }
        figure(
            "hostile/amplification",
            &format!("{options:?}, at size: bytes, packets x: {}", all.join("; ")),
        );
        server.stop()?.exits(0)?;
    }
    let [(bytes, small), (packets, large)] = worst;
    figure(
        "hostile/amplification",
        &format!(
            "at worst bytes x {bytes:.3} at {small} bytes, packets x {packets:.2} at {large} bytes"
        ),
    );
    // Nothing comes of what is not answered at all.
    let server = net.serve(context, &["-q"])?;
    let before = traffic(&net.server)?;
    let privileged = net.asker.bind((Ipv4Addr::UNSPECIFIED, 53))?;
    for _ in 0..EXCHANGES {
        privileged.send_to(b"reflect this", at(SERVER))?;
    }
    asker(&net)?.expect(at(SERVER), b"well?", b"echo well?")?;
    let sent = traffic(&net.server)?.packets[1] - before.packets[1];
    check::holds(&format!("{sent} packets sent, 1 of them asked for"), sent <= 2)?;
    server.stop()?.exits(0)?;
    Ok(())
}
