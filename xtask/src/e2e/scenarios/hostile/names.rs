//! A target's name moves to another address, or is gone for a while: the heartbeat follows, and
//! keeps what it has meanwhile. A name with several addresses, of which the first refuses: client
//! and heartbeat go on to the next.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::figure;
use crate::e2e::net::{Asker, Peer};
use crate::e2e::netns::{mounted, needs};
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;

scenarios!("hostile/names":
    a_moved_name_is_followed,
    a_lost_name_keeps_its_address,
    the_client_tries_each_address,
    the_heartbeat_tries_each_address,
    a_hanging_resolver_is_interrupted,
    a_bound_name_is_served_at_each_of_its_addresses,
);

/// A table of names that the program under test sees in place of /etc/hosts.
struct Names {
    file: tempfile::NamedTempFile,
}

impl Names {
    fn new(text: &str) -> Result<Self> {
        if !geteuid().is_root() {
            return skip("a mount namespace needs root");
        }
        needs(&["unshare"])?;
        let names = Self { file: tempfile::NamedTempFile::new()? };
        names.set(text)?;
        Ok(names)
    }

    /// The file stays the same one, since it is mounted: only its text changes.
    fn set(&self, text: &str) -> Result<()> {
        std::fs::write(self.file.path(), text).context("cannot write a table of names")
    }

    fn launch(&self, context: &Context, program: &Path) -> Launch {
        mounted(Launch::new("unshare"), self.file.path(), "/etc/hosts")
            .arg(program)
            .env("HOME", context.home.path())
            // The names here are no business of a name server's.
            .env("RES_OPTIONS", "attempts:1 timeout:1")
    }
}

/// A peer that can be told to fall silent.
fn peer(address: &str) -> Result<(Peer, Arc<AtomicBool>)> {
    let silent = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&silent);
    let peer = Peer::on(address, move |request| {
        if theirs.load(Ordering::Relaxed) { Vec::new() } else { vec![request.echo()] }
    })?;
    Ok((peer, silent))
}

/// Two peers on one port, at two addresses of the loopback network.
fn two() -> Result<(Peer, Arc<AtomicBool>, Peer)> {
    for _ in 0..20 {
        let (first, silent) = peer("127.0.0.1:0")?;
        if let Ok((second, _)) = peer(&format!("127.0.0.2:{}", first.address.port())) {
            return Ok((first, silent, second));
        }
    }
    bail!("no port is free at two addresses")
}

/// The promise is five seconds at a beat a second; a busy machine gets more.
const FOLLOWED_IN: Duration = Duration::from_secs(15);

fn a_moved_name_is_followed(context: &Context) -> Result<()> {
    let (first, silent, second) = two()?;
    let names = Names::new("127.0.0.1 moved.test\n")?;
    let target = format!("moved.test:{}", first.address.port());
    let process = names
        .launch(context, &context.programs.heartbeat)
        .args([target.as_str(), "-i", "1"])
        .spawn()?;
    process.out.wait_until(|out| seen(out, "recvfrom ('127.0.0.1'", 1))?;
    // The host is gone, and the name points at its successor.
    names.set("127.0.0.2 moved.test\n")?;
    silent.store(true, Ordering::Relaxed);
    let moved = clock::now();
    process
        .out
        .wait_until(|out| seen(out, "recvfrom ('127.0.0.2'", 1))
        .context("the name was not followed")?;
    let took = moved.elapsed();
    check::holds(&format!("followed after {took:?}"), took <= FOLLOWED_IN)?;
    check::holds("the successor was asked", !second.seen().is_empty())?;
    let out = process.interrupt()?;
    out.exits(0)?;
    figure(
        "hostile/names",
        &format!("a moved name was followed in {:.1} s at one beat a second", took.as_secs_f64()),
    );
    Ok(())
}

fn a_lost_name_keeps_its_address(context: &Context) -> Result<()> {
    let (first, silent) = peer("127.0.0.1:0")?;
    let names = Names::new("127.0.0.1 lost.test\n")?;
    let target = format!("lost.test:{}", first.address.port());
    let options = [target.as_str(), "-i", "0.1", "-W", "0.2"];
    let process = names.launch(context, &context.programs.heartbeat).args(options).spawn()?;
    process.out.wait_until(|out| seen(out, "recvfrom ('127.0.0.1'", 2))?;
    names.set("# nothing\n")?;
    silent.store(true, Ordering::Relaxed);
    // Long enough for several look-ups that fail, and the beats go on all the while.
    process
        .out
        .wait_until(|out| seen(out, "no reply (", 8))
        .context("beats while the name is lost")?;
    silent.store(false, Ordering::Relaxed);
    let before = process.out.text().matches("recvfrom (").count();
    process
        .out
        .wait_until(|out| seen(out, "recvfrom (", before + 3))
        .context("the old address is kept")?;
    process.interrupt()?.exits(0)?;
    Ok(())
}

/// As localhost is on many a host, where a server listens on IPv4 alone.
const TWIN: &str = "::1 twin.test\n127.0.0.1 twin.test\n";

