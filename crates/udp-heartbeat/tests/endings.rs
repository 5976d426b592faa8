//! How a run ends: by count, deadline, signal; and what it tells others.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use common::{Peer, command, run, start, wait_until};
use nix::sys::signal::Signal;

#[test]
fn an_interrupt_leaves_what_is_in_flight_pending() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        for mode in [&[][..], &["--number"], &["--stamp"]] {
            let peer = Peer::silent();
            let target = peer.target();
            let options = ["-i", "50ms", "-W", "60s"];
            let running = start(&[&[target.as_str()][..], &options, mode].concat());
            wait_until(|| peer.seen().len() >= 3);
            running.signal(signal);
            let finished = running.finish();
            assert_eq!(finished.code, Some(1));
            let sent: usize = finished.counts().split(' ').next().unwrap().parse().unwrap();
            let expected = format!(
                "{sent} sent, 0 received, 0 lost (-), 0 late, 0 duplicate, 0 reordered, \
                 {sent} pending"
            );
            assert_eq!(finished.counts(), expected);
        }
    }
}

#[test]
fn a_deadline_ends_it_and_an_answered_run_is_a_success() {
    let peer = Peer::echo();
    let finished = run(&[peer.target().as_str(), "-w", "500ms", "-i", "100ms"]);
    assert_eq!(finished.code, Some(0));
    let sent = peer.seen().len();
    assert!((1..=5).contains(&sent), "{sent}");
}

#[test]
fn a_snapshot_is_one_line_on_stderr_and_it_goes_on() {
    let peer = Peer::echo();
    let running = start(&[peer.target().as_str(), "-i", "50ms", "-q"]);
    wait_until(|| peer.seen().len() >= 2);
    running.signal(Signal::SIGUSR1);
    let before = peer.seen().len();
    wait_until(|| peer.seen().len() >= before + 4);
    running.signal(Signal::SIGINT);
    let finished = running.finish();
    assert_eq!(finished.code, Some(0));
    let lines: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with(&format!("{}: ", peer.target())), "{lines:?}");
    assert!(lines[0].contains(" sent, ") && lines[0].contains(", rtt avg "), "{lines:?}");
}

/// Far more is logged than the pipe holds, and nobody reads it: every beat is sent and told all the same.
#[test]
fn a_log_that_nobody_reads_holds_up_no_beat() {
    let peer = Peer::new(|request| {
        let strangers = (0..20).map(|_| request.with("who is this"));
        strangers.chain([request.echo()]).collect()
    });
    let (unread, full) = std::io::pipe().unwrap();
    let target = peer.target();
    let arguments =
        [target.as_str(), "--number", "-vv", "-D", "-c", "100", "-i", "20ms", "-W", "60s"];
    let full = std::fs::File::from(std::os::fd::OwnedFd::from(full));
    let finished = command(&arguments).stderr_file(full).finish().unwrap();
    drop(unread);
    let out = finished.exits(0).unwrap().out();
    assert!(out.contains(" 100 sent, 100 received, 0 lost (0.0%)"), "{out}");
}

/// The run waits for the reply to the very last beat, and a second one still counts.
#[test]
fn the_last_beat_may_be_answered_late_and_twice() {
    let peer = Peer::new(|request| match request.number {
        3 => vec![request.echo().after(300), request.echo().after(330)],
        _ => vec![request.echo()],
    });
    let finished = run(&[peer.target().as_str(), "--number", "-c", "3", "-i", "20ms", "-W", "5s"]);
    let counts = "3 sent, 3 received, 0 lost (0.0%), 0 late, 1 duplicate, 0 reordered";
    assert_eq!(finished.counts(), counts);
}

