//! The client in scripts: where its messages come from, what it sends, what it expects, and the
//! exit code that says how it went.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{LARGEST, Peer, Reply};

scenarios!("client_script":
    five_hundred_lines_in_order,
    lines_of_every_kind,
    whole_largest_and_empty,
    too_large_a_message,
    messages_beat_stdin,
    hex,
    escape,
    one_way,
    raw_is_bytes_alone,
    expectation_met,
    expectation_not_met,
    one_unanswered_among_many,
    interval,
    several_replies,
    any_number_of_replies,
    broadcast_discovery,
);

fn five_hundred_lines_in_order(context: &Context) -> Result<()> {
    let server = context.serve(&["-q"])?;
    let port = server.port();
    let lines: String = (1..=500).map(|n| format!("message {n}\n")).collect();
    let expected: String = (1..=500)
        .map(|n| {
            format!(
                "sendto ('127.0.0.1', {port}): message {n}\n\
                 recvfrom ('127.0.0.1', {port}): echo message {n}\n"
            )
        })
        .collect();
    let client = context.client().args([&format!("127.0.0.1:{port}"), "-W", "20"]).stdin(lines);
    client.finish()?.exits(0)?.complains("")?.prints(&format!(
        "{expected}500 sent, 500 replied, 0 lost\n\
         rtt min/avg/max/mdev = <ms>/<ms>/<ms>/<ms> ms\n"
    ))?;
    server.stop()?.exits(0)?;
    Ok(())
}

/// An empty line is an empty datagram, a last line needs no end, bytes stay as they are.
fn lines_of_every_kind(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let client = context.client().arg(peer.address.to_string()).stdin(*b"one\n\n\xff\xfe\nlast");
    client.finish()?.exits(0)?;
    let expected: [&[u8]; 4] = [b"one", b"", b"\xff\xfe", b"last"];
    check::same("the datagrams", expected.map(<[u8]>::to_vec).to_vec(), peer.payloads())
}

fn whole_largest_and_empty(context: &Context) -> Result<()> {
    let server = context.serve(&["--raw", "-q"])?;
    let target = server.address().to_string();
    let largest: Vec<u8> = (0..LARGEST).map(|i| (i * 7 % 256) as u8).collect();
    for payload in [largest, Vec::new(), b"two\nlines\n".to_vec(), b"\0".to_vec()] {
        let client =
            context.client().args([&target, "--stdin", "whole", "--raw"]).stdin(payload.clone());
        let finished = client.finish()?;
        finished.exits(0)?.complains("")?;
        check::holds(
            &format!("{} bytes came back unchanged", payload.len()),
            finished.stdout == payload,
        )?;
    }
    server
        .stop()?
        .exits(0)?
        .prints("<any>\n<any>\n<any>\n4 received, 4 replied, <any>\n<any>\n")?;
    Ok(())
}

fn too_large_a_message(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let client =
        context.client().args([&target, "--stdin", "whole"]).stdin(vec![b'x'; LARGEST + 1]);
    let finished = client.finish()?;
    finished.exits(4)?;
    check::holds(
        &format!("{:?} says why", finished.err()),
        finished.err().starts_with("error: ") && finished.err().contains("too l"),
    )?;
    check::same("datagrams sent", 0, peer.seen().len())
}

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

fn one_way(context: &Context) -> Result<()> {
    let peer = Peer::silent()?;
    let port = peer.address.port();
    let target = peer.address.to_string();
    let client = context.client().args([&target, "--no-reply", "-W", "60"]).stdin("one\ntwo\n");
    let finished = client.finish()?;
    finished.exits(0)?.complains("")?;
    let lines =
        format!("sendto ('127.0.0.1', {port}): one\nsendto ('127.0.0.1', {port}): two\n2 sent");
    check::holds(
        &format!("{:?} begins with {lines:?}", finished.out()),
        finished.out().starts_with(&lines),
    )?;
    peer.wait_until(|seen| seen.len() == 2)
}

