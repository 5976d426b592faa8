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
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use udp_core::Family;
use udp_core::clock::{self, Mono};

use super::discovery::Discovery;
use super::lookup::{Found, Resolver};
use super::observers::Observers;
use super::poller::{FEW, Poller, Ready};
use super::ports::{BATCH, Came, Drained, Ports};
use crate::probe::meter::Meters;
use crate::probe::schedule::{TargetId, Timeline};
use crate::probe::snapshot::Snapshot;
use crate::probe::stats::buckets::Buckets;
use crate::probe::stats::distribution::Distribution;
use crate::probe::targets::{PortKey, PortsToClose, Targets};
use crate::probe::thresholds::Thresholds;
use crate::probe::window::Seq;

/// Where beats are at most this far apart, replies are not waited for in between.
const LAZY: Duration = Duration::from_millis(10);
/// Then the replies of a few beats, which the kernel has stamped, are read together.
const TOGETHER: Duration = Duration::from_millis(2);
/// Many targets' beats that are due within this time leave together.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// The longest time that is given to receiving at once.
const TURN: Duration = Duration::from_millis(10);
/// How long what came can have waited unread, where more comes than can be read.
const BACKLOG: Duration = Duration::from_secs(1);

/// What other threads say to the loop.
pub(crate) enum Call {
    /// Stop.
    Stop,
    /// Take the figures, without haste, and send them there.
    Snapshot(Sender<Snapshot>),
    /// The same for a scrape.
    Meters(Sender<Meters>),
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
    pub(super) rest: std::vec::IntoIter<TargetId>,
    pub(super) taken: Taken,
}

/// What was taken so far, and who waits for it.
pub(super) enum Taken {
    Figures(Snapshot, Sender<Snapshot>),
    Meters(Meters, Sender<Meters>),
}

/// Beats that leave together from a shared port.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) port: Option<PortKey>,
    pub(super) beats: Vec<Beat>,
    pub(super) results: Vec<io::Result<()>>,
    /// One datagram's bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) said_no_port: bool,
}

/// A beat that was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    pub(super) target: TargetId,
    pub(super) seq: Seq,
    pub(super) port: PortKey,
    pub(super) to: SocketAddr,
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
    /// Whether it listens on once all beats are settled.
    pub(crate) lingers: bool,
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
    /// Names of which each address is a target.
    pub(crate) discovery: Option<Discovery>,
    pub(crate) fixed: Fixed,
    pub(crate) deadline: Option<Mono>,
    /// When the figures of an interval are reported next, and how long it is.
    pub(crate) intervals: Option<(Mono, Duration)>,
    /// How late sends were.
    pub(crate) lag: Distribution,
    /// The same by buckets, for whoever scrapes.
    pub(crate) lag_buckets: Option<Buckets>,
    pub(super) batch: Batch,
    /// Many targets' beats that are due before this leave together then.
    pub(crate) next_tick: Mono,
    /// Beats sent since what came was last taken.
    pub(crate) unread: usize,
    /// What came since then need not be taken before this.
    pub(crate) next_reading: Mono,
    pub(super) taking: VecDeque<Taking>,
    pub(super) has_run: bool,
}

