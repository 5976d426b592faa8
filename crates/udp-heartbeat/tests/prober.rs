//! The prober as a library: beside another one, asked while it runs, stopped from elsewhere.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{Peer, run};
use serde_json::Value;
use udp_heartbeat::{Event, Nobody, Observer, Plan, Prober, Snapshot, State, What};

const BEATS: u64 = 20;

fn plan(target: &str) -> Plan {
    Plan::new([target.parse().unwrap()])
        .numbered("beat")
        .interval(Duration::from_millis(10))
        .timeout(Duration::from_millis(300))
}

/// A peer that answers all but every fourth beat, or with `twice` each of them twice.
fn peer(twice: bool) -> Peer {
    Peer::new(move |request| match (twice, request.number % 4) {
        (true, _) => vec![request.echo(), request.echo()],
        (false, 0) => Vec::new(),
        (false, _) => vec![request.echo()],
    })
}

fn figures(snapshot: &Snapshot) -> [u64; 4] {
    let counts = snapshot.targets[0].counts;
    [counts.sent, counts.received, counts.lost, counts.duplicate]
}

#[test]
fn two_in_one_process_measure_what_two_processes_do() {
    let kinds = [false, true];
    let peers = kinds.map(peer);
    let probers =
        peers.each_ref().map(|it| Prober::new(plan(&it.target()).count(BEATS), Nobody).unwrap());
    let together: Vec<_> = thread::scope(|scope| {
        let runs = probers.each_ref().map(|prober| scope.spawn(|| prober.run()));
        runs.map(|it| figures(&it.join().unwrap())).into()
    });
    let options = "--number -c 20 -i 10ms -W 300ms -p beat -q --json";
    let apart: Vec<_> = kinds
        .map(|kind| {
            let peer = peer(kind);
            let target = peer.target();
            let args: Vec<&str> = options.split(' ').chain([target.as_str()]).collect();
            let finished = run(&args);
            let summary: Value =
                serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
            ["sent", "received", "lost", "duplicate"].map(|name| summary[name].as_u64().unwrap())
        })
        .into();
    assert_eq!(together, apart);
    assert_eq!(together, [[20, 15, 5, 0], [20, 20, 0, 20]]);
}

#[test]
fn figures_are_taken_while_it_runs_and_it_is_stopped_from_elsewhere() {
    /// Says each reply.
    struct Tell(crossbeam_channel::Sender<u64>);
    impl Observer for Tell {
        fn observe(&mut self, event: &Event<'_>) {
            if let What::Reply { seq, .. } = event.what {
                let _ = self.0.try_send(seq.0);
            }
        }
    }
    let peer = Peer::echo();
    let (tell, told) = crossbeam_channel::bounded(1000);
    let prober = Arc::new(Prober::new(plan(&peer.target()), Tell(tell)).unwrap());
    assert_eq!(figures(&prober.snapshot()), [0; 4]);
    assert_eq!(prober.snapshot().targets[0].state, State::Unknown);
    let beats = thread::spawn({
        let prober = Arc::clone(&prober);
        move || prober.run()
    });
    let mut before = 0;
    for _ in 0..5 {
        let replies = told.recv().unwrap();
        let [sent, received, ..] = figures(&prober.snapshot());
        assert!(sent >= received && received >= replies && received >= before);
        before = received;
    }
    prober.stop();
    let last = beats.join().unwrap();
    assert_eq!(figures(&last), figures(&prober.snapshot()));
    assert_eq!(last.targets[0].state, State::Up);
    // It has run.
    assert_eq!(figures(&prober.run()), figures(&last));
}

#[test]
fn figures_of_many_targets_are_complete_and_add_up() {
    let peer = Peer::echo();
    let port = peer.target().rsplit(':').next().unwrap().to_owned();
    // The first of them answers, all others refuse.
    let targets = (1..=200).map(|host| format!("127.0.0.{host}:{port}").parse().unwrap());
    let plan = Plan::new(targets).numbered("beat").interval(Duration::from_millis(50));
    let prober = Prober::new(plan.deadline(Duration::from_millis(400)), Nobody).unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| prober.run());
        for _ in 0..5 {
            let snapshot = prober.snapshot();
            assert_eq!(snapshot.targets.len(), 200);
            let sent: u64 = snapshot.targets.iter().map(|target| target.counts.sent).sum();
            assert_eq!(snapshot.totals.sent, sent);
        }
        let last = run.join().unwrap();
        assert!(last.totals.sent >= 200);
    });
}

#[test]
fn what_cannot_run_says_why() {
    let unresolved = Prober::new(plan("nowhere.invalid:7"), Nobody).unwrap_err();
    assert!(unresolved.to_string().contains("nowhere.invalid"), "{unresolved}");
    let bound = plan("127.0.0.1:7").bind("192.0.2.1:0".parse().unwrap());
    let cannot = Prober::new(bound, Nobody).unwrap_err().to_string();
    assert!(cannot.contains("192.0.2.1"), "{cannot}");
    let fast = plan("192.0.2.1:7").interval(Duration::from_millis(1));
    assert!(Prober::new(fast, Nobody).unwrap_err().to_string().contains("--fast"));
}
