//! Text, as the tutorial prints it, with what was measured at the end of the line.
//!
//! One datagram is one line: what came from a stranger is escaped.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::cli::parse::ShownDuration;
use udp_core::clock::Wall;
use udp_core::endpoint::Shown;
use udp_core::text::{escape, hex};

use super::{Line, Payload, Percentiles, Record, Report, RunSummary, TargetSummary, Told};
use crate::probe::schedule::TargetId;
use crate::probe::session::Counts;
use crate::probe::verdict::Verdict;

/// The text reporter.
#[derive(Debug)]
pub(crate) struct Text {
    labels: Vec<String>,
    payload: Payload,
    timeout: Duration,
}

impl Text {
    pub(crate) fn new(labels: Vec<String>, payload: Payload, timeout: Duration) -> Self {
        Text { labels, payload, timeout }
    }

    fn record(&self, record: &Record, out: &mut Vec<u8>) {
        let whom = self.whom(record);
        match &record.told {
            Told::Sent { bytes, .. } => {
                put(out, format_args!("sendto {whom}: "));
                self.payload(bytes, out);
                out.push(b'\n');
            }
            Told::Reply { seq, reply, bytes } => {
                put(out, format_args!("recvfrom {whom}: "));
                self.payload(bytes, out);
                put(out, format_args!("  seq={seq} rtt={} ms", Millis(reply.rtt)));
                if reply.after_refusal {
                    out.extend_from_slice(b" after_refusal");
                }
                if reply.verdict != Verdict::Ok {
                    put(out, format_args!(" {}", reply.verdict));
                }
                out.push(b'\n');
            }
            Told::Late { seq, rtt, .. } => {
                put(out, format_args!("late {whom}: seq={seq} rtt={} ms\n", Millis(*rtt)));
            }
            Told::Duplicate { seq, .. } => {
                put(out, format_args!("duplicate {whom}: seq={seq}\n"));
            }
            Told::Lost { seq } => {
                let timeout = ShownDuration(self.timeout);
                put(out, format_args!("no reply {whom}: seq={seq} within {timeout}\n"));
            }
            Told::Refused { seq } => put(out, format_args!("refused {whom}: seq={seq}\n")),
            Told::Error { seq: Some(seq), reason } => {
                put(out, format_args!("failed {whom}: seq={seq} {}\n", one_line(reason)));
            }
            Told::Error { seq: None, reason } => {
                put(out, format_args!("error {whom}: {}\n", one_line(reason)));
            }
            Told::State(change) => {
                let (state, previous) = (change.state, change.previous);
                let (since, lasted) = (change.since.rfc3339(), Seconds(change.lasted));
                let text = format_args!(
                    "state {whom}: {state} since {since}, after {lasted} s {previous}\n"
                );
                put(out, text);
            }
        }
    }

    /// The address, or the name of a target that has none.
    fn whom(&self, record: &Record) -> String {
        match record.address {
            Some(address) => Shown(address).to_string(),
            None => one_line(self.label(record.target)),
        }
    }

    fn label(&self, target: TargetId) -> &str {
        self.labels.get(target as usize).map_or("", String::as_str)
    }

    fn payload(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.payload {
            Payload::Text => escape::escape_into(bytes, out),
            Payload::Hex => hex::encode_into(bytes, out),
            Payload::Stamp => put(out, format_args!("STAMP {} bytes", bytes.len())),
        }
    }
}

impl Report for Text {
    fn tell(&mut self, line: &Line, out: &mut Vec<u8>) {
        match line {
            Line::Start(_) => {}
            Line::Record(record) => self.record(record, out),
            Line::Summary(summary) => run(summary, out),
        }
    }

    fn not_shown(&mut self, events: u64, _: Wall, out: &mut Vec<u8>) {
        put(out, format_args!("... {events} lines not shown\n"));
    }
}

/// The summary of each target, and where there are several one line for all.
fn run(summary: &RunSummary, out: &mut Vec<u8>) {
    summary.targets.iter().for_each(|target| block(target, summary.judged, out));
    let targets = summary.targets.len();
    if targets > 1 {
        let answered = summary.targets.iter().filter(|it| it.counts.received > 0).count();
        let counts = Sums(&summary.totals);
        put(out, format_args!("{targets} targets, {answered} answered: {counts}\n"));
    }
}

