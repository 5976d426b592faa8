//! The client in scripts: exit codes, input, output and options of the built program.
#![cfg(unix)]

mod common;

use common::{Peer, client, closed, finish, run, suspended};
use driver::Launch;
use serde_json::Value;
use udp_core::clock::Wall;

#[test]
fn the_exit_code_tells_what_happened() {
    let echo = Peer::echo();
    let silent = Peer::silent();
    let (echo, silent) = (echo.target(), silent.target());
    let closed = closed().to_string();
    let large = "x".repeat(65_508);
    let cases: [(&[&str], i32); 24] = [
        (&[&echo, "-m", "a"], 0),
        (&[&silent, "-W", "50ms", "-m", "a"], 1),
        (&[&closed, "-W", "20", "-m", "a"], 3),
        (&[&closed, "-W", "20", "-m", "a", "-m", "b"], 3),
        (&["no-such-name.invalid", "-m", "a"], 2),
        (&["127.0.0.1:65536", "-m", "a"], 2),
        (&["127.0.0.1:0", "-m", "a"], 2),
        (&[&echo, "--hex", "-m", "0g"], 2),
        (&[&echo, "--escape", "-m", r"\q"], 2),
        (&[&echo, "--expect-regex", "(", "-m", "a"], 2),
        (&[&echo, "--expect", "echo a", "-m", "a"], 0),
        (&[&echo, "--expect", "a", "-m", "a"], 1),
        (&[&echo, "--expect-hex", "6563 686F20 61", "-m", "a"], 0),
        (&[&echo, "--expect-regex", "^echo .$", "-m", "a", "-m", "bc"], 1),
        (&[&echo, "-m", &large], 4),
        (&[&echo, "-m", &large, "-m", "a"], 1),
        (&["127.0.0.1:9", "--ttl", "256", "-m", "a"], 2),
        (&[&silent, "--no-reply", "-m", "a"], 0),
        (&[&closed, "--no-reply", "-m", "a", "-m", "b", "-m", "c"], 0),
        (&[&echo, "--bind", "203.0.113.1", "-m", "a"], 4),
        (&[&echo, "--bind", &echo, "-m", "a"], 4),
        (&[&echo, "--bind", "[::1]", "-m", "a"], 2),
        (&["-6", "127.0.0.1:9", "-m", "a"], 2),
        (&["255.255.255.255:9", "-m", "a"], 4),
    ];
    for (arguments, code) in cases {
        let finished = run(arguments, b"");
        let shown: Vec<_> = arguments.iter().map(|a| &a[..a.len().min(40)]).collect();
        assert_eq!(finished.code, Some(code), "{shown:?}\n{}{}", finished.out, finished.err);
        // One of them was too large to be sent.
        let failed = matches!(code, 2 | 4) || arguments.contains(&large.as_str());
        assert_eq!(failed, finished.err.starts_with("error: "), "{shown:?}: {}", finished.err);
        // What went wrong is on stderr, a line a message.
        let said = finished.err.lines().filter(|line| !line.starts_with("hint: ")).count();
        let most = if matches!(code, 1 | 3) { 2 } else { 1 };
        let one_way = arguments.contains(&"--no-reply");
        assert!(
            said <= most && (one_way || (code == 0) == (said == 0)),
            "{shown:?}: {}",
            finished.err
        );
    }
}

#[test]
fn five_hundred_lines_bring_five_hundred_replies_in_order() {
    let peer = Peer::echo();
    let lines: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    let finished = run(&[&peer.target(), "-W", "20"], lines.as_bytes());
    let port = peer.port();
    let expected: String = (1..=500)
        .map(|n| {
            format!(
                "sendto ('127.0.0.1', {port}): line {n}\n\
                 recvfrom ('127.0.0.1', {port}): echo line {n}\n"
            )
        })
        .collect();
    assert!(finished.out.starts_with(&expected), "{}", finished.out);
    assert_eq!(finished.summary(), "500 sent, 500 replied, 0 lost");
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
}

