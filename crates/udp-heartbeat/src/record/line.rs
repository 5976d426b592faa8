//! The lines of a recording, as values and as JSON; `schema/recording.schema.json` describes them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use udp_core::cli::json::{nanos, object};
use udp_core::cli::printer::Render;
use udp_core::clock::{self, Mono, Wall};
use udp_core::endpoint::ip_text;

use super::clocks::Clocks;
use crate::probe::event::End;
use crate::probe::schedule::TargetId;
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::state::{Change, State};
use crate::probe::targets::Labels;
use crate::probe::verdict::Verdict;
use crate::report::{Item, Json, Language, Record, ReportEvent, Settings, Start, StateChange};

/// What is recorded of the options, beyond what [`Start`] has: enough to compute every figure again.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Of the run, whichever file it goes on in.
    pub(crate) id: String,
    pub(crate) deadline: Option<Duration>,
    /// Whether answers can be other than ok.
    pub(crate) judged: bool,
    /// Of percentiles.
    pub(crate) digits: u8,
    pub(crate) down_after: u64,
    pub(crate) up_after: u64,
    /// `--max-…` and `--min-…`, as they are written.
    pub(crate) limits: Vec<String>,
}

/// What runs.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) at: Wall,
    pub(super) start: Start,
    pub(super) options: Options,
    pub(super) targets: Vec<RunTarget>,
}

impl Run {
    pub(super) fn new(start: Start, options: Options, targets: &[TargetSnapshot]) -> Run {
        let targets = targets.iter().map(RunTarget::from).collect();
        Run { at: start.at, start, options, targets }
    }
}

/// A target of the run.
#[derive(Debug, Clone)]
pub(crate) struct RunTarget {
    pub(super) label: String,
    pub(super) address: Option<SocketAddr>,
    pub(super) labels: Labels,
    pub(super) interval: Duration,
    pub(super) state: State,
}

/// One line, but for the run's; a target's name is none, and stands before all that is said of the target.
#[derive(Debug)]
pub(super) enum Line {
    Target(TargetId, Arc<str>, Language),
    Beat(Beat),
    Late(Late),
    State(Box<StateLine>),
    Summary(Box<Snapshot>),
}

/// A beat whose class is known.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) target: TargetId,
    pub(super) at: Mono,
    pub(super) seq: u64,
    pub(super) sent: Mono,
    pub(super) end: Ended,
    pub(super) reason: Option<Arc<str>>,
    /// Duplicates, unsolicited datagrams and skipped slots since the target's beat before, if any.
    pub(super) more: Option<Box<[u64; 3]>>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    Received { rtt: Duration, rtt_total: Duration, verdict: Verdict },
    Lost { refused: bool },
    Failed,
    Pending,
}

impl From<End<'_>> for Ended {
    fn from(end: End<'_>) -> Ended {
        match end {
            End::Received(it) => {
                Ended::Received { rtt: it.rtt, rtt_total: it.rtt_total, verdict: it.verdict }
            }
            End::Lost { refused } => Ended::Lost { refused },
            End::Failed(_) => Ended::Failed,
            End::Pending => Ended::Pending,
        }
    }
}

/// A reply to a beat that was lost.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) target: TargetId,
    pub(super) at: Mono,
    pub(super) seq: u64,
    pub(super) rtt: Duration,
}

/// A change of state.
#[derive(Debug)]
pub(super) struct StateLine {
    pub(super) target: TargetId,
    pub(super) address: Option<SocketAddr>,
    pub(super) at: Mono,
    pub(super) change: Change,
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) said: Option<String>,
}

/// Turns lines into text.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) clocks: Clocks,
    targets: Vec<(Arc<str>, Language)>,
    stamp: bool,
    /// What is the same here and in `--json`.
    json: Json,
}

impl Default for Lines {
    fn default() -> Self {
        Lines {
            clocks: Clocks::default(),
            targets: Vec::new(),
            stamp: false,
            json: Json::new(false),
        }
    }
}

impl Lines {
    /// The first line of a file.
    pub(super) fn begin(&mut self, run: &Run, out: &mut Vec<u8>) {
        self.stamp = run.start.mode == "stamp";
        object("run", run.at, RunObject::new(run), out);
    }

    fn target(&self, target: TargetId) -> (Arc<str>, Language) {
        self.targets.get(target as usize).cloned().unwrap_or_default()
    }