fn block(target: &TargetSummary, judged: bool, out: &mut Vec<u8>) {
    put(out, format_args!("--- {} heartbeat statistics ---\n", one_line(&target.label)));
    put(out, format_args!("{}\n", Sums(&target.counts)));
    if judged {
        let answers = target.counts.verdicts.shown().map(|(name, count)| format!("{count} {name}"));
        put(out, format_args!("answers: {}\n", answers.collect::<Vec<_>>().join(", ")));
    }
    let rtt = &target.rtt;
    if let (Some(min), Some(avg), Some(max), Some(mdev)) =
        (rtt.min, rtt.average, rtt.max, rtt.deviation)
    {
        let (min, avg, max, mdev) = (Millis(min), Millis(avg), Millis(max), Millis(mdev));
        put(out, format_args!("rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms\n"));
        let jitter = OrDash(target.jitter);
        put(out, format_args!("rtt p50/p90/p99 = {} ms, jitter {jitter} ms\n", rtt.percentiles));
    }
    let Some(stamp) = &target.stamp else { return };
    let split = stamp.split;
    let (forward, back, open) = (split.up, split.down, split.unknown);
    put(out, format_args!("loss: forward {forward}, return {back}, undetermined {open}\n"));
    if let (Some(net), Some(whole)) = (rtt.average, stamp.rtt_total.average) {
        let own = Millis(whole.saturating_sub(net));
        put(out, format_args!("reflector time avg {own} ms (not in rtt)\n"));
        let (forward, back) = (stamp.up, stamp.down);
        let text =
            format_args!("delay variation p50/p90/p99 = forward {forward} ms, return {back} ms\n");
        put(out, text);
    }
}

/// How things stand, in one line.
pub(crate) fn snapshot(name: &str, counts: &Counts, average: Option<Duration>) -> String {
    let average = match average {
        Some(average) => format!(", rtt avg {} ms", Millis(average)),
        None => String::new(),
    };
    format!("{}: {}{average}", one_line(name), Sums(counts))
}

/// Counts as the summary's first line has them.
struct Sums<'a>(&'a Counts);

impl fmt::Display for Sums<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { sent, received, lost, late, duplicate, reordered, .. } = self.0;
        write!(f, "{sent} sent, {received} received, {lost} lost ({}), ", Loss(self.0))?;
        write!(f, "{late} late, {duplicate} duplicate, {reordered} reordered")?;
        let more = [
            (self.0.refused, "refused"),
            (self.0.failed, "failed"),
            (self.0.pending(), "pending"),
            (self.0.unsolicited, "unsolicited"),
            (self.0.slots_skipped, "slots skipped"),
        ];
        for (count, name) in more.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
    }
}

/// Loss in percent, or a dash where there is none to speak of.
struct Loss<'a>(&'a Counts);

impl fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.loss_percent() {
            Some(share) => write!(f, "{share:.1}%"),
            None => f.write_str("-"),
        }
    }
}

/// Milliseconds with three places.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In whole numbers: a double has not enough places for a nanosecond in a year.
        let micros = (self.0.as_nanos() + 500) / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// Seconds with three places.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// Milliseconds, or a dash for what is not known.
struct OrDash(Option<Duration>);

impl fmt::Display for OrDash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => Millis(span).fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", OrDash(self.p50), OrDash(self.p90), OrDash(self.p99))
    }
}

/// What a person typed or a resolver said, made safe to show.
fn one_line(text: &str) -> String {
    escape::escape(text.as_bytes())
}

fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// A target by its name, and its address where that says more.
pub(crate) fn place(label: &str, address: Option<SocketAddr>) -> String {
    let address = address.map(udp_core::endpoint::host_port).filter(|address| address != label);
    match address {
        Some(address) => format!("{} ({address})", one_line(label)),
        None => one_line(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::session::Received;
    use crate::probe::state::Health;
    use crate::probe::stats::direction::{Reflector, Split};
    use crate::probe::thresholds::Unmet;
    use crate::report::{Figures, StampSummary, StateChange};

    const MICRO: Duration = Duration::from_micros(1);

    fn text(payload: Payload) -> Text {
        let labels = vec!["127.0.0.1:7000".into(), "no\u{1b}where:7".into()];
        Text::new(labels, payload, Duration::from_secs(1))
    }

    fn told(payload: Payload, target: TargetId, told: Told) -> String {
        let address = (target == 0).then(|| "127.0.0.1:7000".parse().unwrap());
        let record = Record { at: Wall::from_nanos(0), target, address, told };
        let mut out = Vec::new();
        text(payload).tell(&Line::Record(record), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_for_each_event() {
        let rtt = 143 * MICRO;
        let bytes = || b"echo heartbeat".to_vec().into_boxed_slice();
        let reply = Received {
            rtt,
            rtt_total: rtt,
            reordered: false,
            after_refusal: false,
            verdict: Verdict::Ok,
        };
        let hinted = Received { after_refusal: true, verdict: Verdict::Unexpected, ..reply };
        let cases = [
            (Told::Sent { seq: 1, bytes: bytes() }, "sendto ('127.0.0.1', 7000): echo heartbeat\n"),
            (
                Told::Reply { seq: 1, reply, bytes: bytes() },
                "recvfrom ('127.0.0.1', 7000): echo heartbeat  seq=1 rtt=0.143 ms\n",
            ),
            (
                Told::Reply { seq: 3, reply: hinted, bytes: (*b"\x1b[2J\n").into() },
                "recvfrom ('127.0.0.1', 7000): \\x1b[2J\\n  seq=3 rtt=0.143 ms after_refusal \
                 unexpected\n",
            ),
            (
                Told::Late { seq: 2, rtt: 1_200_500 * MICRO, bytes: bytes() },
                "late ('127.0.0.1', 7000): seq=2 rtt=1200.500 ms\n",
            ),
            (
                Told::Duplicate { seq: 2, rtt, bytes: bytes() },
                "duplicate ('127.0.0.1', 7000): seq=2\n",
            ),
            (Told::Lost { seq: 2 }, "no reply ('127.0.0.1', 7000): seq=2 within 1s\n"),
            (Told::Refused { seq: 4 }, "refused ('127.0.0.1', 7000): seq=4\n"),
            (
                Told::Error { seq: Some(5), reason: "network is unreachable".into() },
                "failed ('127.0.0.1', 7000): seq=5 network is unreachable\n",
            ),
            (
                Told::State(StateChange {
                    state: Health::Down,
                    previous: Health::Up,
                    since: Wall::from_nanos(1_700_000_000_123_456_789),
                    lasted: Duration::from_millis(12_345),
                    sent: 20,
                    lost: 3,
                }),
                "state ('127.0.0.1', 7000): down since 2023-11-14T22:13:20.123456Z, \
                 after 12.345 s up\n",
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(told(Payload::Text, 0, event), expected);
        }
        let unresolved = Told::Error { seq: Some(1), reason: "cannot resolve".into() };
        assert_eq!(
            told(Payload::Text, 1, unresolved),
            "failed no\\x1bwhere:7: seq=1 cannot resolve\n"
        );
    }

    #[test]
    fn payloads_as_they_were_asked_for() {
        let sent = || Told::Sent { seq: 1, bytes: [0, 255].into() };
        let cases = [
            (Payload::Text, "\\0\\xff"),
            (Payload::Hex, "00ff"),
            (Payload::Stamp, "STAMP 2 bytes"),
        ];
        for (payload, expected) in cases {
            let line = format!("sendto ('127.0.0.1', 7000): {expected}\n");
            assert_eq!(told(payload, 0, sent()), line);
        }
    }

    fn figures(micros: [u64; 4]) -> Figures {
        let [min, average, max, deviation] = micros.map(|n| Some(Duration::from_micros(n)));
        let percentiles = Percentiles { p50: Some(130 * MICRO), ..Percentiles::default() };
        Figures { min, average, max, deviation, percentiles, with_loss: Percentiles::default() }
    }

    fn target() -> TargetSummary {
        TargetSummary {
            label: "127.0.0.1:7000".into(),
            address: None,
            state: Health::Up,
            counts: Counts { sent: 5, received: 4, lost: 1, ..Counts::default() },
            rtt: figures([101, 134, 170, 22]),
            jitter: Some(12 * MICRO),
            loss_runs: 1,
            longest_run: 1,
            longest_outage: Duration::from_secs(1),
            outage: Duration::from_secs(1),
            stamp: None,
            unmet: vec![Unmet("not here".into())],
        }
    }

    fn summary(targets: Vec<TargetSummary>) -> String {
        let mut totals = Counts::default();
        targets.iter().for_each(|target| totals.add(&target.counts));
        let run = RunSummary {
            at: Wall::from_nanos(0),
            targets,
            totals,
            judged: totals.verdicts.not_ok() > 0,
            lag_p50: None,
            lag_p99: None,
            lag_max: None,
            unsolicited_from: None,
            kernel_drops: None,
        };
        let mut out = Vec::new();
        text(Payload::Text).tell(&Line::Summary(Box::new(run)), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_statistics_of_one() {
        assert_eq!(
            summary(vec![target()]),
            "--- 127.0.0.1:7000 heartbeat statistics ---\n\
             5 sent, 4 received, 1 lost (20.0%), 0 late, 0 duplicate, 0 reordered\n\
             rtt min/avg/max/mdev = 0.101/0.134/0.170/0.022 ms\n\
             rtt p50/p90/p99 = 0.130/-/- ms, jitter 0.012 ms\n"
        );
        let mut counts = Counts {
            sent: 16,
            lost: 12,
            late: 2,
            refused: 2,
            failed: 1,
            unsolicited: 1,
            slots_skipped: 7,
            ..Counts::default()
        };
        counts.verdicts.count(Verdict::Unexpected);
        let silent = TargetSummary { counts, rtt: Figures::default(), jitter: None, ..target() };
        assert_eq!(
            summary(vec![silent]),
            "--- 127.0.0.1:7000 heartbeat statistics ---\n\
             16 sent, 0 received, 12 lost (100.0%), 2 late, 0 duplicate, 0 reordered, \
             2 refused, 1 failed, 3 pending, 1 unsolicited, 7 slots skipped\n\
             answers: 0 ok, 1 unexpected\n"
        );
    }

    #[test]
    fn the_statistics_of_several_and_of_all() {
        let silent = TargetSummary {
            label: "b:1".into(),
            counts: Counts { sent: 5, lost: 5, ..Counts::default() },
            rtt: Figures::default(),
            ..target()
        };
        let text = summary(vec![target(), silent]);
        assert!(
            text.ends_with(
                "--- b:1 heartbeat statistics ---\n\
             5 sent, 0 received, 5 lost (100.0%), 0 late, 0 duplicate, 0 reordered\n\
             2 targets, 1 answered: 10 sent, 4 received, 6 lost (60.0%), 0 late, 0 duplicate, \
             0 reordered\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_stamp_adds() {
        let stamp = StampSummary {
            split: Split { up: 1, down: 2, unknown: 3 },
            reflector: Reflector::Stateful,
            rtt_total: figures([121, 154, 190, 22]),
            up: Percentiles { p50: Some(5 * MICRO), p90: Some(9 * MICRO), p99: None },
            down: Percentiles { p50: Some(4 * MICRO), ..Percentiles::default() },
        };
        let it = TargetSummary { stamp: Some(stamp), ..target() };
        assert_eq!(
            summary(vec![it]).split_once("jitter 0.012 ms\n").unwrap().1,
            "loss: forward 1, return 2, undetermined 3\n\
             reflector time avg 0.020 ms (not in rtt)\n\
             delay variation p50/p90/p99 = forward 0.005/0.009/- ms, return 0.004/-/- ms\n"
        );
    }

    #[test]
    fn a_snapshot_and_a_place_are_one_line() {
        let counts = Counts { sent: 2, received: 1, ..Counts::default() };
        assert_eq!(
            snapshot("a\nb:1", &counts, Some(134 * MICRO)),
            "a\\nb:1: 2 sent, 1 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered, \
             1 pending, rtt avg 0.134 ms"
        );
        let address = "127.0.0.1:7000".parse().ok();
        assert_eq!(place("127.0.0.1:7000", address), "127.0.0.1:7000");
        assert_eq!(place("host:7000", address), "host:7000 (127.0.0.1:7000)");
        assert_eq!(place("host:7000", None), "host:7000");
    }
}
