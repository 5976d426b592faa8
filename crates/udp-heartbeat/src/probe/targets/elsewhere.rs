//! Datagrams from addresses that were never asked: another port of a target's host, or a
//! stranger's. None answers a beat; each is counted as unsolicited, for the target it is about if
//! that is known.

use std::net::SocketAddr;

use super::{Datagram, PathId, Targets};
use crate::probe::event::{Event, Observer, What};
use crate::probe::format::Recognised;
use crate::probe::schedule::TargetId;
use crate::probe::verdict::Verdict;
use crate::probe::window::Seq;

/// Targets at one host that a datagram is held against.
const HELD: usize = 32;

impl Targets {
    /// A datagram came from an address that was never asked.
    pub(super) fn elsewhere(&mut self, datagram: &Datagram<'_>, observer: &mut dyn Observer) {
        let &Datagram { from, bytes, at, .. } = datagram;
        let Some(target) = self.about(datagram) else { return self.stranger(from) };
        self.unsolicited_from.get_or_insert(from);
        self.targets[target as usize].session.unsolicited();
        let what = What::Unsolicited { bytes };
        observer.observe(&Event { target, address: Some(from), at, what });
    }

    /// The only target at that host, or the one whose beat the datagram names.
    fn about(&self, datagram: &Datagram<'_>) -> Option<TargetId> {
        let paths = self.hosts.get(&datagram.from.ip())?;
        let at_path = |path: &PathId| self.paths[*path as usize].targets();
        let mut some = paths.iter().flat_map(at_path).take(HELD);
        let first = some.next()?;
        match some.next() {
            None => Some(first),
            Some(second) => {
                [first, second].into_iter().chain(some).find(|it| self.is_named(*it, datagram))
            }
        }
    }

    fn is_named(&self, target: TargetId, datagram: &Datagram<'_>) -> bool {
        let entry = &self.targets[target as usize];
        let last = Seq(entry.session.next().0 - 1);
        match entry.format.recognise(datagram.bytes, last) {
            Recognised::Beat(_) | Recognised::Stamp(..) => true,
            Recognised::ByPort | Recognised::Stranger | Recognised::CounterProbe(_) => self
                .recognise(target, None, (&[], datagram))
                .is_some_and(|reply| reply.verdict != Verdict::Invalid),
        }
    }

    /// Keeps in mind which paths lead to one host.
    pub(super) fn note_host(&mut self, path: PathId, address: SocketAddr) {
        self.hosts.entry(address.ip()).or_default().push(path);
    }

    /// The path leads nowhere any more.
    pub(super) fn forget_host(&mut self, path: PathId, address: SocketAddr) {
        let Some(paths) = self.hosts.get_mut(&address.ip()) else { return };
        paths.retain(|it| *it != path);
        if paths.is_empty() {
            self.hosts.remove(&address.ip());
        }
    }
}
