//! Five hosts behind a router watch each other by one name, as pods of a headless service do: each runs a
//! server and a heartbeat that makes every address of the name a target.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{Deadline, pause};
use crate::e2e::context::{Context, Server};
use crate::e2e::netns::{Host, begin, mounted, needs};
use crate::e2e::process::Process;

scenarios!("mesh": who_comes_and_goes_and_a_link_that_breaks);

/// A name is looked up every 30 s; a busy machine gets more.
const FOLLOWED_IN: Duration = Duration::from_secs(90);
const NAMES: &str = "10.78.0.1";
const METRICS: &str = "127.0.0.1:9107";

/// A host of the mesh, and what runs on it.
struct Node {
    number: usize,
    host: Host,
    running: Option<(Server, Process)>,
}

/// The addresses of a node's only interface.
fn addresses(number: usize) -> [String; 2] {
    [format!("10.78.{number}.2"), format!("fd78:{number}::2")]
}

/// All targets that these nodes are.
fn of(numbers: &[usize]) -> BTreeSet<String> {
    numbers.iter().flat_map(|number| addresses(*number)).collect()
}

impl Node {
    fn new(number: usize, net: u32, router: &Host) -> Result<Node> {
        let host = Host::new(net, &number.to_string())?;
        router.run(&format!(
            "ip link add p{number} type veth peer name v0 netns {}
             ip addr add 10.78.{number}.1/24 dev p{number}
             ip -6 addr add fd78:{number}::1/64 dev p{number} nodad
             ip link set p{number} up",
            host.name
        ))?;
        let [v4, v6] = addresses(number);
        host.run(&format!(
            "ip addr add {v4}/24 dev v0; ip -6 addr add {v6}/64 dev v0 nodad
             ip link set lo up; ip link set v0 up
             ip route add default via 10.78.{number}.1; ip -6 route add default via fd78:{number}::1"
        ))?;
        Ok(Node { number, host, running: None })
    }

    fn start(&mut self, context: &Context, resolver: &Path) -> Result<()> {
        let server = self.host.server(context).args(["--bind", "[::]:7000", "-q"]);
        let server = Server::start(server)?;
        let unshare = self.host.launch(context, "unshare");
        let heartbeat = mounted(unshare, resolver, "/etc/resolv.conf")
            .arg(&context.programs.heartbeat)
            .args(["--every-address", "mesh.test", "-i", "0.2", "-W", "3", "-q", "--json"])
            .args(["--metrics", METRICS])
            .spawn()?;
        heartbeat.wait_for_stderr("metrics: http://127.0.0.1:9107/metrics, <n> series\n")?;
        self.running = Some((server, heartbeat));
        Ok(())
    }

    fn stop(&mut self) -> Result<String> {
        let (server, heartbeat) = self.running.take().context("it does not run")?;
        server.stop()?.exits(0)?;
        Ok(heartbeat.interrupt()?.out())
    }

    /// A figure of each target, by its address.
    fn figures(&self, name: &str) -> Result<BTreeMap<String, f64>> {
        let text = self.host.inside(|| {
            let mut stream = TcpStream::connect(METRICS)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        })?;
        let start = format!("udp_heartbeat_{name}{{target=\"mesh.test:7000@");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&start));
        let figure = |line: &str| {
            let (target, rest) = line.split_once("\",address=\"")?;
            let (address, rest) = rest.split_once("\"} ")?;
            (target == address).then(|| Some((address.to_owned(), rest.parse().ok()?)))?
        };
        lines.map(|line| figure(line).with_context(|| format!("no figure: {line}"))).collect()
    }

    /// Waits until just these targets are up, and just these not.
    fn until(&self, up: &BTreeSet<String>, not: &BTreeSet<String>) -> Result<()> {
        let end = Deadline::after(FOLLOWED_IN);
        loop {
            let figures = self.figures("up")?;
            let (yes, no): (Vec<_>, Vec<_>) = figures.into_iter().partition(|it| it.1 > 0.0);
            let [yes, no] = [yes, no].map(|it| it.into_iter().map(|it| it.0).collect());
            if (up, not) == (&yes, &no) {
                return Ok(());
            }
            if end.left().is_none() {
                bail!("node {}: up {yes:?} and not up {no:?}, not {up:?} and {not:?}", self.number);
            }
            pause(Duration::from_millis(100));
        }
    }
}

