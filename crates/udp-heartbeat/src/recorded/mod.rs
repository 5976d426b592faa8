//! Reads recordings: every beat of every target, and the figures that follow from them.
//!
//! Figures are computed by the same code as in a run, from the beats; what no beat tells (a reflector's
//! counters, what the kernel dropped) is taken from the summary, where all beats that it sums up are here.

pub(crate) mod csv;
mod figures;
mod parse;
mod source;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use udp_core::clock::Wall;

use crate::probe::counts::Counts;
use crate::probe::snapshot::Snapshot;
use crate::probe::state::State;
use crate::probe::stats::distribution::{Distribution, Precision};
use crate::probe::stats::jitter::Jitter;
use crate::probe::verdict::Verdict;
use parse::{Object, RunEnd, state_named, verdict_named};

/// How a beat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Received,
    Lost,
    Failed,
    Pending,
}

impl Class {
    const ALL: [Class; 4] = [Class::Received, Class::Lost, Class::Failed, Class::Pending];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Received => "received",
            Class::Lost => "lost",
            Class::Failed => "failed",
            Class::Pending => "pending",
        }
    }
}

/// A beat, small: there may be millions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// Which run of its target.
    pub(crate) run: u32,
    pub(crate) seq: u64,
    pub(crate) sent: Wall,
    /// Of a received one.
    pub(crate) rtt_ns: u64,
    pub(crate) class: Class,
    pub(crate) late: bool,
    pub(crate) refused: bool,
    pub(crate) verdict: Option<Verdict>,
    /// Which of the texts, from 1.
    reason: u32,
    pub(crate) flow: Option<u16>,
}

/// A target of all recordings.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) label: String,
    pub(crate) labels: BTreeMap<String, String>,
    address: Option<SocketAddr>,
    interval: Duration,
    /// In the order of sending, once all is read.
    pub(crate) beats: Vec<Beat>,
    /// Since when it was how, in order.
    pub(crate) states: Vec<(Wall, State)>,
    pub(crate) rtt: Distribution,
    jitter: Jitter,
    counts: Counts,
    runs: Vec<RunOf>,
    lates: Vec<(u32, u64)>,
}

/// One run of a target.
#[derive(Debug, Clone, Default)]
struct RunOf {
    id: String,
    beats: u64,
    next_in_order: u64,
    /// Duplicates, unsolicited datagrams, skipped slots, as far as beats tell them.
    between: [u64; 3],
    summary: Option<Box<parse::Summary>>,
}

/// What recordings hold.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) targets: Vec<Target>,
    by_label: HashMap<String, usize>,
    reasons: Vec<String>,
    by_reason: HashMap<String, u32>,
    options: Option<parse::Options>,
    id: String,
    runs: usize,
    judged: bool,
    /// How each run ended, by its name: what is of the whole run is in each of its summaries.
    ends: Vec<(String, RunEnd)>,
    /// When the last line was written.
    at: Wall,
    /// Lines that are none of a recording, and those that the recorder had no room for.
    pub(crate) unreadable: u64,
    pub(crate) not_recorded: u64,
}

