//! The loop of a run, on one thread: take what came, call lost what had its time, send what is due,
//! wait.
//!
//! Sending never waits for receiving: a receive takes what is there and is cut short when a beat
//! is due, a send never blocks, and nothing that is printed, looked up or run as a command is
//! waited for. One thread and not two, because then a beat is announced by a call and a reply is
//! judged by one owner, and because a wake-up is what a beat costs most. Where the kernel stamps
//! replies and beats follow each other fast, replies are not even waited for: they are taken when
//! the next beat is due anyway, and their time is none the worse for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use udp_core::Family;
use udp_core::clock::{self, Mono};

use super::lookup::{Found, Reason, Resolver};
use super::observers::Observers;
use super::outgoing::Batch;
use super::poller::Poller;
use super::ports::{Came, Drained, Ports};
use crate::probe::schedule::{TargetId, Timeline};
use crate::probe::session::Counts;
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::stats::distribution::{Distribution, Percentile};
use crate::probe::targets::{PortsToClose, Targets};
use crate::probe::thresholds::Thresholds;
use crate::probe::window::Seq;

/// Where beats are at most this far apart, replies are not waited for in between.
const LAZY: Duration = Duration::from_millis(10);
/// Many targets' beats that are due within this time leave together.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// The longest time that is given to receiving at once.
const TURN: Duration = Duration::from_millis(10);
/// Up to so many sockets it is cheaper to read each than to ask which has something.
const FEW: usize = 4;
/// A beat that is lost after this is as good as lost.
const ALMOST: Duration = Duration::from_millis(10);
/// How long the figures of a target take, and more.
const EACH: Duration = Duration::from_micros(100);
/// How long what came can have waited unread, where more comes than can be read.
const BACKLOG: Duration = Duration::from_secs(1);

/// What other threads say to the loop.
pub(crate) enum Call {
    /// Stop.
    Stop,
    /// Take the figures, without haste, and send them there.
    Snapshot(Sender<Snapshot>),
    /// A look-up is over.
    Found(Found),
    /// Do this between two beats.
    Do(Box<dyn FnOnce(&mut Engine) + Send>),
}

/// The run is to end, or has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

/// Figures that are being taken, some targets at a time.
pub(super) struct Taking {
    rest: std::vec::IntoIter<TargetId>,
    snapshot: Snapshot,
    to: Sender<Snapshot>,
}

/// What was asked for, where it is needed again.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) thresholds: Thresholds,
    pub(crate) warnings: Thresholds,
    /// Whether answers can be other than ok.
    pub(crate) judged: bool,
    pub(crate) count: Option<u64>,
    pub(crate) family: Family,
    pub(crate) default_port: u16,
}

/// All that a run needs.
pub(crate) struct Engine {
    pub(crate) targets: Targets,
    pub(crate) timeline: Timeline,
    pub(crate) ports: Ports,
    pub(super) observers: Observers,
    pub(crate) poller: Poller,
    pub(crate) calls: Receiver<Call>,
    pub(crate) resolver: Option<Resolver>,
    /// Whether an address may be beaten at this rate.
    pub(crate) admits: Box<dyn Fn(SocketAddr) -> bool + Send>,
    pub(crate) fixed: Fixed,
    pub(crate) deadline: Option<Mono>,
    /// When the figures of an interval are told next, and how long it is.
    pub(crate) intervals: Option<(Mono, Duration)>,
    /// How late sends were.
    pub(crate) lag: Distribution,
    pub(crate) batch: Batch,
    /// Many targets' beats that are due before this leave together then.
    pub(crate) next_tick: Mono,
    /// Beats sent since what came was last taken.
    pub(crate) unread: usize,
    pub(super) taking: VecDeque<Taking>,
    pub(super) has_run: bool,
}

