//! Loops: two servers that are made to face each other by one forged datagram must fall silent
//! (CVE-2024-2169), and nothing that might itself be an answer is answered.

use std::net::SocketAddrV4;

use anyhow::Result;

use super::super::scenarios;
use super::input::asker;
use crate::e2e::check;
use crate::e2e::clock::pause;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::{Totals, figure};
use crate::e2e::net::Asker;
use crate::e2e::netns::{ASKER, Net, PORT, SERVER, at};
use crate::e2e::raw::{Forger, packet4};

scenarios!("hostile/loops":
    prefixes_end_a_loop,
    prefixes_end_a_loop_of_workers,
    own_ports_are_not_answered,
    privileged_ports_are_not_answered,
    a_server_does_not_face_itself,
    a_reflection_is_not_reflected,
);

/// What one forged datagram may cost the two servers together.
const BOUND: u64 = 18;

/// A server on port 7000 faces one on `port` of the other host, and a datagram is forged in the
/// other's name; the totals of both, once they have fallen silent.
fn face(context: &Context, net: &Net, port: u16, options: &[&str]) -> Result<[Totals; 2]> {
    let first = net.serve_on(context, "10.77.0.1:7000", options)?;
    let bind = format!("10.77.0.2:{port}");
    let launch = net.asker.server(context).args(["--bind", &bind]).args(options);
    let second = Server::start(launch)?;
    let forged = packet4(SocketAddrV4::new(ASKER, port), SocketAddrV4::new(SERVER, PORT), b"x");
    net.asker.inside(|| Forger::new()?.send(&forged, 0))?;
    // Whoever waits until both are silent sees a loop that never ends, too: their own ask for it.
    let prefix = if options.contains(&"--raw") { "" } else { "echo " };
    silence(net, port, prefix)?;
    Ok([Totals::of(&first.stop()?)?, Totals::of(&second.stop()?)?])
}

/// Asks each server a few times, so that what is still going round is mixed with it, and is done.
fn silence(net: &Net, port: u16, prefix: &str) -> Result<()> {
    let here = asker(net)?;
    let there = Asker { socket: net.server.bind((SERVER, 0))? };
    there.socket.set_read_timeout(Some(crate::e2e::clock::PATIENCE))?;
    let reply = format!("{prefix}well?");
    for _ in 0..ASKS {
        pause(std::time::Duration::from_millis(20));
        here.expect(at(SERVER), b"well?", reply.as_bytes())?;
        there.expect(SocketAddrV4::new(ASKER, port).into(), b"well?", reply.as_bytes())?;
    }
    Ok(())
}

const ASKS: u64 = 10;

fn bounded(totals: [Totals; 2], name: &str) -> Result<()> {
    let datagrams = totals[0].received + totals[1].received - 2 * ASKS;
    check::holds(&format!("{datagrams} datagrams in all"), datagrams <= BOUND && datagrams > 1)?;
    check::same("refused as a loop's", 1, totals[0].looped + totals[1].looped)?;
    check::holds("the totals balance", totals[0].balance() && totals[1].balance())?;
    figure("hostile/loops", &format!("{name}: {datagrams} datagrams after one forged"));
    Ok(())
}

fn prefixes_end_a_loop(context: &Context) -> Result<()> {
    let net = Net::new()?;
    bounded(face(context, &net, 7001, &["-q"])?, "prefix mode")
}

fn prefixes_end_a_loop_of_workers(context: &Context) -> Result<()> {
    let net = Net::new()?;
    bounded(face(context, &net, 7001, &["-q", "--workers", "2"])?, "prefix mode, two workers")
}

fn own_ports_are_not_answered(context: &Context) -> Result<()> {
    for options in [&["-q"][..], &["-q", "--raw"], &["-q", "--workers", "2"]] {
        let net = Net::new()?;
        let [first, second] = face(context, &net, PORT, options)?;
        check::same("replied by the first", ASKS, first.replied)?;
        check::same("refused by the first", (1, 1), (first.refused, first.looped))?;
        check::same("received by the second", ASKS, second.received)?;
    }
    // One server's other ports are its own as well.
    let net = Net::new()?;
    let server = net.serve_on(context, "10.77.0.1:7000", &["-q", "--bind", "10.77.0.1:7001"])?;
    let neighbour = Asker { socket: net.asker.bind((ASKER, 7001))? };
    neighbour.send(at(SERVER), b"from the other port")?;
    let asker = asker(&net)?;
    asker.expect(at(SERVER), b"well?", b"echo well?")?;
    neighbour.expect_nothing()?;
    let totals = Totals::of(&server.stop()?)?;
    check::same(
        "replied, refused, looped",
        (1, 1, 1),
        (totals.replied, totals.refused, totals.looped),
    )
}

