//! `--json`: what is really printed, against the published schema and against each other.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::collections::HashMap;

use common::{Finished, Peer, closed, ntp, run};
use serde_json::Value;

/// Every line of what was printed, each held against the schema.
#[track_caller]
fn objects(finished: &Finished) -> Vec<Value> {
    driver::json::objects("heartbeat", &finished.stdout).unwrap()
}

fn types(objects: &[Value]) -> HashMap<&str, u64> {
    let mut types = HashMap::new();
    for object in objects {
        *types.entry(object["type"].as_str().unwrap()).or_default() += 1;
    }
    types
}

/// The sums of the summary are the numbers of events, and the counts add up.
#[track_caller]
fn balance(objects: &[Value], summary: &Value) {
    let of = |name: &str| summary[name].as_u64().unwrap();
    let types = types(objects);
    let events = |name: &str| types.get(name).copied().unwrap_or(0);
    assert_eq!(of("sent"), of("received") + of("lost") + of("failed") + of("pending"));
    assert_eq!(events("sent"), of("sent"));
    assert_eq!(events("reply"), of("received"));
    assert_eq!(events("lost"), of("lost") - of("refused"));
    for name in ["late", "duplicate", "refused"] {
        assert_eq!(events(name), of(name), "{name}");
    }
    let verdicts = summary["verdicts"].as_object().unwrap().values();
    assert_eq!(verdicts.map(|count| count.as_u64().unwrap()).sum::<u64>(), of("received"));
}

