//! Text, as the tutorial prints it, with what was measured at the end of the line.
//!
//! One datagram is one line: what came from a stranger is escaped.

mod names;
pub(super) mod summary;

use std::time::Duration;

use udp_core::cli::parse::ShownDuration;
use udp_core::cli::printer::Render;
use udp_core::cli::{Style, Tone};
use udp_core::clock;
use udp_core::endpoint::Shown;
use udp_core::text::units::{Millis, put};
use udp_core::text::{escape, hex};

use super::item::{Item, Language, Record, ReportEvent};
use crate::probe::session::Counts;
use crate::probe::state::{Change, State};
use crate::probe::verdict::Verdict;
pub(crate) use names::{one_line, place};
pub(crate) use summary::{COLUMNS, cells, snapshot};
#[cfg(feature = "live")]
pub(crate) use summary::{statistics, total};

/// The text reporter.
#[derive(Debug)]
pub(crate) struct Text {
    payload: Payload,
    timeout: Duration,
    style: Style,
    /// Targets that were named more than once.
    twice: Vec<String>,
}

impl Text {
    pub(crate) fn new(payload: Payload, timeout: Duration, style: Style) -> Self {
        Text { payload, timeout, style, twice: Vec::new() }
    }

    fn record(&self, record: &Record, out: &mut Vec<u8>) {
        let whom = Self::whom(record);
        match &record.event {
            ReportEvent::Sent { bytes, .. } => {
                put(out, format_args!("sendto {whom}: "));
                self.payload(record.language, bytes, out);
                out.push(b'\n');
            }
            ReportEvent::Reply { seq, reply, bytes, said } => {
                put(out, format_args!("recvfrom {whom}: "));
                match said {
                    Some(said) => {
                        let shown = said.entry.shown(&said.reply);
                        put(out, format_args!("{} {shown}", said.entry.scheme));
                    }
                    None => self.payload(record.language, bytes, out),
                }
                put(out, format_args!("  seq={seq} rtt={} ms", Millis(reply.rtt)));
                if reply.after_refusal {
                    out.extend_from_slice(b" after_refusal");
                }
                if reply.verdict != Verdict::Ok {
                    put(out, format_args!(" {}", reply.verdict));
                }
                out.push(b'\n');
            }
            ReportEvent::Late { seq, rtt, .. } => {
                put(out, format_args!("late {whom}: seq={seq} rtt={} ms\n", Millis(*rtt)));
            }
            ReportEvent::Duplicate { seq, .. } => {
                put(out, format_args!("duplicate {whom}: seq={seq}\n"));
            }
            ReportEvent::Lost { seq } => {
                let timeout = ShownDuration(self.timeout);
                put(out, format_args!("no reply {whom}: seq={seq} within {timeout}\n"));
            }
            ReportEvent::Refused { seq } => put(out, format_args!("refused {whom}: seq={seq}\n")),
            ReportEvent::Error { seq: Some(seq), reason } => {
                put(out, format_args!("failed {whom}: seq={seq} {}\n", one_line(reason)));
            }
            ReportEvent::Error { seq: None, reason } => {
                put(out, format_args!("error {whom}: {}\n", one_line(reason)));
            }
            ReportEvent::Interval(figures) => {
                let counts = figures.counts();
                let Counts { sent, received, lost, .. } = counts;
                put(
                    out,
                    format_args!(
                        "interval {whom}: {sent} sent, {received} received, {lost} lost ({})",
                        summary::Loss(&counts)
                    ),
                );
                if let Some([min, avg, max]) = figures.rtt.map(|rtt| rtt.map(Millis)) {
                    put(out, format_args!(", rtt min/avg/max = {min}/{avg}/{max} ms"));
                }
                out.push(b'\n');
            }
            // stderr has it.
            ReportEvent::Moved { .. } => {}
            ReportEvent::State(change) => {
                let Change { state, previous, lasted, .. } = change.change;
                let since = change.since.rfc3339();
                let (since, lasted) = (since.get(..19).unwrap_or_default(), lasted.as_secs_f64());
                // That it is up at the start is what is expected.
                if !change.change.is_first_up() {
                    let text = format_args!(
                        "state {whom}: {state} since {since}Z, after {lasted:.1} s {previous}\n"
                    );
                    put(out, text);
                }
            }
        }
    }

