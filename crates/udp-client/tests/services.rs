//! Services, asked once by the built program: what is credited, what is said, the exit code.
#![cfg(unix)]

mod common;

use common::{Peer, closed, run, suspended};

/// An NTP server's answer: a synchronised clock, or the head that is given.
fn ntp(request: &[u8], head: [u8; 4]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.resize(24, 0);
    bytes.extend_from_slice(&request[40..48]);
    bytes.extend_from_slice(&[0xee; 16]);
    bytes
}

#[test]
fn a_service_is_asked_in_its_own_language() {
    let good = Peer::new(|socket, bytes, from, _| {
        socket.send_to(&ntp(bytes, [0x24, 3, 0, 0xe6]), from).unwrap();
    });
    let bad = Peer::new(|socket, bytes, from, _| {
        socket.send_to(&[7; 48], from).unwrap();
        socket.send_to(&ntp(bytes, [0xe4, 0, 4, 0xe6]), from).unwrap();
    });
    // RFC 8762 section 4.3.1: its number and times, then the beginning of what came.
    let reflector = Peer::new(|socket, bytes, from, _| {
        let own = [&[0, 0, 0, 9][..], &[1; 8], &[0, 1], &bytes[14..16], &[1; 8]].concat();
        socket.send_to(&[&own, &bytes[..14], &[0, 0, 64, 0, 0, 0]].concat(), from).unwrap();
    });
    let echo = Peer::new(|socket, bytes, from, _| {
        socket.send_to(bytes, from).unwrap();
    });
    let silent = Peer::silent();
    let url = |peer: &Peer, keys: &str| format!("ntp://{}{keys}", peer.target());
    let stamp = |peer: &Peer| format!("stamp://{}", peer.target());
    let (good, bad, silent) = (&good, &bad, url(&silent, ""));
    let closed = format!("ntp://{}", closed());
    let (unsynchronised, json) = (url(bad, ""), url(good, ""));
    let cases: [(&[&str], i32, &str); 10] = [
        (&[&url(good, "")], 0, "ntp stratum=3 refid=0.0.0.0 offset="),
        (&[&url(good, "?stratum=2")], 1, " ms unexpected\n"),
        (&[&unsynchronised], 1, "ntp unsynchronised  rtt="),
        (&[&url(bad, "?accept=unsynchronised")], 0, "1 sent, 1 replied, 0 lost, 1 unsolicited\n"),
        (&[&silent, "-W", "50ms"], 1, "1 sent, 0 replied, 1 lost\n"),
        (&[&closed, "-W", "20ms"], 3, "1 refused\n"),
        (
            &[&json, "--json"],
            0,
            "\"service\":\"ntp\",\"verdict\":\"ok\",\"reason\":null,\"facts\":{",
        ),
        (&[&json, "-m", "hello"], 2, ""),
        (&[&stamp(&reflector)], 0, "  sequence: 9\n  reflector_time: 0.000 ms\n"),
        (&[&stamp(&echo), "-W", "50ms"], 1, "1 sent, 0 replied, 1 lost, 1 unsolicited\n"),
    ];
    let explained = run(&[&silent, "-W", "50ms"], b"").err;
    assert!(explained.contains("no answer; usual causes: "), "{explained}");
    for (arguments, code, shown) in cases {
        let finished = run(arguments, b"");
        let (out, err) = (&finished.out, &finished.err);
        assert_eq!(finished.code, Some(code), "{arguments:?}\n{out}{err}");
        assert!(out.contains(shown), "{arguments:?}\n{out}{err}");
        assert_eq!(err.is_empty(), code == 0, "{arguments:?}\n{err}");
    }
}