fn raw_is_bytes_alone(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| vec![Reply::now(request.from, *b"\xff\x00\x1b[31m\n")])?;
    let target = peer.address.to_string();
    let finished = context.ask([target.as_str(), "--raw", "-m", "x", "-m", "y"])?;
    finished.exits(0)?.complains("")?;
    check::same("stdout", b"\xff\x00\x1b[31m\n\xff\x00\x1b[31m\n".to_vec(), finished.stdout.clone())
}

fn expectation_met(context: &Context) -> Result<()> {
    let server = context.serve(&["-q"])?;
    let target = server.address().to_string();
    for expectation in [
        ["--expect", "echo hello"],
        ["--expect-hex", "6563686F 2068656c6c6f"],
        ["--expect-regex", "^echo h.*o$"],
        ["--expect-regex", "ell"],
    ] {
        let finished =
            context.ask([&[target.as_str(), "-m", "hello"], expectation.as_slice()].concat())?;
        finished.exits(0)?.complains("")?;
        check::holds("all is well", finished.out().contains("\n1 sent, 1 replied, 0 lost\n"))?;
    }
    Ok(())
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
        check::holds(&format!("{told:?} counts it"), told.contains(", 1 wrong"))?;
        check::holds(&format!("{told:?} shows what came"), told.contains(r"ech\x1b hello"))?;
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

fn interval(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let began = crate::e2e::clock::now();
    context.ask([target.as_str(), "-i", "0.2", "-m", "1", "-m", "2", "-m", "3"])?.exits(0)?;
    let took = crate::e2e::clock::now() - began;
    check::holds(&format!("two pauses took {took:?}"), took.as_millis() >= 400)?;
    check::same("datagrams", 3, peer.seen().len())
}

fn several_replies(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| (1..=3).map(|n| Reply::now(r.from, format!("reply {n}"))).collect())?;
    let port = peer.address.port();
    let target = peer.address.to_string();
    context.ask([target.as_str(), "--replies", "3", "-W", "20", "-m", "all"])?.exits(0)?.prints(
        &format!(
            "sendto ('127.0.0.1', {port}): all\n\
             recvfrom ('127.0.0.1', {port}): reply 1\n\
             recvfrom ('127.0.0.1', {port}): reply 2\n\
             recvfrom ('127.0.0.1', {port}): reply 3\n\
             1 sent, <any>\nrtt <any>\n"
        ),
    )?;
    Ok(())
}

fn any_number_of_replies(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| (1..=5).map(|n| Reply::now(r.from, format!("reply {n}"))).collect())?;
    let target = peer.address.to_string();
    let finished =
        context.ask([target.as_str(), "--replies", "any", "-W", "500ms", "-m", "all"])?;
    finished.exits(0)?;
    check::same("replies shown", 5, finished.out().matches(": reply ").count())?;
    let silent = Peer::silent()?;
    let target = silent.address.to_string();
    context.ask([target.as_str(), "--replies", "any", "-W", "200ms", "-m", "all"])?.exits(1)?;
    Ok(())
}

/// One request to the broadcast address, an answer from each address that serves there.
fn broadcast_discovery(context: &Context) -> Result<()> {
    let server = context.serve_on("0.0.0.0:0", &["-q", "--answer-broadcast"])?;
    let port = server.port();
    let target = format!("127.255.255.255:{port}");
    let options = ["--broadcast", "--replies", "any", "-W", "500ms", "-m", "who is there"];
    let finished = context.client().arg(target.as_str()).args(options).finish()?;
    finished.exits(0)?;
    let line = format!("recvfrom ('127.0.0.1', {port}): echo who is there\n");
    check::holds(&format!("{:?} has {line:?}", finished.out()), finished.out().contains(&line))?;
    // Without the option the system refuses to send there: a local failure, told in words.
    let finished = context.ask([target.as_str(), "-m", "x", "-W", "200ms"])?;
    finished.exits(4)?;
    check::holds(
        "it says what was not permitted",
        finished.err().contains("permi") || finished.err().contains("--broadcast"),
    )
}
