//! The gaps of one session, in the order of sending: where an answer's number belongs, when a new
//! count begins, and which gaps count together because requests overtook each other. Bounded: what
//! is older than [`GAPS`] gaps keeps its claims alone.

use std::collections::VecDeque;
use std::time::Duration;

use udp_core::clock::Mono;

use super::gap::{Claims, Gap};

/// Gaps that are remembered, for answers that come late or twice.
const GAPS: usize = 256;
/// Numbers that are remembered.
const NUMBERS: usize = 1024;

#[derive(Debug)]
pub(super) struct Gaps {
    /// A request that is overtaken arrives before one that is sent this much later.
    guard: Duration,
    /// Since the last answer.
    open: Gap,
    /// Those before, the newest last, and what those before them prove.
    past: VecDeque<Gap>,
    closed: Claims,
    /// Numbers that were seen beside a beat's first answer, and lie ahead of the last gap.
    ahead: VecDeque<u32>,
    /// Those that were seen beside since the present count began, of whatever count they were.
    beside: VecDeque<u32>,
    /// The numbers that were seen last.
    numbers: VecDeque<i64>,
    /// Until when gaps count together with those before them.
    pooled_until: Option<Mono>,
}

impl Gaps {
    pub(super) fn new(guard: Duration) -> Self {
        Gaps {
            guard,
            open: Gap::after(-1, 1),
            past: VecDeque::new(),
            closed: Claims::default(),
            ahead: VecDeque::new(),
            beside: VecDeque::new(),
            numbers: VecDeque::new(),
            pooled_until: None,
        }
    }

    /// Another counter counts from the beat `first` on. What was lost since the last answer stays
    /// undetermined.
    pub(super) fn begin(&mut self, first: u64) {
        self.open = Gap { void: true, ..Gap::after(-1, first) };
        self.numbers.clear();
        self.ahead.clear();
        self.beside.clear();
    }

    /// The gap since the last answer, in which the next request, `seq`, was sent at `sent`.
    pub(super) fn extend(&mut self, seq: u64, sent: Mono) -> &mut Gap {
        if self.open.first == seq {
            self.open.begins = sent;
        }
        &mut self.open
    }

    /// One request of the newest gap is known to have arrived.
    pub(super) fn know_one(&mut self) {
        if let Some(last) = self.past.back_mut() {
            last.unknown = last.unknown.saturating_sub(1);
        }
    }

    /// Whether one more answer would tell more; `ended` if no beat is sent any more.
    pub(super) fn is_open(&self, ended: bool) -> bool {
        let claims = |gap: &Gap| gap.claims().forward > 0 && !self.is_settled(gap, ended);
        self.open.lost > 0 || self.past.iter().any(claims)
    }

    /// What all of them prove.
    pub(super) fn claims(&self, ended: bool) -> Claims {
        let mut claims = self.closed;
        for gap in &self.past {
            let own = gap.claims();
            claims.forward += if self.is_settled(gap, ended) { own.forward } else { 0 };
            claims.back += own.back;
        }
        claims
    }

    /// What is proven by now, and how many lost beats may still be proven to be lost somewhere.
    pub(super) fn settled(&self, ended: bool) -> (Claims, u64) {
        let (mut claims, mut open) = (self.closed, self.open.lost);
        for gap in &self.past {
            if self.is_settled(gap, ended) {
                let own = gap.claims();
                claims.forward += own.forward;
                claims.back += own.back;
            } else {
                open += gap.lost;
            }
        }
        (claims, open)
    }

    /// Whether a request of the gap that was overtaken would have shown by now: before the end
    /// nothing is said of the last ones.
    fn is_settled(&self, gap: &Gap, ended: bool) -> bool {
        let newest = self.past.back().map(|newest| newest.ends);
        ended || Some(gap.ends + self.guard) <= newest
    }

    /// The next answer in the order of sending.
    pub(super) fn take(&mut self, theirs: u32, last: u64, sent: Mono) {
        let number = self.unwrapped(theirs);
        let mut gap = self.open;
        (gap.last, gap.ends) = (last, sent);
        if gap.void {
            gap.high = theirs.into();
            self.remember(gap.high);
            return self.close(gap);
        }
        self.remember(number);
        if number > gap.low {
            gap.high = number;
            return self.close(gap);
        }
        // It overtook others, or a new count began.
        let beside = self.beside.iter().filter(|it| **it < theirs).count() as u64;
        let may_have_restarted = u64::from(theirs) <= gap.requests() + gap.seen + beside;
        if let Some(at) = self.gap_of(number) {
            let before = &mut self.past[at];
            let reachable = before.ends + self.guard >= gap.begins;
            if !may_have_restarted || before.void || before.excess > 0 || reachable {
                // Either may be: nothing is proven here, nor until the next answer.
                before.void |= may_have_restarted;
                self.open.void |= may_have_restarted;
                before.see();
                self.put_beside(theirs);
                self.pooled_until = Some(sent + self.guard);
                while self.past.len() > at + 1 {
                    self.join_last();
                }
                return;
            }
        }
        // A number that neither explains is of a count that is not known.
        // So is one of which late or second answers were seen: they may be of either count.
        let doubtful = !may_have_restarted || !self.beside.is_empty();
        (gap.restarted, gap.void) = (may_have_restarted, doubtful);
        gap.high = i64::from(theirs);
        gap.seen += beside;
        self.numbers.clear();
        self.beside.clear();
        self.remember(gap.high);
        self.close(gap);
    }