/// Each request has an identity of its own: an answer to the first one that comes after the second left
/// has the round trip of the first, and so the offset of the clocks.
#[test]
fn an_answer_is_to_the_request_that_it_answers() {
    let mut first: Option<Vec<u8>> = None;
    let peer = Peer::new(move |socket, bytes, from, _| match first.take() {
        None => first = Some(bytes.to_vec()),
        Some(bytes) => drop(socket.send_to(&ntp(&bytes, [0x24, 3, 0, 0xe6]), from).unwrap()),
    });
    let target = format!("ntp://{}", peer.target());
    let finished = run(&[&target, "-W", "300ms", "--retries", "1", "--json"], b"");
    let objects = driver::json::objects("client", &finished.out).unwrap();
    let rtt = driver::json::of_type(&objects, "reply")[0]["rtt_ns"].as_u64().unwrap();
    assert!(rtt >= 300_000_000, "{}", finished.out);
    assert_eq!(finished.code, Some(0), "{}", finished.out);
}

#[test]
fn a_suspended_client_does_not_miss_what_came() {
    // An answer that comes late answers while its request is repeated, and else is counted.
    let trial = |late, retries, code, summary| {
        let answer = |request: &[u8]| ntp(request, [0x24, 3, 0, 0xe6]);
        let finished = suspended("ntp://", &["--retries", retries], answer, late);
        let (out, err) = (&finished.out, &finished.err);
        assert_eq!((finished.code, finished.summary()), (Some(code), summary), "{out}{err}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| trial(false, "0", 0, "1 sent, 1 replied, 0 lost"));
        scope.spawn(|| trial(true, "1", 0, "1 sent, 1 replied, 0 lost"));
        scope.spawn(|| trial(true, "0", 1, "1 sent, 0 replied, 1 lost, 1 late"));
    });
}

/// An answer to something else may hold what was asked with.
#[test]
fn what_is_no_answer_shows_no_secret() {
    let peer = Peer::new(|socket, bytes, from, _| {
        let mut other = bytes.to_vec();
        // The request's number, behind the community and the tag of the request.
        let number = bytes.windows(2).position(|it| it == [2, 4]).unwrap() + 2;
        other[number] ^= 1;
        socket.send_to(&other, from).unwrap();
    });
    let file = std::env::temp_dir().join(format!("community-{}", std::process::id()));
    std::fs::write(&file, "s3cret\n").unwrap();
    let target = format!("snmp://{}?community-file={}", peer.target(), file.display());
    for (options, shown) in [
        (&[][..], "unsolicited: recvfrom "),
        (&["--json"], r#""type":"unsolicited""#),
        (&["-q"], ", 1 unsolicited"),
    ] {
        let finished = run(&[&[target.as_str(), "-W", "100ms"], options].concat(), b"");
        assert!(finished.out.contains(shown), "{}", finished.out);
        for said in [&finished.out, &finished.err] {
            let hex = "733363726574";
            assert!(!said.contains("s3cret") && !said.contains(hex), "{options:?}: {said}");
        }
    }
    for option in ["--raw", "--hexdump"] {
        let finished = run(&[&target, option], b"");
        let said = format!("error: {option} would show the secret that snmp is asked with\n");
        assert_eq!((finished.code, &finished.err[..said.len()]), (Some(2), said.as_str()));
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn what_is_only_slow_is_ok() {
    let peer = Peer::new(|socket, bytes, from, _| {
        socket.send_to(&ntp(bytes, [0x24, 3, 0, 0xe6]), from).unwrap();
    });
    let target = format!("ntp://{}", peer.target());
    let finished = run(&[&target, "--max-rtt", "1ns"], b"");
    assert!(finished.out.contains(" ms\n  stratum: 3\n"), "{}", finished.out);
    assert!(finished.err.starts_with("wrong reply: too slow, "), "{}", finished.err);
    assert_eq!(finished.code, Some(1));
    // Of a dump, too, each line has its time.
    let finished = run(&[&target, "-D", "--hexdump"], b"");
    assert!(finished.out.lines().all(|line| line.starts_with("20")), "{}", finished.out);
}