    pub(super) fn add(&mut self, line: Line, out: &mut Vec<u8>) {
        match line {
            Line::Target(target, label, language) => {
                let place = target as usize;
                if self.targets.len() <= place {
                    self.targets.resize_with(place + 1, Default::default);
                }
                self.targets[place] = (label, language);
            }
            Line::Beat(beat) => {
                let (label, language) = self.target(beat.target);
                let (sent, stamp) = (self.clocks.wall(beat.sent), language.is_stamp(self.stamp));
                let object_of = BeatObject::new(&beat, &label, sent, stamp);
                object("beat", self.clocks.wall(beat.at), object_of, out);
            }
            Line::Late(Late { target, at, seq, rtt }) => {
                let late = LateObject { target: &self.target(target).0, seq, rtt_ns: nanos(rtt) };
                object("late", self.clocks.wall(at), late, out);
            }
            Line::State(state) => {
                let StateLine { target, address, at, change, sent, lost, said } = *state;
                let since = self.clocks.wall(change.since);
                let event = ReportEvent::State(StateChange { change, since, sent, lost, said });
                let (label, language) = (self.target(target).0, Language::Own);
                let record = Record { at: self.clocks.wall(at), label, address, language, event };
                self.json.value(Item::Record(record), out);
            }
            Line::Summary(summary) => self.json.value(Item::Summary(summary), out),
        }
    }

    /// Says that so many lines found no room.
    pub(super) fn missed(&self, count: u64, out: &mut Vec<u8>) {
        object("not_recorded", clock::wall(), NotRecorded { count }, out);
    }
}

#[derive(Serialize)]
struct RunObject<'a> {
    version: &'a str,
    id: &'a str,
    options: OptionsObject<'a>,
    targets: Vec<TargetObject<'a>>,
}

#[derive(Serialize)]
struct OptionsObject<'a> {
    #[serde(flatten)]
    settings: Settings,
    deadline_ns: Option<u64>,
    down_after: u64,
    up_after: u64,
    limits: &'a [String],
    judged: bool,
    percentile_digits: u8,
}

#[derive(Serialize)]
struct TargetObject<'a> {
    target: &'a str,
    address: Option<String>,
    port: Option<u16>,
    state: String,
    interval_ns: u64,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'a Labels,
}

impl<'a> RunObject<'a> {
    fn new(run: &'a Run) -> Self {
        let Run { start, options, .. } = run;
        let target = |it: &'a RunTarget| TargetObject {
            target: &it.label,
            address: it.address.map(ip_text),
            port: it.address.map(|address| address.port()),
            state: it.state.to_string(),
            interval_ns: nanos(it.interval),
            labels: &it.labels,
        };
        RunObject {
            version: env!("CARGO_PKG_VERSION"),
            id: &options.id,
            options: OptionsObject {
                settings: Settings::from(start),
                deadline_ns: options.deadline.map(nanos),
                down_after: options.down_after,
                up_after: options.up_after,
                limits: &options.limits,
                judged: options.judged,
                percentile_digits: options.digits,
            },
            targets: run.targets.iter().map(target).collect(),
        }
    }
}

#[derive(Serialize)]
struct BeatObject<'a> {
    target: &'a str,
    seq: u64,
    sent: String,
    class: &'static str,
    /// A late reply has a line of its own.
    late: bool,
    refused: bool,
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_with_reflector_ns: Option<u64>,
    verdict: Option<&'static str>,
    reason: Option<&'a str>,
    /// The source port, where it is a flow.
    flow: Option<u16>,
    #[serde(skip_serializing_if = "is_zero")]
    duplicate: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unsolicited: u64,
    #[serde(skip_serializing_if = "is_zero")]
    slots_skipped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> BeatObject<'a> {
    fn new(beat: &'a Beat, label: &'a str, sent: Wall, stamp: bool) -> Self {
        let (class, rtt) = match &beat.end {
            Ended::Received { rtt, rtt_total, verdict } => {
                ("received", Some((*rtt, *rtt_total, verdict.name())))
            }
            Ended::Lost { .. } => ("lost", None),
            Ended::Failed => ("failed", None),
            Ended::Pending => ("pending", None),
        };
        let [duplicate, unsolicited, slots_skipped] =
            beat.more.as_deref().copied().unwrap_or_default();
        BeatObject {
            target: label,
            seq: beat.seq,
            sent: sent.rfc3339(),
            class,
            late: false,
            refused: matches!(beat.end, Ended::Lost { refused: true }),
            rtt_ns: rtt.map(|(net, ..)| nanos(net)),
            rtt_with_reflector_ns: rtt.filter(|_| stamp).map(|(_, total, _)| nanos(total)),
            verdict: rtt.map(|(.., verdict)| verdict),
            reason: beat.reason.as_deref(),
            flow: None,
            duplicate,
            unsolicited,
            slots_skipped,
        }
    }
}

#[derive(Serialize)]
struct LateObject<'a> {
    target: &'a str,
    seq: u64,
    rtt_ns: u64,
}

#[derive(Serialize)]
struct NotRecorded {
    count: u64,
}
