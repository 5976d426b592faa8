//! Newline-delimited JSON, one object per event; `schema/heartbeat.schema.json` describes it.

mod answered;
mod summary;

use std::net::SocketAddr;

use serde::Serialize;
use udp_core::cli::json::{self, Payload, nanos, object};
use udp_core::cli::printer::Render;
use udp_core::clock;
use udp_core::endpoint::ip_text;

use super::item::{Item, Language, Record, Reloaded, ReportEvent, Start, StartTarget, StateChange};
use super::show::Kind;
use crate::probe::schedule::Spacing;
use crate::probe::session::Interval;
use crate::probe::snapshot::Snapshot;
use crate::probe::targets::Labels;
use crate::probe::verdict::Verdict;
use answered::Answered;
use summary::Summary;

/// The JSON reporter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json {
    stamp: bool,
}

impl Json {
    /// `stamp` if replies tell the reflector's own time.
    pub(crate) fn new(stamp: bool) -> Self {
        Json { stamp }
    }

    fn record(&self, record: &Record, out: &mut Vec<u8>) {
        let place = Place::new(Some(&record.label), record.address);
        let kind = record.event.kind().map_or("moved", Kind::name);
        match &record.event {
            ReportEvent::Sent { seq, bytes } => {
                let datagram = Datagram::new(place, Some(*seq), bytes, Nothing {});
                object(kind, record.at, datagram.hiding(record), out);
            }
            ReportEvent::Reply { seq, reply, bytes, said } => {
                let stamp = record.language.is_stamp(self.stamp);
                let rtt_total = stamp.then(|| nanos(reply.rtt_total));
                let rest = Replied {
                    rtt_ns: nanos(reply.rtt),
                    rtt_with_reflector_ns: rtt_total,
                    rtt_from_due_ns: nanos(reply.rtt_from_due),
                    reordered: reply.reordered,
                    after_refusal: reply.after_refusal,
                    verdict: reply.verdict.name(),
                    said: said.as_deref().map(Answered::new),
                };
                let datagram = Datagram::new(place, Some(*seq), bytes, rest);
                object(kind, record.at, datagram.hiding(record), out);
            }
            ReportEvent::Late { seq, rtt, bytes } | ReportEvent::Duplicate { seq, rtt, bytes } => {
                let datagram =
                    Datagram::new(place, Some(*seq), bytes, Timed { rtt_ns: nanos(*rtt) });
                object(kind, record.at, datagram.hiding(record), out);
            }
            ReportEvent::Lost { seq } | ReportEvent::Refused { seq } => {
                object(kind, record.at, About { place, seq: Some(*seq), rest: Nothing {} }, out);
            }
            ReportEvent::Error { seq, reason } => {
                object(kind, record.at, About { place, seq: *seq, rest: Reason { reason } }, out);
            }
            ReportEvent::Moved { from } => {
                let rest = Moved {
                    previous_address: from.map(ip_text),
                    previous_port: from.map(|from| from.port()),
                };
                object(kind, record.at, Of { place, rest }, out);
            }
            ReportEvent::Interval(figures) => {
                let rest = IntervalFigures::new(figures);
                object(kind, record.at, Of { place, rest }, out);
            }
            ReportEvent::State(change) => object(kind, record.at, Changed::new(place, change), out),
        }
    }
}

impl Render<Item> for Json {
    fn value(&mut self, item: Item, out: &mut Vec<u8>) {
        match &item {
            Item::Start(start) => object("start", start.at, Started::new(start), out),
            Item::Record(record) => self.record(record, out),
            Item::Reloaded(Reloaded { at, targets, added, removed }) => {
                let rest = FreshTargets { targets: *targets, added: *added, removed: *removed };
                object("reloaded", *at, rest, out);
            }
            Item::Summary(run) => {
                each_target(run, out);
                if run.targets.len() != 1 {
                    object("summary", run.at, Summary::of_all(run), out);
                }
            }
        }
    }

    fn missed(&mut self, count: u64, out: &mut Vec<u8>) {
        json::not_shown(count, clock::wall(), out);
    }
}

/// Which target, and where it is.
#[derive(Serialize)]
struct Place<'a> {
    target: Option<&'a str>,
    address: Option<String>,
    port: Option<u16>,
}

impl<'a> Place<'a> {
    fn new(target: Option<&'a str>, address: Option<SocketAddr>) -> Self {
        let ip = address.map(ip_text);
        Place { target, address: ip, port: address.map(|address| address.port()) }
    }
}

#[derive(Serialize)]
struct About<'a, T> {
    #[serde(flatten)]
    place: Place<'a>,
    seq: Option<u64>,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Datagram<'a, T> {
    #[serde(flatten)]
    place: Place<'a>,
    seq: Option<u64>,
    #[serde(flatten)]
    rest: T,
    #[serde(flatten)]
    payload: Payload<'a>,
}

