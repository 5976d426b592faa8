//! Metrics of the built program, as a scraper reads them: the counts are those of the summary, none of
//! them moves back, and a reload touches only what it changes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use common::exporter::Exporter;
use common::{Peer, wait_until};

fn labels(target: &str, more: &str) -> String {
    format!("{{target=\"{target}\",address=\"127.0.0.1\"{more}}}")
}

#[test]
fn a_scrape_agrees_with_the_summary() {
    let peer = Peer::new(|request| match request.number {
        5 | 10 | 15 => Vec::new(),
        _ => vec![request.echo()],
    });
    let target = peer.target();
    let exporter = Exporter::start(&[
        &target, "-i", "20ms", "-W", "2s", "--number", "-w", "60s", "--json", "-q",
    ]);
    // What is scraped only grows.
    let mut before = exporter.scrape();
    let of = |name: &str, more: &str| format!("udp_heartbeat_{name}{}", labels(&target, more));
    wait_until(|| {
        let now = exporter.scrape();
        for (series, value) in before.iter().filter(|(name, _)| name.contains("_total{")) {
            assert!(now[series] >= *value, "{series}: {value}, then {}", now[series]);
        }
        before = now;
        before[&of("lost_total", "")] >= 2.0
    });
    assert_eq!(before[&of("received_total", "")], before[&of("rtt_seconds_count", "")]);
    assert_eq!(before[&of("received_total", "")], before[&of("answers_total", ",verdict=\"ok\"")]);
    assert_eq!(
        before[&of("rtt_seconds_bucket", ",le=\"+Inf\"")],
        before[&of("rtt_seconds_count", "")]
    );
    assert_eq!(before[&of("up", "")], 1.0);
    assert_eq!(before[&of("state_changes_total", "")], 1.0);
    assert!(before.contains_key(&of("last_reply_timestamp_seconds", "")));
    assert_eq!(exporter.series, before.len(), "{before:#?}");
    let summary = exporter.stop().pop().unwrap();
    assert_eq!(summary["type"], "summary");
    assert!(before[&of("sent_total", "")] <= summary["sent"].as_f64().unwrap());
}

#[test]
fn formats_pages_and_reload() {
    let peer = Peer::echo();
    let path = std::env::temp_dir().join(format!("udp-heartbeat-metrics-{}", std::process::id()));
    let file = path.to_str().unwrap();
    let target = peer.target();
    std::fs::write(&path, format!("{target} site=\"a\\b\n")).unwrap();
    let record = path.with_extension("ndjson");
    let recorded = ["--record", record.to_str().unwrap()];
    let options = ["-q", "-i", "50ms", "--targets-file", file, "--json"];
    let exporter = Exporter::start(&[&options[..], &recorded].concat());
    let named = labels(&target, ",site=\"\\\"a\\\\b\"");
    let sent = format!("udp_heartbeat_sent_total{named}");
    let before = exporter.scrape()[&sent];
    let (head, body) =
        exporter.ask("GET", "/metrics", "application/openmetrics-text;version=1.0.0");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with(b"\n# EOF\n"));
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let (head, body) = exporter.ask("GET", "/metrics", protobuf);
    assert!(head.contains("application/vnd.google.protobuf; proto="), "{head}");
    assert!(body.windows(19).any(|it| it == b"udp_heartbeat_state"));
    let (_, body) = exporter.ask("GET", "/targets", "application/json");
    let table: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(table["targets"][0]["target"], target.as_str());
    let (_, body) = exporter.ask("GET", "/targets", "text/html");
    assert!(String::from_utf8(body).unwrap().contains(&format!("<td>{target}</td>")));

    // Another target, then a bad file: the one that stays goes on. The recording is opened again.
    std::fs::remove_file(&record).unwrap();
    std::fs::write(&path, format!("{target} site=\"a\\b\n127.0.0.1:1\n")).unwrap();
    let (head, _) = exporter.ask("POST", "/-/reload", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let after = exporter.scrape();
    assert!(after[&sent] >= before);
    wait_until(|| record.exists());
    assert_eq!(after["udp_heartbeat_config_last_reload_successful"], 1.0);
    std::fs::write(&path, format!("{target} up=1 le=1\n")).unwrap();
    let (head, body) = exporter.ask("POST", "/-/reload", "");
    let body = String::from_utf8(body).unwrap();
    assert!(head.starts_with("HTTP/1.1 500"), "{head}");
    assert!(body.contains(&format!("{file}:1: 'le' is a reserved label name")), "{body}");
    let after = exporter.scrape();
    assert_eq!(after["udp_heartbeat_config_last_reload_successful"], 0.0);
    assert!(after.contains_key(&format!("udp_heartbeat_sent_total{}", labels("127.0.0.1:1", ""))));
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&record).unwrap();
}

#[test]
fn which_histograms_there_are() {
    let peer = Peer::echo();
    for (form, bucket, sum) in
        [("classic", true, true), ("native", false, true), ("none", false, false)]
    {
        let target = peer.target();
        let exporter =
            Exporter::start(&[&target, "-q", "-i", "50ms", "--json", "--metrics-histograms", form]);
        let text = exporter.text();
        assert_eq!(text.contains("rtt_seconds_bucket{"), bucket, "{form}");
        assert_eq!(text.contains("rtt_seconds_sum{"), sum, "{form}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = common::run(&["--metrics", &address]);
    assert_eq!(finished.code, Some(4));
    assert_eq!(finished.stderr, format!("error: cannot bind {address}: address already in use\n"));
    let finished = common::run(&["--metrics", "127.0.0.1"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
}