    /// The address, or the name of a target that has none.
    fn whom(record: &Record) -> String {
        match record.address {
            Some(address) => Shown(address).to_string(),
            None => one_line(&record.label),
        }
    }

    fn payload(&self, language: Language, bytes: &[u8], out: &mut Vec<u8>) {
        let payload = match language {
            Language::Own => self.payload,
            Language::Stamp => Payload::Stamp,
            Language::Service { scheme, .. } => {
                return put(out, format_args!("{scheme} {} bytes", bytes.len()));
            }
        };
        match payload {
            Payload::Text => escape::escape_into(bytes, out),
            Payload::Hex => hex::encode_into(bytes, out),
            Payload::Stamp => put(out, format_args!("STAMP {} bytes", bytes.len())),
        }
    }
}

impl Render<Item> for Text {
    fn value(&mut self, item: Item, out: &mut Vec<u8>) {
        let start = out.len();
        match &item {
            Item::Start(start) => self.twice.clone_from(&start.twice),
            Item::Reloaded(_) => {}
            Item::Record(record) => {
                self.record(record, out);
                self.style.dress(out, start, record.at, tone(&record.event));
            }
            Item::Summary(summary) => {
                summary::run(summary, out);
                for target in &self.twice {
                    let target = one_line(target);
                    put(out, format_args!("{target} stands twice: asked and answered as one\n"));
                }
                self.style.dress(out, start, summary.at, Tone::Plain);
            }
        }
    }

    fn missed(&mut self, count: u64, out: &mut Vec<u8>) {
        let start = out.len();
        put(out, format_args!("... {count} lines not shown\n"));
        self.style.dress(out, start, clock::wall(), Tone::Plain);
    }
}

