//! The books of a target: every beat in one column.

/// How many beats ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    /// Of the lost.
    pub(crate) late: u64,
    /// Second and further replies.
    pub(crate) duplicate: u64,
    /// Of the received: those that came after the reply to a later beat (RFC 4737).
    pub(crate) reordered: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// Replies with other content, or to no beat.
    pub(crate) wrong: u64,
    /// Of the wrong: those with other content than expected.
    pub(crate) unexpected: u64,
    /// Slots that were skipped.
    pub(crate) missed: u64,
}

impl Counts {
    /// Beats whose class is not known yet.
    pub(crate) fn pending(&self) -> u64 {
        self.sent - self.received - self.lost - self.refused - self.failed
    }

    /// Beats that were not answered in time, for whatever reason.
    pub(crate) fn unanswered(&self) -> u64 {
        self.lost + self.refused + self.failed
    }

    /// The two together.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.received += other.received;
        self.lost += other.lost;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.reordered += other.reordered;
        self.refused += other.refused;
        self.failed += other.failed;
        self.wrong += other.wrong;
        self.unexpected += other.unexpected;
        self.missed += other.missed;
    }
}
