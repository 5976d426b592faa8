//! Newline-delimited JSON, one object per event; `schema/client.schema.json` describes it.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use udp_core::cli::json::{Payload, nanos, object};
use udp_core::clock::Wall;
use udp_core::endpoint::{host_port, ip_text};

use super::{Demands, Event, PendingOutput, Transcript, note_failure};
use crate::exchange::Unsolicited;
use crate::stats::Counts;

/// The transcript in JSON.
#[derive(Debug, Default)]
pub struct Json {
    /// The summary alone: what failed goes to stderr then, in the words for these demands.
    quiet: Option<Demands>,
}

impl Json {
    /// With every event on stdout, or where `quiet` with the summary alone.
    pub fn new(quiet: Option<Demands>) -> Json {
        Json { quiet }
    }
}

#[derive(Serialize)]
struct Datagram<'a, T> {
    seq: Option<u64>,
    #[serde(flatten)]
    peer: Peer,
    #[serde(flatten)]
    payload: Payload<'a>,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Peer {
    address: String,
    port: u16,
}

#[derive(Serialize)]
struct Sent {
    attempt: u32,
}

#[derive(Serialize)]
struct Reply {
    rtt_ns: u64,
    wrong: bool,
    after_refusal: bool,
}

#[derive(Serialize)]
struct Late {
    rtt_ns: u64,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Timeout {
    seq: u64,
    #[serde(flatten)]
    peer: Peer,
    timeout_ns: u64,
    attempts: u32,
}

#[derive(Serialize)]
struct Refused {
    seq: Option<u64>,
    #[serde(flatten)]
    peer: Peer,
    by: Option<IpAddr>,
}

#[derive(Serialize)]
struct Error<'a> {
    seq: Option<u64>,
    reason: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Network<'a> {
    seq: Option<u64>,
    #[serde(flatten)]
    peer: Peer,
    reason: &'a str,
}

#[derive(Serialize)]
struct Summary {
    target: String,
    sent: u64,
    received: u64,
    replied: u64,
    lost: u64,
    refused: u64,
    pending: u64,
    late: u64,
    /// Left out where there is none, so that a search for duplicates finds some or nothing.
    #[serde(skip_serializing_if = "is_zero")]
    duplicate: u64,
    unsolicited: u64,
    wrong: u64,
    failed: u64,
    unusable: u64,
    retries: u64,
    rtt_min_ns: Option<u64>,
    rtt_avg_ns: Option<u64>,
    rtt_max_ns: Option<u64>,
    rtt_mdev_ns: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Transcript for Json {
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut PendingOutput) {
        if let Some(demands) = &self.quiet {
            return note_failure(event, demands, said);
        }
        let out = &mut said.out;
        match event {
            Event::Sent { seq, attempt, peer, bytes } => {
                object("sent", at, datagram(Some(seq), peer, bytes, Sent { attempt }), out);
            }
            Event::Reply { seq, peer, bytes, rtt, wrong, after_refusal } => {
                let rest = Reply { rtt_ns: nanos(rtt), wrong, after_refusal };
                object("reply", at, datagram(Some(seq), peer, bytes, rest), out);
            }
            Event::Late { seq, peer, bytes, rtt } => {
                let rest = Late { rtt_ns: nanos(rtt) };
                object("late", at, datagram(Some(seq), peer, bytes, rest), out);
            }
            Event::Unsolicited { seq, peer, bytes, kind } => {
                let name = match kind {
                    Unsolicited::Duplicate => "duplicate",
                    Unsolicited::Extra | Unsolicited::Elsewhere => "unsolicited",
                };
                object(name, at, datagram(seq, peer, bytes, Nothing {}), out);
            }
            Event::Timeout { seq, peer, waited, attempts } => {
                let timeout_ns = nanos(waited);
                let timeout = Timeout { seq, peer: Peer::new(peer), timeout_ns, attempts };
                object("timeout", at, timeout, out);
            }
            Event::Refused { seq, peer, by } => {
                object("refused", at, Refused { seq, peer: Peer::new(peer), by }, out);
            }
            Event::Error { seq, text, hint } => {
                object("error", at, Error { seq, reason: text, hint }, out);
            }
            Event::Network { seq, peer, text } => {
                let said = Network { seq, peer: Peer::new(peer), reason: text };
                object("error", at, said, out);
            }
        }
    }

    fn summary(&mut self, counts: &Counts, peer: SocketAddr, at: Wall, said: &mut PendingOutput) {
        let rtt = counts.rtt.figures();
        let summary = Summary {
            target: host_port(peer),
            sent: counts.sent,
            received: counts.replies,
            replied: counts.replied,
            lost: counts.lost,
            refused: counts.refused,
            pending: counts.pending,
            late: counts.late,
            duplicate: counts.duplicate,
            unsolicited: counts.unsolicited,
            wrong: counts.wrong,
            failed: counts.failed,
            unusable: counts.unusable,
            retries: counts.retries,
            rtt_min_ns: rtt.map(|it| nanos(it.min)),
            rtt_avg_ns: rtt.map(|it| nanos(it.average)),
            rtt_max_ns: rtt.map(|it| nanos(it.max)),
            rtt_mdev_ns: rtt.map(|it| nanos(it.deviation)),
        };
        object("summary", at, summary, &mut said.out);
    }
}

impl Peer {
    fn new(peer: SocketAddr) -> Peer {
        Peer { address: ip_text(peer), port: peer.port() }
    }
}

