//! What is printed, and in which form: events by name, intervals, a plugin's line, the time.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use common::{Peer, closed, run};

/// The first word of each line.
fn kinds(stdout: &str) -> Vec<&str> {
    stdout.lines().map(|line| line.split(' ').next().unwrap()).collect()
}

#[test]
fn events_are_shown_by_name() {
    let beats = ["-c", "2", "-i", "50ms", "-W", "100ms", "--down-after", "1"];
    let cases: [(&[&str], &[&str]); 5] = [
        (&["--show", "lost,state"], &["no", "state"]),
        (&["--show=-sent,-summary"], &["recvfrom", "no", "state"]),
        (&["-q", "--show", "sent"], &["sendto", "sendto"]),
        (&["-q"], &["state", "---", "2", "rtt", "rtt"]),
        (&["--show", "reply", "-D"], &["recvfrom"]),
    ];
    for (options, expected) in cases {
        let peer = Peer::new(|request| match request.number {
            2 => Vec::new(),
            _ => vec![request.echo()],
        });
        let target = peer.target();
        let finished = run(&[&[target.as_str()][..], &beats, options].concat());
        let stdout = match options.contains(&"-D") {
            true => finished.stdout.split_once("Z ").unwrap().1,
            false => finished.stdout.as_str(),
        };
        assert_eq!(kinds(stdout), expected, "{options:?}");
    }
}

#[test]
fn a_line_of_figures_every_so_often() {
    let peer = Peer::echo();
    let target = peer.target();
    let options = ["-c", "8", "-i", "100ms", "--report-every", "250ms", "--show", "interval"];
    let finished = run(&[&[target.as_str()][..], &options].concat());
    let start = format!("interval ('127.0.0.1', {}): ", peer.address.port());
    let mut sent = 0;
    for line in finished.stdout.lines() {
        let figures = line.strip_prefix(&start).unwrap();
        sent += figures.split(' ').next().unwrap().parse::<u64>().unwrap();
        assert!(figures.contains(" 0 lost (0.0%), rtt min/avg/max = "), "{line}");
    }
    assert!((2..=8).contains(&sent), "{}", finished.stdout);
}

#[test]
fn a_monitoring_plugin() {
    let peer = Peer::echo();
    let (good, bad) = (peer.target(), closed().to_string());
    let loss = "|loss=";
    let cases: [(&[&str], u8, &str, &str); 8] = [
        (&[&good], 0, "UDP OK - ", "|loss=0%;;;0;100 rta=0.0"),
        (&[&good, "--warn-loss", "5", "--max-loss", "50"], 0, "UDP OK - ", "|loss=0%;5;50;0;100"),
        (&[&good, "--warn-rtt", "1ns"], 1, "UDP WARNING - ", "--warn-rtt 1ns: one took "),
        (&[&good, "--expect", "no"], 1, "UDP WARNING - ", "100.0% not ok, 5 of 5|"),
        (&[&good, "--max-rtt", "1ns"], 2, "UDP CRITICAL - ", "--max-rtt 1ns: one took "),
        (&[&bad, "-c", "2"], 2, "UDP CRITICAL - ", ": refused|loss=100%;;;0;100\n"),
        (&[&good, &bad, "-c", "2"], 2, "UDP CRITICAL - ", "|loss=50%;"),
        (&["nowhere.invalid"], 3, "UDP UNKNOWN - cannot resolve nowhere.invalid: ", ""),
    ];
    for (arguments, code, start, part) in cases {
        let finished = run(&[arguments, &["--nagios", "-i", "20ms"]].concat());
        let line = &finished.stdout;
        assert_eq!((finished.code, line.lines().count()), (Some(code.into()), 1), "{line}");
        assert!(line.starts_with(start) && line.contains(part), "{arguments:?}: {line}");
        assert_eq!(code < 3, line.contains(loss), "{line}");
    }
    let path = "/no/\u{1b}[31m";
    for usage in [
        &["--nagios", "-i", "x"][..],
        &["--no-such-option", "--nagios"],
        &["--nagios", "--targets-file", path],
        &["--nagios", "dns://me:pw\u{202e}@h"],
    ] {
        let finished = run(usage);
        assert!(!finished.stdout.contains(['\u{1b}', '\u{202e}']), "{}", finished.stdout);
        assert!(finished.stdout.starts_with("UDP UNKNOWN - "), "{}", finished.stdout);
        assert_eq!((finished.code, finished.stdout.lines().count()), (Some(3), 1));
    }
}

/// Eight of ten are answered: those that do not hold are named, the others are left alone.
#[test]
fn thresholds_decide_about_the_exit_code() {
    let cases: [(&[&str], Option<&str>); 8] = [
        (&["--max-loss", "20"], None),
        (&["--max-rtt", "10s", "--max-rtt", "p50=10s"], None),
        (&["--max-loss", "25", "--max-rtt", "10s", "--min-replies", "8"], None),
        (&["--max-loss", "19.9"], Some("--max-loss 19.9: 20.0% lost, 2 of 10")),
        (&["--max-rtt", "1ns", "--max-loss", "99"], Some("--max-rtt 1ns: one took ")),
        (&["--max-rtt", "p50=1ns"], Some("--max-rtt p50=1ns: it is ")),
        (&["--max-rtt", "p99=10s"], Some("--max-rtt p99=10s: that takes at least 100 replies")),
        (&["--min-replies", "9"], Some("--min-replies 9: 8 answered")),
    ];
    for (options, named) in cases {
        let peer = Peer::new(|request| match request.number % 5 {
            0 => Vec::new(),
            _ => vec![request.echo()],
        });
        let target = peer.target();
        let beats = [target.as_str(), "-c", "10", "-i", "30ms", "-W", "300ms", "-q"];
        let finished = run(&[&beats[..], options].concat());
        let code = if named.is_some() { 1 } else { 0 };
        assert_eq!(finished.code, Some(code), "{options:?}: {}", finished.stderr);
        let expected = named.map(|named| format!("warning: {target}: {named}"));
        let lines: Vec<&str> = finished.stderr.lines().collect();
        match expected {
            Some(start) => {
                assert!(matches!(&lines[..], [line] if line.starts_with(&start)), "{lines:?}");
            }
            None => assert_eq!(lines, [""; 0]),
        }
    }
}
