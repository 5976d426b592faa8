//! Moves a target to another address when its name resolves anew; beats in flight stay with the old
//! path until they end.
//!
//! Beats that are under way stay with the path they left by. A path that nobody is at any more is given up,
//! and its place used again, once nothing of it can be under way.

use std::net::SocketAddr;

use udp_core::clock::Mono;
use udp_core::source_port;

use super::path::Path;
use super::{PathId, Place, PortKey, PortOwner, Sharing, Targets};
use crate::probe::event::{Event, Observer, What};
use crate::probe::schedule::TargetId;

/// Which ports are no longer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortsToClose {
    One(PortKey),
    All(PortOwner),
}

impl Targets {
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
    pub(super) fn turn(
        &mut self,
        target: TargetId,
        path: PathId,
        now: Mono,
        observer: &mut dyn Observer,
    ) {
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
        let plain = self.targets[target as usize].format.needs_ports();
        self.paths[peer as usize].join(target, plain.then_some(self.setup.pool));
        if let Some(place) = was {
            self.leave(target, place, now);
        }
        let entry = &mut self.targets[target as usize];
        if was.is_some() {
            entry.session.new_path();
        }
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

    /// The path is not the target's any more; what is under way may still come. With one fixed port
    /// it may not: the port is needed for another address.
    pub(super) fn leave(&mut self, target: TargetId, place: Place, now: Mono) {
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
        let path = Path::new(address);
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
        self.note_host(id, address);
        id
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
        let address = path.address;
        self.by_address.remove(&address);
        self.forget_host(id, address);
        self.free_paths.push(id);
        // Shared ports stay; there are none of the path's own.
        Some(PortsToClose::All(PortOwner::Path(id)))
    }

    pub(super) fn owner(&self, place: Place) -> PortOwner {
        match (self.setup.sharing, place.address) {
            (Sharing::Own, _) => PortOwner::Path(place.peer),
            (Sharing::Shared, SocketAddr::V4(_)) => PortOwner::SharedV4,
            (Sharing::Shared, SocketAddr::V6(_)) => PortOwner::SharedV6,
        }
    }
}