#[test]
fn names_that_do_not_resolve() {
    let finished = run(&["nowhere.invalid", "-c", "1"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert!(finished.stderr.starts_with("error: cannot resolve nowhere.invalid: "));
    assert_eq!(finished.stderr.lines().count(), 1);
    let finished = run(&["nowhere.invalid", "elsewhere.invalid", "-c", "1"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    // Among others it is that target's event.
    let peer = Peer::echo();
    let finished =
        run(&["nowhere.invalid", &peer.target(), "-c", "2", "-i", "50ms", "--down-after", "1"]);
    assert_eq!(finished.code, Some(1));
    let all = "2 targets: 1 up, 0 degraded, 0 down, 1 unknown; \
               4 sent, 2 received, 0 lost (0.0%), 2 failed";
    assert_eq!(finished.stdout.lines().last(), Some(all));
}

/// A file that is there and holds nothing is a file with an error.
#[test]
fn files_without_a_key() {
    for (options, said) in [
        (&["--stamp", "--stamp-key-file", "/dev/null"][..], "/dev/null:1: the key is empty\n"),
        (&["radius://127.0.0.1?secret-file=/dev/null"], "/dev/null:1: it is empty\n"),
        (&["--service", "snmp:?community-file=/dev/null"], "/dev/null:1: it is empty\n"),
    ] {
        let finished = run(options);
        let seen = (finished.code, finished.stdout.as_str(), finished.stderr.as_str());
        assert_eq!(seen, (Some(2), "", said), "{options:?}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    for options in [
        &["--targets-file", "/nonexistent/targets"][..],
        &["--stamp", "--stamp-key-file", "/nonexistent/key"],
        &["radius://127.0.0.1?secret-file=/nonexistent/secret"],
        &["--service", "snmp:?community-file=/nonexistent/secret"],
    ] {
        let finished = run(options);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""), "{options:?}");
        let start = "error: cannot read /nonexistent/";
        assert!(finished.stderr.starts_with(start), "{}", finished.stderr);
    }
}

#[test]
fn a_local_address_that_is_not_ours() {
    let finished = run(&["127.0.0.1:9", "--bind", "192.0.2.7", "-c", "1"]);
    assert_eq!(finished.code, Some(4));
    assert!(finished.stderr.starts_with("error: cannot bind 192.0.2.7:0: "), "{}", finished.stderr);
}

#[test]
fn a_fixed_source_port_waits_out_what_is_unanswered() {
    let port = common::closed();
    let peer = Peer::new(|request| match request.number {
        2 => Vec::new(),
        _ => vec![request.echo()],
    });
    let local = port.to_string();
    let options = ["--bind", local.as_str(), "-c", "5", "-i", "100ms", "-W", "100ms"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    assert!(
        finished.counts().starts_with("5 sent, 4 received, 1 lost (20.0%), 0 late, 0 duplicate")
    );
    assert!(finished.count_line().ends_with(" slots skipped"), "{}", finished.count_line());
    assert!(finished.stderr.contains("every source port waits"), "{}", finished.stderr);
    assert!(peer.seen().iter().all(|request| request.from == port));
}

/// The command of a change runs with its facts, one after the other; what it prints goes to
/// stderr, and its failure is said.
#[test]
fn the_command_of_a_change() {
    let peer = Peer::new(|request| match request.number {
        3..=6 => Vec::new(),
        _ => vec![request.echo()],
    });
    let command = "echo \"told $UDP_STATE $UDP_PREVIOUS $UDP_TARGET $UDP_ADDRESS $UDP_SINCE \
                   $UDP_DURATION $UDP_SENT $UDP_LOST\"; test $UDP_STATE = down";
    let options = ["-c", "14", "-i", "100ms", "-W", "150ms", "--down-after", "2"];
    let target = peer.target();
    // As it was given.
    let given = target.trim_start_matches("127.0.0.1");
    let arguments = [&[given][..], &options, &["--on-change", command]].concat();
    let finished = run(&arguments);
    assert_eq!(finished.code, Some(0));
    let told: Vec<Vec<&str>> = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("told "))
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(told.len(), 2, "{}", finished.stderr);
    assert_eq!(told[0][..5], ["told", "down", "up", given, &target]);
    assert_eq!(told[1][..5], ["told", "up", "down", given, &target]);
    for fields in &told {
        assert!(fields[5].ends_with('Z'), "{fields:?}");
        assert!(fields[6].parse::<f64>().is_ok(), "{fields:?}");
        assert!(fields[8].parse::<u64>().unwrap() >= 2, "{fields:?}");
    }
    // Four beats went unanswered, 100 ms apart.
    assert!(told[1][6].parse::<f64>().unwrap() >= 0.3, "{told:?}");
    assert!(finished.stderr.contains("(up) failed: exit status: 1"), "{}", finished.stderr);
    assert!(!finished.stdout.contains("told"));
    assert_eq!(finished.stdout.matches("state (").count(), 2, "{}", finished.stdout);
}

#[test]
fn a_command_that_hangs_holds_up_nothing() {
    let peer = Peer::new(|request| match request.number {
        1 => Vec::new(),
        _ => vec![request.echo()],
    });
    let options = ["-c", "10", "-i", "50ms", "-W", "100ms", "--down-after", "1", "-q"];
    let (target, command) = (peer.target(), "exec sleep 60 >/dev/null 2>&1");
    let arguments = [&[target.as_str()][..], &options, &["--on-change", command]].concat();
    let running = start(&arguments);
    // All beats leave while the first command hangs.
    wait_until(|| peer.seen().len() == 10);
    let finished = running.finish();
    assert!(finished.counts().starts_with("10 sent, 9 received, 1 lost"), "{}", finished.counts());
    assert!(finished.stderr.contains("is left to itself"), "{}", finished.stderr);
}
