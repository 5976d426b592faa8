//! Records every beat in a file: `--record`.
//!
//! The prober's thread hands each beat over once its class is known, as a small value and without waiting or
//! waking anybody; a thread of its own turns them into lines and writes them. What finds no room is counted and
//! said.

mod clocks;
mod file;
mod line;
mod waiting;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use crossbeam_channel::{Receiver, Sender, bounded};
use udp_core::cli::Failure;
use udp_core::error::describe;
use udp_core::service::Spec;

use crate::plan::Plan;
use crate::probe::event::{End, Event, Observer, Regrouped, What};
use crate::probe::schedule::TargetId;
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::thresholds::Thresholds;
use crate::report::{Language, Start};
use crate::run::precision;
use file::Output;
pub(crate) use file::SIGNATURE;
use line::{Beat, Ended, Late, Line, Run, StateLine};
pub(crate) use line::{Options, RunTarget};
use waiting::Waiting;
use writer::Writer;

/// How long the end of the run waits for the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// What both sides know.
#[derive(Debug, Default)]
struct Shared {
    waiting: Waiting,
    /// Nothing is written any more, until the file is opened again.
    stopped: AtomicBool,
    /// A write failed some time.
    failed: AtomicBool,
}

/// What the program says to the writer.
#[derive(Debug)]
enum Control {
    /// The file is open and the run begins.
    Begin(Output, Box<Run>),
    /// Open the file again; these are the targets.
    Reopen(Vec<RunTarget>),
    /// The run is over.
    Finish(Box<Snapshot>),
}

/// Takes note of beats, on the prober's thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    /// What came while the writer took the others.
    aside: Vec<Line>,
    targets: Vec<Target>,
}

/// What was recorded of a target.
#[derive(Debug, Clone, Default)]
struct Target {
    label: Arc<str>,
    /// Duplicates, unsolicited datagrams and skipped slots, which no beat has.
    between: [u64; 3],
    /// The newest reason: the next one is often the same.
    reason: Option<Arc<str>>,
}

/// A recording at work.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    path: PathBuf,
    control: Sender<Control>,
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

impl Recording {
    /// Starts the writer; the file is opened by [`begin`](Recording::begin).
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start(path: PathBuf) -> io::Result<(Recorder, Recording)> {
        let shared = Arc::new(Shared::default());
        let (control, orders) = bounded(4);
        let (done, ended) = bounded(0);
        let writer = Writer::new(path.clone(), shared.clone());
        thread::Builder::new().name("recorder".into()).spawn(move || {
            writer.serve(&orders);
            drop(done);
        })?;
        let recorder = Recorder {
            shared: shared.clone(),
            aside: Vec::with_capacity(waiting::LINES),
            targets: Vec::new(),
        };
        Ok((recorder, Recording { path, control, shared, ended }))
    }

    /// Opens the file and writes what runs.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub(crate) fn begin(
        &self,
        start: &Start,
        options: Options,
        targets: &[TargetSnapshot],
    ) -> Result<(), Failure> {
        let output = Output::open(&self.path).map_err(|error| {
            Failure::local(format!(
                "cannot open the recording {}: {}",
                self.path.display(),
                describe(&error)
            ))
        })?;
        let run = Run::new(start.clone(), options, targets);
        // The writer takes it at once: nothing else was asked of it.
        let _ = self.control.send(Control::Begin(output, Box::new(run)));
        Ok(())
    }

    /// The file was taken away: open it again. A writer that is stuck misses it.
    pub(crate) fn reopen(&self, snapshot: &Snapshot) {
        let targets = snapshot.targets.iter().map(RunTarget::from).collect();
        if self.control.try_send(Control::Reopen(targets)).is_err() {
            log::warn!("the recording {} is stuck and not opened again", self.path.display());
        }
    }

    /// Writes the end. False if not everything was written.
    pub(crate) fn finish(self, snapshot: Snapshot) -> bool {
        let asked =
            self.control.send_timeout(Control::Finish(Box::new(snapshot)), PATIENCE).is_ok();
        // Nothing is ever sent: the channel closes at the end.
        let ended = self.ended.recv_timeout(PATIENCE);
        if !asked || ended == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            log::error!("the recording {} is stuck and has no end", self.path.display());
            return false;
        }
        !self.shared.failed.load(Ordering::Relaxed)
    }
}

