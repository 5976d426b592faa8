//! What lies between two answers whose numbers are known, and what it proves.
//!
//! A stateful reflector numbers what it answers: 0, 1, 2… in each session (RFC 8762 §4.3.1). Between
//! the answers to two of our requests, numbers that nobody has seen are answers that were lost on
//! the way back: so many of the requests between arrived, and the others were lost on the way there.
//! A claim is made only if every history that shows the same holds it: one in which the reflector
//! began to count anew in between, in which requests of unknown fate arrived or did not, in which a
//! request overtook others.

use udp_core::clock::Mono;

/// What is known about the requests between two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// The number of the answer before, -1 at the start of a session, and of the answer after.
    pub(super) low: i64,
    pub(super) high: i64,
    /// The first beat after the answer before, and the beat whose answer ends the gap.
    pub(super) first: u64,
    pub(super) last: u64,
    /// When the first request of the gap and the one that ends it were sent.
    pub(super) begins: Mono,
    pub(super) ends: Mono,
    /// Beats that were lost.
    pub(super) lost: u64,
    /// Requests of which it is not asked whether they arrived: in flight, refused, closing ones.
    pub(super) unknown: u64,
    /// Numbers between that were seen: second and late answers, requests that were overtaken.
    pub(super) seen: u64,
    /// The reflector began to count anew in between.
    pub(super) restarted: bool,
    /// Its first answer is of another count than its last: nothing is proven.
    pub(super) void: bool,
    /// Of the lost, those between two answers between which it cannot have done so.
    pub(super) firm: u64,
    /// Missing numbers that no request of the gap accounts for: a request that was doubled, or one
    /// that was overtaken.
    pub(super) excess: u64,
}

/// How many of a gap's lost beats were lost where, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Claims {
    pub(super) forward: u64,
    pub(super) back: u64,
}

impl Gap {
    /// Nothing since the answer with the number `low`; `first` is the next beat.
    pub(super) fn after(low: i64, first: u64) -> Gap {
        Gap {
            low,
            high: low,
            first,
            last: first,
            begins: Mono::default(),
            ends: Mono::default(),
            lost: 0,
            unknown: 0,
            seen: 0,
            restarted: false,
            void: false,
            firm: 0,
            excess: 0,
        }
    }

    /// Requests that may have got a number of the gap that nobody has seen.
    pub(super) fn requests(&self) -> u64 {
        self.lost + self.unknown
    }

    /// Its last answer may be of another count than that of the gap before.
    pub(super) fn begins_count(&self) -> bool {
        self.restarted || self.void
    }

    /// There is nothing to claim in it, nor to learn.
    pub(super) fn is_plain(&self) -> bool {
        self.requests() == 0 && self.missing() == 0 && !self.begins_count()
    }

    /// Numbers that nobody has seen.
    pub(super) fn missing(&self) -> u64 {
        let numbers = if self.restarted { self.high } else { self.high - self.low - 1 };
        u64::try_from(numbers).unwrap_or(0).saturating_sub(self.seen)
    }

    /// Its last answer is known.
    pub(super) fn end(&mut self) {
        if self.void {
            return;
        }
        self.excess = self.missing().saturating_sub(self.requests());
        // Counted anew, so many requests as the last number says would have arrived since.
        let most = i64::try_from(self.requests() + self.seen).unwrap_or(i64::MAX);
        let may_have_restarted = self.restarted || self.high <= most;
        self.firm = if may_have_restarted { 0 } else { self.lost };
    }

    /// One of its numbers was seen after all.
    pub(super) fn see(&mut self) {
        self.seen += 1;
        self.excess = self.excess.saturating_sub(1);
    }

    /// This gap and the next as one: where requests overtake each other, numbers cannot be told to
    /// either, but their sum can.
    pub(super) fn joined(self, next: Gap) -> Gap {
        Gap {
            low: self.low,
            first: self.first,
            begins: self.begins,
            lost: self.lost + next.lost,
            unknown: self.unknown + next.unknown,
            // The answer between them is one more.
            seen: self.seen + next.seen + 1,
            restarted: self.restarted,
            void: self.void || next.void,
            firm: self.firm + next.firm,
            excess: self.excess + next.excess,
            ..next
        }
    }

    /// What the gap proves.
    pub(super) fn claims(&self) -> Claims {
        if self.void {
            return Claims::default();
        }
        let missing = self.missing();
        let back = missing.saturating_sub(self.excess + self.unknown).min(self.lost);
        let forward = self.firm.saturating_sub(missing);
        Claims { forward, back }
    }
}
