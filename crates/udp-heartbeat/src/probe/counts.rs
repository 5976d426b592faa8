//! Counts of a target's beats by how they ended: `sent = received + lost + failed + pending`.

use std::cmp::Ordering;

use crate::probe::verdict::Verdicts;

/// How many beats ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Beats that were due, whether or not they left this host.
    pub sent: u64,
    /// Answered in time, whatever the answer said.
    pub received: u64,
    /// Not answered in time.
    pub lost: u64,
    /// Of the lost: answered after the timeout.
    pub late: u64,
    /// Of the lost: the peer's host said that nothing listens there.
    pub refused: u64,
    /// Of the lost: both.
    pub refused_late: u64,
    /// Second and further replies.
    pub duplicate: u64,
    /// Of the received: those that came after the reply to a later beat (RFC 4737).
    pub reordered: u64,
    /// Beats that never left this host.
    pub failed: u64,
    /// Datagrams that answer no beat.
    pub unsolicited: u64,
    /// Slots of the schedule that were skipped.
    pub slots_skipped: u64,
    /// Of the received: what the answers said.
    pub verdicts: Verdicts,
}

impl Counts {
    /// Beats whose class is not known yet.
    pub fn pending(&self) -> u64 {
        self.sent - self.received - self.lost - self.failed
    }

    /// Beats that were not answered in time, for whatever reason.
    pub fn unanswered(&self) -> u64 {
        self.lost + self.failed
    }

    /// Lost beats whose direction is undetermined by definition: refused or late ones.
    pub fn without_direction(&self) -> u64 {
        self.late + self.refused - self.refused_late
    }

    /// Lost in percent of the beats that left this host and are settled; none where there is none.
    pub fn loss_percent(&self) -> Option<f64> {
        let settled = self.received + self.lost;
        (settled > 0).then(|| self.lost as f64 / settled as f64 * 100.0)
    }

    /// The one of which more was lost comes first; nothing that left this host is as bad as all lost.
    pub(crate) fn worst_first(&self, other: &Counts) -> Ordering {
        let share =
            |it: &Counts| it.loss_percent().unwrap_or(if it.nothing_left() { 100.0 } else { -1.0 });
        share(other).total_cmp(&share(self))
    }

    /// Whether beats were due and none of them ever left this host.
    pub fn nothing_left(&self) -> bool {
        self.sent > 0 && self.sent == self.failed
    }

    /// The two together.
    pub fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.late += other.late;
        self.refused += other.refused;
        self.refused_late += other.refused_late;
        self.duplicate += other.duplicate;
        self.reordered += other.reordered;
        self.failed += other.failed;
        self.unsolicited += other.unsolicited;
        self.slots_skipped += other.slots_skipped;
        self.verdicts.add(&other.verdicts);
    }
}
