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
use crate::schedule::TargetId;
use crate::session::Counts;
use crate::stats::direction::Reflector;
use crate::stats::loss::percent;

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
            Told::Reply { seq, rtt, bytes, .. } => {
                self.reply(&whom, bytes, out);
                put(out, format_args!("  seq={seq} rtt={} ms\n", Millis(*rtt)));
            }
            Told::Late { seq, rtt, bytes } => {
                self.reply(&whom, bytes, out);
                put(out, format_args!("  seq={seq} rtt={} ms late\n", Millis(*rtt)));
            }
            Told::Duplicate { seq, rtt, bytes } => {
                self.reply(&whom, bytes, out);
                put(out, format_args!("  seq={seq} rtt={} ms duplicate\n", Millis(*rtt)));
            }
            Told::Wrong { seq, bytes } => {
                self.reply(&whom, bytes, out);
                match seq {
                    Some(seq) => put(out, format_args!("  seq={seq} wrong\n")),
                    None => put(out, format_args!("  wrong\n")),
                }
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

    fn reply(&self, whom: &str, bytes: &[u8], out: &mut Vec<u8>) {
        put(out, format_args!("recvfrom {whom}: "));
        self.payload(bytes, out);
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
    summary.targets.iter().for_each(|target| block(target, out));
    let targets = summary.targets.len();
    if targets > 1 {
        let answered = summary.targets.iter().filter(|it| it.counts.received > 0).count();
        let counts = Sums(&summary.totals);
        put(out, format_args!("{targets} targets, {answered} answered: {counts}\n"));
    }
}

fn block(target: &TargetSummary, out: &mut Vec<u8>) {
    put(out, format_args!("--- {} heartbeat statistics ---\n", one_line(&target.label)));
    put(out, format_args!("{}\n", Sums(&target.counts)));
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
    put(out, format_args!("lost: {} up, {} down, {} unknown", split.up, split.down, split.unknown));
    match stamp.reflector {
        Reflector::Stateless => put(out, format_args!(" (the reflector keeps no count)\n")),
        Reflector::Unknown if target.counts.lost > 0 => {
            put(out, format_args!(" (the reflector's numbers prove nothing)\n"));
        }
        Reflector::Unknown | Reflector::Stateful => out.push(b'\n'),
    }
    if let (Some(net), Some(whole)) = (rtt.average, stamp.whole.average) {
        let own = Millis(whole.saturating_sub(net));
        let text = format_args!("rtt is without the reflector's own time, {own} ms on average\n");
        put(out, text);
        let (up, down) = (stamp.up, stamp.down);
        let text = format_args!("one-way variation p50/p90/p99 = {up} ms up, {down} ms down\n");
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
        let share = percent(*lost, *sent);
        write!(f, "{sent} sent, {received} received, {lost} lost ({share:.1}%), ")?;
        write!(f, "{late} late, {duplicate} duplicate, {reordered} reordered")?;
        let more = [
            (self.0.refused, "refused"),
            (self.0.failed, "failed"),
            (self.0.pending(), "pending"),
            (self.0.wrong, "wrong"),
            (self.0.missed, "missed"),
        ];
        for (count, name) in more.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {name}")?;
        }
        Ok(())
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