impl Recorded {
    /// Reads one more file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<()> {
        let mut source = source::open(path)?;
        let mut line = Vec::new();
        while source.read_until(b'\n', &mut line)? > 0 {
            if !line.trim_ascii().is_empty() {
                match parse::object(&line) {
                    Some(object) => self.take(object),
                    None => self.unreadable += 1,
                }
            }
            line.clear();
        }
        Ok(())
    }

    /// When the first run of a file began; None if it has none.
    pub(crate) fn begins(path: &Path) -> Option<Wall> {
        let mut line = Vec::new();
        source::open(path).ok()?.read_until(b'\n', &mut line).ok()?;
        match parse::object(&line)? {
            Object::Run(run) => Wall::from_rfc3339(&run.ts),
            _ => None,
        }
    }

    /// Whether there is anything to speak of.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// All is read: puts beats into the order of sending, and late replies to their beats.
    pub(crate) fn finish(&mut self) {
        for target in &mut self.targets {
            target.beats.sort_by_key(|beat| (beat.run, beat.seq));
            for late in std::mem::take(&mut target.lates) {
                let found = target.beats.binary_search_by_key(&late, |beat| (beat.run, beat.seq));
                if let Ok(place) = found {
                    let beat = &mut target.beats[place];
                    target.counts.late += 1;
                    target.counts.refused_late += u64::from(beat.refused);
                    beat.late = true;
                }
            }
        }
    }

    /// Puts the target first of which most was lost.
    pub(crate) fn worst_first(&mut self) {
        self.targets.sort_by(|a, b| a.counts.worst_first(&b.counts));
    }

    fn take(&mut self, object: Object<'_>) {
        match object {
            Object::Run(run) => self.begin(*run),
            Object::Beat(beat) => self.beat(&beat),
            Object::Late(late) => {
                let target = self.target(&late.target);
                let run = self.targets[target].run(&self.id);
                self.targets[target].lates.push((run, late.seq));
            }
            Object::State(state) => {
                let target = self.target(&state.target);
                let target = &mut self.targets[target];
                target.address = state.place.get().or(target.address);
                let change = Wall::from_rfc3339(&state.since).zip(state_named(&state.state));
                target.states.extend(change);
            }
            Object::Summary(summary) => {
                self.at = Wall::from_rfc3339(&summary.ts).unwrap_or_default().max(self.at);
                let end = RunEnd::of(&summary);
                match self.ends.iter_mut().find(|it| it.0 == self.id) {
                    Some(known) => known.1 = end,
                    None => self.ends.push((self.id.clone(), end)),
                }
                if let Some(label) = &summary.target {
                    let target = self.target(label);
                    let run = self.targets[target].run(&self.id);
                    self.targets[target].address = summary.address();
                    self.targets[target].runs[run as usize].summary = Some(summary);
                }
            }
            Object::NotRecorded(count) => self.not_recorded += count,
            Object::Other => {}
        }
    }

    fn begin(&mut self, run: parse::Run) {
        let at = Wall::from_rfc3339(&run.ts).unwrap_or_default();
        self.at = self.at.max(at);
        let begins = self.id != run.id;
        self.runs += usize::from(begins);
        self.id = run.id;
        self.judged |= run.options.judged;
        self.options = Some(run.options);
        for it in run.targets {
            let target = self.target(&it.target);
            let target = &mut self.targets[target];
            target.address = it.place.get().or(target.address);
            target.labels = it.labels;
            target.interval = it.interval_ns.map_or(target.interval, Duration::from_nanos);
            // What was known before the file was opened again is known.
            if begins || target.states.is_empty() {
                target.states.extend(state_named(&it.state).map(|state| (at, state)));
            }
        }
    }

    /// Which target this is; a new one if there is none.
    fn target(&mut self, label: &str) -> usize {
        if let Some(place) = self.by_label.get(label) {
            return *place;
        }
        let fine = self.options.as_ref().is_none_or(|it| it.percentile_digits >= 3);
        let precision = if fine { Precision::Fine } else { Precision::Coarse };
        self.by_label.insert(label.to_owned(), self.targets.len());
        self.targets.push(Target {
            label: label.to_owned(),
            labels: BTreeMap::new(),
            address: None,
            interval: self.rules().0,
            beats: Vec::new(),
            states: Vec::new(),
            rtt: Distribution::new(precision),
            jitter: Jitter::default(),
            counts: Counts::default(),
            runs: Vec::new(),
            lates: Vec::new(),
        });
        self.targets.len() - 1
    }

    fn beat(&mut self, it: &parse::Beat<'_>) {
        let class = Class::ALL.into_iter().find(|class| class.name() == it.class);
        let Some((class, sent)) = class.zip(Wall::from_rfc3339(&it.sent)) else {
            self.unreadable += 1;
            return;
        };
        let reason = it.reason.as_deref().map_or(0, |reason| self.reason(reason));
        let place = self.target(&it.target);
        let target = &mut self.targets[place];
        let run = target.run(&self.id);
        let verdict = it.verdict.as_deref().and_then(verdict_named);
        let &parse::Beat { seq, refused, flow, .. } = it;
        let rtt_ns = it.rtt_ns.filter(|_| class == Class::Received).unwrap_or_default();
        let of_run = &mut target.runs[run as usize];
        of_run.beats += 1;
        let more = [it.duplicate, it.unsolicited, it.slots_skipped];
        of_run.between.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        let counts = &mut target.counts;
        counts.sent += 1;
        match class {
            Class::Received => {
                // Lines are in the order of arrival.
                counts.received += 1;
                counts.reordered += u64::from(seq < of_run.next_in_order);
                of_run.next_in_order = of_run.next_in_order.max(seq + 1);
                if let Some(verdict) = verdict {
                    counts.verdicts.count(verdict);
                }
                target.rtt.record(Duration::from_nanos(rtt_ns));
                target.jitter.record(Duration::from_nanos(rtt_ns));
            }
            Class::Lost => {
                counts.lost += 1;
                counts.refused += u64::from(refused);
            }
            Class::Failed => counts.failed += 1,
            Class::Pending => {}
        }
        let late = false;
        let beat = Beat { run, seq, sent, rtt_ns, class, late, refused, verdict, reason, flow };
        target.beats.push(beat);
        self.at = self.at.max(sent);
    }

    /// Which of the texts this is.
    fn reason(&mut self, reason: &str) -> u32 {
        if let Some(place) = self.by_reason.get(reason) {
            return *place;
        }
        self.reasons.push(reason.to_owned());
        let place = u32::try_from(self.reasons.len()).unwrap_or_default();
        self.by_reason.insert(reason.to_owned(), place);
        place
    }

    /// Why a beat failed, or what its answer gave as reason.
    pub(crate) fn reason_of(&self, beat: &Beat) -> Option<&str> {
        let place = (beat.reason as usize).checked_sub(1)?;
        self.reasons.get(place).map(String::as_str)
    }

    /// How beats were spaced, how long one was waited for, and how many in a row make an outage.
    pub(crate) fn rules(&self) -> (Duration, Duration, u64) {
        self.options.as_ref().map_or((Duration::from_secs(1), Duration::from_secs(1), 3), |it| {
            let span = Duration::from_nanos;
            (span(it.interval_ns), span(it.timeout_ns), it.down_after)
        })
    }

    /// How a reply is known.
    pub(crate) fn mode(&self) -> &str {
        self.options.as_ref().map_or("plain", |it| &it.mode)
    }

    /// How many runs there are.
    pub(crate) fn runs(&self) -> usize {
        self.runs
    }

    /// The figures of all.
    pub(crate) fn snapshot(&self) -> Snapshot {
        figures::snapshot(self)
    }
}

impl Target {
    /// Which of its runs the one of this name is. A target that came again after its summary has begun anew.
    fn run(&mut self, id: &str) -> u32 {
        let goes_on = self.runs.last().is_some_and(|it| it.id == id && it.summary.is_none());
        if !goes_on {
            self.runs.push(RunOf { id: id.to_owned(), ..RunOf::default() });
            self.jitter.pause();
        }
        u32::try_from(self.runs.len() - 1).unwrap_or(u32::MAX)
    }
}