fn datagram<T>(seq: Option<u64>, peer: SocketAddr, bytes: &[u8], rest: T) -> Datagram<'_, T> {
    Datagram { seq, peer: Peer::new(peer), payload: Payload::from(bytes), rest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;
    use udp_core::expect::Expectation;

    const AT: Wall = Wall::from_nanos(1_700_000_000_123_456_789);
    const RTT: Duration = Duration::from_micros(1500);

    fn peer() -> SocketAddr {
        "127.0.0.1:7000".parse().unwrap()
    }

    fn written(write: impl FnOnce(&mut Json, &mut PendingOutput)) -> String {
        let mut said = PendingOutput::default();
        write(&mut Json::default(), &mut said);
        assert!(said.notes.is_empty());
        String::from_utf8(said.out).unwrap()
    }

    fn event(event: Event<'_>) -> Value {
        let line = written(|json, said| json.event(event, AT, said));
        assert!(line.ends_with("}\n") && line.lines().count() == 1, "{line}");
        object(&line)
    }

    /// What a line says, which is as the schema has it.
    #[track_caller]
    fn object(line: &str) -> Value {
        #[cfg(unix)]
        driver::json::objects("client", line).unwrap();
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn every_event_has_its_fields_and_conforms() {
        let peer = peer();
        let common = |kind: &str| {
            json!({
                "type": kind, "v": 1, "ts": "2023-11-14T22:13:20.123456Z",
                "address": "127.0.0.1", "port": 7000,
            })
        };
        let cases = [
            (
                Event::Sent { seq: 1, attempt: 2, peer, bytes: b"hi\n" },
                "sent",
                json!({"seq": 1, "attempt": 2, "bytes": 3, "data": "hi\n"}),
            ),
            (
                Event::Reply {
                    seq: 1,
                    peer,
                    bytes: b"\xff\x00",
                    rtt: RTT,
                    wrong: false,
                    after_refusal: true,
                },
                "reply",
                json!({
                    "seq": 1, "rtt_ns": 1_500_000, "wrong": false, "after_refusal": true, "bytes": 2,
                    "data_hex": "ff00"
                }),
            ),
            (
                Event::Late { seq: 1, peer, bytes: b"", rtt: RTT },
                "late",
                json!({"seq": 1, "rtt_ns": 1_500_000, "bytes": 0, "data": ""}),
            ),
            (
                Event::Unsolicited { seq: None, peer, bytes: b"x", kind: Unsolicited::Elsewhere },
                "unsolicited",
                json!({"seq": null, "bytes": 1, "data": "x"}),
            ),
            (
                Event::Timeout { seq: 4, peer, waited: RTT, attempts: 1 },
                "timeout",
                json!({"seq": 4, "timeout_ns": 1_500_000, "attempts": 1}),
            ),
            (
                Event::Refused { seq: Some(4), peer, by: Some(peer.ip()) },
                "refused",
                json!({"seq": 4, "by": "127.0.0.1"}),
            ),
            (
                Event::Network { seq: Some(4), peer, text: "no route by ::1" },
                "error",
                json!({"seq": 4, "reason": "no route by ::1"}),
            ),
        ];
        for (it, kind, fields) in cases {
            let mut expected = common(kind);
            let fields = fields.as_object().cloned().unwrap();
            expected.as_object_mut().unwrap().extend(fields);
            assert_eq!(event(it), expected);
        }
        let error = event(Event::Error { seq: None, text: "cannot", hint: None });
        assert_eq!((&error["reason"], &error["hint"]), (&json!("cannot"), &Value::Null));
    }

    #[test]
    fn quiet_what_failed_is_on_stderr_alone() {
        let demands = Demands { expectation: Expectation::Anything, max_rtt: None };
        let mut json = Json::new(Some(demands));
        let mut said = PendingOutput::default();
        let peer = peer();
        json.event(Event::Sent { seq: 1, attempt: 1, peer, bytes: b"x" }, AT, &mut said);
        json.event(Event::Refused { seq: Some(1), peer, by: None }, AT, &mut said);
        let note = "refused by ('127.0.0.1', 7000): nothing listens there";
        assert_eq!((said.out.as_slice(), said.notes), (&b""[..], vec![note.to_string()]));
    }

    #[test]
    fn the_summary_has_every_count_but_duplicates_that_there_are_not_and_null_for_what_is_missing()
    {
        let counts = Counts { sent: 2, lost: 2, ..Counts::default() };
        let doubled = Counts { duplicate: 3, ..counts };
        let line = written(|json, said| json.summary(&doubled, peer(), AT, said));
        assert!(line.contains(r#""duplicate":3,"#), "{line}");
        object(&line);
        let line = written(|json, said| json.summary(&counts, peer(), AT, said));
        assert!(!line.contains("duplicate"), "{line}");
        let summary = object(&line);
        assert_eq!((&summary["sent"], &summary["lost"]), (&json!(2), &json!(2)));
        assert_eq!(summary["rtt_avg_ns"], Value::Null);
        assert_eq!(summary["target"], "127.0.0.1:7000");
    }

    #[test]
    fn a_payload_steers_no_terminal_and_reads_back() {
        let payload = "\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{200b}\u{e0041}\"\\ 你 é";
        let sent = Event::Sent { seq: 1, attempt: 1, peer: peer(), bytes: payload.as_bytes() };
        let line = written(|json, said| json.event(sent, AT, said));
        let hidden = |c: char| c != '\n' && !matches!(c, ' '..='~' | '你' | 'é');
        assert!(!line.contains(hidden), "{line:?}");
        assert!(line.contains("你 é") && line.contains(r"\udb40\udc41"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["data"], payload);
    }
}
