//! The built program against peers that lose, double, delay and reorder by plan: the summary is
//! exact, run after run. What a plan holds back it releases when a later beat has come, so that no
//! clock is involved, but for the time-outs.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use common::{Peer, Reply, Request, closed, ntp, run, start, wait_until};

/// Both receive paths.
const PATHS: [&str; 2] = ["auto", "portable"];

/// The number at the end of a `--number` beat.
fn number(request: &Request) -> u64 {
    let text = String::from_utf8_lossy(&request.bytes);
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn numbered_beats_lost_doubled_late_and_reordered() {
    for path in PATHS {
        let mut held: Vec<(u64, Reply)> = Vec::new();
        let peer = Peer::new(move |request| {
            let n = number(request);
            let mut replies = Vec::new();
            match n {
                _ if n.is_multiple_of(5) => {}
                7 | 17 => held.push((n + 1, request.echo())),
                3 => held.push((48, request.echo())),
                _ if n % 10 == 1 => replies.extend([request.echo(), request.echo()]),
                _ => replies.push(request.echo()),
            }
            replies.extend(held.extract_if(.., |it| it.0 == n).map(|it| it.1));
            replies
        });
        let options = ["--number", "-c", "49", "-i", "60ms", "-W", "1500ms", "--io", path];
        let finished = run(&[&[peer.target().as_str()][..], &options].concat());
        assert_eq!(
            finished.counts(),
            "49 sent, 39 received, 10 lost (20.4%), 1 late, 5 duplicate, 2 reordered",
            "{path}"
        );
        assert_eq!(finished.code, Some(0));
        for line in ["): seq=3 rtt=", "seq=5 within 1.5s\n", "21  seq=21 rtt="] {
            assert!(finished.stdout.contains(line), "{line}: {}", finished.stdout);
        }
        assert_eq!(finished.stdout.matches("\nduplicate (").count(), 5);
        assert_eq!(finished.stdout.matches("\nlate (").count(), 1);
    }
}

#[test]
fn plain_beats_lost_doubled_late_and_reordered() {
    for path in PATHS {
        let mut held: Vec<(usize, Reply)> = Vec::new();
        let peer = Peer::new(move |request| {
            let n = request.number;
            let mut replies = Vec::new();
            match n {
                _ if n.is_multiple_of(5) => {}
                7 => held.push((8, request.echo())),
                3 => held.push((14, request.echo())),
                11 => replies.extend([request.echo(), request.echo()]),
                _ => replies.push(request.echo()),
            }
            replies.extend(held.extract_if(.., |it| it.0 == n).map(|it| it.1));
            replies
        });
        let options = ["-c", "16", "-i", "250ms", "-W", "1500ms", "--io", path];
        let finished = run(&[&[peer.target().as_str()][..], &options].concat());
        let counts = "16 sent, 12 received, 4 lost (25.0%), 1 late, 1 duplicate, ";
        assert!(finished.counts().starts_with(counts), "{path}: {}", finished.counts());
        if path == "auto" {
            // Replies 7 and 8 come at once on two sockets: only the kernel knows their order.
            assert!(finished.counts().ends_with(" 1 reordered"), "{}", finished.counts());
        }
        let seen = peer.seen();
        assert!(seen.iter().all(|request| request.bytes == b"heartbeat"));
        // An answered port rests for half the timeout; an unanswered one's is not used by the next.
        let ports: Vec<u16> = seen.iter().map(|request| request.from.port()).collect();
        assert_ne!(ports[0], ports[1]);
        assert_ne!(ports[2], ports[3]);
        assert!(!ports[5..].contains(&ports[4]), "{ports:?}");
    }
}

#[test]
fn a_silent_peer_and_a_closed_port() {
    for path in PATHS {
        let peer = Peer::silent();
        let target = peer.target();
        let options = ["-c", "3", "-i", "50ms", "-W", "100ms", "--io", path];
        let finished = run(&[&[target.as_str()][..], &options].concat());
        let counts = "3 sent, 0 received, 3 lost (100.0%), 0 late, 0 duplicate, 0 reordered";
        assert_eq!((finished.counts(), finished.code), (counts, Some(1)), "{path}");
        let name = format!("('127.0.0.1', {})", peer.address.port());
        let line = format!("no reply {name}: seq=2 within 100ms\n");
        assert!(finished.stdout.contains(&line), "{}", finished.stdout);
        assert!(!finished.stdout.contains("rtt "));

        for mode in [&[][..], &["--number"], &["--stamp"]] {
            let target = closed().to_string();
            let arguments = [&[target.as_str()][..], &options, mode].concat();
            let finished = run(&arguments);
            let counts =
                "3 sent, 0 received, 3 lost (100.0%), 0 late, 0 duplicate, 0 reordered, 3 refused";
            assert_eq!((finished.counts(), finished.code), (counts, Some(3)), "{arguments:?}");
        }
    }
}

/// The peer goes away in the middle: what was answered stays answered, the rest is refused, but for
/// a beat that may have been in the peer's queue when it closed.
#[test]
fn a_peer_that_goes_away() {
    for path in PATHS {
        let peer = Peer::echo();
        let options = ["--number", "-c", "20", "-i", "100ms", "-W", "3s", "--io", path];
        let running = start(&[&[peer.target().as_str()][..], &options].concat());
        wait_until(|| peer.seen().len() >= 5);
        let answered = peer.seen().len();
        drop(peer);
        let finished = running.finish();
        assert_eq!(finished.code, Some(0));
        let of = |name| count(&finished, name);
        assert!(of("received") >= answered, "{}", finished.counts());
        assert!(of("refused") > 0, "{}", finished.counts());
        assert_eq!(of("lost"), 20 - of("received"), "{}", finished.counts());
        assert!(of("lost") - of("refused") <= 1, "{}", finished.counts());
    }
}

fn count(finished: &common::Finished, name: &str) -> usize {
    let part = finished
        .counts()
        .split(", ")
        .find_map(|part| part.split(" (").next().and_then(|part| part.strip_suffix(name)));
    part.map_or(0, |number| number.trim().parse().unwrap())
}

#[test]
fn content_that_was_not_expected_is_an_answer_all_the_same() {
    for expect in [&["--expect", "echo heartbeat"][..], &["--expect-regex", "^echo"]] {
        let peer = Peer::new(|request| match request.number {
            2 => vec![request.with("nonsense")],
            3 => vec![request.with("nonsense"), request.echo()],
            _ => vec![request.echo()],
        });
        let options = ["-c", "4", "-i", "100ms", "-W", "1s"];
        let finished = run(&[&[peer.target().as_str()][..], &options, expect].concat());
        assert_eq!(
            finished.counts(),
            "4 sent, 4 received, 0 lost (0.0%), 0 late, 1 duplicate, 0 reordered"
        );
        assert_eq!(finished.code, Some(1));
        assert!(finished.stdout.contains("\nanswers: 2 ok, 2 unexpected\n"), "{}", finished.stdout);
        assert!(finished.stdout.contains(" ms unexpected\n"), "{}", finished.stdout);
        assert!(
            finished.stderr.contains(": --max-not-ok 0: 50.0% not ok, 2 of 4\n"),
            "{}",
            finished.stderr
        );
    }
}

/// Replies from another port than was asked are credited to nothing, and their sender is named.
#[test]
fn replies_from_elsewhere() {
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = other.local_addr().unwrap();
    let peer = Peer::new(move |request| {
        let _ = other.send_to(&request.echo().bytes, request.from);
        Vec::new()
    });
    for mode in [&[][..], &["--number"]] {
        let options = ["-c", "3", "-i", "50ms", "-W", "300ms"];
        let finished = run(&[&[peer.target().as_str()][..], &options, mode].concat());
        let counts = "3 sent, 0 received, 3 lost (100.0%), 0 late, 0 duplicate, 0 reordered, \
                      3 unsolicited";
        assert_eq!((finished.counts(), finished.code), (counts, Some(1)));
        let line = format!("\nunsolicited: first from ('127.0.0.1', {})\n", from.port());
        assert!(finished.stdout.ends_with(&line), "{}", finished.stdout);
    }
}

/// A router has forgotten whose the first source port is, so that nothing comes back to it: three lost
/// beats later another one is used, and goes on to be used, unless the user chose the port.
#[test]
fn a_source_port_that_nothing_comes_back_to_is_left() {
    let (other, bind) = (Peer::echo().target(), closed().to_string());
    let cases = [
        ("", &["--number"][..], 2),
        // Shared sockets.
        ("", &["--number", &other], 2),
        ("ntp://", &[], 2),
        ("", &["--number", "--bind", &bind], 1),
    ];
    let runs = cases.map(|(scheme, options, ports)| {
        let mut first = None;
        let peer = Peer::new(move |request| match request.bytes.len() {
            _ if *first.get_or_insert(request.from) == request.from => Vec::new(),
            48 => vec![request.with(ntp(&request.bytes, "240300e6"))],
            _ => vec![request.echo()],
        });
        let target = format!("{scheme}{}", peer.target());
        let common = [target.as_str(), "-c", "6", "-i", "400ms", "-W", "300ms", "-q"];
        (start(&[&common, options].concat()), peer, format!("{scheme} {options:?}"), ports)
    });
    for (running, peer, case, expected) in runs {
        running.finish();
        let seen: Vec<u16> = peer.seen().iter().map(|request| request.from.port()).collect();
        assert_eq!(seen[..3], [seen[0]; 3], "{case}");
        let mut ports = seen.clone();
        ports.dedup();
        assert_eq!(ports.len(), expected, "{case}: {seen:?}");
    }
}

/// What comes from a stranger is one line, and harmless.
#[test]
fn payloads_are_shown_escaped() {
    let peer = Peer::new(|request| vec![request.with(&b"\x1b[2J\n\xff\\"[..])]);
    let finished = run(&[peer.target().as_str(), "-c", "1"]);
    let line = "): \\x1b[2J\\n\\xff\\\\  seq=1 rtt=";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
    let finished = run(&[peer.target().as_str(), "-c", "1", "--payload-hex", "00 FF"]);
    assert!(finished.stdout.contains("): 00ff\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains("): 1b5b324a0aff5c  seq=1"), "{}", finished.stdout);
}

/// A flood of what nobody asked for is counted, credited to nothing, and holds up nothing.
#[test]
fn a_flood_of_unasked_datagrams() {
    for mode in ["--number", "--stamp"] {
        let peer = Peer::new(move |request| {
            let mut replies = vec![request.with("unasked"); 2000];
            if mode == "--number" {
                replies.push(request.echo());
            }
            replies
        });
        let options = [mode, "-c", "10", "-i", "50ms", "-W", "5s", "-q"];
        let finished = run(&[&[peer.target().as_str()][..], &options].concat());
        let unsolicited = count(&finished, "unsolicited");
        // The kernel may drop some where the queue is full.
        assert!((1..=20_000).contains(&unsolicited), "{}", finished.counts());
        assert_eq!(count(&finished, "duplicate"), 0);
        if mode == "--stamp" {
            assert_eq!(count(&finished, "received"), 0);
        }
    }
}
