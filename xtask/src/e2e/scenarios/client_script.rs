//! The client in scripts: where its messages come from, what it sends, what it expects, and the
//! exit code that says how it went.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Peer, Reply};

scenarios!("client_script":
    messages_beat_stdin,
    hex,
    escape,
    raw_is_bytes_alone,
    expectation_not_met,
    one_unanswered_among_many,
);

fn messages_beat_stdin(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let client = context.client().args([&target, "-m", "one", "-m", "two"]).stdin("not read\n");
    client.finish()?.exits(0)?;
    check::same("the datagrams", vec![b"one".to_vec(), b"two".to_vec()], peer.payloads())
}

fn hex(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| vec![Reply::now(request.from, request.bytes.as_slice())])?;
    let port = peer.address.port();
    let target = peer.address.to_string();
    context
        .ask([target.as_str(), "--hex", "-m", "68 65:6C6c6f", "-m", "0x00ff"])?
        .exits(0)?
        .prints(&format!(
            "sendto ('127.0.0.1', {port}): 68656c6c6f\n\
             recvfrom ('127.0.0.1', {port}): 68656c6c6f\n\
             sendto ('127.0.0.1', {port}): 00ff\n\
             recvfrom ('127.0.0.1', {port}): 00ff\n\
             2 sent, 2 replied, 0 lost\nrtt <any>\n"
        ))?;
    check::same("the datagrams", vec![b"hello".to_vec(), vec![0, 255]], peer.payloads())
}

fn escape(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| vec![Reply::now(request.from, request.bytes.as_slice())])?;
    let port = peer.address.port();
    let target = peer.address.to_string();
    let message = r"a\nb\x1b\0\\\xff\u{202e}你";
    context.ask([target.as_str(), "--escape", "-m", message])?.exits(0)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): {message}\n\
         recvfrom ('127.0.0.1', {port}): {message}\n\
         1 sent, 1 replied, 0 lost\nrtt <any>\n"
    ))?;
    let bytes = [b"a\nb\x1b\0\\\xff".as_slice(), "\u{202e}你".as_bytes()].concat();
    check::same("the datagram", vec![bytes], peer.payloads())
}

fn raw_is_bytes_alone(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| vec![Reply::now(request.from, *b"\xff\x00\x1b[31m\n")])?;
    let target = peer.address.to_string();
    let finished = context.ask([target.as_str(), "--raw", "-m", "x", "-m", "y"])?;
    finished.exits(0)?.complains("")?;
    check::same("stdout", b"\xff\x00\x1b[31m\n\xff\x00\x1b[31m\n".to_vec(), finished.stdout.clone())
}

fn expectation_not_met(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| vec![Reply::now(request.from, *b"ech\x1b hello")])?;
    let target = peer.address.to_string();
    for expectation in
        [["--expect", "echo hello"], ["--expect-hex", "00"], ["--expect-regex", "^hello"]]
    {
        let options = [target.as_str(), "-W", "300ms", "-m", "hello"];
        let finished = context.ask([&options, expectation.as_slice()].concat())?;
        finished.exits(1)?;
        let told = finished.out() + &finished.err();
        check::has(&told, ", 1 wrong")?;
        check::has(&told, r"ech\x1b hello")?;
    }
    Ok(())
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
