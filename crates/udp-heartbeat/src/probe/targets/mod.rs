//! All targets together: where each beat leaves from, whose each datagram is, what has expired.
//!
//! This is the pure half of a run: what happens goes in with its time, what it means goes to the
//! [`Observer`]. There is no socket and no clock in here; ports are named by [`PortKey`] and are
//! opened and closed by the caller. One target has sockets of its own, connected to its address;
//! many share a few sockets that are connected to nobody.

mod expiry;
mod path;
mod receive;
mod send;
mod target;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port;
use udp_core::stamp::Key;

use crate::probe::event::{Event, Observer, What};
use crate::probe::format::{Format, StampSession};
use crate::probe::schedule::TargetId;
use crate::probe::session::{Counts, Rules, Session};
pub(crate) use crate::probe::window::PathId;
use crate::probe::window::{Class, Seq};
use udp_core::expect::Expectation;

use expiry::Expiry;
use path::Path;
pub(crate) use receive::Datagram;
pub(crate) use send::Dispatch;
pub(crate) use target::{Labels, Listed, Place, Target};

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
    pub(crate) format: Format,
    pub(crate) expectation: Expectation,
    pub(crate) rules: Rules,
    pub(crate) sharing: Sharing,
    pub(crate) pool: source_port::Rules,
}

/// All targets.
#[derive(Debug)]
pub(crate) struct Targets {
    setup: Setup,
    targets: Vec<Target>,
    paths: Vec<Path>,
    by_address: HashMap<SocketAddr, PathId>,
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
    strays: u64,
    unsolicited_from: Option<SocketAddr>,
}

