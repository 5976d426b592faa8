//! Our programs against the tutorial's Python programs, in every combination.

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::context::Context;
use crate::e2e::netns::needs;
use crate::e2e::process::{Launch, Process};
use crate::e2e::terminal::Terminal;

scenarios!("tutorial_python":
    our_client_their_server,
    our_prompt_their_server,
    our_heartbeat_their_server,
    their_client_our_server,
    their_heartbeat_our_server,
);

/// One of the tutorial's programs, written anew for the workspace, unbuffered.
fn theirs(context: &Context, name: &str) -> Result<Launch> {
    needs(&["python3"])?;
    let path = context.root.join("xtask/tutorial").join(name);
    Ok(Launch::new("python3").arg("-u").arg(path))
}

/// Their server on a free port, and that port.
fn their_server(context: &Context) -> Result<(Process, u16)> {
    let server = theirs(context, "server.py")?.arg("0").spawn()?;
    let text = server.wait_for("server start at: 0.0.0.0:<port>\nwait for connection...\n")?;
    let port = text.lines().next().and_then(|line| line.rsplit(':').next());
    let port = port.and_then(|p| p.parse().ok()).context("no port in their start line")?;
    Ok((server, port))
}

fn our_client_their_server(context: &Context) -> Result<()> {
    let (server, port) = their_server(context)?;
    let finished =
        context.client().arg(format!("127.0.0.1:{port}")).stdin("hello\n你好\n").finish()?;
    finished.exits(0)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): hello\n\
         recvfrom ('127.0.0.1', {port}): echo hello\n\
         sendto ('127.0.0.1', {port}): 你好\n\
         recvfrom ('127.0.0.1', {port}): echo 你好\n\
         2 sent, 2 replied, 0 lost\n\
         rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n"
    ))?;
    server.wait_for(
        "server start at: <any>\nwait for connection...\n\
         recvfrom ('127.0.0.1', <port>): hello\n\
         recvfrom ('127.0.0.1', <port>): 你好\n",
    )?;
    Ok(())
}

fn our_prompt_their_server(context: &Context) -> Result<()> {
    let (_server, port) = their_server(context)?;
    let target = format!("127.0.0.1:{port}");
    let terminal = Terminal::start(&context.programs.client, &[&target], context.home.path())?;
    terminal.wait_for("please input message:")?;
    terminal.type_in("hello\r")?;
    terminal.wait_for(&format!(
        "please input message: hello\n\
         sendto ('127.0.0.1', {port}): hello\n\
         recvfrom ('127.0.0.1', {port}): echo hello\n\
         please input message:"
    ))
}

fn our_heartbeat_their_server(context: &Context) -> Result<()> {
    let (_server, port) = their_server(context)?;
    let target = format!("127.0.0.1:{port}");
    context.beat([target.as_str(), "-c", "2", "-i", "0.1"])?.exits(0)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): heartbeat\n\
         recvfrom ('127.0.0.1', {port}): echo heartbeat  seq=1 rtt=<ms> ms\n\
         sendto ('127.0.0.1', {port}): heartbeat\n\
         recvfrom ('127.0.0.1', {port}): echo heartbeat  seq=2 rtt=<ms> ms\n\
         --- 127.0.0.1:{port} heartbeat statistics ---\n\
         2 sent, 2 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered<missed>\n\
         rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n\
         rtt p50/p90/p99 = <ms>/-/- ms, jitter <ms> ms\n"
    ))?;
    Ok(())
}

fn their_client_our_server(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let port = server.port();
    let client = theirs(context, "client.py")?;
    client.arg(port.to_string()).stdin("hello\n你好\n").finish()?.exits(0)?.prints(&format!(
        "please input message: sendto ('127.0.0.1', {port}): hello\n\
         recvfrom ('127.0.0.1', {port}): echo hello\n\
         please input message: sendto ('127.0.0.1', {port}): 你好\n\
         recvfrom ('127.0.0.1', {port}): echo 你好\n\
         please input message: "
    ))?;
    server.process.wait_for(
        "server start at: <any>\nwait for connection...\n\
         recvfrom ('127.0.0.1', <port>): hello\n\
         recvfrom ('127.0.0.1', <port>): 你好\n",
    )?;
    server.stop()?.exits(0)?;
    Ok(())
}

fn their_heartbeat_our_server(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let port = server.port();
    let heartbeat = theirs(context, "heartbeat.py")?.arg(port.to_string()).spawn()?;
    let beat = format!(
        "sendto ('127.0.0.1', {port}): heartbeat\n\
         recvfrom ('127.0.0.1', {port}): echo heartbeat\n"
    );
    heartbeat.wait_for(&beat.repeat(2))?;
    drop(heartbeat);
    server.stop()?.exits(0)?.complains("")?;
    Ok(())
}
