//! Splits loss by direction, as far as a STAMP reflector's own counter proves it.
//!
//! A stateful reflector numbers what it answers: 0, 1, 2… in each session (RFC 8762 §4.3.1). What
//! is known is [recorded](record::Record) in the order of sending, and [proves](proof) how many
//! lost beats were lost on the way there and back. What another history would show as well is
//! undetermined: beats after the last answer, what a restart of the reflector or a request of
//! unknown fate explains, and everything of a session whose reflector has no state and copies our
//! number, or is not known to count.
//! Late and refused beats are undetermined by definition.
//!
//! A request is taken as doubled only where a second answer or a number without a request shows it,
//! and to arrive less than the timeout after one that was sent with it.

mod counts;
mod entry;
mod evidence;
mod proof;
mod record;

use std::collections::VecDeque;
use std::time::Duration;

use udp_core::clock::Mono;

use evidence::Span;
use proof::Claims;
use record::Record;

/// What kind of reflector it is, by the numbers in its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reflector {
    /// Its numbers always were ours: either nothing was lost on the way there, or it copies them.
    Unknown,
    /// It counts.
    Stateful,
    /// It copies our number: no direction can be known.
    Stateless,
}

/// A loss total by direction. The three add up to what was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Split {
    /// The request did not reach the reflector.
    pub forward: u64,
    /// The reflector answered, and the answer did not come back.
    pub back: u64,
    /// Nothing proves either.
    pub undetermined: u64,
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
    /// With these numbers, and when.
    Answered(Numbers, Mono),
    Lost,
    /// It does not matter whether it arrived.
    Unknown,
    /// It never left.
    Failed,
}

/// The fates of the last beats, in the order of sending.
#[derive(Debug, Default)]
struct Fates(VecDeque<(Mono, Fate)>);

impl Fates {
    /// How many were sent before that.
    fn before(&self, until: u64) -> u64 {
        self.0.partition_point(|(sent, _)| sent.as_nanos() < until) as u64
    }

    /// When each was sent that left.
    fn times(&self) -> Vec<u64> {
        let left = self.0.iter().filter(|(_, fate)| *fate != Fate::Failed);
        left.map(|(sent, _)| sent.as_nanos()).collect()
    }
}

/// An answer to a request, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) numbers: Numbers,
    pub(crate) sent: Mono,
    pub(crate) at: Mono,
}

/// What is known about one target's reflector.
#[derive(Debug)]
pub(crate) struct Direction {
    reflector: Reflector,
    /// The first beat that is not recorded yet, and the fates from there on.
    front: u64,
    fates: Fates,
    record: Record,
    /// The first beats of sessions that are still to come.
    sessions: VecDeque<u64>,
    /// Second answers to beats that are not recorded yet.
    seconds: Vec<(u64, Counted)>,
    /// What [`grow`](Self::grow) has reported.
    counted: Split,
}