impl Targets {
    pub(crate) fn new(setup: Setup) -> Self {
        Targets {
            setup,
            targets: Vec::new(),
            paths: Vec::new(),
            by_address: HashMap::new(),
            free_paths: Vec::new(),
            next_free: None,
            closing: Vec::new(),
            expiry: VecDeque::new(),
            expired: 0,
            in_turn: 0,
            in_flight: 0,
            refused_open: 0,
            refused_until: Mono::default(),
            strays: 0,
            unsolicited_from: None,
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
        let target = Target::new(label, listed, stamp, &self.setup.rules, count);
        let rest = self.setup.rules.timeout + self.setup.pool.linger;
        let over = |since: Mono| since + rest <= now;
        match self.targets.iter_mut().position(|it| it.retired.is_some_and(over)) {
            Some(place) => {
                self.targets[place] = target;
                place as TargetId
            }
            None => {
                self.targets.push(target);
                (self.targets.len() - 1) as TargetId
            }
        }
    }

    /// The target is none any more: it sends nothing, and what is under way answers nothing.
    pub(crate) fn retire(&mut self, target: TargetId, now: Mono) {
        let session = Session::new(&self.setup.rules);
        let entry = &mut self.targets[target as usize];
        let session = std::mem::replace(&mut entry.session, session);
        (entry.left, entry.retired, entry.newest) = (Some(0), Some(now), (Seq(0), 0));
        entry.others.clear();
        let place = entry.place.take();
        for beat in session.open() {
            match beat.class {
                Class::Refused => self.refused_open -= 1,
                _ => self.in_flight -= 1,
            }
            if let Some(route) = beat.route {
                self.paths[route.path as usize].expire(route.port_id, now);
            }
        }
        if let Some(place) = place {
            self.leave(target, place, now);
        }
    }

    /// The path is not the target's any more; what is under way may still come. With one fixed port
    /// it may not: the port is needed for another address.
    fn leave(&mut self, target: TargetId, place: Place, now: Mono) {
        let path = &mut self.paths[place.peer as usize];
        if path.leave(target) {
            let when = now + self.setup.rules.timeout + self.setup.pool.linger;
            path.free_at = Some(when);
            self.next_free = Some(self.next_free.map_or(when, |next| next.min(when)));
            if self.setup.pool.ports == source_port::Ports::One {
                path.abandon();
                self.closing.push(place.peer);
            }
        }
    }

    /// A path to the address: the one there is, one that nobody needs any more, or a new one.
    fn path_to(&mut self, address: SocketAddr) -> PathId {
        if let Some(path) = self.by_address.get(&address) {
            return *path;
        }
        let rules = self.setup.format.needs_ports().then_some(self.setup.pool);
        let path = Path::new(address, rules);
        let id = match self.free_paths.pop() {
            Some(id) => {
                self.paths[id as usize] = path;
                id
            }
            None => {
                self.paths.push(path);
                (self.paths.len() - 1) as PathId
            }
        };
        self.by_address.insert(address, id);
        id
    }

    /// The targets there are.
    pub(crate) fn present(&self) -> impl Iterator<Item = TargetId> {
        (0..).zip(&self.targets).filter(|(_, it)| it.retired.is_none()).map(|(id, _)| id)
    }

    /// The target has these labels from now on.
    pub(crate) fn set_labels(&mut self, target: TargetId, labels: Labels) {
        self.targets[target as usize].labels = labels;
    }

    /// STAMP packets are authenticated by this key from now on.
    pub(crate) fn replace_key(&mut self, new: Key) {
        if let Format::Stamp { key: Some(key), .. } = &mut self.setup.format {
            *key = new;
        }
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
    pub(crate) fn stray(&mut self, from: SocketAddr) {
        self.unsolicited_from.get_or_insert(from);
        match &mut self.targets[..] {
            [only] => only.session.unsolicited(),
            _ => self.strays += 1,
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
    pub(crate) fn strays(&self) -> u64 {
        self.strays
    }

    /// Counts of all targets together.
    pub(crate) fn totals(&self) -> Counts {
        let mut totals = Counts { unsolicited: self.strays, ..Counts::default() };
        self.targets.iter().for_each(|target| totals.add(target.session.counts()));
        totals
    }

    /// The target is at the first of `addresses` from now on; the others are for [`Self::turn`].
    pub(crate) fn place(
        &mut self,
        target: TargetId,
        addresses: &[SocketAddr],
        now: Mono,
        observer: &mut dyn Observer,
    ) {
        let Some((first, others)) = addresses.split_first() else { return };
        self.targets[target as usize].others = others.iter().rev().copied().collect();
        self.place_at(target, *first, now, observer);
    }

    /// Nobody answers at the path, or there is no way to it: on to the next address of the name, as
    /// one may stand for both families, unless one was answered before or the target has moved on;
    /// after the last one the first again.
    fn turn(&mut self, target: TargetId, path: PathId, now: Mono, observer: &mut dyn Observer) {
        let entry = &mut self.targets[target as usize];
        if let Some(place) = entry.place
            && place.peer == path
            && entry.session.counts().received == 0
            && let Some(next) = entry.others.pop()
        {
            entry.others.insert(0, place.address);
            self.place_at(target, next, now, observer);
        }
    }

    fn place_at(
        &mut self,
        target: TargetId,
        address: SocketAddr,
        now: Mono,
        observer: &mut dyn Observer,
    ) {
        let was = self.targets[target as usize].place;
        if was.is_some_and(|place| place.address == address) {
            return;
        }
        let peer = self.path_to(address);
        self.paths[peer as usize].join(target);
        if let Some(place) = was {
            self.leave(target, place, now);
        }
        let entry = &mut self.targets[target as usize];
        entry.place = Some(Place { address, peer });
        let what = What::Moved { from: was.map(|place| place.address) };
        if was.is_some() || !entry.unresolved.is_empty() {
            observer.observe(&Event { target, address: Some(address), at: now, what });
        }
        self.targets[target as usize].unresolved.clear();
    }

    /// The target's name did not resolve; its old address stays, if it has one.
    pub(crate) fn unresolved(
        &mut self,
        target: TargetId,
        reason: &str,
        now: Mono,
        observer: &mut dyn Observer,
    ) {
        let entry = &mut self.targets[target as usize];
        if entry.place.is_none() {
            reason.clone_into(&mut entry.unresolved);
        }
        let address = entry.address();
        observer.observe(&Event { target, address, at: now, what: What::Trouble { reason } });
    }

    /// Tells each target's figures since this was last called.
    pub(crate) fn tell_intervals(&mut self, now: Mono, observer: &mut dyn Observer) {
        for (target, entry) in (0..).zip(&mut self.targets).filter(|(_, it)| it.retired.is_none()) {
            let (address, figures) = (entry.address(), entry.session.take_interval());
            observer.observe(&Event { target, address, at: now, what: What::Interval { figures } });
        }
    }

    /// Slots of the target were skipped.
    pub(crate) fn skipped(&mut self, target: TargetId, slots: u64) {
        self.targets[target as usize].session.skipped(slots);
    }

    /// A port that is no longer needed: ask until there is none. Shared ones stay.
    pub(crate) fn close_due(&mut self, now: Mono) -> Option<PortsToClose> {
        if let Some(path) = self.closing.pop() {
            return Some(PortsToClose::All(PortOwner::Path(path)));
        }
        if self.next_free.is_some_and(|when| when <= now) {
            return self.free_path(now);
        }
        if self.setup.sharing == Sharing::Shared {
            return None;
        }
        for (id, path) in self.paths.iter_mut().enumerate() {
            let owner = PortOwner::Path(id as PathId);
            if let Some(slot) = path.close_due(now) {
                return Some(PortsToClose::One(PortKey { owner, slot }));
            }
        }
        None
    }

    /// Gives up a path that has been left for so long that nothing of it is under way any more.
    fn free_path(&mut self, now: Mono) -> Option<PortsToClose> {
        let mut next: Option<Mono> = None;
        let mut due = None;
        for (id, path) in self.paths.iter().enumerate() {
            match path.free_at {
                Some(when) if when <= now && due.is_none() => due = Some(id as PathId),
                Some(when) => next = Some(next.map_or(when, |next| next.min(when))),
                None => {}
            }
        }
        self.next_free = next;
        let id = due?;
        let path = &mut self.paths[id as usize];
        path.free_at = None;
        self.by_address.remove(&path.address);
        self.free_paths.push(id);
        // Shared ports stay; there are none of the path's own.
        Some(PortsToClose::All(PortOwner::Path(id)))
    }

    fn owner(&self, place: Place) -> PortOwner {
        match (self.setup.sharing, place.address) {
            (Sharing::Own, _) => PortOwner::Path(place.peer),
            (Sharing::Shared, SocketAddr::V4(_)) => PortOwner::SharedV4,
            (Sharing::Shared, SocketAddr::V6(_)) => PortOwner::SharedV6,
        }
    }

    /// Entries in whatever grows with the number of beats, to show that it does not.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        let sessions = self.targets.iter().map(|target| target.session.footprint());
        self.expiry.capacity() + self.paths.len() + sessions.sum::<usize>()
    }

    /// Tells what has changed by what was told last.
    fn tell_changes(&mut self, target: TargetId, now: Mono, observer: &mut dyn Observer) {
        let entry = &mut self.targets[target as usize];
        let before = entry.session.unanswered_in_a_row();
        let address = entry.address();
        while let Some(change) = entry.session.change() {
            let counts = *entry.session.counts();
            let what = What::State { change, counts: &counts };
            observer.observe(&Event { target, address, at: now, what });
        }
        let unanswered = entry.session.unanswered_in_a_row();
        if unanswered > before {
            if let Some(place) = entry.place.filter(|_| unanswered / ROW > before / ROW)
                && self.setup.pool.ports != source_port::Ports::One
                // A reflector counts for each port: a new one would break the count.
                && !self.setup.format.is_stamp()
            {
                let rest = self.setup.rules.timeout;
                self.paths[place.peer as usize].renew(target, rest, now);
            }
            let what = What::InARow { unanswered, before };
            observer.observe(&Event { target, address, at: now, what });
        }
    }
}

/// Which ports are no longer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortsToClose {
    One(PortKey),
    All(PortOwner),
}
