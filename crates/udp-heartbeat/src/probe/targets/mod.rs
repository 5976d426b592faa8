//! All targets together: where each beat leaves from, whose each datagram is, what has expired.
//!
//! This is the pure half of a run: what happens goes in with its time, what it means goes to the
//! [`Observer`]. There is no socket and no clock in here; ports are named by [`PortKey`] and are
//! opened and closed by the caller. One target has sockets of its own, connected to its address;
//! many share a few sockets that are connected to nobody.

mod asked;
mod elsewhere;
mod expiry;
mod path;
mod places;
mod receive;
mod send;
mod target;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port;

use crate::probe::event::{Event, Observer, What};
use crate::probe::format::{Format, StampSession};
use crate::probe::schedule::TargetId;
use crate::probe::session::{Counts, Rules, Session};
use crate::probe::verdict::Verdict;
pub(crate) use crate::probe::window::PathId;
use crate::probe::window::{Class, Seq};
use udp_core::expect::Expectation;

pub(crate) use asked::Outgoing;
use expiry::Expiry;
use path::Path;
pub(crate) use places::PortsToClose;
pub(crate) use receive::Datagram;
pub(crate) use send::Dispatch;
pub(crate) use target::{FLOOR, Labels, Listed, Place, Target};

/// After so many unanswered beats in a row the next ones leave from another source port.
const ROW: u64 = 3;
/// How long at most the end of a run waits for an answer to what was refused.
const HINT: Duration = Duration::from_secs(1);

/// A local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PortKey {
    pub(crate) owner: PortOwner,
    pub(crate) slot: usize,
}

/// Whose a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PortOwner {
    /// Every IPv4 peer's.
    SharedV4,
    /// Every IPv6 peer's.
    SharedV6,
    /// One peer's, and connected to it.
    Path(PathId),
}

/// How ports are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Each peer has its own, connected ones.
    Own,
    /// All paths of a family share theirs.
    Shared,
}

/// What all targets have in common.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The beats of those who name no service, and of those who name STAMP.
    pub(crate) format: Arc<Format>,
    pub(crate) stamp: Arc<Format>,
    pub(crate) expectation: Expectation,
    /// Any authentic answer is ok.
    pub(crate) alive: bool,
    /// Of those who name no service.
    pub(crate) default_port: u16,
    /// Whether the interval was given, and is everybody's.
    pub(crate) given: bool,
    /// Whether intervals below their floor are allowed.
    pub(crate) fast: bool,
    /// What nonces are made with.
    pub(crate) secret: [u8; 16],
    pub(crate) rules: Rules,
    pub(crate) sharing: Sharing,
    pub(crate) pool: source_port::Rules,
}

/// All targets.
#[derive(Debug)]
pub(crate) struct Targets {
    setup: Setup,
    targets: Vec<Target>,
    /// Those that there are, in the order of the list.
    order: Vec<TargetId>,
    /// Those that were retired, in order of time, whose places are to be used again.
    retired: VecDeque<TargetId>,
    paths: Vec<Path>,
    by_address: HashMap<SocketAddr, PathId>,
    hosts: HashMap<IpAddr, Vec<PathId>>,
    /// Places in `paths` that nobody needs any more.
    free_paths: Vec<PathId>,
    /// When the first of the paths that were left is to be given up.
    next_free: Option<Mono>,
    /// Paths whose ports are to be closed at once.
    closing: Vec<PathId>,
    /// Beats in the order they were sent in, to find what expires; settled ones are passed over.
    expiry: VecDeque<Expiry>,
    /// How many of them are gone.
    expired: u64,
    /// The number of the one after the last that was answered.
    in_turn: u64,
    in_flight: u64,
    /// Refused beats whose timeout has not passed.
    refused_open: u64,
    /// When the last of them has had its chance.
    refused_until: Mono,
    /// Datagrams from addresses that were never asked, and the first of these.
    strangers: u64,
    unsolicited_from: Option<SocketAddr>,
    /// What is to be sent because of what came.
    outgoing: Vec<Outgoing>,
    /// Targets whose interval is another one from now on.
    paces: Vec<(TargetId, Duration)>,
    /// How many targets there ever were.
    added: u64,
}

impl Targets {
    pub(crate) fn new(setup: Setup) -> Self {
        Targets {
            setup,
            targets: Vec::new(),
            order: Vec::new(),
            retired: VecDeque::new(),
            paths: Vec::new(),
            by_address: HashMap::new(),
            hosts: HashMap::new(),
            free_paths: Vec::new(),
            next_free: None,
            closing: Vec::new(),
            expiry: VecDeque::new(),
            expired: 0,
            in_turn: 0,
            in_flight: 0,
            refused_open: 0,
            refused_until: Mono::default(),
            strangers: 0,
            unsolicited_from: None,
            outgoing: Vec::new(),
            paces: Vec::new(),
            added: 0,
        }
    }

