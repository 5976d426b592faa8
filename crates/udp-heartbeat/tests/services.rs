//! Services, asked in their own language: what is credited to which beat, the pace, the exit code.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::time::Duration;

use common::{Finished, Peer, Request, ntp, run};
use udp_core::clock;

const GOOD: &str = "240300e6";

#[track_caller]
fn of(peer: &Peer, keys: &str, options: &[&str]) -> Finished {
    let target = format!("ntp://{}{keys}", peer.target());
    run(&[&[target.as_str()][..], options].concat())
}

#[test]
fn an_answer_is_credited_by_its_own_identity() {
    // A stranger's nonce, and each answer twice, the first of them after that of the second beat.
    let mut kept: Option<Request> = None;
    let peer = Peer::new(move |request| {
        let answer = |to: &Request| to.with(ntp(&to.bytes, GOOD));
        match request.number {
            1 => {
                kept = Some(request.clone());
                Vec::new()
            }
            2 => {
                let first = kept.take().unwrap();
                let foreign = Request { bytes: vec![7; 48], ..request.clone() };
                let all = [request, &first, &foreign, request, &first];
                all.map(|it| request.with(answer(it).bytes)).to_vec()
            }
            _ => Vec::new(),
        }
    });
    let finished = of(&peer, "", &["-c", "2", "-i", "100ms", "-W", "5s"]);
    assert_eq!(
        finished.counts(),
        "2 sent, 2 received, 0 lost (0.0%), 0 late, 2 duplicate, 1 reordered, 1 unsolicited"
    );
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    // One source port for all.
    let seen = peer.seen();
    assert_eq!(seen[0].from, seen[1].from);
    assert_ne!(seen[0].bytes, seen[1].bytes);
}

