//! What the programs print, and that a reader who goes away ends the client and the heartbeat quietly.
//! Outputs that fail under the server are in `faults/output`, bytes that do harm in `hostile`.

use anyhow::{Context as _, Result};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::net::{Asker, LARGEST, Peer, closed};

scenarios!("output":
    a_broken_pipe_ends_the_client_quietly,
    a_broken_pipe_ends_the_heartbeat_quietly,
    a_burst_is_shown_whole,
    quiet_and_raw_print_nothing_else,
    no_escape_sequence_in_a_pipe,
    empty_and_largest_raw,
    truncated_as_in_the_tutorial,
    one_unanswered_among_many,
);

fn a_broken_pipe_ends_the_client_quietly(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let lines = "hello\n".repeat(2_000);
    let client = context.client().arg(peer.address.to_string()).stdin(lines);
    let finished = client.stdout_reader_gone().finish()?;
    finished.exits(0)?.complains("")?;
    let sent = peer.seen().len();
    check::holds(
        &format!("{sent} of 2000 lines were sent, then it ended"),
        (1..2_000).contains(&sent),
    )
}

fn a_broken_pipe_ends_the_heartbeat_quietly(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    for form in [&[][..], &["--json"]] {
        let heartbeat = context.heartbeat().args([peer.address.to_string().as_str(), "-i", "10ms"]);
        heartbeat.args(form).stdout_reader_gone().finish()?.exits(0)?.complains("")?;
    }
    check::holds("it had begun", !peer.seen().is_empty())?;
    // Where nothing but the summary finds the pipe broken, too, and whatever the verdict.
    let heartbeat = context.heartbeat().args([closed()?.to_string().as_str(), "-q", "-c", "1"]);
    heartbeat.stdout_reader_gone().finish()?.exits(0)?.complains("")?;
    Ok(())
}

/// `count` echoes in a row, none of them lost, and the server still there.
fn serves_on(server: &Server, count: usize) -> Result<()> {
    let asker = Asker::new()?;
    for n in 0..count {
        let payload = format!("datagram {n}");
        asker.expect(server.address(), payload.as_bytes(), format!("echo {payload}").as_bytes())?;
    }
    check::holds("the server still runs", server.process.runs()?)
}

/// With an output that is read, what one asker says in a hurry is all shown.
fn a_burst_is_shown_whole(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    serves_on(&server, 1_000)?;
    let finished = server.stop()?;
    let shown = finished.out().lines().filter(|l| l.starts_with("recvfrom (")).count();
    check::same("lines shown", 1_000, shown)
}

fn quiet_and_raw_print_nothing_else(context: &Context) -> Result<()> {
    let server = context.serve(&["-q", "--raw"])?;
    let target = server.address().to_string();
    let client = context.ask([target.as_str(), "--raw", "-m", "one", "-m", "two"])?;
    client.exits(0)?.prints("onetwo")?.complains("")?;
    context.beat([target.as_str(), "-q", "-c", "2", "-i", "0.05"])?.exits(0)?.prints(
        "--- <any> heartbeat statistics ---\n\
         2 sent, 2 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered<missed>\nrtt <any>\nrtt <any>\n",
    )?;
    server.stop()?.exits(0)?.prints(
        "server start at: <any>\nwait for connection...\n--- <any> server statistics ---\n\
         4 received, 4 replied, 0 dropped, 0 failed, 0 kernel drops\ndropped: <any>\n",
    )?;
    Ok(())
}

/// Also with much to say on stderr, and with a wish for colour in the environment.
fn no_escape_sequence_in_a_pipe(context: &Context) -> Result<()> {
    let launch = context.server().args(["--bind", "127.0.0.1:0", "-vv"]).env("CLICOLOR", "1");
    let server = Server::start(launch)?;
    let target = server.address().to_string();
    let ended = [
        context.ask([target.as_str(), "-vv", "-m", "\x1b[31mred"])?,
        context.beat([target.as_str(), "-vv", "-c", "1", "-p", "\x1b[31mred"])?,
        context.ask(["--no-such-option"])?,
        context.ask(["--help"])?,
        server.stop()?,
    ];
    for finished in &ended {
        for bytes in [&finished.stdout, &finished.stderr] {
            check::holds("no escape character in a pipe", !bytes.contains(&0x1b))?;
        }
    }
    Ok(())
}

fn empty_and_largest_raw(context: &Context) -> Result<()> {
    let server = context.serve(&["--raw", "-q"])?;
    let asker = Asker::new()?;
    let largest: Vec<u8> = (0..LARGEST).map(|i| (i * 31 % 251) as u8).collect();
    for _ in 0..3 {
        asker.expect(server.address(), b"", b"")?;
        asker.expect(server.address(), &largest, &largest)?;
    }
    server.stop()?.exits(0)?.prints(
        "server start at: <any>\nwait for connection...\n--- <any>\n\
         6 received, 6 replied, 0 dropped, 0 failed, 0 kernel drops\ndropped: <any>\n",
    )?;
    Ok(())
}

fn truncated_as_in_the_tutorial(context: &Context) -> Result<()> {
    let server = context.serve(&["--max-datagram", "16"])?;
    let asker = Asker::new()?;
    asker.expect(server.address(), b"0123456789abcdef", b"echo 0123456789abcdef")?;
    asker.expect(server.address(), b"0123456789abcdefghij", b"echo 0123456789abcdef")?;
    let finished = server.stop()?;
    finished.exits(0)?;
    let out = finished.out();
    let lines: Vec<&str> =
        out.lines().filter_map(|l| l.split_once("): ")).map(|(_, t)| t).collect();
    check::same("the whole one", Some(&"0123456789abcdef"), lines.first())?;
    let marked = lines.get(1).context("no line for the truncated datagram")?;
    check::holds(
        &format!("{marked:?} is marked as truncated"),
        marked.starts_with("0123456789abcdef ") && marked.contains("truncated"),
    )
}

fn one_unanswered_among_many(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| if r.bytes == b"three" { Vec::new() } else { vec![r.echo()] })?;
    let port = peer.address.port();
    let target = peer.address.to_string();
    let lines = "one\ntwo\nthree\nfour\n";
    let client = context.client().args([&target, "-W", "500ms"]).stdin(lines);
    let finished = client.finish()?;
    finished.complains(&format!("no reply from ('127.0.0.1', {port}) within 500ms\n"))?;
    finished.exits(1)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): one\nrecvfrom ('127.0.0.1', {port}): echo one\n\
         sendto ('127.0.0.1', {port}): two\nrecvfrom ('127.0.0.1', {port}): echo two\n\
         sendto ('127.0.0.1', {port}): three\n\
         sendto ('127.0.0.1', {port}): four\nrecvfrom ('127.0.0.1', {port}): echo four\n\
         4 sent, 3 replied, 1 lost\nrtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n"
    ))?;
    Ok(())
}