impl Engine {
    /// Runs until the end.
    pub(crate) fn run(&mut self) {
        // Of this thread alone.
        Poller::be_exact();
        let mut ready = Ready::default();
        loop {
            if let Some(Ended) = self.take_calls() {
                return self.stop();
            }
            let now = clock::mono();
            // Of paths that a call has left, before anything more comes from there.
            self.close_ports(now);
            self.receive(&mut ready, now);
            self.close_ports(now);
            self.tell_intervals(now);
            self.look_up(now);
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return self.stop();
            }
            self.send_due();
            self.take_figures();
            // Without an end, a run may for a while have no target at all.
            if self.fixed.count.is_some() && self.targets.is_done(now) {
                return self.drain();
            }
            self.wait(&mut ready);
        }
    }

    /// Takes what came on the sockets that `ready` names, and calls lost what had its time by
    /// `now`. The sockets are asked anew where that matters: what came until `now` must be known.
    fn receive(&mut self, ready: &mut Ready, now: Mono) {
        let expiring = self.targets.next_expiry().is_some_and(|due| due <= now);
        let few = 2 * self.unread < BATCH && now < self.next_reading;
        if few && !expiring && !ready.asked && self.ports.kernel_stamps() {
            return;
        }
        self.next_reading = now + TOGETHER;
        if expiring || !ready.asked {
            self.find_ready(ready, now);
        }
        let until = self.timeline.next_due().unwrap_or(now + TURN).min(now + TURN);
        let drained = self.take_in(&ready.places, until);
        ready.clear();
        let told_until = match drained {
            Drained::All => now,
            Drained::Part => now.saturating_sub(BACKLOG),
        };
        if expiring {
            self.targets.expire(told_until, &mut self.observers);
            self.take_strangers();
        }
    }

    /// Finds the sockets that may have something by `now`.
    fn find_ready(&mut self, ready: &mut Ready, now: Mono) {
        ready.clear();
        if self.ports.len() > FEW {
            self.poller.wait(self.ports.sockets(), Some(now), ready);
        } else {
            ready.places.extend(0..self.ports.len());
        }
    }

    /// What others than those that were asked sent to our ports. Seldom: it is no beat's answer.
    pub(super) fn take_strangers(&mut self) {
        let targets = &mut self.targets;
        self.ports.strangers(|from| targets.stranger(from));
    }

    /// Takes what came until `until`, and beyond that twice as many as beats were sent: where
    /// sending takes all the time there is, replies must not pile up until the kernel drops them.
    pub(super) fn take_in(&mut self, places: &[usize], until: Mono) -> Drained {
        let least = 2 * std::mem::take(&mut self.unread);
        let (targets, observers) = (&mut self.targets, &mut self.observers);
        let drained = self
            .ports
            .receive(places, (until, least), |came| note(targets, observers, &came, None));
        self.send_replies();
        drained
    }

    /// At the end: what has come until now counts, what has not is pending.
    pub(super) fn receive_rest(&mut self) {
        let now = clock::mono();
        let mut ready = Ready::default();
        self.find_ready(&mut ready, now);
        if self.take_in(&ready.places, now + TURN) == Drained::All {
            self.targets.expire(now, &mut self.observers);
        }
    }

    /// After the end: nothing becomes of open beats any more.
    pub(super) fn end_beats(&mut self) {
        let now = clock::mono();
        for target in self.targets.present().collect::<Vec<_>>() {
            self.targets.end_open(target, now, &mut self.observers);
        }
    }

    /// Does what other threads ask for; the reason to end, if they ask for that.
    pub(super) fn take_calls(&mut self) -> Option<Ended> {
        while let Ok(call) = self.calls.try_recv() {
            match call {
                Call::Stop => return Some(Ended),
                Call::Snapshot(to) => self.begin_figures(to),
                Call::Meters(to) => self.begin_meters(to),
                Call::Found(found) => self.found(found),
                Call::Do(work) => work(self),
            }
        }
        None
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

    /// When beats leave next: many targets' together.
    pub(super) fn next_send(&self) -> Option<Mono> {
        let due = self.timeline.next_due();
        let many = self.targets.targets().len() > 1;
        due.map(|due| if many { due.max(self.next_tick) } else { due })
    }

    /// Waits until something is to be done.
    fn wait(&mut self, ready: &mut Ready) {
        let now = clock::mono();
        let due = self.next_send();
        let interval = self.intervals.map(|(due, _)| due);
        let until = [
            due,
            self.targets.next_expiry(),
            self.deadline,
            interval,
            self.observers.lookups.next_due(),
            self.discovery.as_ref().and_then(Discovery::next_due),
        ]
        .into_iter()
        .flatten()
        .min();
        let until = if self.has_time_for_figures(now) { Some(now) } else { until };
        let soon = until.is_some_and(|until| until <= now + LAZY);
        if soon && self.ports.kernel_stamps() {
            self.poller.rest(until);
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