impl Engine {
    /// Runs until the end.
    pub(crate) fn run(&mut self) {
        // Of this thread alone.
        Poller::be_exact();
        let mut ready = Vec::new();
        loop {
            if let Some(Ended) = self.take_calls() {
                return self.receive_rest();
            }
            let now = clock::mono();
            // Of paths that a call has left, before anything more comes from there.
            self.close_ports(now);
            self.receive(&mut ready, now);
            self.close_ports(now);
            self.tell_intervals(now);
            self.look_up(now);
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return self.receive_rest();
            }
            self.send_due();
            self.take_figures();
            if self.targets.is_done(now) {
                self.drain();
                return;
            }
            self.wait(&mut ready);
        }
    }

    /// Takes what came on the sockets that `ready` names, and calls lost what had its time by
    /// `now`. The sockets are asked anew where that matters: what came until `now` must be known.
    fn receive(&mut self, ready: &mut Vec<bool>, now: Mono) {
        let expiring = self.targets.next_expiry().is_some_and(|due| due <= now);
        if expiring {
            ready.clear();
        }
        if ready.is_empty() && self.ports.len() > FEW {
            self.poller.wait(self.ports.sockets(), Some(now), ready);
        }
        let until = self.timeline.next_due().unwrap_or(now + TURN).min(now + TURN);
        let drained = self.take_in(ready, until);
        ready.clear();
        let told_until = match drained {
            Drained::All => now,
            Drained::Part => now.saturating_sub(BACKLOG),
        };
        if expiring {
            self.targets.expire(told_until, &mut self.observers);
            self.take_strays();
        }
    }

    /// What others than those that were asked sent to our ports. Seldom: it is no beat's answer.
    pub(super) fn take_strays(&mut self) {
        let targets = &mut self.targets;
        self.ports.strays(|from| targets.stray(from));
    }

    /// Takes what came until `until`, and beyond that twice as many as beats were sent: where
    /// sending takes all the time there is, replies must not pile up until the kernel drops them.
    pub(super) fn take_in(&mut self, ready: &[bool], until: Mono) -> Drained {
        let least = 2 * std::mem::take(&mut self.unread);
        let (targets, observers) = (&mut self.targets, &mut self.observers);
        self.ports.receive(ready, (until, least), |came| note(targets, observers, &came, None))
    }

    /// At the end: what has come until now counts, what has not is pending.
    fn receive_rest(&mut self) {
        let now = clock::mono();
        if self.take_in(&[], now + TURN) == Drained::All {
            self.targets.expire(now, &mut self.observers);
        }
        self.take_strays();
    }

    /// Does what other threads ask for; the reason to end, if they ask for that.
    pub(super) fn take_calls(&mut self) -> Option<Ended> {
        while let Ok(call) = self.calls.try_recv() {
            match call {
                Call::Stop => return Some(Ended),
                Call::Snapshot(to) => {
                    let rest = self.targets.present().collect::<Vec<_>>().into_iter();
                    self.taking.push_back(Taking { rest, snapshot: self.snapshot(&[]), to });
                }
                Call::Found(found) => self.found(found),
                Call::Do(work) => work(self),
            }
        }
        None
    }

    /// Takes the figures of a few targets, as many as there is time for until the next beat.
    fn take_figures(&mut self) {
        let Some(mut taking) = self.taking.pop_front() else { return };
        let until = self.timeline.next_due().unwrap_or(Mono::from_nanos(u64::MAX));
        let start = clock::mono();
        for id in taking.rest.by_ref() {
            taking.snapshot.targets.push(self.figures(id));
            let now = clock::mono();
            if now + EACH >= until || now >= start + TICK {
                break;
            }
        }
        if taking.rest.as_slice().is_empty() {
            self.complete(&mut taking.snapshot);
            // Who asked may have gone.
            let _ = taking.to.try_send(taking.snapshot);
        } else {
            self.taking.push_front(taking);
        }
    }

    fn figures(&self, id: TargetId) -> TargetSnapshot {
        let Fixed { thresholds, warnings, .. } = &self.fixed;
        TargetSnapshot::of(self.targets.target(id), thresholds, warnings)
    }

    /// The figures of these targets until now, held against the thresholds.
    pub(crate) fn snapshot(&self, targets: &[TargetId]) -> Snapshot {
        let targets: Vec<TargetSnapshot> = targets.iter().map(|id| self.figures(*id)).collect();
        let mut totals = Counts::default();
        targets.iter().for_each(|target| totals.add(&target.counts));
        Snapshot {
            at: clock::wall(),
            targets,
            totals,
            judged: self.fixed.judged,
            lag_p50: self.lag.percentile(Percentile::P50),
            lag_p99: self.lag.percentile(Percentile::P99),
            lag_max: self.lag.max(),
            unsolicited_from: None,
            kernel_drops: None,
        }
    }

    /// The figures of all targets, and what is no target's.
    pub(crate) fn snapshot_of_all(&mut self) -> Snapshot {
        let present: Vec<TargetId> = self.targets.present().collect();
        let mut snapshot = self.snapshot(&present);
        self.complete(&mut snapshot);
        snapshot
    }

    /// Adds what is no target's.
    fn complete(&mut self, snapshot: &mut Snapshot) {
        snapshot.totals = Counts { unsolicited: self.targets.strays(), ..Counts::default() };
        snapshot.targets.iter().for_each(|target| snapshot.totals.add(&target.counts));
        snapshot.unsolicited_from = self.targets.unsolicited_from();
        snapshot.kernel_drops = self.ports.lost_in_host();
    }

    fn found(&mut self, Found { target, addresses }: Found) {
        let now = clock::mono();
        self.resolver.iter_mut().for_each(Resolver::go_on);
        match self.observers.lookups.settle(target, addresses) {
            Some(Ok(addresses)) => self.follow(target, &addresses, now),
            Some(Err(reason)) => self.targets.unresolved(target, &reason, now, &mut self.observers),
            None => {}
        }
    }

    /// Moves on to one of `addresses`, unless the target is at one of them.
    pub(super) fn follow(&mut self, target: TargetId, addresses: &[SocketAddr], now: Mono) {
        let current = self.targets.target(target).address();
        if current.is_some_and(|current| addresses.contains(&current)) {
            return;
        }
        let admitted: Vec<SocketAddr> =
            addresses.iter().copied().filter(|address| (self.admits)(*address)).collect();
        if admitted.is_empty() {
            let reason = "its new address may not be sent to so fast without --fast";
            self.targets.unresolved(target, reason, now, &mut self.observers);
        } else {
            self.targets.place(target, &admitted, now, &mut self.observers);
        }
    }

    /// Has names looked up whose time has come, or whose beats are lost.
    fn look_up(&mut self, now: Mono) {
        let mut lost = std::mem::take(&mut self.observers.lost);
        for (target, reason) in lost.drain(..) {
            if reason == Reason::Lost
                && let Some(addresses) = self.observers.lookups.kept(target)
            {
                self.follow(target, &addresses, now);
            }
            if self.observers.lookups.begin(target, reason, now) {
                self.ask(target);
            }
        }
        self.observers.lost = lost;
        while let Some(target) = self.observers.lookups.take(now) {
            self.ask(target);
        }
    }

    /// Before a beat of the target: where two are lost and the third is as good as lost, what was
    /// found early is used now, so that this beat need not go where nobody is.
    pub(super) fn follow_early(&mut self, target: TargetId, now: Mono) {
        if !self.observers.lookups.has_kept(target) {
            return;
        }
        let session = &self.targets.target(target).session;
        let third = session.oldest_in_flight().and_then(|seq| session.beat(seq));
        let timeout = self.targets.setup().rules.timeout;
        if session.unanswered_in_a_row() >= 2
            && third.is_some_and(|beat| beat.sent + timeout <= now + ALMOST)
            && let Some(addresses) = self.observers.lookups.kept(target)
        {
            self.follow(target, &addresses, now);
        }
    }

    pub(super) fn ask(&mut self, target: TargetId) {
        if let Some(resolver) = &mut self.resolver {
            resolver.ask(target, self.targets.target(target).endpoint.clone());
        }
    }

    fn tell_intervals(&mut self, now: Mono) {
        if let Some((due, every)) = &mut self.intervals
            && *due <= now
        {
            // What was slept through is in this one.
            let behind = now.saturating_since(*due).as_nanos() % every.as_nanos().max(1);
            let ahead = every.saturating_sub(Duration::from_nanos(behind as u64));
            *due = now + ahead;
            self.targets.tell_intervals(now, &mut self.observers);
        }
    }

    pub(super) fn close_ports(&mut self, now: Mono) {
        while let Some(closing) = self.targets.close_due(now) {
            match closing {
                PortsToClose::One(port) => self.ports.close(port),
                PortsToClose::All(owner) => self.ports.close_all(owner),
            }
        }
    }

    /// Waits until something is to be done.
    fn wait(&mut self, ready: &mut Vec<bool>) {
        let now = clock::mono();
        let mut due = self.timeline.next_due();
        if self.targets.targets().len() > 1 {
            due = due.map(|due| due.max(self.next_tick));
        }
        let interval = self.intervals.map(|(due, _)| due);
        let until = [
            due,
            self.targets.next_expiry(),
            self.deadline,
            interval,
            self.observers.lookups.next_due(),
        ]
        .into_iter()
        .flatten()
        .min();
        let until = if self.taking.is_empty() { until } else { Some(now) };
        let soon = until.is_some_and(|until| until <= now + LAZY);
        if soon && self.ports.kernel_stamps() {
            self.poller.wait(std::iter::empty(), until, ready);
        } else {
            self.poller.wait(self.ports.sockets(), until, ready);
        }
    }
}

/// Tells the targets what came. `current` is a beat that an error cannot be about.
pub(super) fn note(
    targets: &mut Targets,
    observers: &mut Observers,
    came: &Came<'_>,
    current: Option<(TargetId, Seq)>,
) {
    match came {
        Came::Datagram(datagram) => targets.arrive(datagram, observers),
        Came::Error(port, Some(peer), error) => {
            let now = clock::mono();
            let place = (*port, *peer);
            if error.is_refusal() {
                let quoted = Some(error.quoted.as_slice()).filter(|bytes| !bytes.is_empty());
                targets.refuse(place, quoted, current, now, observers);
            } else {
                targets.trouble(place, &error.to_string(), now, observers);
            }
        }
        Came::Error(_, None, error) => log::debug!("an error on a socket: {error}"),
    }
}
