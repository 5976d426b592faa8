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
mod gaps;

use std::collections::VecDeque;
use std::time::Duration;

use udp_core::clock::Mono;

use gap::Claims;
use gaps::Gaps;

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
    reflector: Reflector,
    /// The first beat that is not in a gap yet, and the fates from there on.
    front: u64,
    fates: VecDeque<(Mono, Fate)>,
    gaps: Gaps,
    /// The first beats of sessions that are still to come, and of the present one.
    sessions: VecDeque<u64>,
    session: u64,
    /// Closing requests that are in a gap.
    closings: u64,
    /// What [`grow`](Self::grow) has told.
    counted: Split,
}

impl Direction {
    /// For beats that are lost after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Direction {
            reflector: Reflector::Unknown,
            front: 1,
            fates: VecDeque::new(),
            gaps: Gaps::new(timeout),
            sessions: VecDeque::new(),
            session: 1,
            closings: 0,
            counted: Split::default(),
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
            None => {
                let of_session = self.is_of_session(seq);
                self.gaps.amend(seq, numbers.theirs, refused, of_session);
            }
        }
        self.advance();
    }

    /// The beat was answered once more.
    pub(crate) fn answered_again(&mut self, seq: u64, numbers: Numbers) {
        self.note_kind(numbers);
        if self.is_of_session(seq) {
            self.see(seq, numbers.theirs);
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
            self.gaps.know_one();
            return self.see(self.front, numbers.theirs);
        }
        self.gaps.extend(self.front, sent).unknown += index - self.closings;
        self.closings = index + 1;
        self.gaps.take(numbers.theirs, self.front - 1, sent);
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
                self.gaps.is_open(self.closings > 0)
                    || self.fates.iter().any(|(_, fate)| *fate == Fate::Lost)
            }
        }
    }

    /// How `lost` beats divide, of which `excluded` are undetermined by definition.
    pub(crate) fn split(&self, lost: u64, excluded: u64) -> Split {
        let mut claims = Claims::default();
        if self.reflector == Reflector::Stateful {
            claims = self.gaps.claims(self.closings > 0);
        }
        let most = lost.saturating_sub(excluded);
        let back = claims.back.min(most);
        let forward = claims.forward.min(most - back);
        Split { forward, back, undetermined: lost - forward - back }
    }

    /// What is proven of `lost` beats by now, and how many of them a later answer may still tell of.
    fn settled(&self, lost: u64, excluded: u64) -> (Claims, u64) {
        if self.reflector != Reflector::Stateful {
            return Default::default();
        }
        let (claims, in_gaps) = self.gaps.settled(self.closings > 0);
        let since = self.fates.iter().filter(|(_, fate)| *fate == Fate::Lost).count() as u64;
        (claims, (in_gaps + since).min(lost.saturating_sub(excluded)))
    }

    /// A split of which nothing is ever taken back, for counters: it grows by what became known since
    /// it was last asked for. Beats of which a later answer may still tell are not in it yet.
    pub(crate) fn grow(&mut self, lost: u64, excluded: u64) -> Split {
        let (claims, open) = self.settled(lost, excluded);
        let split = &mut self.counted;
        let mut room = lost.saturating_sub(split.forward + split.back + split.undetermined);
        for (counted, proven) in
            [(&mut split.forward, claims.forward), (&mut split.back, claims.back)]
        {
            let more = proven.saturating_sub(*counted).min(room);
            (*counted, room) = (*counted + more, room - more);
        }
        split.undetermined += room.saturating_sub(open);
        *split
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
            self.gaps.begin(self.front);
        }
    }

    fn see(&mut self, seq: u64, theirs: u32) {
        let known = self.fates.iter().any(|(_, fate)| *fate == Fate::Answered(theirs));
        self.gaps.see(seq, theirs, known);
    }

    /// Takes settled beats into gaps, in the order they were sent in.
    fn advance(&mut self) {
        while let Some(&(sent, fate)) = self.fates.front()
            && fate != Fate::Open
        {
            let gap = self.gaps.extend(self.front, sent);
            match fate {
                Fate::Open | Fate::Failed => {}
                Fate::Lost => gap.lost += 1,
                Fate::Unknown => gap.unknown += 1,
                Fate::Answered(theirs) => self.gaps.take(theirs, self.front, sent),
            }
            self.fates.pop_front();
            self.front += 1;
            self.begin_sessions();
        }
    }
}

#[cfg(test)]
mod tests;