impl Recorder {
    /// Hands a line over; false if there was no room for it.
    fn offer(&mut self, line: Line) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
            || self.shared.waiting.offer(line, &mut self.aside)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.aside.drain(..).for_each(|line| self.shared.waiting.add(line));
    }
}

impl Observer for Recorder {
    fn begin(&mut self, target: TargetId, label: &Arc<str>, _given: &str) {
        let place = target as usize;
        if self.targets.len() <= place {
            self.targets.resize(place + 1, Target::default());
        }
        self.targets[place] = Target { label: label.clone(), ..Target::default() };
        self.shared.waiting.add(Line::Target(target, label.clone(), Language::Own));
    }

    fn service(&mut self, target: TargetId, spec: &Spec) {
        let label = self.targets.get(target as usize).map(|it| it.label.clone());
        let name = Line::Target(target, label.unwrap_or_default(), Language::of(spec));
        self.shared.waiting.add(name);
    }

    fn regrouped(&mut self, change: &Regrouped) {
        for gone in &change.gone {
            self.offer(Line::Summary(Box::new(gone.clone())));
        }
    }

    fn wants_sent(&self) -> bool {
        false
    }

    fn observe(&mut self, event: &Event<'_>) {
        let (id, at) = (event.target, event.at);
        match event.what {
            What::Ended { seq, sent, end, counts, said } => {
                let Some(target) = self.targets.get_mut(id as usize) else { return };
                let now = [counts.duplicate, counts.unsolicited, counts.slots_skipped];
                let more = (now != target.between).then(|| {
                    let mut more = now;
                    more.iter_mut().zip(target.between).for_each(|(now, before)| *now -= before);
                    Box::new(more)
                });
                let reason = match end {
                    End::Failed(reason) => Some(reason),
                    _ => said.and_then(|said| said.reply.reason.as_deref()),
                };
                let reason = reason.map(|reason| target.reason(reason));
                let end = Ended::from(end);
                let beat = Beat { target: id, at, seq: seq.0, sent, end, reason, more };
                if self.offer(Line::Beat(beat)) {
                    self.targets[id as usize].between = now;
                }
            }
            What::Late { seq, rtt, .. } => {
                self.offer(Line::Late(Late { target: id, at, seq: seq.0, rtt }));
            }
            What::State { change, counts, reason } => {
                let (address, sent, lost) = (event.address, counts.sent, counts.lost);
                let said = reason.map(str::to_owned);
                let state = StateLine { target: id, address, at, change, sent, lost, said };
                self.offer(Line::State(Box::new(state)));
            }
            _ => {}
        }
    }
}

impl Target {
    /// The reason, kept.
    fn reason(&mut self, reason: &str) -> Arc<str> {
        match &self.reason {
            Some(known) if **known == *reason => known.clone(),
            _ => self.reason.insert(reason.into()).clone(),
        }
    }
}

impl Options {
    /// Those of a plan. What may hold a secret, or a payload, is not among them.
    pub(crate) fn of(plan: &Plan) -> Options {
        let Thresholds { max_loss, max_rtt, min_replies, max_not_ok } = &plan.thresholds;
        let limits = max_loss.iter().map(|it| format!("--max-loss {it}"));
        let limits = limits.chain(max_rtt.iter().map(|it| format!("--max-rtt {it}")));
        let limits = limits.chain(min_replies.iter().map(|it| format!("--min-replies {it}")));
        let limits = limits.chain(max_not_ok.iter().map(|it| format!("--max-not-ok {it}")));
        Options {
            id: format!("{:016x}", fastrand::u64(..)),
            deadline: plan.deadline,
            judged: plan.judged,
            digits: precision(plan.targets.len()).digits(),
            down_after: plan.hysteresis.down_after,
            up_after: plan.hysteresis.up_after,
            limits: limits.collect(),
        }
    }
}

impl From<&TargetSnapshot> for RunTarget {
    fn from(target: &TargetSnapshot) -> Self {
        let TargetSnapshot { label, address, labels, interval, state, .. } = target.clone();
        RunTarget { label, address, labels, interval, state }
    }
}
