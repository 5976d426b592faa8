//! Faults of the network and of the kernel's network state: filters, routes, rules, links,
//! addresses, queues (nft(8), ip-route(8), ip-rule(8), ip-xfrm(8), ip-link(8), tc-tbf(8)).

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;

use super::super::scenarios;
use super::trial::{Answers, Trial};
use crate::e2e::check;
use crate::e2e::clock::{Deadline, PATIENCE};
use crate::e2e::context::Context;
use crate::e2e::measure::Totals;
use crate::e2e::net::Asker;
use crate::e2e::netns::{ASKER, Net, SERVER, at};
use crate::e2e::process::Finished;

scenarios!("faults/network": filters, routes, links_and_addresses, queues);

/// A rule for the server's replies, on their way out.
fn filter(rule: &str) -> String {
    let chain = "nft add table inet t; nft add chain inet t c";
    let hook = "'{ type filter hook output priority 0; }'";
    format!("{chain} {hook}; nft add rule inet t c udp sport 7000 {rule}")
}

fn filters(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let mut trial = Trial::new(&net, &server)?;
    for (name, during, rule) in [
        ("filter drops replies", Answers::None, "drop"),
        ("filter rejects replies", Answers::None, "reject"),
        ("filter prohibits replies", Answers::None, "reject with icmpx type admin-prohibited"),
        ("filter drops what it does not know", Answers::None, "ct state new,established drop"),
        ("filter lets few through", Answers::Some, "limit rate over 20/second drop"),
        ("filter lets half through", Answers::Some, "numgen random mod 2 0 drop"),
        ("filter lets a kilobyte through", Answers::Some, "quota over 1000 bytes drop"),
        ("filter spoils ports", Answers::None, "@th,16,16 set 9"),
        ("filter shortens lives", Answers::All, "ip ttl set 1"),
    ] {
        trial.commands(name, during, &filter(rule), "nft delete table inet t")?;
    }
    let requests = filter("drop").replace("hook output", "hook input").replace("sport", "dport");
    trial.commands("filter drops requests", Answers::None, &requests, "nft delete table inet t")?;
    let all = filter("drop").replace("udp sport 7000 ", "");
    trial.commands("filter drops all output", Answers::None, &all, "nft delete table inet t")?;
    // EPERM, for most of the first four; each kind of error is told once.
    trial.report("faults/network");
    told_and_counted(&server.stop()?)
}

fn routes(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let mut trial = Trial::new(&net, &server)?;
    for (name, cause, cure) in [
        ("no route at all", "ip route flush table main", CONNECTED),
        ("unreachable route", "ip route add unreachable 10.77.0.2", "ip route del 10.77.0.2"),
        ("prohibited route", "ip route add prohibit 10.77.0.2", "ip route del 10.77.0.2"),
        ("black hole", "ip route add blackhole 10.77.0.2", "ip route del 10.77.0.2"),
        ("route thrown", "ip route add throw 10.77.0.2", "ip route del 10.77.0.2"),
        ("dead gateway", "ip route add 10.77.0.2 via 10.77.0.99", "ip route del 10.77.0.2"),
        ("route into ourselves", "ip route add 10.77.0.2 dev lo", "ip route del 10.77.0.2"),
        ("rule prohibits", "ip rule add from 10.77.0.1 pref 1 prohibit", "ip rule del pref 1"),
        (
            "rule: unreachable",
            "ip rule add from 10.77.0.1 pref 1 unreachable",
            "ip rule del pref 1",
        ),
        ("rule swallows", "ip rule add from 10.77.0.1 pref 1 blackhole", "ip rule del pref 1"),
        (
            "security policy blocks",
            "ip xfrm policy add dir out src 10.77.0.0/24 dst 10.77.0.0/24 action block",
            "ip xfrm policy flush",
        ),
        (
            "neighbour at a wrong address",
            "ip neigh replace 10.77.0.2 lladdr 02:09:09:09:09:09 dev v0 nud permanent",
            "ip neigh del 10.77.0.2 dev v0",
        ),
    ] {
        trial.commands(name, Answers::None, cause, cure)?;
    }
    // ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, EPERM.
    trial.report("faults/network");
    told_and_counted(&server.stop()?)
}

const CONNECTED: &str = "ip route replace 10.77.0.0/24 dev v0 src 10.77.0.1
    ip route replace default via 10.77.0.2";
const AGAIN: &str = "ip link set v0 up; ip addr flush dev v0
    ip addr add 10.77.0.1/24 brd + dev v0; ip addr add 10.77.0.3/24 brd + dev v0
    ip -6 addr replace fd77::1/64 dev v0 nodad; ip route replace default via 10.77.0.2";