#[test]
fn every_kind_of_event() {
    let peer = Peer::new(|request| match request.number {
        2 => vec![request.echo(), request.echo()],
        3..=5 => Vec::new(),
        6 => vec![request.with(&b"\xff"[..]), request.echo()],
        7 => vec![request.echo().after(900)],
        _ => vec![request.echo()],
    });
    let options = ["--number", "-c", "16", "-i", "100ms", "-W", "400ms", "--json"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    let objects = objects(&finished);
    let types = types(&objects);
    for (name, count) in [("start", 1), ("sent", 16), ("duplicate", 1), ("lost", 4), ("late", 1)] {
        assert_eq!(types.get(name), Some(&count), "{name}");
    }
    let summary = objects.last().unwrap();
    balance(&objects, summary);
    let states: Vec<&Value> = objects.iter().filter(|it| it["type"] == "state").collect();
    let changes: Vec<_> = states
        .iter()
        .map(|it| ["previous", "state"].map(|name| it[name].as_str().unwrap()))
        .collect();
    assert_eq!(changes, [["unknown", "up"], ["up", "down"], ["down", "up"]]);
    assert_eq!((&states[1]["reason"], &states[1]["verdict"]), (&"no reply".into(), &Value::Null));
    // Three slots at least lie between the beats that changed it, and a beat is late by less than one.
    assert!(states[2]["duration_ns"].as_u64().unwrap() >= 200_000_000);
    let start = &objects[0];
    for (name, value) in [("mode", "number"), ("schedule", "periodic")] {
        assert_eq!(start[name], value);
    }
    assert_eq!(
        (start["interval_ns"].as_u64(), start["count"].as_u64()),
        (Some(100_000_000), Some(16))
    );
    assert_eq!((&summary["unsolicited"], &summary["verdicts"]["ok"]), (&1.into(), &12.into()));
    assert_eq!(summary["rtt_p99_ns"], Value::Null);
    assert!(summary["rtt_p90_ns"].is_u64());
    assert_eq!((&summary["loss_runs"], &summary["longest_loss_run"]), (&2.into(), &3.into()));
}

#[test]
fn refusals_and_no_answer_at_all() {
    let finished = run(&[closed().to_string().as_str(), "-c", "2", "-i", "50ms", "--json"]);
    assert_eq!(finished.code, Some(3));
    let objects = objects(&finished);
    let summary = objects.last().unwrap();
    balance(&objects, summary);
    assert_eq!((&summary["refused"], &summary["loss_percent"]), (&2.into(), &100.0.into()));
    assert_eq!((&summary["rtt_min_ns"], &summary["jitter_ns"]), (&Value::Null, &Value::Null));
}

#[test]
fn several_targets_have_a_summary_each_and_one_for_all() {
    let (one, two) = (Peer::echo(), Peer::silent());
    let targets = [one.target(), two.target(), "nowhere.invalid:7".into()];
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let options = ["-c", "2", "-i", "100ms", "-W", "300ms", "--json"];
    let finished = run(&[&targets[..], &options].concat());
    assert_eq!(finished.code, Some(1));
    let objects = objects(&finished);
    let summaries: Vec<&Value> = objects.iter().filter(|it| it["type"] == "summary").collect();
    assert_eq!(summaries.len(), 4);
    for (summary, target) in summaries.iter().zip(&targets) {
        assert_eq!(summary["target"], *target);
        assert_eq!(summary["sent"], 2);
    }
    let all = summaries[3];
    assert_eq!(
        (&all["target"], &all["targets"], &all["answered"]),
        (&Value::Null, &3.into(), &1.into())
    );
    for (name, count) in [("sent", 6), ("received", 2), ("lost", 2), ("failed", 2)] {
        assert_eq!(all[name], count, "{name}");
    }
    assert!(objects.iter().any(|it| {
        it["type"] == "error" && it["address"].is_null() && it["target"] == "nowhere.invalid:7"
    }));
}

#[test]
fn quiet_prints_nothing_for_each_beat() {
    let peer = Peer::echo();
    let finished = run(&[peer.target().as_str(), "-c", "2", "-i", "50ms", "--json", "-q"]);
    let objects = objects(&finished);
    assert_eq!(objects.len(), 3);
    assert_eq!(types(&objects), [("start", 1), ("state", 1), ("summary", 1)].into());
}

#[test]
fn a_threshold_that_is_not_met_is_named() {
    let peer = Peer::echo();
    let options = ["-c", "2", "-i", "50ms", "--json", "--max-rtt", "p99=1s", "--min-replies", "1"];
    let finished = run(&[&[peer.target().as_str()][..], &options].concat());
    assert_eq!(finished.code, Some(1));
    let objects = objects(&finished);
    let unmet = objects.last().unwrap()["failed_checks"].as_array().unwrap().clone();
    assert_eq!(unmet, ["--max-rtt p99=1s: that takes at least 100 replies, there are 2"]);
}

#[test]
fn what_a_service_said() {
    let peer = Peer::new(|request| match request.number {
        1 => vec![request.with(ntp(&request.bytes, "240300e6"))],
        2 => vec![request.with(ntp(&request.bytes, "e40004e6"))],
        _ => Vec::new(),
    });
    let target = format!("ntp://{}?stratum=4", peer.target());
    let options = ["-c", "3", "-i", "100ms", "-W", "300ms", "--down-after", "1", "--json"];
    let finished = run(&[&[target.as_str()][..], &options].concat());
    let objects = objects(&finished);
    let start = &objects[0];
    assert_eq!((&start["mode"], &start["bytes"]), (&"service".into(), &48.into()));
    let replies: Vec<&Value> = objects.iter().filter(|it| it["type"] == "reply").collect();
    assert_eq!((&replies[0]["service"], &replies[0]["reason"]), (&"ntp".into(), &Value::Null));
    assert_eq!(replies[0]["facts"]["stratum"], 3);
    assert!(replies[0]["facts"]["offset_ns"].is_i64() || replies[0]["facts"]["offset_ns"].is_u64());
    assert_eq!(replies[1]["verdict"], "failing");
    assert_eq!(replies[1]["reason"], "unsynchronised");
    let states = objects.iter().filter(|it| it["type"] == "state");
    let states: Vec<_> = states.map(|it| (it["state"].clone(), it["reason"].clone())).collect();
    let expected = [
        ("up".into(), Value::Null),
        ("degraded".into(), "unsynchronised".into()),
        ("down".into(), "no reply".into()),
    ];
    assert_eq!(states, expected);
    let summary = objects.last().unwrap();
    balance(&objects, summary);
    assert_eq!(summary["verdicts"], serde_json::json!({"ok": 1, "failing": 1}));
    assert_eq!(summary["reasons"], serde_json::json!({"unsynchronised": 1}));
}