#[test]
fn lines_are_sent_as_they_are() {
    let (sender, seen) = std::sync::mpsc::channel();
    let peer = Peer::new(move |socket, bytes, from, _| {
        sender.send(bytes.to_vec()).unwrap();
        socket.send_to(b"ok", from).unwrap();
    });
    let finished = run(&[&peer.target(), "-W", "20"], b"one\r\n\n\xff\xfe\0\nlast");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    drop(peer);
    let expected: [&[u8]; 4] = [b"one", b"", b"\xff\xfe\0", b"last"];
    assert_eq!(seen.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn all_of_stdin_goes_there_and_back() {
    let peer = Peer::new(|socket, bytes, from, _| {
        socket.send_to(bytes, from).unwrap();
    });
    let largest: Vec<u8> = (0..65_507u32).map(|n| (n * 31 % 251) as u8).collect();
    for payload in [&largest[..], b"\n", b"a\nb\n"] {
        let arguments = [&peer.target(), "--stdin", "whole", "--raw", "-W", "20"];
        let finished = run(&arguments, payload);
        assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""));
        assert!(finished.stdout == payload, "{} bytes came back changed", payload.len());
    }
}

#[test]
fn unusable_lines_are_named_and_the_others_go() {
    let peer = Peer::echo();
    let finished = run(&[&peer.target(), "--hex", "-W", "20"], b"61\nzz\n62\n");
    assert_eq!(finished.code, Some(2));
    assert!(finished.err.starts_with("error: line 2: "), "{}", finished.err);
    assert_eq!(finished.summary(), "2 sent, 2 replied, 0 lost, 1 unusable");
    assert!(finished.out.contains(": 6563686f2062\n"), "{}", finished.out);
}

#[test]
fn a_check_that_sent_nothing_has_failed() {
    for options in [&[][..], &["--stdin", "whole"]] {
        let peer = Peer::echo().target();
        let finished = run(&[&[peer.as_str()], options].concat(), b"");
        let summary = "0 sent, 0 replied, 0 lost\n";
        assert_eq!((finished.code, finished.out.as_str()), (Some(1), summary), "{options:?}");
        assert_eq!(finished.err, "error: nothing was sent: stdin is empty\n");
    }
}

#[test]
fn a_window_keeps_so_many_in_flight() {
    let mut held = Vec::new();
    let peer = Peer::new(move |socket, bytes, from, _| {
        held.push((bytes.to_vec(), from));
        if held.len() == 16 {
            // The last first: each must still find its message.
            for (bytes, from) in held.drain(..).rev() {
                socket.send_to(&bytes, from).unwrap();
            }
        }
    });
    let lines: String = (0..64).map(|n| format!("{n}\n")).collect();
    let arguments = [&peer.target(), "--window", "16", "--json", "-W", "20"];
    let finished = run(&arguments, lines.as_bytes());
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let objects = driver::json::objects("client", &finished.out).unwrap();
    let replies = driver::json::of_type(&objects, "reply");
    assert_eq!(replies.len(), 64);
    for reply in replies {
        let data: u64 = reply["data"].as_str().unwrap().parse().unwrap();
        assert_eq!(reply["seq"], data + 1, "{reply}");
    }
}

#[test]
fn an_interval_is_kept_between_messages() {
    let peer = Peer::echo().target();
    let messages = ["--json", "-i", "200ms", "-m", "1", "-m", "2", "-m", "3"];
    let finished = run(&[&[peer.as_str()][..], &messages].concat(), b"");
    let objects = driver::json::objects("client", &finished.out).unwrap();
    let sent = driver::json::of_type(&objects, "sent");
    let at = |it: &&Value| Wall::from_rfc3339(it["ts"].as_str().unwrap()).unwrap().as_nanos();
    let at: Vec<_> = sent.iter().map(at).collect();
    assert_eq!(at.len(), 3, "{}{}", finished.out, finished.err);
    // Times are of the clock of the day, which may be slewed.
    assert!(at.windows(2).all(|it| it[1] - it[0] >= 199_000_000), "{}", finished.out);
}

