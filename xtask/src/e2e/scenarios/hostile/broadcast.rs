//! Broadcast and multicast: a datagram that was not sent to us alone is not answered (Fraggle),
//! on plain and dual-stack sockets and on both receive paths.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use anyhow::{Context as _, Result};

use super::super::scenarios;
use crate::e2e::IoPath;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, figure};
use crate::e2e::net::Asker;
use crate::e2e::netns::{ASKER, ASKER6, BROADCAST, CABLE, Net, SERVER, SERVER6, at};

scenarios!("hostile/broadcast":
    groups_are_not_answered,
    groups_are_not_answered_on_dual_stack,
    groups_are_answered_where_asked_for,
    a_bound_group_is_joined,
    one_interface_alone_is_served,
);

const EACH: u64 = 500;

fn askers(net: &Net) -> Result<(Asker, Asker, u32)> {
    let four = Asker { socket: net.asker.bind((ASKER, 0))? };
    let six = Asker { socket: net.asker.bind((ASKER6, 0))? };
    for asker in [&four, &six] {
        asker.socket.set_read_timeout(Some(PATIENCE))?;
    }
    four.socket.set_broadcast(true)?;
    // 255.255.255.255 leaves by the default route, which is the cable.
    let (_, index) = net.asker.link_local()?;
    Ok((four, six, index))
}

/// Every host of the cable, every host, and, which a dual-stack socket of Linux is no member of,
/// all systems.
fn groups4(all_systems: bool) -> Vec<SocketAddr> {
    let mut groups = vec![at(BROADCAST), at(Ipv4Addr::BROADCAST)];
    if all_systems {
        groups.push(at(Ipv4Addr::new(224, 0, 0, 1)));
    }
    groups
}

fn all_nodes(index: u32) -> SocketAddr {
    SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 7000, 0, index).into()
}

/// A socket's queue is never full here: after this many the server is asked and waited for.
const STRIDE: u64 = 50;

/// Asks each of `groups`, and at times the server alone; how often that.
fn ask(asker: &Asker, groups: &[SocketAddr], server: SocketAddr) -> Result<u64> {
    let mut asked = 1;
    for group in groups {
        for n in 0..EACH {
            asker.send(*group, b"is anybody there?")?;
            if n % STRIDE == 0 {
                asker.expect(server, b"you alone", b"echo you alone")?;
                asked += 1;
            }
        }
    }
    asker.expect(server, b"you alone", b"echo you alone")?;
    asker.expect_nothing()?;
    Ok(asked)
}

fn groups_are_not_answered(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let (asker, ..) = askers(&net)?;
    let asked = ask(&asker, &groups4(true), at(SERVER))?;
    // And one from loopback's own broadcast address.
    let local = Asker { socket: net.server.bind((Ipv4Addr::LOCALHOST, 0))? };
    local.socket.set_broadcast(true)?;
    local.socket.set_read_timeout(Some(PATIENCE))?;
    local.send(at(Ipv4Addr::new(127, 255, 255, 255)), b"is anybody there?")?;
    local.expect(at(Ipv4Addr::LOCALHOST), b"you alone", b"echo you alone")?;
    local.expect_nothing()?;
    let totals = Totals::of(&server.stop()?)?;
    told(context, totals, 3 * EACH + 1, asked + 1)
}

fn groups_are_not_answered_on_dual_stack(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve_on(context, "[::]:7000", &["-q"])?;
    let (four, six, index) = askers(&net)?;
    let asked = ask(&four, &groups4(false), at(SERVER))?;
    let asked = asked + ask(&six, &[all_nodes(index)], at(SERVER6))?;
    let totals = Totals::of(&server.stop()?)?;
    told(context, totals, 3 * EACH, asked)
}

fn told(context: &Context, totals: Totals, groups: u64, alone: u64) -> Result<()> {
    let expected = Totals {
        received: groups + alone,
        replied: alone,
        refused: groups,
        destination: groups,
        ..Totals::default()
    };
    let path = if context.io == IoPath::Portable { "portable" } else { "auto" };
    check::same(&format!("the totals, --io {path}"), expected, totals)?;
    figure("hostile/broadcast", &format!("0 answers to {groups} group datagrams, --io {path}"));
    Ok(())
}

/// By one worker of several, each of which the kernel gives a copy.
fn groups_are_answered_where_asked_for(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let options = ["-q", "--answer-broadcast", "--workers", "3"];
    let server = net.serve_on(context, "[::]:7000", &options)?;
    let (four, six, index) = askers(&net)?;
    for group in groups4(false) {
        four.send(group, b"who?")?;
        let (reply, from) = four.receive().with_context(|| format!("asked {group}"))?;
        check::same("the reply", &b"echo who?"[..], &reply)?;
        check::same("comes from an address of its own", at(SERVER), from)?;
    }
    six.send(all_nodes(index), b"who?")?;
    let (reply, from) = six.receive().context("asked all nodes")?;
    check::same("the reply", &b"echo who?"[..], &reply)?;
    check::same("comes from the port", 7000, from.port())?;
    let totals = Totals::of(&server.stop()?)?;
    check::same("replied", (3, 3), (totals.received, totals.replied))
}

fn a_bound_group_is_joined(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let (four, six, index) = askers(&net)?;
    let (group4, group6) = ("239.77.1.1", Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x77));
    let bind6 = format!("[{group6}%{CABLE}]:7000");
    for (asker, bind, group) in [
        (&four, "239.77.1.1:7000", SocketAddr::new(group4.parse()?, 7000)),
        (&six, bind6.as_str(), SocketAddrV6::new(group6, 7000, 0, index).into()),
    ] {
        let options = ["--answer-broadcast", "--interface", CABLE, "--workers", "2"];
        let server = net.serve_on(context, bind, &options)?;
        asker.send(group, b"members?")?;
        let (reply, from) = asker.receive().with_context(|| format!("asked {group}"))?;
        check::same("the reply", &b"echo members?"[..], &reply)?;
        check::holds("comes from a host", !from.ip().is_multicast())?;
        let totals = Totals::of(&server.stop()?)?;
        check::same("replied", (1, 1), (totals.received, totals.replied))?;
    }
    Ok(())
}

fn one_interface_alone_is_served(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q", "--interface", CABLE])?;
    let (asker, ..) = askers(&net)?;
    let local = Asker { socket: net.server.bind((Ipv4Addr::LOCALHOST, 0))? };
    local.send(at(Ipv4Addr::LOCALHOST), b"from inside")?;
    asker.expect(at(SERVER), b"by the cable", b"echo by the cable")?;
    local.expect_nothing()?;
    let totals = Totals::of(&server.stop()?)?;
    check::same("replied", (1, 1), (totals.received, totals.replied))
}
