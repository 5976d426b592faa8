//! In which direction a lost beat was lost, as far as a STAMP reflector's own counter proves it.
//!
//! The numbers in its answers are taken in the order in which the beats were sent: each answer ends
//! a [gap](gap::Gap), and a gap proves how many of its lost beats were lost on the way there and
//! back. What is not proven is undetermined: beats after the last answer, what a restart of the
//! reflector or a request of unknown fate would explain as well, and everything where the reflector
//! has no state and copies our number. Late and refused beats are undetermined by definition.
//!
//! A request is taken as doubled only where a second answer or a number without a request shows it,
//! and as overtaken only where a new count does not explain the same.

mod gap;

use std::collections::VecDeque;
use std::time::Duration;

use udp_core::clock::Mono;

use gap::{Claims, Gap};

/// What kind of reflector it is, by the numbers in its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflector {
    /// Its numbers always were ours: either nothing was lost on the way there, or it copies them.
    Unknown,
    /// It counts.
    Stateful,
    /// It copies our number: no direction can be told.
    Stateless,
}

/// A loss total by direction. The three add up to what was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Split {
    /// The request did not reach the reflector.
    pub(crate) forward: u64,
    /// The reflector answered, and the answer did not come back.
    pub(crate) back: u64,
    /// Nothing proves either.
    pub(crate) undetermined: u64,
}

/// The numbers of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Ours, of the request, as it was on the wire.
    pub(crate) ours: u32,
    /// The reflector's own.
    pub(crate) theirs: u32,
}

/// Gaps that are remembered, for answers that come late or twice.
const GAPS: usize = 256;
/// Numbers seen ahead of the beats that are settled.
const AHEAD: usize = 1024;

/// What became of a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not known yet.
    Open,
    Answered(u32),
    Lost,
    /// It does not matter whether it arrived.
    Unknown,
    /// It never left.
    Failed,
}

/// What is known about one session with a reflector.
#[derive(Debug)]
pub(crate) struct Direction {
    /// A request that is overtaken arrives before one that is sent this much later.
    guard: Duration,
    reflector: Reflector,
    /// The first beat that is not in a gap yet, and the fates from there on.
    front: u64,
    fates: VecDeque<(Mono, Fate)>,
    /// Since the last answer.
    open: Gap,
    /// Those before, the newest last, and what those before them prove.
    gaps: VecDeque<Gap>,
    closed: Claims,
    /// Numbers that were seen beside a beat's first answer, and lie ahead of the last gap.
    ahead: VecDeque<u32>,
    /// Those that were seen beside since the present count began, of whatever count they were.
    beside: VecDeque<u32>,
    /// The numbers that were seen last.
    numbers: VecDeque<i64>,
    /// Until when gaps count together with those before them.
    pooled_until: Option<Mono>,
    /// The first beats of sessions that are still to come, and of the present one.
    sessions: VecDeque<u64>,
    session: u64,
    /// Closing requests that are in a gap.
    closings: u64,
}