fn privileged_ports_are_not_answered(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let honest = asker(&net)?;
    for port in 1..1024 {
        let asker = Asker { socket: net.asker.bind((ASKER, port))? };
        asker.send(at(SERVER), b"an answer of another service?")?;
        if port % 64 == 0 || port == 1023 {
            honest.expect(at(SERVER), b"well?", b"echo well?")?;
        }
        asker.expect_nothing()?;
    }
    let open = Asker { socket: net.asker.bind((ASKER, 1024))? };
    open.socket.set_read_timeout(Some(crate::e2e::clock::PATIENCE))?;
    open.expect(at(SERVER), b"the first that is not", b"echo the first that is not")?;
    let kernel = net.server.kernel()?;
    let totals = Totals::of(&server.stop()?)?;
    check::same("refused as a loop's", (1023, 1023), (totals.refused, totals.looped))?;
    check::same("answered", (17, 17), (totals.replied, kernel.sent))?;
    figure("hostile/loops", "0 answers to 1,023 privileged ports");
    Ok(())
}

fn a_server_does_not_face_itself(context: &Context) -> Result<()> {
    for options in [&["-q"][..], &["-q", "--raw"]] {
        let net = Net::new()?;
        let server = net.serve(context, options)?;
        let loopback = std::net::Ipv4Addr::LOCALHOST;
        for ip in [loopback, SERVER] {
            let own = SocketAddrV4::new(ip, PORT);
            net.server.inside(|| Forger::new()?.send(&packet4(own, own, b"x"), 0))?;
        }
        let asker = Asker { socket: net.server.bind((loopback, 0))? };
        asker.socket.set_read_timeout(Some(crate::e2e::clock::PATIENCE))?;
        let reply: &[u8] = if options.len() > 1 { b"well?" } else { b"echo well?" };
        asker.expect(at(loopback), b"well?", reply)?;
        let totals = Totals::of(&server.stop()?)?;
        check::same(
            "received, replied, looped",
            (3, 1, 2),
            (totals.received, totals.replied, totals.looped),
        )?;
    }
    Ok(())
}

/// RFC 8762's packets are as long in both directions; what tells an answer to an answer is our own
/// time in it.
fn a_reflection_is_not_reflected(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve_on(context, "10.77.0.1:7000", &["-q", "--stamp", "10.77.0.1:8620"])?;
    let reflector = (SERVER, 8620).into();
    let asker = asker(&net)?;
    let mut request = vec![0; 44];
    request[3] = 7;
    request[4..12].copy_from_slice(&[0xe9, 0xc1, 0x2d, 0x40, 0, 0, 0, 1]);
    request[12..14].copy_from_slice(&[0x80, 1]);
    let reflected = |asker: &Asker| {
        asker.send(reflector, &request)?;
        Ok::<_, anyhow::Error>(asker.receive()?.0)
    };
    let reflection = reflected(&asker)?;
    check::same("a reflection's length", 44, reflection.len())?;
    for _ in 0..100 {
        asker.send(reflector, &reflection)?;
    }
    // The reflector takes them in turn: the answer to this one is the only one.
    check::same("the sender's number in the next reflection", 7, reflected(&asker)?[27])?;
    asker.expect_nothing()?;
    let totals = Totals::of(&server.stop()?)?;
    check::same("replied, looped", (2, 100), (totals.replied, totals.looped))?;
    // Two reflectors, one forged datagram; routers use one port number on both sides.
    for (first_port, second_port) in [(8620, 8621), (8620, 8620), (862, 862)] {
        let net = Net::new()?;
        let stamp = format!("10.77.0.1:{first_port}");
        let first = net.serve_on(context, "10.77.0.1:7000", &["-q", "--stamp", &stamp])?;
        let stamp = format!("10.77.0.2:{second_port}");
        let bind = ["--bind", "10.77.0.2:7001", "--stamp", &stamp, "-q"];
        let second = Server::start(net.asker.server(context).args(bind))?;
        let (from, to) =
            (SocketAddrV4::new(ASKER, second_port), SocketAddrV4::new(SERVER, first_port));
        net.asker.inside(|| Forger::new()?.send(&packet4(from, to, &request), 0))?;
        silence(&net, 7001, "echo ")?;
        let (first, second) = (Totals::of(&first.stop()?)?, Totals::of(&second.stop()?)?);
        check::same("received by both", 2 + 2 * ASKS, first.received + second.received)?;
        check::same("refused as a loop's by the second", 1, second.looped)?;
    }
    Ok(())
}
