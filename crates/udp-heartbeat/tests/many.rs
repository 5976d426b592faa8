//! Many targets in one process: few descriptors, one target's trouble is not another's.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::exporter::Exporter;
use common::{Finished, Peer, closed, run, start, wait_until};
use nix::sys::signal::Signal;

/// A file of targets, deleted in the end.
struct Targets(std::path::PathBuf);

impl Targets {
    fn new(name: &str, lines: impl Iterator<Item = String>) -> Targets {
        let name = format!("udp-heartbeat-test-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        Targets(path)
    }

    fn option(&self) -> [&str; 2] {
        ["--targets-file", self.0.to_str().unwrap()]
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// So many addresses of this host, with one port.
fn addresses(count: u32, port: u16) -> impl Iterator<Item = String> {
    (0..count).map(move |k| format!("127.1.{}.{}:{port}", k / 250, k % 250 + 1))
}

fn all(finished: &Finished) -> &str {
    finished.stdout.lines().last().unwrap()
}

/// A busy machine may keep the echo server from its queue, so that it overflows; the counts add up
/// in any case, and what is credited is credited to the right one.
#[test]
fn a_thousand_targets_by_one_socket() {
    for mode in [&[][..], &["--number"]] {
        let peer = Echo::new();
        let targets = Targets::new("many", addresses(1000, peer.port));
        let options = ["-c", "4", "-i", "1s", "-W", "5s", "-q"];
        let arguments = [&targets.option()[..], &options, mode].concat();
        let running = start(&arguments);
        wait_until(|| peer.answered() > 100);
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", running.id())).unwrap().count();
        assert!(descriptors < 40, "{descriptors}");
        let finished = running.finish();
        let line = all(&finished);
        assert!(
            line.starts_with("1000 targets: 1000 up, 0 degraded, 0 down, 0 unknown; 4000 sent, ")
        );
        let of = |name: &str| -> u64 {
            let part = line.split([',', ';']).find_map(|part| part.split_once(&format!(" {name}")));
            part.map_or(0, |(number, _)| number.trim().parse().unwrap())
        };
        assert_eq!(of("received") + of("lost"), 4000, "{line}");
        assert!(of("lost") <= 400, "{line}");
    }
}

/// An echo server on every address that answers from the one that was asked.
struct Echo {
    port: u16,
    answered: std::sync::Arc<std::sync::atomic::AtomicU64>,
    waker: udp_core::batch::Waker,
    serving: Option<std::thread::JoinHandle<()>>,
}

impl Echo {
    fn new() -> Echo {
        use udp_core::batch::{Backend, Io, Options, Outbox, SLOT, Slots, Wait};
        let config = udp_core::socket::SocketConfig {
            bind: "0.0.0.0:0".parse().ok(),
            recv_buffer: Some(1 << 20),
            ..Default::default()
        };
        let socket = config.open().unwrap().socket;
        let port = socket.local_addr().unwrap().port();
        let mut io = Io::new(socket, Backend::Auto, &Options::default()).unwrap();
        let waker = io.waker();
        let answered = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let count = std::sync::Arc::clone(&answered);
        let end = waker.clone();
        let serving = std::thread::spawn(move || {
            let mut slots = Slots::new(32, SLOT, 64);
            let mut outbox = Outbox::new(32, 0);
            while !end.is_woken() {
                io.receive(&mut slots, Wait::Block(None)).unwrap();
                for (i, received) in slots.iter().enumerate() {
                    outbox.echo(&slots, i, 0..received.meta.datagrams()).unwrap();
                }
                io.send(&mut outbox, &slots, |sent| {
                    sent.result.unwrap();
                    count.fetch_add(sent.datagrams as u64, std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
        Echo { port, answered, waker, serving: Some(serving) }
    }

    fn answered(&self) -> u64 {
        self.answered.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.waker.wake();
        let _ = self.serving.take().unwrap().join();
    }
}

/// Silent and refusing ones beside good ones, on shared sockets: each gets what is its own.
#[test]
fn good_silent_and_refusing_targets_side_by_side() {
    let (good, silent) = (Peer::echo(), Peer::silent());
    let bad: Vec<SocketAddr> = (0..3).map(|_| closed()).collect();
    for mode in [&[][..], &["--number"]] {
        let mut targets = vec![good.target(), silent.target()];
        targets.extend(bad.iter().map(ToString::to_string));
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let options = ["-c", "5", "-i", "100ms", "-W", "400ms", "-q"];
        let finished = run(&[&targets[..], &options, mode].concat());
        assert_eq!(finished.code, Some(1));
        let rows: Vec<Vec<&str>> =
            finished.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
        let header = rows.iter().position(|row| row.first() == Some(&"target")).unwrap();
        let of = |target: usize| [1, 2, 3, 4, 8].map(|cell| rows[header + 1 + target][cell]);
        assert_eq!(of(0), ["5", "5", "0", "0.0", "up"]);
        for bad in 1..5 {
            assert_eq!(of(bad), ["5", "0", "5", "100.0", "down"]);
        }
        let all = "5 targets: 1 up, 0 degraded, 4 down, 0 unknown; 25 sent, 5 received, \
                   20 lost (80.0%)";
        assert_eq!(finished.stdout.lines().last(), Some(all));
    }
}

/// An ICMP error counts for the beat that it is about, whichever beat was being sent when it was read.
#[test]
fn a_refusal_is_told_to_the_target_that_was_refused() {
    let targets: Vec<String> = (0..20).map(|_| closed().to_string()).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    for mode in ["--stamp", "--number"] {
        let options = ["-c", "3", "-i", "50ms", "-W", "2s", "-q", "--json", mode];
        let finished = run(&[&targets[..], &options].concat());
        assert_eq!(finished.code, Some(3), "{}", finished.stdout);
        let refused = finished.stdout.matches("\"refused\":3,").count();
        assert_eq!(refused, targets.len(), "{mode}: {}", finished.stdout);
    }
}

/// The same address by several names, in every mode: each target's replies are its own.
#[test]
fn one_address_several_times() {
    let peer = Peer::new(|request| match request.number {
        n if n % 4 == 0 => Vec::new(),
        _ => vec![request.echo()],
    });
    for mode in [&[][..], &["--number"]] {
        let port = peer.address.port();
        let names = ["127.0.0.1", "localhost", "LOCALHOST"].map(|name| format!("{name}:{port}"));
        let targets: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = ["-4", "-c", "8", "-i", "90ms", "-W", "1s", "-q"];
        let finished = run(&[&targets[..], &options, mode].concat());
        let expected = "3 targets: 3 up, 0 degraded, 0 down, 0 unknown; 24 sent, 18 received, \
                        6 lost (25.0%)";
        assert_eq!(all(&finished), expected);
    }
}

#[test]
fn a_file_of_targets() {
    let (one, two) = (Peer::echo(), Peer::echo());
    let lines =
        ["# comment".into(), format!("  {}  # one", one.target()), String::new(), two.target()];
    let targets = Targets::new("file", lines.into_iter());
    let finished = run(&[&targets.option()[..], &["-c", "1", "-q"]].concat());
    assert_eq!(finished.code, Some(0));
    assert!(
        all(&finished)
            .starts_with("2 targets: 2 up, 0 degraded, 0 down, 0 unknown; 2 sent, 2 received, ")
    );
    let targets = Targets::new("bad", ["127.0.0.1 7000".into(), "a b".into()].into_iter());
    let finished = run(&[&targets.option()[..], &["-c", "1"]].concat());
    let file = targets.option()[1];
    let expected = format!(
        "{file}:1: '7000' is no label=value\nhint: write 127.0.0.1:7000\n\
         {file}:2: 'b' is no label=value\n"
    );
    assert_eq!((finished.code, finished.stderr), (Some(2), expected));
    // The same one again is one target.
    let (one, again) = (one.target(), format!("udp://{}", one.target()));
    let finished = run(&[&one, &again, "-c", "1", "-q"]);
    assert_eq!(finished.code, Some(0));
    assert!(finished.stdout.contains("\n1 sent, 1 received, "), "{}", finished.stdout);
    let last = format!("{one} stands twice: asked and answered as one");
    assert_eq!(finished.stdout.lines().last(), Some(last.as_str()));
    assert_eq!(finished.stderr, format!("warning: {one} stands twice and is one target\n"));
}

#[test]
fn a_snapshot_is_a_line_for_each_target() {
    let (one, two) = (Peer::echo(), Peer::echo());
    let running = start(&[one.target().as_str(), two.target().as_str(), "-i", "50ms", "-q"]);
    wait_until(|| one.seen().len() >= 2);
    running.signal(Signal::SIGUSR1);
    let before = two.seen().len();
    wait_until(|| two.seen().len() >= before + 3);
    running.signal(Signal::SIGTERM);
    let finished = running.finish();
    let lines: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, peer) in lines.iter().zip([&one, &two]) {
        assert!(line.starts_with(&format!("{}: ", peer.target())), "{line}");
        assert!(line.contains(" sent, ") && line.ends_with(" ms, up"), "{line}");
    }
}

/// A hundred of ten thousand are others after a reload: the rest keep every figure and miss no beat. A slot
/// is missed only where a whole interval goes by, and no machine is that busy.
#[test]
fn a_reload_touches_only_what_it_changes() {
    let peer = Echo::new();
    let targets = Targets::new("reload", addresses(10_000, peer.port));
    let options = ["-q", "-i", "5s", "-W", "10s", "--json"];
    let exporter = Exporter::start(&[&targets.option()[..], &options].concat());
    let beats = |count: u64| {
        let until = peer.answered() + count;
        wait_until(|| peer.answered() > until);
    };
    beats(12_000);
    let before = exporter.scrape();
    let others: Vec<String> = addresses(10_100, peer.port).skip(100).collect();
    std::fs::write(&targets.0, others.join("\n")).unwrap();
    let (head, _) = exporter.ask("POST", "/-/reload", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let sent = |scrape: &BTreeMap<String, f64>| {
        let all =
            scrape.iter().filter(|(series, _)| series.starts_with("udp_heartbeat_sent_total"));
        all.map(|(series, sent)| (series.clone(), *sent)).collect::<BTreeMap<String, f64>>()
    };
    // Until each was sent one more beat.
    let (old, mut after) = (sent(&before), BTreeMap::new());
    wait_until(|| {
        beats(1000);
        after = exporter.scrape();
        sent(&after).iter().all(|(series, sent)| sent > old.get(series).unwrap_or(&0.0))
    });
    let now = sent(&after);
    let new = now.keys().filter(|series| !old.contains_key(*series)).count();
    let gone = old.keys().filter(|series| !now.contains_key(*series)).count();
    assert_eq!((gone, new, now.len()), (100, 100, 10_000));
    for (series, was) in before.iter().filter(|(series, _)| series.contains("_total{target=")) {
        assert!(after.get(series).is_none_or(|now| now >= was), "{series} was {was}");
        let skipped = series.starts_with("udp_heartbeat_slots_skipped_total");
        assert!(!skipped || after.get(series).is_none_or(|now| *now == 0.0), "{series}");
    }
}