/// Of several targets at one host it is the one whose beat it names; alone there, it is the only one.
#[test]
fn what_comes_from_another_port_is_counted_at_its_target() {
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let astray = Peer::new(move |request| {
        let answer = request.with(ntp(&request.bytes, GOOD));
        let _ = other.send_to(&answer.bytes, request.from);
        Vec::new()
    });
    let good = Peer::new(|request| vec![request.with(ntp(&request.bytes, GOOD))]);
    let url = |peer: &Peer| format!("ntp://{}", peer.target());
    for other in [url(&good), "ntp://127.0.0.9".into()] {
        let targets = [other, url(&astray)];
        let options = ["-c", "2", "-i", "50ms", "-W", "500ms", "--json", "-q"];
        let finished = run(&[&targets[..], &options.map(String::from)].concat());
        let lines = finished.stdout.lines().filter(|line| line.contains(r#""type":"summary""#));
        let counted: Vec<bool> =
            lines.map(|line| line.contains(r#""unsolicited":2,"#)).take(2).collect();
        assert_eq!(counted, [false, true], "{}", finished.stdout);
    }
}

#[test]
fn the_verdict_decides_about_the_exit_code() {
    let peer = Peer::new(|request| vec![request.with(ntp(&request.bytes, "e40004e6"))]);
    let cases = [
        ("", &[][..], 1, "ntp unsynchronised  seq=1 rtt="),
        ("?accept=unsynchronised", &[], 0, "ntp unsynchronised  seq=1 rtt="),
        ("?accept=any", &[], 0, "ntp unsynchronised"),
        ("", &["--alive"], 0, "ntp unsynchronised"),
        ("", &["--max-not-ok", "100"], 0, " ms failing\n"),
        ("", &["--nagios"], 1, "UDP WARNING"),
    ];
    for (keys, options, code, line) in cases {
        let options = [options, &["-c", "1"]].concat();
        let finished = of(&peer, keys, &options);
        assert_eq!(finished.code, Some(code), "{keys} {options:?}: {}", finished.stderr);
        assert!(finished.stdout.contains(line), "{keys} {options:?}: {}", finished.stdout);
    }
}

#[test]
fn one_that_says_slower_is_asked_slower() {
    let peer = Peer::new(|request| {
        let head = "e4000000000000000000000052415445";
        vec![request.with(ntp(&request.bytes, head))]
    });
    // After 20 ms, 40, 80, 160, 320 and no more than that: five beats take at least 300 ms.
    let begun = clock::mono();
    let finished = of(&peer, "", &["-i", "20ms", "-c", "5", "-W", "20s", "-q"]);
    let took = clock::mono() - begun;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(finished.stdout.contains("answers: 0 ok, 5 limited\n"), "{}", finished.stdout);
    assert!(!finished.stdout.contains("skipped"), "{}", finished.stdout);
}

#[test]
fn silence_is_explained_once() {
    let peer = Peer::silent();
    let finished = of(&peer, "", &["-c", "3", "-i", "20ms", "-W", "50ms"]);
    assert_eq!(finished.stderr.matches("usual causes").count(), 1, "{}", finished.stderr);
}

#[test]
fn services_and_others_are_mixed_and_share_an_address() {
    let peer = Peer::new(|request| match request.bytes.len() {
        48 => vec![request.with(ntp(&request.bytes, GOOD))],
        _ => vec![request.echo()],
    });
    let target = peer.target();
    let list = std::env::temp_dir().join(format!("services-{}", std::process::id()));
    std::fs::write(&list, format!("ntp://{target} site=a\nntp://{target}?v=3\n{target}\n"))
        .unwrap();
    let file = ["--targets-file", list.to_str().unwrap()];
    let finished = run(&[&file[..], &["-c", "5", "-i", "50ms", "-q"]].concat());
    std::fs::remove_file(&list).unwrap();
    let total =
        "3 targets: 3 up, 0 degraded, 0 down, 0 unknown; 15 sent, 15 received, 0 lost (0.0%)\n";
    assert!(finished.stdout.ends_with(total), "{}", finished.stdout);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn what_is_refused() {
    let cases: [(&[&str], &str); 6] = [
        (&["gopher://h"], "no such scheme 'gopher': there are dns, "),
        (&["dns://h?foo=1"], "dns has no key 'foo': there are type, "),
        (&["dns://h?type="], "the key 'type' has no value"),
        (&["--service", "dns:x", "--number"], "--number"),
        (&["ntp://192.0.2.1", "-i", "1s"], "an interval of 1s towards 192.0.2.1:123 needs --fast"),
        (&["--services", "-q"], "--services"),
    ];
    for (arguments, error) in cases {
        let finished = run(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(error), "{arguments:?}: {}", finished.stderr);
    }
    for flags in [&[][..], &["-D"], &["--color", "never"]] {
        let listed = run(&[flags, &["--services"]].concat());
        assert_eq!(listed.code, Some(0), "{flags:?}: {}", listed.stderr);
        let timed = listed.stdout.lines().all(|line| line.contains("Z ") && line.starts_with('2'));
        assert_eq!(timed, flags == ["-D"], "{}", listed.stdout);
        assert!(listed.stdout.contains("ntp://HOST[:123]\n"), "{}", listed.stdout);
    }
}

#[test]
fn the_page_about_services_has_all_that_the_list_has() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/services.md");
    let page = std::fs::read_to_string(page).unwrap();
    for line in run(&["--services"]).stdout.lines() {
        let line = line.trim_start();
        let words =
            match (line.split_once("://"), line.strip_prefix('?'), line.strip_prefix("facts: ")) {
                (Some((scheme, _)), ..) => vec![format!("`{scheme}`")],
                (_, Some(key), _) => vec![format!("`{}=", key.split('=').next().unwrap())],
                (.., Some(facts)) => facts.split(' ').map(|fact| format!("`{fact}`")).collect(),
                _ => continue,
            };
        for word in words {
            assert!(page.contains(&word), "docs/services.md says nothing of {word}");
        }
    }
}

/// The reason is a stranger's: no character of it keeps the command from being run, or steers a terminal.
#[test]
fn a_strangers_reason_is_harmless() {
    let peer = Peer::new(|request| {
        let asked = String::from_utf8_lossy(&request.bytes).into_owned();
        let kept = ["Via", "From", "To", "Call-ID", "CSeq"];
        let kept = asked.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
        let head = std::iter::once("SIP/2.0 404 a\0\u{1b}[31m,b").chain(kept);
        let lines: Vec<&str> = head.chain(["Content-Length: 0", "", ""]).collect();
        vec![request.with(lines.join("\r\n").into_bytes())]
    });
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    let (seen, recording, csv) = (file("seen"), file("run"), file("run.csv"));
    let command = format!("printf %s \"$UDP_REASON\" > {seen}");
    let target = format!("sip://{}", peer.target());
    let options = ["-c", "2", "-i", "100ms", "--down-after", "2", "--record", &recording];
    let finished = run(&[&[target.as_str(), "--on-change", &command], &options[..]].concat());
    assert_eq!(
        std::fs::read_to_string(seen).unwrap(),
        "404 a\\0\\x1b[31m,b",
        "{}",
        finished.stderr
    );
    assert_eq!(run(&["report", &recording, "-o", &csv]).code, Some(0));
    let rows = std::fs::read_to_string(csv).unwrap();
    assert_eq!(rows.matches(",declined,\"404 a\\0\\x1b[31m,b\",\n").count(), 2, "{rows}");
}
