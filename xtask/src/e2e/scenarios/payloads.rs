//! Whatever bytes arrive: served, echoed byte for byte, shown escaped, one datagram one line.

use anyhow::{Context as _, Result};
use regex::Regex;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Asker, LARGEST, Peer};

scenarios!("payloads":
    shown_escaped_by_the_server,
    shown_escaped_by_the_client,
    shown_escaped_by_the_heartbeat,
    empty_and_largest_raw,
    largest_that_the_prefix_leaves_room_for,
    every_size_up_to_a_packet,
    every_single_byte,
    another_prefix,
    a_long_payload_is_shown_in_part,
    truncated_as_in_the_tutorial,
);

/// Bytes, and how a line shows them.
const SHOWN: [(&[u8], &str); 16] = [
    (b"plain", "plain"),
    (b"", ""),
    (b"two\nlines", r"two\nlines"),
    (b"cr\rtab\tnul\0", r"cr\rtab\tnul\0"),
    (b"back\\slash", r"back\\slash"),
    (b"\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
    (b"\xff\xfe", r"\xff\xfe"),
    (b"half \xe4\xbd", r"half \xe4\xbd"),
    (b"\x7f", r"\x7f"),
    ("你好 ☃".as_bytes(), "你好 ☃"),
    ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
    ("a\u{202e}b\u{2066}c".as_bytes(), r"a\u{202e}b\u{2066}c"),
    ("l\u{2028}p\u{2029}".as_bytes(), r"l\u{2028}p\u{2029}"),
    ("z\u{200b}w\u{feff}\u{ad}\u{2060}".as_bytes(), r"z\u{200b}w\u{feff}\u{ad}\u{2060}"),
    ("t\u{e0041}".as_bytes(), r"t\u{e0041}"),
    (b"x\nrecvfrom ('10.0.0.1', 1): forged", r"x\nrecvfrom ('10.0.0.1', 1): forged"),
];

fn shown_escaped_by_the_server(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let asker = Asker::new()?;
    for (bytes, _) in SHOWN {
        asker.expect(server.address(), bytes, &[b"echo ", bytes].concat())?;
    }
    let port = asker.port()?;
    let mut expected = "server start at: <any>\nwait for connection...\n".to_owned();
    for (_, shown) in SHOWN {
        expected.push_str(&format!("recvfrom ('127.0.0.1', {port}): {shown}\n"));
    }
    server.process.wait_for(&expected)?;
    expected.push_str("--- <any>\n16 received, 16 replied, <any>\ndropped: <any>\n");
    server.stop()?.exits(0)?.prints(&expected)?;
    Ok(())
}

/// A peer whose replies are the table's payloads, one after the other.
fn hostile_peer() -> Result<Peer> {
    Peer::new(|request| {
        let (bytes, _) = SHOWN[(request.number - 1) % SHOWN.len()];
        vec![crate::e2e::net::Reply::now(request.from, bytes)]
    })
}

fn shown_escaped_by_the_client(context: &Context) -> Result<()> {
    let peer = hostile_peer()?;
    let port = peer.address.port();
    let mut launch = context.client().arg(peer.address.to_string());
    let mut expected = String::new();
    for (_, shown) in SHOWN {
        launch = launch.args(["-m", "ask"]);
        expected.push_str(&format!(
            "sendto ('127.0.0.1', {port}): ask\nrecvfrom ('127.0.0.1', {port}): {shown}\n"
        ));
    }
    expected.push_str("16 sent, 16 replied, 0 lost\nrtt <any>\n");
    launch.finish()?.exits(0)?.prints(&expected)?;
    Ok(())
}

fn shown_escaped_by_the_heartbeat(context: &Context) -> Result<()> {
    let peer = hostile_peer()?;
    let port = peer.address.port();
    let target = peer.address.to_string();
    let finished = context.beat([target.as_str(), "-c", "16", "-i", "20ms", "-W", "10"])?;
    finished.exits(0)?;
    for (index, (_, shown)) in SHOWN.into_iter().enumerate() {
        let line = Regex::new(&format!(
            "(?m)^{} {}  seq={} rtt=",
            regex::escape(&format!("recvfrom ('127.0.0.1', {port}):")),
            regex::escape(shown),
            index + 1
        ))?;
        check::holds(
            &format!("{:?} has a line like {line}", finished.out()),
            line.is_match(&finished.out()),
        )?;
    }
    check::holds(
        "no control character",
        !finished.out().contains(|c: char| c.is_control() && c != '\n'),
    )
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

fn largest_that_the_prefix_leaves_room_for(context: &Context) -> Result<()> {
    let server = context.serve(&["-q"])?;
    let asker = Asker::new()?;
    let fits = vec![b'x'; LARGEST - 5];
    asker.expect(server.address(), &fits, &[b"echo ", fits.as_slice()].concat())?;
    for size in LARGEST - 4..=LARGEST {
        asker.send(server.address(), &vec![b'x'; size])?;
    }
    asker.expect(server.address(), b"after", b"echo after")?;
    asker.expect_nothing()?;
    server.stop()?.exits(0)?.prints(
        "server start at: <any>\nwait for connection...\n--- <any>\n\
         7 received, 2 replied, 5 dropped, 0 failed, 0 kernel drops\n\
         dropped: rate 0, loop 0, access 0, destination 0, source 0, size 5\n",
    )?;
    Ok(())
}

fn every_size_up_to_a_packet(context: &Context) -> Result<()> {
    let server = context.serve(&["--raw", "-q"])?;
    let asker = Asker::new()?;
    for size in 0..=1_500 {
        let payload = vec![(size % 256) as u8; size];
        asker.expect(server.address(), &payload, &payload)?;
    }
    server.stop()?.exits(0)?;
    Ok(())
}

fn every_single_byte(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let asker = Asker::new()?;
    for byte in 0..=255 {
        asker.expect(server.address(), &[byte], &[b"echo ", [byte].as_slice()].concat())?;
    }
    let finished = server.stop()?;
    finished.exits(0)?;
    let out = finished.out();
    check::holds("its first lines and its last two", out.lines().count() >= 5)?;
    let told = |line: &str| {
        [
            "recvfrom ('127.0.0.1', ",
            "... ",
            "server start at: ",
            "wait for ",
            "--- ",
            "256 received",
        ]
        .iter()
        .any(|start| line.starts_with(start))
            || line.starts_with("dropped: ")
    };
    check::same("a line that no datagram may forge", None, out.lines().find(|l| !told(l)))?;
    check::holds(
        "no control byte in the output",
        finished.stdout.iter().all(|&b| b == b'\n' || (b >= b' ' && b != 0x7f)),
    )
}

fn another_prefix(context: &Context) -> Result<()> {
    let server = context.serve(&["--prefix", "re: "])?;
    Asker::new()?.expect(server.address(), b"hello", b"re: hello")?;
    server.stop()?.exits(0)?;
    Ok(())
}

fn a_long_payload_is_shown_in_part(context: &Context) -> Result<()> {
    let server = context.serve(&[])?;
    let asker = Asker::new()?;
    let (whole, long) = (vec![b'a'; 1_024], vec![b'b'; 1_025]);
    asker.expect(server.address(), &whole, &[b"echo ", whole.as_slice()].concat())?;
    asker.expect(server.address(), &long, &[b"echo ", long.as_slice()].concat())?;
    let port = asker.port()?;
    let (whole, long) = ("a".repeat(1_024), "b".repeat(1_024));
    server.process.wait_for(&format!(
        "server start at: <any>\nwait for connection...\n\
         recvfrom ('127.0.0.1', {port}): {whole}\n\
         recvfrom ('127.0.0.1', {port}): {long}… (1025 bytes)\n"
    ))?;
    server.stop()?.exits(0)?;
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
