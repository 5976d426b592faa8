//! The tutorial's three programs, run with no options: its transcripts, line for line.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::Peer;
use crate::e2e::terminal::Terminal;

scenarios!("tutorial": client_on_a_terminal, heartbeat, all_three);

fn client_on_a_terminal(context: &Context) -> Result<()> {
    let _port = context.default_port()?;
    let _peer = Peer::on("127.0.0.1:7000", |request| vec![request.echo()])?;
    let terminal = Terminal::start(&context.programs.client, &[], context.home.path())?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("hello\r")?;
    let first = "please input message: hello\n\
                 sendto ('127.0.0.1', 7000): hello\n\
                 recvfrom ('127.0.0.1', 7000): echo hello\n";
    terminal.wait_for(&format!("{first}please input message:"))?;
    terminal.type_in("hello again\r")?;
    let second = "please input message: hello again\n\
                  sendto ('127.0.0.1', 7000): hello again\n\
                  recvfrom ('127.0.0.1', 7000): echo hello again\n";
    terminal.wait_for(&format!("{first}{second}please input message:"))?;
    terminal.type_in("\x04")?;
    let (code, screen) = terminal.finish()?;
    check::same("exit code", 0, code)?;
    check::matches(
        "the last screen",
        &format!(
            "{first}{second}please input message:<any>\n\
             2 sent, 2 replied, 0 lost\n\
             rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms"
        ),
        &screen,
    )
}

fn heartbeat(context: &Context) -> Result<()> {
    let _port = context.default_port()?;
    let peer = Peer::on("127.0.0.1:7000", |request| vec![request.echo()])?;
    let process = context.heartbeat().spawn()?;
    let beats: String = (1..=3)
        .map(|n| {
            format!(
                "sendto ('127.0.0.1', 7000): heartbeat\n\
                 recvfrom ('127.0.0.1', 7000): echo heartbeat  seq={n} rtt=<ms> ms\n"
            )
        })
        .collect();
    process.wait_for(&beats)?;
    process.interrupt()?.exits(0)?.complains("")?.prints(&format!(
        "{beats}--- 127.0.0.1:7000 heartbeat statistics ---\n\
         3 sent, 3 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered<missed>\n\
         rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n\
         rtt p50/p90/p99 = <ms>/-/- ms, jitter <ms> ms\n"
    ))?;
    check::same("what was sent", vec![b"heartbeat".to_vec(); 3], peer.payloads())
}

fn all_three(context: &Context) -> Result<()> {
    let _port = context.default_port()?;
    let server = Server::start(context.server())?;
    let client = context.client().stdin("one\n你好\n").finish()?;
    client.exits(0)?.complains("")?.prints(
        "sendto ('127.0.0.1', 7000): one\n\
         recvfrom ('127.0.0.1', 7000): echo one\n\
         sendto ('127.0.0.1', 7000): 你好\n\
         recvfrom ('127.0.0.1', 7000): echo 你好\n\
         2 sent, 2 replied, 0 lost\n\
         rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n",
    )?;
    context.beat(["-c", "1"])?.exits(0)?.prints(
        "sendto ('127.0.0.1', 7000): heartbeat\n\
         recvfrom ('127.0.0.1', 7000): echo heartbeat  seq=1 rtt=<ms> ms\n\
         --- 127.0.0.1:7000 heartbeat statistics ---\n\
         1 sent, 1 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered<missed>\n\
         rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n\
         rtt p50/p90/p99 = -/-/- ms, jitter <any> ms\n",
    )?;
    server.stop()?.exits(0)?.complains("")?.prints(
        "server start at: 0.0.0.0:7000\n\
         wait for connection...\n\
         recvfrom ('127.0.0.1', <port>): one\n\
         recvfrom ('127.0.0.1', <port>): 你好\n\
         recvfrom ('127.0.0.1', <port>): heartbeat\n\
         --- 0.0.0.0:7000 server statistics ---\n\
         3 received, 3 replied, 0 dropped, 0 failed, 0 kernel drops\n\
         dropped: rate 0, loop 0, access 0, destination 0, source 0, size 0\n",
    )?;
    Ok(())
}