#[test]
fn json_says_what_happened() {
    let peer = Peer::new(|socket, bytes, from, _| match bytes {
        b"silence" => {}
        b"bytes" => drop(socket.send_to(b"\xff\0", from).unwrap()),
        _ => drop(socket.send_to(bytes, from).unwrap()),
    });
    let told = |arguments: &[&str], code, types: &[&str]| {
        let finished = run(&[arguments, &["--json"]].concat(), b"");
        assert_eq!(finished.code, Some(code), "{}{}", finished.out, finished.err);
        let objects = driver::json::objects("client", &finished.out).unwrap();
        let kinds: Vec<_> = objects.iter().map(|it| it["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, types);
        objects
    };
    let messages = ["-W", "300ms", "-m", "one", "-m", "silence", "-m", "bytes"];
    let target = peer.target();
    let arguments = [&[target.as_str()][..], &messages].concat();
    let types = ["sent", "reply", "sent", "timeout", "sent", "reply", "summary"];
    let objects = told(&arguments, 1, &types);
    assert_eq!((&objects[1]["data"], &objects[5]["data_hex"]), (&"one".into(), &"ff00".into()));
    assert!(objects[1]["rtt_ns"].as_u64().is_some_and(|ns| ns > 0));
    let counts = ["sent", "replied", "lost"].map(|name| objects[6][name].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1]);
    let closed = closed().to_string();
    let objects = told(&[&closed, "-m", "x", "-W", "20"], 3, &["sent", "refused", "summary"]);
    assert_eq!((&objects[2]["refused"], &objects[2]["lost"]), (&1.into(), &0.into()));
}

#[test]
fn few_descriptors_are_enough() {
    let peer = Peer::echo();
    let lines: String = (0..300).map(|n| format!("{n}\n")).collect();
    let script = r#"ulimit -n 40; exec "$0" "$@""#;
    let client = ["-c", script, env!("CARGO_BIN_EXE_udp-client"), &peer.target()];
    let command = Launch::new("sh").args(client).args(["--window", "64", "-W", "20"]);
    let finished = finish(command.stdin(lines));
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    assert_eq!(finished.summary(), "300 sent, 300 replied, 0 lost");
}

#[test]
fn an_input_that_cannot_be_read_is_the_one_thing_that_is_said() {
    let target = Peer::echo().target();
    let script = r#"exec "$0" "$@" < /"#;
    let command = Launch::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_udp-client")]);
    let finished = finish(command.arg(&target));
    let said = "error: cannot read stdin: is a directory\n";
    assert_eq!((finished.code, finished.err.as_str()), (Some(4), said));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_local_failure() {
    let peer = Peer::echo();
    let full = std::fs::File::create("/dev/full").unwrap();
    let ended =
        client(&[&peer.target(), "-m", "a", "-W", "20"]).stdout_file(full).finish().unwrap();
    let said = "error: cannot write to stdout: no space left on device, 4 lines not shown\n";
    ended.exits(4).unwrap().complains(said).unwrap();
}

#[test]
fn socket_options_reach_the_socket() {
    let (sender, seen) = std::sync::mpsc::channel();
    let peer = Peer::new(move |socket, bytes, from, _| {
        sender.send(from).unwrap();
        socket.send_to(bytes, from).unwrap();
    });
    let port = closed().port();
    let bind = format!("127.0.0.1:{port}");
    let arguments = [&peer.target(), "--bind", &bind, "--ttl", "9", "--dscp", "ef", "-W", "20"];
    let finished = run(&[&arguments[..], &["-m", "a", "-m", "b"]].concat(), b"");
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    drop(peer);
    assert!(seen.iter().all(|from| from.port() == port));
}

#[test]
fn a_line_too_long_for_any_datagram_is_a_message_that_failed() {
    let peer = Peer::echo();
    let long = vec![b'x'; 1_000_000];
    let finished = run(&[&peer.target(), "-W", "20"], &long);
    let said = "error: line 1: message too long\nhint: a datagram holds at most 65507 bytes\n";
    assert_eq!((finished.code, finished.err.as_str()), (Some(4), said));
    let finished = run(&[&peer.target(), "-W", "20"], &[&long[..], b"\nshort\n"].concat());
    assert_eq!((finished.code, finished.err.as_str()), (Some(1), said));
    assert_eq!(finished.summary(), "1 sent, 1 replied, 0 lost, 1 failed");
}

#[test]
fn a_suspended_client_gives_up_nothing_that_was_answered() {
    let finished = suspended("", &["-m", "a"], <[u8]>::to_vec, false);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
}
