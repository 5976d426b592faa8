//! `--json`: what is really printed, against the published schema.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use common::{Server, ask, asker, asker_on, silent};
use driver::json::of_type;
use serde_json::Value;

/// Every line of `stdout`, each held against the schema.
#[track_caller]
fn objects(stdout: &str) -> Vec<Value> {
    driver::json::objects("server", stdout).unwrap()
}

#[test]
fn all_of_every_payload() {
    for io in ["auto", "portable"] {
        let server = Server::start(&["--json", "--io", io]);
        let client = asker(server.address());
        let all: Vec<u8> = (0..=255).collect();
        let long = vec![b'a'; 65_000];
        let payloads: [&[u8]; 6] =
            [b"", b"hello", "caf\u{e9} \u{202e}\u{9b}".as_bytes(), &all, &long, b"\n\"\\"];
        for payload in payloads {
            ask(&client, payload);
        }
        let ended = server.stop();
        assert!(!ended.stdout.contains(['\u{202e}', '\u{9b}']));
        let objects = objects(&ended.stdout);
        let shown = of_type(&objects, "datagram");
        assert_eq!(shown.len(), payloads.len());
        for (object, payload) in shown.into_iter().zip(payloads) {
            assert_eq!(object["bytes"], payload.len());
            assert_eq!(object["port"], client.local_addr().unwrap().port());
            let bytes = match object.get("data") {
                Some(data) => data.as_str().unwrap().as_bytes().to_vec(),
                None => udp_core::text::hex::decode(object["data_hex"].as_str().unwrap()).unwrap(),
            };
            assert_eq!(bytes, payload);
        }
        assert_eq!(
            (&objects[0]["type"], &objects[7]["type"]),
            (&"start".into(), &"summary".into())
        );
        assert_eq!(objects.len(), 8);
    }
}

#[test]
fn what_is_refused_is_told_with_its_reason() {
    let server = Server::start(&["--json", "--rate-limit", "1/1"]);
    let client = asker(server.address());
    ask(&client, b"one");
    silent(&client, b"two", &asker_on("127.0.0.2:0", server.address()));
    let ended = server.stop();
    let objects = objects(&ended.stdout);
    let reasons: Vec<&Value> =
        of_type(&objects, "datagram").into_iter().map(|object| &object["dropped"]).collect();
    assert_eq!(reasons, [&Value::Null, &Value::from("rate"), &Value::Null]);
    let dropped = of_type(&objects, "dropped");
    assert_eq!(dropped.len(), 1);
    assert_eq!((&dropped[0]["reason"], &dropped[0]["count"]), (&"rate".into(), &1.into()));
    let summary = objects.last().unwrap();
    for (name, expected) in [("received", 3), ("replied", 2), ("dropped", 1), ("failed", 0)] {
        assert_eq!(summary[name], expected, "{name}");
    }
    assert_eq!(summary["dropped_rate"], 1);
}

#[test]
fn quietly() {
    let server = Server::start(&["--json", "-q", "--max-datagram", "2"]);
    ask(&asker(server.address()), b"long");
    let objects = objects(&server.stop().stdout);
    let types: Vec<&str> = objects.iter().map(|object| object["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["start", "summary"]);
}
