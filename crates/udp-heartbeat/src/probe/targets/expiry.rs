//! Expires beats: declares lost what had no reply within its timeout, and releases its source port.

use std::time::Duration;

use udp_core::clock::Mono;

use super::Targets;
use crate::probe::event::{End, Event, Observer, What};
use crate::probe::schedule::TargetId;
use crate::probe::window::{Class, Seq};

/// When a beat is lost, unless it is settled before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry {
    pub(super) due: Mono,
    pub(super) target: TargetId,
    /// It is known here, so that its target need not be looked at: that of thousands has left the
    /// processor's cache by now.
    pub(super) settled: bool,
    pub(super) seq: Seq,
}

impl Targets {
    /// Counts as lost what had its timeout by `now`. Call it only when every datagram that came until
    /// then has been processed.
    pub(crate) fn expire(&mut self, now: Mono, observer: &mut dyn Observer) {
        while let Some((due, target, seq)) = self.next_to_expire()
            && due < now
        {
            // Its sending time may have been corrected since: it then waits that moment longer.
            let entry = &mut self.targets[target as usize];
            let sent = entry.session.beat(seq).map_or(Mono::default(), |beat| beat.sent);
            if now <= self.expires(sent) {
                self.expiry[0].due = self.expires(sent);
                return;
            }
            let entry = &mut self.targets[target as usize];
            if entry.session.beat(seq).is_some_and(|beat| beat.class == Class::Refused) {
                self.ended(target, (seq, sent), End::Lost { refused: true }, now, observer);
                self.targets[target as usize].session.end_refused(seq);
                self.refused_open -= 1;
                self.pass_front();
                continue;
            }
            let Some((seq, beat)) = entry.session.expire(now) else {
                self.pass_front();
                continue;
            };
            self.in_flight -= 1;
            let address = beat.route.map(|route| self.paths[route.path as usize].address);
            if let Some(route) = beat.route {
                self.paths[route.path as usize].expire(route.port_id, now);
            }
            observer.observe(&Event { target, address, at: now, what: What::Lost { seq } });
            self.ended(target, (seq, beat.sent), End::Lost { refused: false }, now, observer);
            self.hint(target, now, observer);
            self.tell_changes(target, now, observer);
            if let Some(route) = beat.route {
                self.turn(target, route.path, now, observer);
            }
        }
    }

    /// Tells that the class of a beat is known for good.
    pub(super) fn ended(
        &self,
        target: TargetId,
        (seq, sent): (Seq, Mono),
        end: End<'_>,
        at: Mono,
        observer: &mut dyn Observer,
    ) {
        let entry = &self.targets[target as usize];
        let counts = entry.session.counts();
        let what = What::Ended { seq, sent, end, counts, said: None };
        observer.observe(&Event { target, address: entry.address(), at, what });
    }

    /// Tells what the target's open beats are, which nothing becomes of any more.
    pub(crate) fn end_open(&self, target: TargetId, now: Mono, observer: &mut dyn Observer) {
        for (seq, beat) in self.targets[target as usize].session.open() {
            let end = match beat.class {
                Class::Refused => End::Lost { refused: true },
                _ => End::Pending,
            };
            self.ended(target, (seq, beat.sent), end, now, observer);
        }
    }

    /// When the next beat may expire, or the end is no longer to be put off.
    pub(crate) fn next_expiry(&mut self) -> Option<Mono> {
        let due = self.next_to_expire().map(|(due, ..)| due + Duration::from_nanos(1));
        match self.in_flight == 0 && self.refused_open > 0 && self.has_sent_all() {
            true => due.min(Some(self.refused_until)),
            false => due,
        }
    }

    /// The beat, in flight or refused, whose timeout passes next.
    fn next_to_expire(&mut self) -> Option<(Mono, TargetId, Seq)> {
        while let Some(&Expiry { due, target, settled, seq }) = self.expiry.front() {
            let beat = || self.targets[target as usize].session.beat(seq);
            if !settled
                && beat().is_some_and(|beat| matches!(beat.class, Class::InFlight | Class::Refused))
            {
                return Some((due, target, seq));
            }
            self.pass_front();
        }
        None
    }

    fn pass_front(&mut self) {
        self.expiry.pop_front();
        self.expired += 1;
    }

    /// The beat is settled; if it is its target's newest, as is usual, its expiry can be found.
    pub(super) fn settled(&mut self, target: TargetId, seq: Seq) {
        let (newest, number) = self.targets[target as usize].newest;
        if newest == seq
            && let Some(index) = number.checked_sub(self.expired)
            && let Some(expiry) = self.expiry.get_mut(index as usize)
        {
            expiry.settled = true;
            self.in_turn = number + 1;
        }
    }

    /// Whose beat was sent after the one that was answered last.
    pub(super) fn next_to_answer(&self) -> Option<TargetId> {
        let index = self.in_turn.checked_sub(self.expired)?;
        self.expiry.get(index as usize).map(|expiry| expiry.target)
    }

    pub(super) fn expires(&self, sent: Mono) -> Mono {
        sent + self.setup.rules.timeout
    }
}