fn who_comes_and_goes_and_a_link_that_breaks(context: &Context) -> Result<()> {
    let net = begin()?;
    needs(&["python3", "unshare"])?;
    let router = Host::new(net, "r")?;
    router.run(&format!("ip link set lo up; ip addr add {NAMES}/32 dev lo"))?;
    router.set("net/ipv4/ip_forward", "1")?;
    router.set("net/ipv6/conf/all/forwarding", "1")?;
    let place = tempfile::tempdir()?;
    let (zone, resolver) = (place.path().join("zone"), place.path().join("resolv.conf"));
    std::fs::write(&resolver, format!("nameserver {NAMES}\noptions timeout:1 attempts:2\n"))?;
    let are = |numbers: &[usize]| {
        let all: Vec<String> = of(numbers).into_iter().collect();
        std::fs::write(&zone, all.join("\n")).context("cannot write the zone")
    };
    are(&[1, 2, 3, 4])?;
    let script = context.root.join("xtask/services/names.py");
    let names = router.launch(context, "python3").arg(script).arg(NAMES).arg(&zone).spawn()?;
    names.wait_for("ready\n")?;
    let nodes = (1..=5).map(|number| Node::new(number, net, &router));
    let mut nodes: Vec<Node> = nodes.collect::<Result<_>>()?;
    for node in &mut nodes[..4] {
        node.start(context, &resolver)?;
    }
    let none = BTreeSet::new();
    for node in &nodes[..4] {
        node.until(&of(&[1, 2, 3, 4]), &none)?;
    }
    // One joins and one goes; the others keep every figure.
    let before = nodes[1].figures("received_total")?;
    are(&[2, 3, 4, 5])?;
    nodes[4].start(context, &resolver)?;
    nodes[0].stop()?;
    for node in &nodes[1..] {
        node.until(&of(&[2, 3, 4, 5]), &none)?;
    }
    let after = nodes[1].figures("received_total")?;
    for address in of(&[2, 3, 4]) {
        let (before, after) = (before[&address], after[&address]);
        ensure!(before > 0.0 && after > before, "{address}: {before} received, then {after}");
    }
    // The name resolves to nothing for a while, and nothing changes. One link breaks, of one family, and
    // exactly its two ends show it.
    std::fs::write(&zone, "")?;
    router.run(
        "nft add table inet t; nft add chain inet t c '{ type filter hook forward priority 0; }'
         nft add rule inet t c ip saddr { 10.78.2.2, 10.78.3.2 } ip daddr { 10.78.2.2, 10.78.3.2 } drop",
    )?;
    let all = of(&[2, 3, 4, 5]);
    let cut = |other: usize| BTreeSet::from([addresses(other)[0].clone()]);
    for (node, not) in [(1, cut(3)), (2, cut(2)), (3, none.clone()), (4, none.clone())] {
        nodes[node].until(&(&all - &not), &not)?;
    }
    router.run("nft delete table inet t")?;
    for node in &nodes[1..] {
        node.until(&all, &none)?;
    }
    // Who went was summed up once.
    let out = nodes[1].stop()?;
    let gone = |address: &str| {
        let target = format!("\"target\":\"mesh.test:7000@{address}\"");
        let summary = |line: &&str| line.contains("\"type\":\"summary\"") && line.contains(&target);
        out.lines().filter(summary).count()
    };
    let summaries = addresses(1).map(|address| gone(&address));
    check::same("summaries of the node that went", [1, 1], summaries)
}