impl Direction {
    /// For beats that are lost after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Direction {
            reflector: Reflector::Unknown,
            front: 1,
            fates: Fates::default(),
            record: Record::new((Mono::default() + timeout).as_nanos()),
            sessions: VecDeque::new(),
            seconds: Vec::new(),
            counted: Split::default(),
        }
    }

    /// The next beat is sent.
    pub(crate) fn sent(&mut self, sent: Mono) {
        self.fates.0.push_back((sent, Fate::Open));
    }

    /// The beats from the next one on go to another reflector, or leave from a port of before: they are
    /// counted by another counter (RFC 8762 §4), of which no number is known yet.
    pub(crate) fn new_session(&mut self) {
        self.sessions.push_back(self.front + self.fates.0.len() as u64);
        self.begin_sessions();
    }

    /// The beat `seq` was answered for the first time, in time or not.
    pub(crate) fn answered(&mut self, seq: u64, answer: Counted) {
        self.note_kind(answer.numbers);
        match self.fate(seq) {
            Some(fate) => *fate = Fate::Answered(answer.numbers, answer.at),
            None => self.record.amend(seq, answer.span(), answer.numbers, &self.fates),
        }
        self.advance();
    }

    /// The beat was answered once more.
    pub(crate) fn answered_again(&mut self, seq: u64, answer: Counted) {
        self.note_kind(answer.numbers);
        if seq >= self.front {
            self.seconds.push((seq, answer));
        } else {
            self.record.answer_again(seq, answer.span(), answer.numbers, &self.fates);
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

    /// A closing request is sent, with a number that a reflector which counts cannot follow.
    pub(crate) fn closing_sent(&mut self, sent: Mono) {
        self.record.close(self.sessions.len() as u32, sent.as_nanos(), &self.fates);
    }

    /// A closing request was answered.
    pub(crate) fn closing_answered(&mut self, answer: Counted) {
        if answer.numbers.ours == answer.numbers.theirs {
            self.reflector = Reflector::Stateless;
            return;
        }
        self.reflector = Reflector::Stateful;
        // What is in flight now may have arrived or not.
        for (_, fate) in &mut self.fates.0 {
            if *fate == Fate::Open {
                *fate = Fate::Unknown;
            }
        }
        self.advance();
        self.record.amend(0, answer.span(), answer.numbers, &self.fates);
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
                self.record.open() > 0 || self.fates.0.iter().any(|(_, fate)| *fate == Fate::Lost)
            }
        }
    }

    /// How `lost` beats divide, of which `excluded` are undetermined by definition.
    pub(crate) fn split(&self, lost: u64, excluded: u64) -> Split {
        let mut claims = Claims::default();
        if self.reflector == Reflector::Stateful {
            claims = self.record.claims(&self.fates);
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
        let since = self.fates.0.iter().filter(|(_, fate)| *fate == Fate::Lost).count() as u64;
        let open = (self.record.open() + since).min(lost.saturating_sub(excluded));
        (self.record.claims(&self.fates), open)
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

    /// The fate of a beat that is not recorded yet.
    fn fate(&mut self, seq: u64) -> Option<&mut Fate> {
        let index = usize::try_from(seq.checked_sub(self.front)?).ok()?;
        self.fates.0.get_mut(index).map(|(_, fate)| fate)
    }

    fn settle(&mut self, seq: u64, fate: Fate) {
        if let Some(place) = self.fate(seq)
            && *place == Fate::Open
        {
            *place = fate;
            self.advance();
        }
    }

    fn begin_sessions(&mut self) {
        while self.sessions.front() == Some(&self.front) {
            self.sessions.pop_front();
            self.record.begin();
        }
    }

    /// Records settled beats, in the order they were sent in.
    fn advance(&mut self) {
        while let Some(&(sent, fate)) = self.fates.0.front()
            && fate != Fate::Open
        {
            self.fates.0.pop_front();
            let seq = self.front;
            self.front += 1;
            if fate != Fate::Failed {
                let nanos = sent.as_nanos();
                match fate {
                    Fate::Answered(numbers, at) => {
                        let span = Span { sent: nanos, by: at.as_nanos() };
                        self.record.answer(seq, span, numbers, &self.fates);
                    }
                    fate => self.record.add(seq, nanos, fate == Fate::Lost, &self.fates),
                }
                let seconds: Vec<_> = self.seconds.extract_if(.., |it| it.0 == seq).collect();
                for (_, second) in seconds {
                    self.record.answer_again(seq, second.span(), second.numbers, &self.fates);
                }
            }
            self.begin_sessions();
        }
    }

    /// Entries in whatever grows with the number of beats.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        self.fates.0.len() + self.record.footprint() + self.seconds.len()
    }
}

impl Counted {
    fn span(&self) -> Span {
        Span { sent: self.sent.as_nanos(), by: self.at.as_nanos() }
    }
}

#[cfg(test)]
mod tests;
