//! Bursts from one asker over ways that cannot carry what the server joins: replies of one size to
//! one asker may leave as one long datagram that the kernel cuts (UDP_SEGMENT, udp(7)), and where
//! it refuses to, each must leave by itself. Not one is lost, and none fails.

use anyhow::{Context as _, Result, ensure};

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, figure};
use crate::e2e::net::Asker;
use crate::e2e::netns::{Net, SERVER, at};

scenarios!("faults/bursts": joined_replies_always_arrive);

const BURSTS: usize = 40;
const BURST: usize = 32;

fn joined_replies_always_arrive(context: &Context) -> Result<()> {
    let mut ways = 0;
    for workers in ["1", "2"] {
        let net = Net::new()?;
        let server = net.serve(context, &["-q", "--workers", workers])?;
        let asker = super::super::hostile::asker(&net)?;
        let mut sent = 0;
        for (name, size, cause, cure) in [
            ("nothing in the way", 1400, "true", "true"),
            (
                "a path that fits no reply whole",
                1400,
                "ip route replace 10.77.0.2/32 dev v0 mtu lock 552",
                "ip route del 10.77.0.2/32 dev v0",
            ),
            (
                "a path that may not be cut",
                1400,
                "ip route replace 10.77.0.2/32 dev v0 mtu 552",
                "ip route del 10.77.0.2/32 dev v0",
            ),
            (
                "a link that just does not fit a reply",
                560,
                "ip link set v0 mtu 590",
                "ip link set v0 mtu 1500",
            ),
            (
                "no segmentation on the link",
                1000,
                "ip link set v0 gso_max_segs 1",
                "ip link set v0 gso_max_segs 65535",
            ),
            (
                "small segmentation on the link",
                1000,
                "ip link set v0 gso_max_size 4000",
                "ip link set v0 gso_max_size 65536",
            ),
        ] {
            for done in [false, true] {
                // During it, and after it: what was given up for its sake must not harm later.
                if !done {
                    net.server.run(cause).with_context(|| name.to_owned())?;
                }
                for _ in 0..BURSTS {
                    burst(&asker, size).with_context(|| format!("{name}, over: {done}"))?;
                    sent += BURST as u64;
                }
                if !done {
                    net.server.run(cure).with_context(|| name.to_owned())?;
                }
            }
            ways += 1;
        }
        let finished = server.stop()?;
        let expected = Totals { received: sent, replied: sent, ..Totals::default() };
        check::same(
            &format!("the totals, told {:?}", finished.err()),
            expected,
            Totals::of(&finished)?,
        )?;
    }
    figure("faults/bursts", &format!("{ways} ways: every reply of every burst arrived"));
    Ok(())
}

/// As many of one size at once as a socket's queue holds with ease; all echoed, in order.
fn burst(asker: &Asker, size: usize) -> Result<()> {
    let payload = |n: usize| {
        let mut payload = format!("{n} ").into_bytes();
        payload.resize(size, b'b');
        payload
    };
    for n in 0..BURST {
        asker.send(at(SERVER), &payload(n))?;
    }
    for n in 0..BURST {
        let (reply, _) = asker.receive().with_context(|| format!("reply {n} of {BURST}"))?;
        let exact = reply.strip_prefix(b"echo ") == Some(payload(n).as_slice());
        ensure!(exact, "reply {n} is {} bytes: {}", reply.len(), reply[..20].escape_ascii());
    }
    Ok(())
}