fn the_client_tries_each_address(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let port = peer.address.port();
    let names = Names::new(TWIN)?;
    let client = || {
        let launch = names.launch(context, &context.programs.client);
        launch.arg(format!("twin.test:{port}"))
    };
    let asked = |address: &str, text: &str| format!("sendto ('{address}', {port}): {text}\n");
    let answered = |text: &str| format!("recvfrom ('127.0.0.1', {port}): echo {text}\n");
    client().args(["-m", "one", "-m", "two"]).finish()?.exits(0)?.prints(&format!(
        "{}{}{}{}{}2 sent, 2 replied, 0 lost\nrtt <any>\n",
        asked("::1", "one"),
        asked("127.0.0.1", "one"),
        answered("one"),
        asked("127.0.0.1", "two"),
        answered("two"),
    ))?;
    // Several that are under way at once are each put back in their place.
    let window = client().args(["--window", "4"]).stdin("a\nb\nc\nd\ne\nf\n").finish()?;
    window.exits(0)?;
    check::has(&window.out(), "\n6 sent, 6 replied, 0 lost\n")?;
    // Where no address has a listener, the last one is told, and that it refused.
    drop(peer);
    let refused = client().args(["-m", "x"]).finish()?;
    refused.exits(3)?.prints(&format!(
        "{}{}1 sent, 0 replied, 0 lost, 1 refused\n",
        asked("::1", "x"),
        asked("127.0.0.1", "x"),
    ))?;
    // One that there is no way to takes no retries from the others.
    let names = Names::new("127.0.0.1 half.test\n255.255.255.255 half.test\n")?;
    let silent = Peer::new(|_| Vec::new())?;
    let target = format!("ntp://half.test:{}", silent.address.port());
    let client = names.launch(context, &context.programs.client).arg(&target);
    let request = format!("sendto ('127.0.0.1', {}): ntp 48 bytes\n", silent.address.port());
    let all = format!("{request}{request}{request}1 sent, 0 replied, 1 lost\n");
    client.args(["-W", "20ms", "--retries", "2"]).finish()?.exits(1)?.prints(&all)?;
    Ok(())
}

fn the_heartbeat_tries_each_address(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let port = peer.address.port();
    let names = Names::new(TWIN)?;
    let target = format!("twin.test:{port}");
    let heartbeat = || names.launch(context, &context.programs.heartbeat);
    let options = [target.as_str(), "-i", "0.05", "-c", "3"];
    let one = heartbeat().args(options).finish()?;
    one.exits(0)?.complains(&format!(
        "warning: {target} is at 127.0.0.1:{port} now, was at [::1]:{port}\n"
    ))?;
    let first = format!(
        "sendto ('::1', {port}): heartbeat\nrefused ('::1', {port}): seq=1\n\
         sendto ('127.0.0.1', {port}): heartbeat\n\
         recvfrom ('127.0.0.1', {port}): echo heartbeat  seq=2 rtt="
    );
    check::holds(&format!("the next beat goes on: {}", one.out()), one.out().starts_with(&first))?;
    // One that shares its sockets with others goes on just so.
    let many = heartbeat().args(options).arg(format!("127.0.0.1:{port}")).finish()?;
    many.exits(0)?;
    // Where none has a listener, each was asked, and the last one is kept.
    drop(peer);
    let none = heartbeat().args(options).finish()?;
    none.exits(3)?;
    let told = |address: &str| none.out().matches(&format!("refused ('{address}'")).count();
    check::same("refusals of each address", (2, 1), (told("::1"), told("127.0.0.1")))
}

/// A name server that hears everything and says nothing, in a network of its own.
const MUTE: &str = "
import os, socket, sys
mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mute.bind(('127.0.0.1', 53))
child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
mute.recv(512)
os.kill(child, 15)
sys.exit(os.WTERMSIG(os.waitpid(child, 0)[1]))
";

/// While a name is looked up there is nothing to sum up, and one signal is enough.
fn a_hanging_resolver_is_interrupted(context: &Context) -> Result<()> {
    let servers = tempfile::NamedTempFile::new()?;
    // Longer than a test may take.
    std::fs::write(servers.path(), "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")?;
    // It skips where this cannot be had.
    Names::new("")?;
    needs(&["python3"])?;
    let programs = &context.programs;
    for (program, options) in [
        (&programs.server, &["--bind", "slow.test:0"][..]),
        (&programs.client, &["slow.test", "-m", "x"]),
        (&programs.heartbeat, &["slow.test", "-c", "1"]),
        (&programs.heartbeat, &["slow.test", "slower.test", "-c", "1"]),
    ] {
        let unshare = Launch::new("unshare").arg("--net");
        let up = "ip link set lo up && exec \"$0\" \"$@\"";
        let finished = mounted(unshare, servers.path(), "/etc/resolv.conf")
            .args(["sh", "-c", up, "python3", "-c", MUTE])
            .arg(program)
            .args(options.iter().copied())
            .finish()?;
        finished.exits(15)?.prints("")?.complains("")?;
    }
    Ok(())
}

fn seen(out: &[u8], text: &str, times: usize) -> Option<()> {
    (String::from_utf8_lossy(out).matches(text).count() >= times).then_some(())
}

/// One that is none of this host's is left out, with a word.
fn a_bound_name_is_served_at_each_of_its_addresses(context: &Context) -> Result<()> {
    let names =
        Names::new("127.0.0.1 served.test\n192.0.2.99 served.test\n127.0.0.2 served.test\n")?;
    let launch = names.launch(context, &context.programs.server);
    let server = Server::start(launch.args(["--bind", "served.test:0", "-q"]))?;
    for address in &server.addresses {
        Asker::new()?.expect(*address, b"each", b"echo each")?;
    }
    check::same("addresses", 2, server.addresses.len())?;
    server
        .stop()?
        .exits(0)?
        .complains("warning: served.test:0 is not served at 192.0.2.99:0: <any>\n")?;
    Ok(())
}
