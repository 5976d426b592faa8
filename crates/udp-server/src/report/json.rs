//! Newline-delimited JSON, one object per event; `schema/server.schema.json` describes it.

use serde::Serialize;
use udp_core::cli::json::{self, Payload, object};
use udp_core::clock::Wall;
use udp_core::endpoint::{host_port, ip_text};

use super::Report;
use crate::block::{Record, Shape};
use crate::event::{Kind, Service, Summary};
use crate::policy::Reason;

/// The JSON reporter.
#[derive(Debug, Default)]
pub struct Json;

impl Json {
    /// A record keeps all of its payload.
    pub const SHAPE: Shape =
        Shape { blocks: 8, records: 512, bytes: 128 * 1024, keep: usize::MAX, times: true };
}

#[derive(Serialize)]
struct Start<'a> {
    address: String,
    port: u16,
    bind: String,
    service: &'a str,
}

#[derive(Serialize)]
struct Datagram<'a> {
    address: String,
    port: u16,
    #[serde(flatten)]
    payload: Payload<'a>,
    truncated: bool,
    dropped: Option<&'a str>,
}

#[derive(Serialize)]
struct Dropped<'a> {
    reason: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct End {
    binds: Vec<String>,
    received: u64,
    replied: u64,
    dropped: u64,
    failed: u64,
    kernel_drops: Option<u64>,
    dropped_rate: u64,
    dropped_loop: u64,
    dropped_access: u64,
    dropped_destination: u64,
    dropped_source: u64,
    dropped_size: u64,
}

impl Report for Json {
    fn start(&mut self, services: &[Service], now: Wall, out: &mut Vec<u8>) {
        for Service { address, kind } in services {
            let service = match kind {
                Kind::Echo => "echo",
                Kind::Sink => "sink",
                Kind::Stamp => "stamp",
            };
            let bind = host_port(*address);
            let start = Start { address: ip_text(*address), port: address.port(), bind, service };
            object("start", now, start, out);
        }
    }

    fn datagram(&mut self, record: &Record, kept: &[u8], out: &mut Vec<u8>) {
        let datagram = Datagram {
            address: ip_text(record.peer),
            port: record.peer.port(),
            payload: Payload::from(kept),
            truncated: record.truncated,
            dropped: record.dropped.map(Reason::as_str),
        };
        object("datagram", record.at, datagram, out);
    }

    fn dropped(&mut self, reason: Reason, count: u64, now: Wall, out: &mut Vec<u8>) {
        object("dropped", now, Dropped { reason: reason.as_str(), count }, out);
    }

    fn not_shown(&mut self, count: u64, now: Wall, out: &mut Vec<u8>) {
        json::not_shown(count, now, out);
    }

    fn summary(&mut self, summary: &Summary, now: Wall, out: &mut Vec<u8>) {
        let counts = &summary.counts;
        let end = End {
            binds: summary.services.iter().map(|service| host_port(service.address)).collect(),
            received: counts.received,
            replied: counts.replied,
            dropped: counts.dropped_total(),
            failed: counts.failed,
            kernel_drops: summary.lost,
            dropped_rate: counts.dropped_for(Reason::Rate),
            dropped_loop: counts.dropped_for(Reason::Loop),
            dropped_access: counts.dropped_for(Reason::Access),
            dropped_destination: counts.dropped_for(Reason::Destination),
            dropped_source: counts.dropped_for(Reason::Source),
            dropped_size: counts.dropped_for(Reason::Size),
        };
        object("summary", now, end, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Counts;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use udp_core::text::hex;

    const NOW: Wall = Wall::from_nanos(1_700_000_000_123_456_789);
    const TS: &str = "2023-11-14T22:13:20.123456Z";

    fn rendered(render: impl FnOnce(&mut Json, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        render(&mut Json, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn values(text: &str) -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn datagram(payload: &[u8]) -> String {
        let record = Record::new(NOW, "[::1]:5000".parse().unwrap(), payload.len(), false);
        rendered(|json, out| json.datagram(&record, payload, out))
    }

    #[test]
    fn start_and_summary() {
        let services = vec![
            Service { address: "127.0.0.1:7000".parse().unwrap(), kind: Kind::Echo },
            Service { address: "[::1]:862".parse().unwrap(), kind: Kind::Stamp },
        ];
        let start = rendered(|json, out| json.start(&services, NOW, out));
        assert_eq!(
            values(&start),
            [
                json!({"type": "start", "v": 1, "ts": TS, "address": "127.0.0.1", "port": 7000,
                       "bind": "127.0.0.1:7000", "service": "echo"}),
                json!({"type": "start", "v": 1, "ts": TS, "address": "::1", "port": 862,
                       "bind": "[::1]:862", "service": "stamp"}),
            ]
        );
        let dropped = [1, 2, 3, 4, 5, 6];
        let counts = Counts { received: 30, replied: 1, dropped, failed: 8, ..Counts::default() };
        let summary = Summary { services, counts, lost: None };
        let end = rendered(|json, out| json.summary(&summary, NOW, out));
        assert_eq!(
            values(&end),
            [json!({"type": "summary", "v": 1, "ts": TS, "binds": ["127.0.0.1:7000", "[::1]:862"],
                    "received": 30, "replied": 1, "dropped": 21, "failed": 8, "kernel_drops": null,
                    "dropped_rate": 1, "dropped_loop": 2, "dropped_access": 3,
                    "dropped_destination": 4, "dropped_source": 5, "dropped_size": 6})]
        );
    }

    #[test]
    fn datagrams_and_what_was_dropped() {
        let text = datagram("h\u{e9}llo".as_bytes());
        assert_eq!(
            values(&text),
            [json!({"type": "datagram", "v": 1, "ts": TS, "address": "::1",
                    "port": 5000, "bytes": 6, "data": "h\u{e9}llo", "truncated": false,
                    "dropped": null})]
        );
        assert!(text.starts_with(r#"{"type":"datagram","v":1,"ts":""#), "{text}");
        let binary = &values(&datagram(b"\xff\x00"))[0];
        assert_eq!((&binary["data_hex"], &binary["bytes"]), (&json!("ff00"), &json!(2)));
        assert!(binary.get("data").is_none());
        let dropped = rendered(|json, out| json.dropped(Reason::Rate, 7, NOW, out));
        assert_eq!(
            values(&dropped),
            [json!({"type": "dropped", "v": 1, "ts": TS, "reason": "rate", "count": 7})]
        );
        let missed = rendered(|json, out| json.not_shown(9, NOW, out));
        assert_eq!(values(&missed)[0]["count"], json!(9));
    }

    proptest! {
        #[test]
        fn any_payload_is_one_harmless_line_and_comes_back(payload: Vec<u8>, text: String) {
            for payload in [payload.as_slice(), text.as_bytes()] {
                let line = datagram(payload);
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert!(line.trim_end().chars().all(|c| !c.is_control()), "{:?}", line);
                let value = &values(&line)[0];
                let back = match value.get("data") {
                    Some(data) => data.as_str().unwrap().as_bytes().to_vec(),
                    None => hex::decode(value["data_hex"].as_str().unwrap()).unwrap(),
                };
                prop_assert_eq!(back.as_slice(), payload);
            }
        }
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        let line = datagram("\u{9b}2J\u{7f}\u{202e}\u{200b}\u{feff}\u{e0041}\u{2028}".as_bytes());
        assert!(line.is_ascii(), "{line}");
        assert!(line.contains(r"\u009b2J\u007f\u202e\u200b\ufeff\udb40\udc41\u2028"), "{line}");
    }
}