    fn close(&mut self, mut gap: Gap) {
        // Second and late answers whose numbers lie in it.
        let ahead = std::mem::take(&mut self.ahead);
        for theirs in ahead {
            let number = gap.low + i64::from(theirs.wrapping_sub(gap.low as u32) as i32);
            if gap.low < number && number < gap.high {
                gap.seen += 1;
            } else {
                self.ahead.push_back(theirs);
            }
        }
        gap.end();
        self.open = Gap::after(gap.high, gap.last + 1);
        // A number too many may be that of a request that was overtaken.
        if gap.missing() > gap.lost {
            self.pooled_until = Some(gap.ends + self.guard);
        }
        match self.past.back_mut() {
            Some(last) if last.is_plain() && gap.is_plain() => *last = last.joined(gap),
            _ => self.past.push_back(gap),
        }
        if self.pooled_until.is_some_and(|until| gap.begins <= until) {
            self.pool(self.past.len() - 1);
        }
        if self.past.len() > GAPS
            && let Some(old) = self.past.pop_front()
        {
            let old = old.claims();
            self.closed.forward += old.forward;
            self.closed.back += old.back;
        }
    }

    /// Near a sign that requests overtook each other, gaps count together: with this one, those
    /// before it and after it whose requests may have changed places with its own.
    fn pool(&mut self, at: usize) {
        let until = self.past[at].ends + self.guard;
        // A number too many may be of a request that the answer before overtook, however long ago.
        let too_many = self.past[at].excess > 0;
        let (mut first, mut last) = (at, at);
        while first > 0
            && !self.past[first].begins_count()
            && (first == at && too_many
                || self.past[first - 1].ends + self.guard >= self.past[first].begins)
        {
            first -= 1;
        }
        while let Some(next) = self.past.get(last + 1)
            && !next.begins_count()
            && next.begins <= until
        {
            last += 1;
        }
        if last + 1 == self.past.len() {
            self.pooled_until = self.pooled_until.max(Some(until));
        }
        for next in self.past.drain(first + 1..=last).collect::<Vec<_>>() {
            self.past[first] = self.past[first].joined(next);
        }
    }

    /// The last two gaps become one.
    fn join_last(&mut self) {
        if let (Some(last), Some(before)) = (self.past.pop_back(), self.past.pop_back()) {
            self.past.push_back(before.joined(last));
        }
    }

    fn remember(&mut self, number: i64) {
        self.numbers.push_back(number);
        if self.numbers.len() > NUMBERS {
            self.numbers.pop_front();
        }
    }

    /// A beat that is in a gap as lost or refused was answered after all.
    pub(super) fn amend(&mut self, seq: u64, theirs: u32, refused: bool, of_count: bool) {
        let gap = match self.past.iter_mut().rev().find(|it| it.first <= seq && seq <= it.last) {
            Some(gap) => gap,
            None if seq >= self.open.first => &mut self.open,
            None => {
                // Whatever was claimed of it.
                self.closed.forward = self.closed.forward.saturating_sub(1);
                self.closed.back = self.closed.back.saturating_sub(1);
                return;
            }
        };
        let count = if refused { &mut gap.unknown } else { &mut gap.lost };
        *count = count.saturating_sub(1);
        gap.firm = gap.firm.min(gap.lost);
        gap.excess = gap.excess.max(gap.missing().saturating_sub(gap.requests()));
        if of_count {
            self.see(seq, theirs, false);
        } else if let Some(gap) =
            self.past.iter_mut().find(|it| it.first <= seq && seq <= it.last && it.missing() > 0)
        {
            gap.see();
        }
        if let Some(at) = self.past.iter().rposition(|it| it.first <= seq && seq <= it.last)
            && self.past[at].missing() > self.past[at].lost
        {
            self.pool(at);
        }
    }

    /// A number was seen beside those of first answers in time, in an answer to the beat `seq`.
    pub(super) fn see(&mut self, seq: u64, theirs: u32, known: bool) {
        // Of a beat from before a new count began: its number is no number of that count.
        let began = self.past.iter().rposition(|it| it.begins_count() && it.last > seq);
        if let Some(began) = began {
            let at = self.past.iter().rposition(|it| it.first <= seq).unwrap_or(began);
            self.past[at.min(began)].void = true;
            self.past[began].void = true;
            return;
        }
        self.put_beside(theirs);
        let number = self.unwrapped(theirs);
        // An answer that was doubled on its way has the number that is known.
        if known || self.numbers.contains(&number) {
            return;
        }
        self.remember(number);
        if number > self.open.low {
            self.ahead.push_back(theirs);
            if self.ahead.len() > NUMBERS {
                self.ahead.pop_front();
            }
        } else if let Some(at) = self.gap_of(number) {
            self.past[at].see();
        }
    }

    fn put_beside(&mut self, theirs: u32) {
        if !self.beside.contains(&theirs) {
            self.beside.push_back(theirs);
            if self.beside.len() > NUMBERS {
                self.beside.pop_front();
            }
        }
    }

    /// A number near that of the last answer, which may have come round the end of 32 bits.
    fn unwrapped(&self, theirs: u32) -> i64 {
        self.open.low + i64::from(theirs.wrapping_sub(self.open.low as u32) as i32)
    }

    /// The gap of this count in which the number is missing.
    fn gap_of(&self, number: i64) -> Option<usize> {
        let first = self.past.iter().rposition(Gap::begins_count).unwrap_or(0);
        let inside = |it: &Gap| {
            let low = if it.begins_count() { -1 } else { it.low };
            low < number && number < it.high && (it.void || it.missing() > 0)
        };
        (first..self.past.len()).find(|at| inside(&self.past[*at]))
    }
}
