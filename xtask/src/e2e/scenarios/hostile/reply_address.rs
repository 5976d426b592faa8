//! The reply leaves from the address that was asked, whichever of its addresses a host is asked
//! by: a connected client, a translator or a firewall drops any other.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use anyhow::{Context as _, Result};

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, figure};
use crate::e2e::netns::{
    ASKER, ASKER6, CABLE, Host, Net, SERVER, SERVER_TOO, SERVER6, SERVER6_TOO, at,
};

scenarios!("hostile/reply_address": on_every_address, on_dual_stack, on_ipv6_alone);

/// A connected client of `host`: nothing but the right address can reach it.
fn ask(host: &Host, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let socket: UdpSocket = host.bind(from)?;
    socket.connect(to).with_context(|| format!("cannot connect {from} to {to}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(b"from where?").with_context(|| format!("cannot send from {from} to {to}"))?;
    let mut buffer = [0; 64];
    let n = socket.recv(&mut buffer).with_context(|| format!("{to} was asked by {from}"))?;
    check::same(&format!("the reply of {to}"), &b"echo from where?"[..], &buffer[..n])
}

fn four(net: &Net) -> Result<u64> {
    let asker: SocketAddr = (ASKER, 0).into();
    ask(&net.asker, asker, at(SERVER))?;
    ask(&net.asker, asker, at(SERVER_TOO))?;
    // Added while the server runs: on the cable, and one that is on no cable.
    net.server
        .run(&format!("ip addr add 10.77.0.4/24 dev {CABLE}; ip addr add 10.78.0.1/32 dev lo"))?;
    ask(&net.asker, asker, at(Ipv4Addr::new(10, 77, 0, 4)))?;
    ask(&net.asker, asker, at(Ipv4Addr::new(10, 78, 0, 1)))?;
    // From the host itself.
    let local: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    ask(&net.server, local, at(Ipv4Addr::LOCALHOST))?;
    ask(&net.server, local, at(Ipv4Addr::new(127, 0, 0, 2)))?;
    ask(&net.server, local, at(Ipv4Addr::new(127, 9, 9, 9)))?;
    ask(&net.server, (SERVER, 0).into(), at(SERVER_TOO))?;
    // Taken away and given back.
    net.server.run(&format!(
        "ip addr del {SERVER_TOO}/24 dev {CABLE}; ip addr add {SERVER_TOO}/24 dev {CABLE}"
    ))?;
    ask(&net.asker, asker, at(SERVER_TOO))?;
    // From another network, by a route that was not there before.
    net.asker.run("ip addr add 10.79.0.2/32 dev lo")?;
    ask(&net.asker, (Ipv4Addr::new(10, 79, 0, 2), 0).into(), at(SERVER_TOO))?;
    Ok(10)
}

fn six(net: &Net) -> Result<u64> {
    let asker: SocketAddr = (ASKER6, 0).into();
    ask(&net.asker, asker, at(SERVER6))?;
    ask(&net.asker, asker, at(SERVER6_TOO))?;
    net.server.run(&format!(
        "ip -6 addr add fd77::4/64 dev {CABLE} nodad; ip -6 addr add fd78::1/128 dev lo"
    ))?;
    // The kernel routes a new IPv6 address a moment later, in the order they were added.
    net.server.run(&format!(
        "timeout {} sh -c 'until ip -6 route show table local fd78::1 | grep -q local; do :; done'",
        PATIENCE.as_secs()
    ))?;
    ask(&net.asker, asker, at(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 4)))?;
    ask(&net.asker, asker, at(Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 1)))?;
    ask(&net.server, (Ipv6Addr::LOCALHOST, 0).into(), at(Ipv6Addr::LOCALHOST))?;
    ask(&net.server, (SERVER6, 0).into(), at(SERVER6_TOO))?;
    // On the cable alone: the interface belongs to the address.
    let ((theirs, _), (ours, scope)) = (net.server.link_local()?, net.asker.link_local()?);
    let link = |address: Ipv6Addr, port: u16| SocketAddrV6::new(address, port, 0, scope).into();
    ask(&net.asker, link(ours, 0), link(theirs, 7000))?;
    ask(&net.asker, link(ours, 0), at(SERVER6_TOO))?;
    Ok(8)
}

fn on_every_address(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    done(four(&net)?, Totals::of(&server.stop()?)?, "0.0.0.0")
}

fn on_dual_stack(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve_on(context, "[::]:7000", &["-q"])?;
    let cases = four(&net)? + six(&net)?;
    done(cases, Totals::of(&server.stop()?)?, "[::]")
}

fn on_ipv6_alone(context: &Context) -> Result<()> {
    let net = Net::new()?;
    // Beside an IPv4 server of the same process, so that [::] must leave IPv4 alone.
    let server = net.serve_on(context, "[::]:7000", &["-6", "-q"])?;
    done(six(&net)?, Totals::of(&server.stop()?)?, "[::] -6")
}

fn done(cases: u64, totals: Totals, bind: &str) -> Result<()> {
    let expected = Totals { received: cases, replied: cases, ..Totals::default() };
    check::same("the totals", expected, totals)?;
    figure("hostile/reply_address", &format!("{bind}: {cases} of {cases} cases right"));
    Ok(())
}
