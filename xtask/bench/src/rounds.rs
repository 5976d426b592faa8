//! Runs one scenario: all servers up at once, then round after round a short slice of each, so
//! that whatever else happens on the machine happens to all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use driver::proc;

use crate::contender::Contender;
use crate::figure::{Figure, Sample};
use crate::goal::Rounds;
use crate::heartbeat;
use crate::load::{self, Load, Outcome, Pace, Span};
use crate::machine::{Cores, Pinned};
use crate::running::{Running, Tether, binary_bytes};
use crate::say;
use crate::scenario::{Lane, Scenario, Work};

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) slice: Duration,
}

/// A slice's uncounted beginning, as a share of the slice.
const WARM_UP: f64 = 0.25;

/// What came out of a scenario.
pub(crate) struct Measured {
    pub(crate) lanes: Vec<(Lane, Vec<Sample>)>,
    /// Lanes that could not be measured, and why.
    pub(crate) missing: Vec<(String, String)>,
}

/// The servers of one scenario.
struct Field<'a> {
    cores: Cores,
    contenders: &'a [Contender],
    running: BTreeMap<String, Running>,
    /// Replies a second that a server gave a closed loop before it was overloaded.
    capacity: BTreeMap<String, f64>,
    heartbeat: &'a heartbeat::Programs,
}

/// Measures `scenario`.
pub(crate) fn run(
    scenario: &Scenario,
    contenders: &[Contender],
    heartbeat: &heartbeat::Programs,
    cores: Cores,
    effort: Effort,
) -> Measured {
    let mut field =
        Field { cores, contenders, running: BTreeMap::new(), capacity: BTreeMap::new(), heartbeat };
    let mut measured = Measured { lanes: Vec::new(), missing: Vec::new() };
    for lane in &scenario.lanes {
        match field.prepare(lane) {
            Ok(()) => measured.lanes.push((lane.clone(), Vec::new())),
            Err(error) => measured.missing.push((lane.name.clone(), format!("{error:#}"))),
        }
    }
    let count = measured.lanes.len();
    for round in 0..effort.rounds {
        say::complain(&format!("{}: round {} of {}", scenario.name, round + 1, effort.rounds));
        // Each round begins with another lane, so that none always follows the same one.
        for i in 0..count {
            let (lane, samples) = &mut measured.lanes[(round + i) % count];
            let sample = field.measure(lane, effort).unwrap_or_else(|error| {
                say::complain(&format!("{}: {error:#}", lane.name));
                Sample::new()
            });
            samples.push(sample);
        }
    }
    measured
}

impl Field<'_> {
    fn contender(&self, name: &str) -> Result<&Contender> {
        self.contenders.iter().find(|c| c.name == name).context("not found on this machine")
    }

    /// Starts what the lane needs.
    fn prepare(&mut self, lane: &Lane) -> Result<()> {
        if let Work::Beats(beats) = lane.work {
            self.heartbeat.check(beats.client)?;
        }
        let contender = self.contender(&lane.contender)?;
        if matches!(lane.work, Work::Start) || self.running.contains_key(&contender.name) {
            return Ok(());
        }
        let running = Running::start(contender, self.cores, Tether::Tied)?;
        self.running.insert(contender.name.clone(), running);
        Ok(())
    }

    fn measure(&mut self, lane: &Lane, effort: Effort) -> Result<Sample> {
        match lane.work {
            Work::Start => self.start(&lane.contender),
            Work::Offer(load) => self.offer(&lane.contender, &load, effort),
            Work::Overload { closed, open, times } => {
                let capacity = match self.capacity.get(&lane.contender) {
                    Some(capacity) => *capacity,
                    None => {
                        let sample = self.offer(&lane.contender, &closed, effort)?;
                        let rate = sample.get(&Figure::Rate).context("no rate")?;
                        self.capacity.insert(lane.contender.clone(), *rate);
                        *rate
                    }
                };
                let open = Load { pace: Pace::Open(capacity * times), ..open };
                self.offer(&lane.contender, &open, effort)
            }
            Work::See(seeing) => {
                let server = self.running.get(&lane.contender).context("not running")?;
                self.heartbeat.see(seeing, server, effort.slice)
            }
            Work::Beats(beats) => {
                let server = self.running.get(&lane.contender).context("not running")?;
                self.heartbeat.measure(beats, server, self.cores, effort.slice)
            }
        }
    }

    fn offer(&self, contender: &str, load: &Load, effort: Effort) -> Result<Sample> {
        let server = self.running.get(contender).context("not running")?;
        let pinned = Pinned::to(&[self.cores.generator])?;
        let span = Span { warm_up: effort.slice.mul_f64(WARM_UP), slice: effort.slice };
        let mut lines = Vec::new();
        let outcome = load::offer(load, &server.target, span, &mut || {
            lines.extend(server.lines());
            server.cpu_nanos()
        });
        drop(pinned);
        let outcome = outcome?;
        let mut sample = figures(&outcome);
        if let [before, after] = lines[..]
            && outcome.tally.good > 0
        {
            let shown = (after - before) as f64 / outcome.tally.good as f64;
            sample.insert(Figure::Shown, shown * 100.0);
        }
        if let Some((_, most)) = proc::memory(server.pid()) {
            sample.insert(Figure::PeakMemory, most as f64);
        }
        Ok(sample)
    }

    fn start(&self, contender: &str) -> Result<Sample> {
        let contender = self.contender(contender)?;
        let server = Running::start(contender, self.cores, Tether::Timed)?;
        let mut sample = Sample::new();
        sample.insert(Figure::FirstReply, server.first_reply.as_nanos() as f64);
        if let Some((now, _)) = proc::memory(server.pid()) {
            sample.insert(Figure::IdleMemory, now as f64);
        }
        // A script's size says nothing, nor that of a shell.
        let program = contender.command.first().map(std::path::Path::new);
        let own = program.filter(|p| p.file_name().is_some_and(|n| n != "python3" && n != "sh"));
        if let Some(bytes) = own.and_then(binary_bytes) {
            sample.insert(Figure::BinarySize, bytes as f64);
        }
        Ok(sample)
    }
}

fn figures(outcome: &Outcome) -> Sample {
    let tally = outcome.tally;
    let mut sample = Sample::from([
        (Figure::Rate, tally.good as f64 / outcome.seconds),
        // What came late was not lost, only given up too early.
        (Figure::Lost, tally.lost.saturating_sub(tally.late) as f64),
        (Figure::Bad, tally.bad as f64),
    ]);
    if let Some(nanos) = outcome.metered.filter(|_| tally.good > 0) {
        sample.insert(Figure::Cpu, nanos as f64 / tally.good as f64);
    }
    if let Some(rtt) = outcome.rtt.as_ref().filter(|rtt| !rtt.is_empty()) {
        sample.insert(Figure::RttMedian, rtt.value_at_quantile(0.5) as f64);
        if rtt.len() >= 100 {
            sample.insert(Figure::Rtt99, rtt.value_at_quantile(0.99) as f64);
        }
    }
    sample
}

impl Rounds for Measured {
    fn samples(&self, lane: &str, figure: Figure) -> Option<Vec<Option<f64>>> {
        let (_, samples) = self.lanes.iter().find(|(l, _)| l.name == lane)?;
        Some(samples.iter().map(|sample| sample.get(&figure).copied()).collect())
    }

    fn lanes(&self) -> Vec<&str> {
        self.lanes.iter().map(|(lane, _)| lane.name.as_str()).collect()
    }
}