fn links_and_addresses(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let mut trial = Trial::new(&net, &server)?;
    // As much as still comes in when the link is narrowed.
    trial.payload = 560;
    for (name, during, cause, cure) in [
        ("link down", Answers::None, "ip link set v0 down", AGAIN),
        ("address gone", Answers::None, "ip addr flush dev v0", AGAIN),
        (
            "address changed",
            Answers::None,
            "ip addr flush dev v0; ip addr add 10.77.0.9/24 dev v0",
            AGAIN,
        ),
        (
            "no address, no link, no route",
            Answers::None,
            "ip addr flush dev v0; ip link set v0 down; ip route flush table main",
            AGAIN,
        ),
        ("loopback down", Answers::All, "ip link set lo down", "ip link set lo up"),
        (
            "hardware address changed",
            Answers::None,
            "ip link set v0 address 02:77:00:00:00:99",
            "ip link set v0 address 02:77:00:00:00:01",
        ),
        (
            "link that fits no reply whole",
            Answers::All,
            "ip link set v0 mtu 590",
            "ip link set v0 mtu 1500; ip -6 addr replace fd77::1/64 dev v0 nodad",
        ),
        (
            "path that fits no reply whole",
            Answers::All,
            "ip route replace 10.77.0.2/32 dev v0 mtu lock 552",
            "ip route del 10.77.0.2/32 dev v0",
        ),
        (
            "no segmentation",
            Answers::All,
            "ip link set v0 gso_max_segs 1",
            "ip link set v0 gso_max_segs 65535",
        ),
        (
            "no transmit queue",
            Answers::All,
            "ip link set v0 txqueuelen 0",
            "ip link set v0 txqueuelen 1000",
        ),
        (
            "IPv6 switched off",
            Answers::All,
            "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
            "echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
        ),
    ] {
        trial.commands(name, during, cause, cure)?;
    }
    let asker = &net.asker;
    trial.fault(
        "carrier lost",
        Answers::None,
        || asker.run("ip link set v0 down").map(drop),
        || asker.run("ip link set v0 up; ip route replace default via 10.77.0.1").map(drop),
    )?;
    let torn = || asker.run("ip link del v0").map(drop);
    trial.fault("cable taken away and laid anew", Answers::None, torn, || net.lay_cable())?;
    trial.report("faults/network");
    let totals = Totals::of(&server.stop()?)?;
    check::holds(&format!("the totals balance: {totals:?}"), totals.balance())
}

fn queues(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let mut trial = Trial::new(&net, &server)?;
    trial.payload = 1400;
    let bare = "tc qdisc del dev v0 root";
    let slow =
        |limit: u32| format!("tc qdisc add dev v0 root tbf rate 64kbit burst 2000 limit {limit}");
    for (name, during, cause) in [
        ("slow way out, short queue", Answers::Some, slow(3_000)),
        ("slow way out, long queue", Answers::Some, slow(4_000_000)),
        ("queue of one", Answers::Some, "tc qdisc add dev v0 root pfifo limit 1".to_owned()),
        ("no queue", Answers::All, "tc qdisc add dev v0 root noqueue".to_owned()),
    ] {
        trial.commands(name, during, &cause, bare)?;
    }
    // A way out that is slow and long stops nobody for long: what it cannot take is counted as
    // failed, and whoever is reached by another way is answered as soon as it has taken one more.
    net.server.run(&slow(40_000_000))?;
    let flood = net.asker.bind((ASKER, 0))?;
    for _ in 0..1500 {
        flood.send_to(&[b'f'; 1400], at(SERVER))?;
    }
    let neighbour = Asker { socket: net.server.bind((Ipv4Addr::LOCALHOST, 0))? };
    neighbour.socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let deadline = Deadline::after(PATIENCE);
    while neighbour.send(at(Ipv4Addr::LOCALHOST), b"x").and_then(|()| neighbour.receive()).is_err()
    {
        check::holds("a slow way out stops nobody else", deadline.left().is_some())?;
    }
    net.server.run(bare)?;
    // EAGAIN
    trial.report("faults/network");
    told_and_counted(&server.stop()?)
}

/// Failures were counted, and each kind was told, but not each failure.
fn told_and_counted(finished: &Finished) -> Result<()> {
    let told = finished.err();
    let totals = Totals::of(finished)?;
    check::holds(&format!("the totals balance: {totals:?}"), totals.balance())?;
    check::holds(&format!("failures are counted: {totals:?}"), totals.failed > 0)?;
    let lines = told.lines().count();
    check::holds(&format!("each kind is told once a minute: {told:?}"), (1..=8).contains(&lines))
}