    /// One more target, which is to get `count` beats if that is given. It takes the place of one
    /// that was retired so long ago that nothing of it is under way any more.
    pub(crate) fn add(
        &mut self,
        label: Arc<str>,
        listed: Listed,
        stamp: StampSession,
        count: Option<u64>,
        now: Mono,
    ) -> TargetId {
        self.added += 1;
        let format = self.format(&listed);
        let target = Target::new(label, listed, (format, stamp), &self.setup, count);
        let rest = self.setup.rules.timeout + self.setup.pool.linger;
        let over = |id: &TargetId| self.target(*id).retired.is_some_and(|it| it + rest <= now);
        let id = match self.retired.front().copied().filter(over) {
            Some(id) => {
                self.retired.pop_front();
                self.targets[id as usize] = target;
                id
            }
            None => {
                self.targets.push(target);
                (self.targets.len() - 1) as TargetId
            }
        };
        self.order.push(id);
        id
    }

    /// The target is none any more: it sends nothing, and what is under way answers nothing.
    pub(crate) fn retire(&mut self, target: TargetId, now: Mono) {
        self.order.retain(|it| *it != target);
        self.retired.push_back(target);
        let session = Session::new(&self.setup.rules);
        let entry = &mut self.targets[target as usize];
        let session = std::mem::replace(&mut entry.session, session);
        (entry.left, entry.retired, entry.newest) = (Some(0), Some(now), (Seq(0), 0));
        entry.others.clear();
        let place = entry.place.take();
        for (_, beat) in session.open() {
            if beat.class == Class::Refused {
                // Its port is at rest, or another beat's by now.
                self.refused_open -= 1;
                continue;
            }
            self.in_flight -= 1;
            if let Some(route) = beat.route {
                self.paths[route.path as usize].expire(route.port_id, now);
            }
        }
        if let Some(place) = place {
            self.leave(target, place, now);
        }
    }

    /// The targets there are, in the order of the list.
    pub(crate) fn present(&self) -> impl Iterator<Item = TargetId> {
        self.order.iter().copied()
    }

    /// The targets there are stand in this order now.
    pub(crate) fn put_in_order(&mut self, order: Vec<TargetId>) {
        debug_assert_eq!(order.len(), self.order.len());
        self.order = order;
    }

    pub(crate) fn target_mut(&mut self, target: TargetId) -> &mut Target {
        &mut self.targets[target as usize]
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(crate) fn target(&self, target: TargetId) -> &Target {
        &self.targets[target as usize]
    }

    /// Beats whose class is not known yet.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The first sender of an unsolicited datagram that was never asked.
    pub(crate) fn unsolicited_from(&self) -> Option<SocketAddr> {
        self.unsolicited_from
    }

    /// A datagram came from an address that was never asked.
    pub(crate) fn stranger(&mut self, from: SocketAddr) {
        self.unsolicited_from.get_or_insert(from);
        match &mut self.targets[..] {
            [only] => only.session.unsolicited(),
            _ => self.strangers += 1,
        }
    }

    /// Whether every target has sent all its beats, and each is answered or its timeout has passed.
    /// What was refused is waited for no longer than [`HINT`].
    pub(crate) fn is_done(&self, now: Mono) -> bool {
        self.in_flight == 0
            && (self.refused_open == 0 || now >= self.refused_until)
            && self.has_sent_all()
    }

    fn has_sent_all(&self) -> bool {
        self.targets.iter().all(|target| target.left == Some(0))
    }

    /// Datagrams from addresses that were never asked, and that are no target's.
    pub(crate) fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Counts of all targets together.
    pub(crate) fn totals(&self) -> Counts {
        let mut totals = Counts { unsolicited: self.strangers, ..Counts::default() };
        self.targets.iter().for_each(|target| totals.add(target.session.counts()));
        totals
    }

    /// Tells each target's figures since this was last called.
    pub(crate) fn tell_intervals(&mut self, now: Mono, observer: &mut dyn Observer) {
        for target in self.order.iter().copied() {
            let entry = &mut self.targets[target as usize];
            let (address, figures) = (entry.address(), entry.session.take_interval());
            observer.observe(&Event { target, address, at: now, what: What::Interval { figures } });
        }
    }

    /// Slots of the target were skipped.
    pub(crate) fn skipped(&mut self, target: TargetId, slots: u64) {
        self.targets[target as usize].session.skipped(slots);
    }

    /// Entries in whatever grows with the number of beats, to show that it does not.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        let sessions = self.targets.iter().map(|target| target.session.footprint());
        self.expiry.capacity() + self.paths.len() + sessions.sum::<usize>()
    }

    /// Reports what has changed since the last report.
    fn tell_changes(&mut self, target: TargetId, now: Mono, observer: &mut dyn Observer) {
        let entry = &mut self.targets[target as usize];
        let before = entry.session.unanswered_in_a_row();
        let address = entry.address();
        while let Some(change) = entry.session.change() {
            let counts = *entry.session.counts();
            let reason = change.verdict.filter(|verdict| *verdict != Verdict::Ok);
            let reason = reason.and_then(|_| entry.session.reason());
            let what = What::State { change, counts: &counts, reason };
            observer.observe(&Event { target, address, at: now, what });
        }
        let unanswered = entry.session.unanswered_in_a_row();
        if unanswered > before {
            if unanswered / ROW > before / ROW {
                self.renew_port(target, now);
            }
            let what = What::InARow { unanswered, before };
            observer.observe(&Event { target, address, at: now, what });
        }
    }
}