/// Whether something went wrong, or recovered.
fn tone(event: &ReportEvent) -> Tone {
    match event {
        ReportEvent::Lost { .. } | ReportEvent::Refused { .. } | ReportEvent::Error { .. } => {
            Tone::Bad
        }
        ReportEvent::Reply { reply, .. } if reply.verdict != Verdict::Ok => Tone::Bad,
        ReportEvent::State(change) if change.change.state == State::Up => Tone::Good,
        ReportEvent::State(_) => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// How text shows a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// In the lossless escape form.
    Text,
    Hex,
    /// Its length alone.
    Stamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::session::{Interval, Received};
    use crate::probe::state::Reason;
    use crate::report::Held;
    use crate::report::StateChange;
    use udp_core::clock::{Mono, Wall};

    const MICRO: Duration = Duration::from_micros(1);

    fn text(payload: Payload) -> Text {
        Text::new(payload, Duration::from_secs(1), Style::default())
    }

    fn shown(payload: Payload, target: usize, event: ReportEvent) -> String {
        let address = (target == 0).then(|| "127.0.0.1:7000".parse().unwrap());
        let label = ["127.0.0.1:7000", "no\u{1b}where:7"][target].into();
        let language = Language::Own;
        let record = Record { at: Wall::from_nanos(0), label, address, language, event };
        let mut out = Vec::new();
        text(payload).value(Item::Record(record), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn down(previous: State) -> StateChange {
        let change = Change {
            state: State::Down,
            previous,
            since: Mono::default(),
            lasted: Duration::from_millis(12_345),
            verdict: None,
            reason: Some(Reason::NoReply),
        };
        let since = Wall::from_nanos(1_700_000_000_123_456_789);
        StateChange { change, since, sent: 20, lost: 3, said: None }
    }

    #[test]
    fn a_line_for_each_event() {
        let first_up = Change { state: State::Up, ..down(State::Unknown).change };
        let rtt = 143 * MICRO;
        let bytes = || Held::from(&b"echo heartbeat"[..]);
        let reply = Received {
            rtt,
            rtt_total: rtt,
            rtt_from_due: rtt,
            reordered: false,
            after_refusal: false,
            verdict: Verdict::Ok,
        };
        let hinted = Received { after_refusal: true, verdict: Verdict::Unexpected, ..reply };
        let cases = [
            (
                ReportEvent::Sent { seq: 1, bytes: bytes() },
                "sendto ('127.0.0.1', 7000): echo heartbeat\n",
            ),
            (
                ReportEvent::Reply { seq: 1, reply, bytes: bytes(), said: None },
                "recvfrom ('127.0.0.1', 7000): echo heartbeat  seq=1 rtt=0.143 ms\n",
            ),
            (
                ReportEvent::Reply {
                    seq: 3,
                    reply: hinted,
                    bytes: b"\x1b[2J\n"[..].into(),
                    said: None,
                },
                "recvfrom ('127.0.0.1', 7000): \\x1b[2J\\n  seq=3 rtt=0.143 ms after_refusal \
                 unexpected\n",
            ),
            (
                ReportEvent::Late { seq: 2, rtt: 1_200_500 * MICRO, bytes: bytes() },
                "late ('127.0.0.1', 7000): seq=2 rtt=1200.500 ms\n",
            ),
            (
                ReportEvent::Duplicate { seq: 2, rtt, bytes: bytes() },
                "duplicate ('127.0.0.1', 7000): seq=2\n",
            ),
            (ReportEvent::Lost { seq: 2 }, "no reply ('127.0.0.1', 7000): seq=2 within 1s\n"),
            (ReportEvent::Refused { seq: 4 }, "refused ('127.0.0.1', 7000): seq=4\n"),
            (
                ReportEvent::Error { seq: Some(5), reason: "network is unreachable".into() },
                "failed ('127.0.0.1', 7000): seq=5 network is unreachable\n",
            ),
            (
                ReportEvent::State(down(State::Up)),
                "state ('127.0.0.1', 7000): down since 2023-11-14T22:13:20Z, after 12.3 s up\n",
            ),
            (ReportEvent::State(StateChange { change: first_up, ..down(State::Up) }), ""),
            (
                ReportEvent::Interval(Interval {
                    sent: 10,
                    received: 9,
                    lost: 1,
                    rtt: Some([rtt; 3]),
                }),
                "interval ('127.0.0.1', 7000): 10 sent, 9 received, 1 lost (10.0%), \
                 rtt min/avg/max = 0.143/0.143/0.143 ms\n",
            ),
            (
                ReportEvent::Interval(Interval { sent: 1, ..Interval::default() }),
                "interval ('127.0.0.1', 7000): 1 sent, 0 received, 0 lost (-)\n",
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(shown(Payload::Text, 0, event), expected);
        }
        let unresolved = ReportEvent::Error { seq: Some(1), reason: "cannot resolve".into() };
        assert_eq!(
            shown(Payload::Text, 1, unresolved),
            "failed no\\x1bwhere:7: seq=1 cannot resolve\n"
        );
    }

    #[test]
    fn payloads_as_they_were_asked_for() {
        let sent = || ReportEvent::Sent { seq: 1, bytes: [0, 255][..].into() };
        let cases = [
            (Payload::Text, "\\0\\xff"),
            (Payload::Hex, "00ff"),
            (Payload::Stamp, "STAMP 2 bytes"),
        ];
        for (payload, expected) in cases {
            let line = format!("sendto ('127.0.0.1', 7000): {expected}\n");
            assert_eq!(shown(payload, 0, sent()), line);
        }
    }

    #[test]
    fn a_target_and_its_address() {
        let address = "127.0.0.1:7000".parse().ok();
        assert_eq!(place("127.0.0.1:7000", address), "127.0.0.1:7000");
        assert_eq!(place("host:7000", address), "host:7000 (127.0.0.1:7000)");
        assert_eq!(place("host:7000", None), "host:7000");
    }
}
