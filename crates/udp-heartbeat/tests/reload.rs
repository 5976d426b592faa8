//! The list of targets is read again: on SIGHUP, and when it has changed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use common::{Peer, start, wait_until};
use nix::sys::signal::Signal;

/// Beats go on to `peer`.
fn goes_on(peer: &Peer) {
    let before = peer.seen().len();
    wait_until(|| peer.seen().len() >= before + 3);
}

#[test]
fn those_that_stay_go_on_new_ones_start_and_those_gone_are_summed_up() {
    let peers: Vec<Peer> = (0..3).map(|_| Peer::echo()).collect();
    let [one, two, three] = [0, 1, 2].map(|n: usize| peers[n].target());
    let path = std::env::temp_dir().join(format!("udp-heartbeat-reload-{}", std::process::id()));
    let file = path.to_str().unwrap();
    for (json, signal) in [(false, true), (true, false)] {
        std::fs::write(&path, format!("{one}\n{two} site=a\n")).unwrap();
        let mut options = vec!["-q", "-i", "50ms", "--targets-file", file, "-v"];
        options.extend(json.then_some("--json"));
        let running = start(&options);
        peers[..2].iter().for_each(goes_on);
        let kept = peers[1].seen().len();
        let asked = peers[2].seen().len();
        std::fs::write(&path, format!("{two} site=b\n{three}\n{three}\n")).unwrap();
        if signal {
            running.signal(Signal::SIGHUP);
        }
        wait_until(|| peers[2].seen().len() > asked);
        peers[1..].iter().for_each(goes_on);
        let gone = peers[0].seen().len();
        // What is bad changes nothing.
        std::fs::write(&path, format!("{one}\n{two} b\n")).unwrap();
        running.signal(Signal::SIGHUP);
        peers[1..].iter().for_each(goes_on);
        assert_eq!(peers[0].seen().len(), gone);
        running.signal(Signal::SIGTERM);
        let finished = running.finish();
        assert!(finished.stderr.contains(&format!("{file}:2: 'b' is no label=value")));
        assert!(finished.stderr.contains(&format!("{three} stands twice and is one target")));
        let out = finished.stdout;
        if json {
            let objects: Vec<serde_json::Value> =
                out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let of =
                |kind: &str| objects.iter().filter(|it| it["type"] == kind).collect::<Vec<_>>();
            let reloaded = of("reloaded");
            assert_eq!(reloaded.len(), 1);
            assert_eq!((&reloaded[0]["added"], &reloaded[0]["removed"]), (&1.into(), &1.into()));
            let summaries = of("summary");
            let targets: Vec<_> = summaries.iter().map(|it| it["target"].as_str()).collect();
            assert_eq!(targets, [Some(&*one), Some(&*two), Some(&*three), None]);
            assert_eq!(summaries[1]["labels"]["site"], "b");
            assert!(summaries[1]["sent"].as_u64().unwrap() > kept as u64);
        } else {
            let lines: Vec<&str> = out.lines().collect();
            assert_eq!(lines[0], format!("--- {one} heartbeat statistics ---"));
            let row = |target: &str| -> u64 {
                let line =
                    lines.iter().find(|line| line.starts_with(&format!("{target} "))).unwrap();
                line.split_whitespace().nth(1).unwrap().parse().unwrap()
            };
            assert!(row(&two) > row(&three) && row(&two) > kept as u64, "{out}");
            assert!(lines.last().unwrap().starts_with("2 targets: 2 up, 0 degraded, "), "{out}");
        }
    }
    std::fs::remove_file(&path).unwrap();
}