impl Direction {
    /// For beats that are lost after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Direction {
            guard: timeout,
            reflector: Reflector::Unknown,
            front: 1,
            fates: VecDeque::new(),
            open: Gap::after(-1, 1),
            gaps: VecDeque::new(),
            closed: Claims::default(),
            ahead: VecDeque::new(),
            beside: VecDeque::new(),
            numbers: VecDeque::new(),
            pooled_until: None,
            sessions: VecDeque::new(),
            session: 1,
            closings: 0,
        }
    }

    /// The next beat is sent.
    pub(crate) fn sent(&mut self, sent: Mono) {
        self.fates.push_back((sent, Fate::Open));
    }

    /// The beats from the next one on go to another reflector, or leave from another port: they are
    /// counted by another counter (RFC 8762 §4), of which no number is known yet.
    pub(crate) fn new_session(&mut self) {
        self.sessions.push_back(self.front + self.fates.len() as u64);
        self.begin_sessions();
    }

    /// The beat `seq` was answered for the first time, in time or not; `refused` if it had been
    /// refused before.
    pub(crate) fn answered(&mut self, seq: u64, numbers: Numbers, refused: bool) {
        self.note_kind(numbers);
        match self.fate(seq) {
            Some(fate) => *fate = Fate::Answered(numbers.theirs),
            None => self.amend(seq, numbers.theirs, refused),
        }
        self.advance();
    }

    /// The beat was answered once more.
    pub(crate) fn answered_again(&mut self, seq: u64, numbers: Numbers) {
        self.note_kind(numbers);
        if self.is_of_session(seq) {
            self.see(numbers.theirs);
        }
    }

    /// The beat was not answered in time.
    pub(crate) fn lost(&mut self, seq: u64) {
        self.settle(seq, Fate::Lost);
    }

    /// The beat was refused: whether it arrived is not asked.
    pub(crate) fn refused(&mut self, seq: u64) {
        self.settle(seq, Fate::Unknown);
    }

    /// The beat never left this host.
    pub(crate) fn failed(&mut self, seq: u64) {
        self.settle(seq, Fate::Failed);
    }

    /// The answer to the closing request `index` (from 0), which was sent at `sent` with a number
    /// that a reflector which counts cannot follow.
    pub(crate) fn closing(&mut self, index: u64, numbers: Numbers, sent: Mono) {
        if numbers.ours == numbers.theirs {
            self.reflector = Reflector::Stateless;
            return;
        }
        self.reflector = Reflector::Stateful;
        // What is in flight now may have arrived or not.
        for (_, fate) in &mut self.fates {
            if *fate == Fate::Open {
                *fate = Fate::Unknown;
            }
        }
        self.advance();
        if index < self.closings {
            // An earlier one, whose answer was overtaken.
            if let Some(last) = self.gaps.back_mut() {
                last.unknown = last.unknown.saturating_sub(1);
            }
            return self.see(numbers.theirs);
        }
        if self.open.first == self.front {
            self.open.begins = sent;
        }
        self.open.unknown += index - self.closings;
        self.closings = index + 1;
        self.take(numbers.theirs, sent);
    }

    /// What kind of reflector it is.
    pub(crate) fn reflector(&self) -> Reflector {
        self.reflector
    }

    /// Whether an answer to one more request would tell more about what was lost.
    pub(crate) fn is_open(&self) -> bool {
        match self.reflector {
            Reflector::Stateless => false,
            Reflector::Unknown => true,
            Reflector::Stateful => {
                let claims = |gap: &Gap| gap.claims().forward > 0 && !self.is_settled(gap);
                self.open.lost > 0
                    || self.fates.iter().any(|(_, fate)| *fate == Fate::Lost)
                    || self.gaps.iter().any(claims)
            }
        }
    }

    /// How `lost` beats divide, of which `excluded` are undetermined by definition.
    pub(crate) fn split(&self, lost: u64, excluded: u64) -> Split {
        let mut claims = Claims::default();
        if self.reflector == Reflector::Stateful {
            claims = self.closed;
            for gap in &self.gaps {
                let own = gap.claims();
                claims.forward += if self.is_settled(gap) { own.forward } else { 0 };
                claims.back += own.back;
            }
        }
        let most = lost.saturating_sub(excluded);
        let back = claims.back.min(most);
        let forward = claims.forward.min(most - back);
        Split { forward, back, undetermined: lost - forward - back }
    }

    /// Whether a request of the gap that was overtaken would have shown by now: before the end
    /// nothing is said of the last ones.
    fn is_settled(&self, gap: &Gap) -> bool {
        let newest = self.gaps.back().map(|newest| newest.ends);
        self.closings > 0 || Some(gap.ends + self.guard) <= newest
    }

    fn note_kind(&mut self, numbers: Numbers) {
        if numbers.ours != numbers.theirs {
            self.reflector = Reflector::Stateful;
        }
    }

    /// The fate of a beat that is in no gap yet.
    fn fate(&mut self, seq: u64) -> Option<&mut Fate> {
        let index = usize::try_from(seq.checked_sub(self.front)?).ok()?;
        self.fates.get_mut(index).map(|(_, fate)| fate)
    }

    fn settle(&mut self, seq: u64, fate: Fate) {
        if let Some(place) = self.fate(seq)
            && *place == Fate::Open
        {
            *place = fate;
            self.advance();
        }
    }

    /// Whether the beat is counted by the present counter.
    fn is_of_session(&self, seq: u64) -> bool {
        seq >= self.session && self.sessions.front().is_none_or(|next| seq < *next)
    }

    fn begin_sessions(&mut self) {
        while self.sessions.front() == Some(&self.front) {
            self.session = self.front;
            self.sessions.pop_front();
            // What was lost since the last answer stays undetermined.
            self.open = Gap { void: true, ..Gap::after(-1, self.front) };
            self.numbers.clear();
            self.ahead.clear();
            self.beside.clear();
        }
    }

    /// Takes settled beats into gaps, in the order they were sent in.
    fn advance(&mut self) {
        while let Some(&(sent, fate)) = self.fates.front()
            && fate != Fate::Open
        {
            if self.open.first == self.front {
                self.open.begins = sent;
            }
            self.fates.pop_front();
            self.front += 1;
            match fate {
                Fate::Open | Fate::Failed => {}
                Fate::Lost => self.open.lost += 1,
                Fate::Unknown => self.open.unknown += 1,
                Fate::Answered(theirs) => self.take(theirs, sent),
            }
            self.begin_sessions();
        }
    }

    /// The next answer in the order of sending.
    fn take(&mut self, theirs: u32, sent: Mono) {
        let number = self.unwrapped(theirs);
        let mut gap = self.open;
        (gap.last, gap.ends) = (self.front.saturating_sub(1), sent);
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
            let before = &mut self.gaps[at];
            let reachable = before.ends + self.guard >= gap.begins;
            if !may_have_restarted || before.void || before.excess > 0 || reachable {
                // Either may be: nothing is proven here, nor until the next answer.
                before.void |= may_have_restarted;
                self.open.void |= may_have_restarted;
                before.see();
                self.put_beside(theirs);
                self.pooled_until = Some(sent + self.guard);
                while self.gaps.len() > at + 1 {
                    self.join_last();
                }
                return;
            }
        }
        // A number that neither explains is of a count that is not known.
        (gap.restarted, gap.void) = (may_have_restarted, !may_have_restarted);
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
        self.open = Gap::after(gap.high, self.front);
        // A number too many may be that of a request that was overtaken.
        if gap.missing() > gap.lost {
            self.pooled_until = Some(gap.ends + self.guard);
        }
        self.gaps.push_back(gap);
        if self.pooled_until.is_some_and(|until| gap.begins <= until) {
            self.pool(self.gaps.len() - 1);
        }
        if self.gaps.len() > GAPS
            && let Some(old) = self.gaps.pop_front()
        {
            let old = old.claims();
            self.closed.forward += old.forward;
            self.closed.back += old.back;
        }
    }

    /// Near a sign that requests overtook each other, gaps count together: with this one, those
    /// before it and after it whose requests may have changed places with its own.
    fn pool(&mut self, at: usize) {
        let until = self.gaps[at].ends + self.guard;
        let (mut first, mut last) = (at, at);
        while first > 0
            && !self.gaps[first].begins_count()
            && self.gaps[first - 1].ends + self.guard >= self.gaps[first].begins
        {
            first -= 1;
        }
        while let Some(next) = self.gaps.get(last + 1)
            && !next.begins_count()
            && next.begins <= until
        {
            last += 1;
        }
        if last + 1 == self.gaps.len() {
            self.pooled_until = self.pooled_until.max(Some(until));
        }
        for next in self.gaps.drain(first + 1..=last).collect::<Vec<_>>() {
            self.gaps[first] = self.gaps[first].joined(next);
        }
    }

    /// The last two gaps become one.
    fn join_last(&mut self) {
        if let (Some(last), Some(before)) = (self.gaps.pop_back(), self.gaps.pop_back()) {
            self.gaps.push_back(before.joined(last));
        }
    }

    fn remember(&mut self, number: i64) {
        self.numbers.push_back(number);
        if self.numbers.len() > AHEAD {
            self.numbers.pop_front();
        }
    }

    /// A beat that is in a gap as lost or refused was answered after all.
    fn amend(&mut self, seq: u64, theirs: u32, refused: bool) {
        let gap = match self.gaps.iter_mut().rev().find(|it| it.first <= seq && seq <= it.last) {
            Some(gap) => gap,
            None if seq >= self.open.first => &mut self.open,
            None => {
                self.closed.back = self.closed.back.saturating_sub(1);
                return;
            }
        };
        let count = if refused { &mut gap.unknown } else { &mut gap.lost };
        *count = count.saturating_sub(1);
        gap.firm = gap.firm.min(gap.lost);
        gap.excess = gap.excess.max(gap.missing().saturating_sub(gap.requests()));
        if self.is_of_session(seq) {
            self.see(theirs);
        } else if let Some(gap) =
            self.gaps.iter_mut().find(|it| it.first <= seq && seq <= it.last && it.missing() > 0)
        {
            gap.see();
        }
        if let Some(at) = self.gaps.iter().rposition(|it| it.first <= seq && seq <= it.last)
            && self.gaps[at].missing() > self.gaps[at].lost
        {
            self.pool(at);
        }
    }

    /// A number was seen beside those of first answers in time.
    fn see(&mut self, theirs: u32) {
        self.put_beside(theirs);
        let number = self.unwrapped(theirs);
        // An answer that was doubled on its way has the number that is known.
        let known = |(_, fate): &(Mono, Fate)| *fate == Fate::Answered(theirs);
        if self.numbers.contains(&number) || self.fates.iter().any(known) {
            return;
        }
        self.remember(number);
        if number > self.open.low {
            self.ahead.push_back(theirs);
            if self.ahead.len() > AHEAD {
                self.ahead.pop_front();
            }
        } else if let Some(at) = self.gap_of(number) {
            self.gaps[at].see();
        }
    }

    fn put_beside(&mut self, theirs: u32) {
        if !self.beside.contains(&theirs) {
            self.beside.push_back(theirs);
            if self.beside.len() > AHEAD {
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
        let first = self.gaps.iter().rposition(Gap::begins_count).unwrap_or(0);
        let inside = |it: &Gap| {
            let low = if it.begins_count() { -1 } else { it.low };
            low < number && number < it.high && (it.void || it.missing() > 0)
        };
        (first..self.gaps.len()).find(|at| inside(&self.gaps[*at]))
    }
}

#[cfg(test)]
mod tests;