impl<'a, T> Datagram<'a, T> {
    fn new(place: Place<'a>, seq: Option<u64>, bytes: &'a [u8], rest: T) -> Self {
        Datagram { place, seq, rest, payload: Payload::from(bytes) }
    }

    /// The same without what is not to be shown.
    fn hiding(self, record: &Record) -> Self {
        match record.language {
            Language::Service { secret: true, .. } => {
                Datagram { payload: self.payload.hidden(), ..self }
            }
            _ => self,
        }
    }
}

#[derive(Serialize)]
struct Of<'a, T> {
    #[serde(flatten)]
    place: Place<'a>,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Moved {
    previous_address: Option<String>,
    previous_port: Option<u16>,
}

#[derive(Serialize)]
struct IntervalFigures {
    sent: u64,
    received: u64,
    lost: u64,
    loss_percent: Option<f64>,
    rtt_min_ns: Option<u64>,
    rtt_avg_ns: Option<u64>,
    rtt_max_ns: Option<u64>,
}

impl IntervalFigures {
    fn new(figures: &Interval) -> Self {
        let [min, avg, max] = match figures.rtt {
            Some(rtt) => rtt.map(|it| Some(nanos(it))),
            None => [None; 3],
        };
        IntervalFigures {
            sent: figures.sent,
            received: figures.received,
            lost: figures.lost,
            loss_percent: figures.counts().loss_percent(),
            rtt_min_ns: min,
            rtt_avg_ns: avg,
            rtt_max_ns: max,
        }
    }
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Replied<'a> {
    rtt_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_with_reflector_ns: Option<u64>,
    rtt_from_due_ns: u64,
    reordered: bool,
    after_refusal: bool,
    verdict: &'static str,
    #[serde(flatten)]
    said: Option<Answered<'a>>,
}

#[derive(Serialize)]
struct Timed {
    rtt_ns: u64,
}

#[derive(Serialize)]
struct FreshTargets {
    targets: usize,
    added: usize,
    removed: usize,
}

#[derive(Serialize)]
struct Reason<'a> {
    reason: &'a str,
}

#[derive(Serialize)]
struct Changed<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    state: String,
    previous: String,
    since: String,
    /// How long the previous state lasted.
    duration_ns: u64,
    sent: u64,
    lost: u64,
    verdict: Option<&'static str>,
    reason: Option<String>,
}

impl<'a> Changed<'a> {
    fn new(place: Place<'a>, change: &StateChange) -> Self {
        Changed {
            place,
            state: change.change.state.to_string(),
            previous: change.change.previous.to_string(),
            since: change.since.rfc3339(),
            duration_ns: nanos(change.change.lasted),
            sent: change.sent,
            lost: change.lost,
            verdict: change.change.verdict.map(Verdict::name),
            reason: change.reason(),
        }
    }
}

#[derive(Serialize)]
struct Named<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Labels>,
}

/// Labels, where there are any.
fn shown(labels: &Labels) -> Option<&Labels> {
    (!labels.is_empty()).then_some(labels)
}

#[derive(Serialize)]
struct Started<'a> {
    targets: Vec<Named<'a>>,
    #[serde(flatten)]
    settings: Settings,
}

impl<'a> Started<'a> {
    fn new(start: &'a Start) -> Self {
        let named = |target: &'a StartTarget| Named {
            place: Place::new(Some(&target.label), target.address),
            labels: shown(&target.labels),
        };
        let targets = start.targets.iter().map(named).collect();
        Started { targets, settings: Settings::from(start) }
    }
}

/// How a run goes, in `start` and in recordings.
#[derive(Serialize)]
pub(crate) struct Settings {
    mode: &'static str,
    bytes: usize,
    interval_ns: u64,
    timeout_ns: u64,
    count: Option<u64>,
    schedule: &'static str,
    seed: Option<u64>,
    clock: &'static str,
}

impl From<&Start> for Settings {
    fn from(start: &Start) -> Self {
        let (schedule, seed) = match start.spacing {
            Spacing::Periodic => ("periodic", None),
            Spacing::Poisson { seed } => ("poisson", Some(seed)),
        };
        Settings {
            mode: start.mode,
            bytes: start.bytes,
            interval_ns: nanos(start.interval),
            timeout_ns: nanos(start.timeout),
            count: start.count,
            schedule,
            seed,
            clock: start.clock,
        }
    }
}

/// An object for each target of a summary.
pub(crate) fn each_target(run: &Snapshot, out: &mut Vec<u8>) {
    for target in &run.targets {
        object("summary", run.at, Summary::of_target(run, target), out);
    }
}

/// Every target's figures, as in its summary.
pub(crate) fn targets_json(snapshot: &Snapshot) -> Vec<u8> {
    #[derive(Serialize)]
    struct Targets<'a> {
        targets: Vec<Summary<'a>>,
    }
    let each = snapshot.targets.iter().map(|target| Summary::of_target(snapshot, target));
    let mut out = Vec::new();
    object("targets", snapshot.at, Targets { targets: each.collect() }, &mut out);
    out
}
