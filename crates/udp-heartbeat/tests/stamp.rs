//! STAMP against reflectors built here from the RFC's tables, byte by byte: what is lost in which
//! direction is told exactly, and never "up" for what a reflector may have received.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::collections::HashMap;

use common::{Finished, Peer, Reply, Request, run, start, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A reflector's answer (RFC 8762 §4.3.1, unauthenticated) under the number `own`.
fn answer(request: &Request, own: u32) -> Reply {
    let asked = &request.bytes;
    let mut reply = vec![0; asked.len().max(44)];
    reply[..4].copy_from_slice(&own.to_be_bytes());
    // It left a millisecond after it came, by a clock of its own.
    let came: u64 = 0x9000_0000_0000_0000 + ((request.number as u64) << 32);
    reply[4..12].copy_from_slice(&(came + (1 << 32) / 1000).to_be_bytes());
    reply[12..14].copy_from_slice(&0x0101_u16.to_be_bytes());
    reply[14..16].copy_from_slice(&asked[14..16]);
    reply[16..24].copy_from_slice(&came.to_be_bytes());
    reply[24..28].copy_from_slice(&asked[..4]);
    reply[28..36].copy_from_slice(&asked[4..12]);
    reply[36..38].copy_from_slice(&asked[12..14]);
    reply[40] = 64;
    request.with(reply)
}

#[test]
fn a_recording_has_the_reflectors_time_whatever_names_the_service() {
    let peer = Peer::new(|request| vec![answer(request, 0)]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.ndjson");
    let target = format!("stamp://{}", peer.target());
    let options = ["-c", "2", "-i", "20ms", "-q", "--record", path.to_str().unwrap()];
    run(&[&[target.as_str()][..], &options].concat());
    let text = std::fs::read_to_string(&path).unwrap();
    let beats = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let times: Vec<_> = beats.filter(|it| it["type"] == "beat").collect();
    assert_eq!(times.len(), 2, "{text}");
    assert!(times.iter().all(|it| it["rtt_with_reflector_ns"].is_u64()), "{text}");
}

/// The number that the sender gave.
fn sender_number(request: &Request) -> u32 {
    u32::from_be_bytes(request.bytes[..4].try_into().unwrap())
}

/// What becomes of a beat on its way.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Answered,
    /// The reflector never sees it.
    Up,
    /// Its answer is lost.
    Down,
}

/// A reflector that counts, on a path that loses by plan; beats from 0.
fn stateful(mut plan: impl FnMut(u32) -> Fate + Send + 'static) -> Peer {
    let mut own = 0;
    Peer::new(move |request| {
        let fate = plan(sender_number(request));
        if fate == Fate::Up {
            return Vec::new();
        }
        let reply = answer(request, own);
        own += 1;
        if fate == Fate::Down { Vec::new() } else { vec![reply] }
    })
}

#[track_caller]
fn summary(finished: &Finished) -> Value {
    driver::json::objects("heartbeat", &finished.stdout).unwrap().pop().unwrap()
}

#[track_caller]
fn split(peer: &Peer, beats: &str) -> (u64, u64, u64, String) {
    let options = ["--stamp", "-c", beats, "-i", "40ms", "-W", "1s", "--json", "-q"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    let summary = summary(&finished);
    let of = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(of("lost"), of("lost_forward") + of("lost_return") + of("lost_undetermined"));
    let reflector = summary["reflector"].as_str().unwrap().to_owned();
    (of("lost_forward"), of("lost_return"), of("lost_undetermined"), reflector)
}

#[test]
fn two_directions_by_plan() {
    let both = stateful(|n| match n {
        _ if n % 7 == 3 => Fate::Up,
        _ if n % 5 == 2 => Fate::Down,
        _ => Fate::Answered,
    });
    // Of 0 to 39: up 3 10 17 24 31 38; down 2 7 12 22 27 32 37 (17 is up already).
    assert_eq!(split(&both, "40"), (6, 7, 0, "stateful".into()));
}

#[test]
fn one_direction_alone_and_the_very_ends() {
    let up = stateful(|n| if n < 2 || n == 9 { Fate::Up } else { Fate::Answered });
    // Before the first answer it may have received two and begun to count anew.
    assert_eq!(split(&up, "10"), (1, 0, 2, "stateful".into()));
    let down = stateful(|n| if n < 2 || n == 9 { Fate::Down } else { Fate::Answered });
    assert_eq!(split(&down, "10"), (0, 3, 0, "stateful".into()));
}

#[test]
fn a_reflector_without_state_proves_nothing_and_is_recognised() {
    let peer = Peer::new(|request| {
        let number = sender_number(request);
        if number % 4 == 2 { Vec::new() } else { vec![answer(request, number)] }
    });
    assert_eq!(split(&peer, "12"), (0, 0, 3, "stateless".into()));
    let options = ["--stamp", "-c", "4", "-i", "40ms", "-W", "500ms"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    let line = "loss: forward 0, return 0, undetermined 1\n";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
}

/// It received beats 6 and 7 and went away before it could answer: they are not lost up, and the
/// beats after them are unknown.
#[test]
fn a_reflector_that_stops_in_the_middle() {
    let mut own = 0;
    let peer = Peer::new(move |request| {
        let number = sender_number(request);
        if number == 2 || number >= 6 {
            return Vec::new();
        }
        own += 1;
        vec![answer(request, own - 1)]
    });
    let (up, down, unknown, reflector) = split(&peer, "12");
    assert_eq!((up + unknown, down), (7, 0));
    // Beat 2 is up for sure only if an answer a time-out later says so: here none does.
    assert_eq!((up, reflector.as_str()), (0, "stateful"));
}

/// It comes back and counts anew.
#[test]
fn a_reflector_that_starts_again() {
    let mut own = 0;
    let peer = Peer::new(move |request| {
        match sender_number(request) {
            5..=9 => return Vec::new(),
            10 => own = 0,
            15 => return Vec::new(),
            _ => {}
        }
        own += 1;
        vec![answer(request, own - 1)]
    });
    let options = ["--stamp", "-c", "20", "-i", "300ms", "-W", "600ms", "--json", "-q"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    let summary = summary(&finished);
    for (name, count) in
        [("lost", 6), ("lost_forward", 1), ("lost_return", 0), ("lost_undetermined", 5)]
    {
        assert_eq!(summary[name], count, "{name}: {summary}");
    }
}

/// After three beats lost in a row the next ones leave from another port. A reflector that counts each port
/// by itself proves nothing of the beats in between then; one that has one count for all proves it all.
#[test]
fn after_a_row_of_losses_beats_leave_from_another_port() {
    let runs = [true, false].map(|by_port| {
        let mut counts = HashMap::new();
        let peer = Peer::new(move |request| {
            let fate = match sender_number(request) {
                3 | 8..=12 => return Vec::new(),
                17 => Fate::Down,
                _ => Fate::Answered,
            };
            let count = counts.entry(by_port.then_some(request.from)).or_insert(0);
            *count += 1;
            if fate == Fate::Down { Vec::new() } else { vec![answer(request, *count - 1)] }
        });
        let options = ["--stamp", "-c", "22", "-i", "300ms", "-W", "600ms", "--json", "-q"];
        (start(&[&[peer.target().as_str()][..], &options].concat()), peer, by_port)
    });
    for (running, peer, by_port) in runs {
        let summary = summary(&running.finish());
        let open = if by_port { 5 } else { 0 };
        for (name, count) in [
            ("lost", 7),
            ("lost_forward", 6 - open),
            ("lost_return", 1),
            ("lost_undetermined", open),
        ] {
            assert_eq!(summary[name], count, "{name}: {summary}");
        }
        let seen = peer.seen();
        assert_eq!((seen[10].from, seen[21].from), (seen[0].from, seen[13].from));
        assert_ne!(seen[0].from, seen[13].from);
    }
}

/// Stopped in the middle of an outage, it still asks how many have arrived.
#[test]
fn an_interrupted_run_has_a_direction() {
    for (fate, direction) in [(Fate::Up, "lost_forward"), (Fate::Down, "lost_return")] {
        let mut beats = 0..;
        let mut is_beat = move |n| beats.start == n && beats.next().is_some();
        let peer = stateful(move |n| if is_beat(n) && n >= 200 { fate } else { Fate::Answered });
        let bind = common::closed().to_string();
        let options = ["--stamp", "-i", "5ms", "-W", "300ms", "--bind", &bind, "--json", "-q"];
        let running = start(&[&[peer.target().as_str()][..], &options].concat());
        wait_until(|| peer.seen().len() >= 290);
        running.signal(Signal::SIGINT);
        let summary = summary(&running.finish());
        // What is in flight may be what arrived: of those that were lost the others did.
        let pending = if fate == Fate::Up { 0 } else { summary["pending"].as_u64().unwrap() };
        let lost = summary["lost"].as_u64().unwrap() - summary["late"].as_u64().unwrap();
        assert!(lost > 0, "{summary}");
        assert!(summary[direction].as_u64().unwrap() + pending >= lost, "{summary}");
        let claims = ["lost_forward", "lost_return"].map(|it| summary[it].as_u64().unwrap());
        assert!(claims.contains(&0), "{summary}");
    }
}

/// The packets, and the reflector's own time taken out of the round trip.
#[test]
fn packets_and_round_trips() {
    let peer = stateful(|_| Fate::Answered);
    let options = ["--stamp", "-c", "3", "-i", "50ms", "-s", "60", "--json"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    assert_eq!(finished.code, Some(0));
    let seen = peer.seen();
    for (number, request) in (0u32..).zip(&seen) {
        assert_eq!(request.bytes.len(), 60);
        assert_eq!(request.bytes[..4], number.to_be_bytes());
        assert_ne!(request.bytes[4..8], [0; 4]);
        assert_ne!(request.bytes[13], 0, "the error estimate's multiplier");
        assert_eq!(request.bytes[14..16], seen[0].bytes[14..16], "one session number");
        assert_eq!(request.bytes[16..44], [0; 28]);
        // A padding TLV (RFC 8972 §4.1) of 12 bytes behind its 4; a sender sets its U flag.
        assert_eq!(request.bytes[44..48], [0x80, 1, 0, 12]);
    }
    let objects = driver::json::objects("heartbeat", &finished.stdout).unwrap();
    let replies = driver::json::of_type(&objects, "reply");
    assert_eq!(replies.len(), 3, "{}", finished.stdout);
    for reply in replies {
        let (rtt, whole) = (&reply["rtt_ns"], &reply["rtt_with_reflector_ns"]);
        let (rtt, whole) = (rtt.as_u64().unwrap(), whole.as_u64().unwrap());
        // The millisecond that it claims to have had it is more than it took, or it is taken out.
        assert!(rtt == whole || whole - rtt == 1_000_000 || whole - rtt == 999_999, "{reply}");
    }
}

/// Answers to other packets than ours, or with other times, are credited to nothing.
#[test]
fn forged_answers() {
    let peer = Peer::new(|request| {
        let good = answer(request, request.number as u32 - 1);
        let mut forged = Vec::new();
        for at in [15, 27, 35] {
            let mut reply = good.clone();
            reply.bytes[at] ^= 1;
            forged.push(reply);
        }
        // Our own packet sent back, a short one, and something else.
        forged.push(request.with(request.bytes.clone()));
        forged.push(request.with(&good.bytes[..40]));
        forged.push(request.with("hello"));
        forged
    });
    let options = ["--stamp", "-c", "3", "-i", "50ms", "-W", "300ms"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    let counts =
        "3 sent, 0 received, 3 lost (100.0%), 0 late, 0 duplicate, 0 reordered, 18 unsolicited";
    assert_eq!((finished.counts(), finished.code), (counts, Some(1)));
}
