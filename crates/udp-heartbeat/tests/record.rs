//! `--record`: what is really written, against the published schema and against what was printed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;

use common::{Peer, run, start, wait_until};
use driver::json::of_type as of;
use serde_json::Value;

/// Every line of a recording, each held against the schema.
#[track_caller]
fn lines(text: &str) -> Vec<Value> {
    driver::json::objects("recording", text).unwrap()
}

fn file(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

fn unpacked(path: &str) -> String {
    let mut text = String::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap());
    // A file that is being written has no end yet.
    let _ = decoder.read_to_string(&mut text);
    text
}

#[test]
fn a_line_for_each_beat_and_what_comes_after() {
    let peer = Peer::new(|request| match request.number {
        2 => vec![request.echo(), request.echo()],
        3..=5 => Vec::new(),
        7 => vec![request.echo().after(700)],
        8 => vec![request.with(&b"no"[..]), request.echo()],
        _ => vec![request.echo()],
    });
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "run.ndjson");
    let options = ["--number", "-c", "14", "-i", "100ms", "-W", "400ms", "--expect-regex", "[^9]$"];
    let more = ["--max-loss", "50", "--json", "--record", &path];
    let finished = run(&[&[peer.target().as_str()][..], &options, &more].concat());
    assert_eq!(finished.code, Some(1));
    let lines = lines(&fs::read_to_string(&path).unwrap());
    let runs = of(&lines, "run");
    assert_eq!((runs.len(), lines[0]["type"].as_str()), (1, Some("run")));
    assert_eq!(runs[0]["options"]["limits"][0], "--max-loss 50");
    assert_eq!(runs[0]["targets"][0]["target"], peer.target().as_str());
    let beats = of(&lines, "beat");
    let seqs: std::collections::BTreeSet<u64> =
        beats.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert_eq!((beats.len(), seqs.len()), (14, 14));
    let printed: Value = serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(lines.last(), Some(&printed), "the summary as it was printed");
    for class in ["received", "lost", "failed", "pending"] {
        let count = beats.iter().filter(|it| it["class"] == class).count();
        assert_eq!(printed[class].as_u64(), Some(count as u64), "{class}");
    }
    let verdicts = beats.iter().filter(|it| it["verdict"] == "unexpected").count();
    assert_eq!(printed["verdicts"]["unexpected"].as_u64(), Some(verdicts as u64));
    let late = of(&lines, "late");
    assert_eq!((late.len(), late[0]["seq"].as_u64()), (1, Some(7)));
    let sum = |name: &str| beats.iter().filter_map(|it| it[name].as_u64()).sum::<u64>();
    assert_eq!(Some(sum("duplicate")), printed["duplicate"].as_u64());
    assert_eq!(Some(sum("unsolicited")), printed["unsolicited"].as_u64());
    let states: Vec<&str> =
        of(&lines, "state").iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["up", "down", "up"]);
}

#[test]
fn a_refused_beat_and_one_in_flight_have_a_class_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "run.ndjson");
    let target = common::closed().to_string();
    let finished = run(&[target.as_str(), "-c", "2", "-i", "50ms", "--record", &path]);
    assert_eq!(finished.code, Some(3));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(r#""class":"lost","late":false,"refused":true"#).count(), 2, "{text}");
    let silent = Peer::silent();
    let options = ["-w", "250ms", "-i", "100ms", "-W", "10s", "--record", &path];
    run(&[&[silent.target().as_str()][..], &options].concat());
    let lines = lines(&fs::read_to_string(&path).unwrap());
    let pending = of(&lines, "beat").iter().filter(|it| it["class"] == "pending").count();
    let summary = of(&lines, "summary");
    assert_eq!((of(&lines, "run").len(), summary.len()), (2, 2), "the second run is appended");
    assert_eq!(summary[1]["pending"].as_u64(), Some(pending as u64));
    assert!(pending > 0);
}

#[test]
fn a_kill_leaves_whole_lines() {
    for name in ["run.ndjson", "run.ndjson.gz"] {
        let peer = Peer::echo();
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, name);
        let read = || match name.ends_with("gz") {
            true => unpacked(&path),
            false => fs::read_to_string(&path).unwrap_or_default(),
        };
        let target = peer.target();
        let running = start(&[&target, "-i", "20ms", "-q", "--record", &path]);
        wait_until(|| Path::new(&path).exists() && read().matches(r#""type":"beat""#).count() > 60);
        drop(running);
        let text = read();
        let whole = text.get(..=text.rfind('\n').unwrap()).unwrap();
        lines(whole);
        // What comes later is not harmed by it.
        if !name.ends_with("gz") {
            fs::write(&path, whole.trim_end_matches("}\n")).unwrap();
            run(&[&target, "-c", "1", "--record", &path]);
            let text = fs::read_to_string(&path).unwrap();
            let bad = text.lines().filter(|it| serde_json::from_str::<Value>(it).is_err()).count();
            assert_eq!((bad, text.matches(r#""type":"run""#).count()), (1, 2));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_said_once_and_ends_with_4() {
    let peer = Peer::echo();
    let target = peer.target();
    let finished = run(&[&target, "-c", "5", "-i", "100ms", "--record", "/dev/full"]);
    assert_eq!(finished.code, Some(4));
    assert_eq!(finished.stderr.matches("cannot write the recording /dev/full").count(), 1);
    assert!(finished.stdout.contains("5 sent, 5 received"), "{}", finished.stdout);
    let finished = run(&[&target, "-c", "1", "--record", "/no/such/directory/file"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""));
    let expected =
        "error: cannot open the recording /no/such/directory/file: no such file or directory\n";
    assert_eq!(finished.stderr, expected);
}

#[test]
fn after_sighup_the_new_file_begins_with_its_own_run() {
    let peer = Peer::echo();
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (file(&directory, "run.ndjson"), file(&directory, "run.old"));
    let target = peer.target();
    let running = start(&[&target, "-i", "50ms", "-q", "--record", &path]);
    let beats = |path: &str| {
        fs::read_to_string(path).unwrap_or_default().matches(r#""type":"beat""#).count()
    };
    wait_until(|| beats(&path) > 2);
    fs::rename(&path, &old).unwrap();
    running.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until(|| beats(&path) > 2);
    running.signal(nix::sys::signal::Signal::SIGINT);
    let finished = running.finish();
    assert_eq!(finished.code, Some(0));
    let (old, new) = (fs::read_to_string(old).unwrap(), fs::read_to_string(path).unwrap());
    let (old, new) = (lines(&old), lines(&new));
    assert_eq!(new[0]["targets"][0]["state"], "up");
    assert_eq!((of(&old, "run").len(), of(&new, "run").len()), (1, 1));
    let seqs: Vec<u64> = of(&old, "beat")
        .iter()
        .chain(&of(&new, "beat"))
        .map(|it| it["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no beat is lost in between");
}
