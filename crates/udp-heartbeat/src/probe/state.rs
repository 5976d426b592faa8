//! The state of a target: unknown, up, degraded or down, by rows of beats and by thresholds over the
//! last minute.
//!
//! Rows go by the order of sending, so that one slow reply in an outage is not taken for its end.
//! An ICMP refusal is only a hint (RFC 8085 §5.2): an answer after it takes its beat out of the row.

use std::fmt;
use std::time::Duration;

use udp_core::clock::Mono;

use crate::probe::verdict::Verdict;
use crate::probe::window::Seq;

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No row has decided it yet.
    Unknown,
    /// It answers.
    Up,
    /// It answers, but not well enough.
    Degraded,
    /// It does not answer.
    Down,
}

impl State {
    pub(crate) const ALL: [State; 4] = [State::Up, State::Degraded, State::Down, State::Unknown];

    /// Its name in text, JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up => "up",
            State::Degraded => "degraded",
            State::Down => "down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many beats in a row change the state; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hysteresis {
    pub(crate) down_after: u64,
    pub(crate) up_after: u64,
}

/// What became of a beat, as far as the state goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Verdict),
    Unanswered(Reason),
}

/// Why a target is not up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing came in time.
    NoReply,
    /// The peer's host said that nothing listens there.
    Refused,
    /// The beat did not leave this host.
    NotSent,
    /// Over the last minute.
    Loss,
    /// Replies took too long over the last while.
    Rtt,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NoReply => "no reply",
            Reason::Refused => "refused",
            Reason::NotSent => "not sent",
            Reason::Loss => "loss above --max-loss",
            Reason::Rtt => "rtt above --max-rtt",
        })
    }
}

/// The state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// How it is.
    pub state: State,
    /// The state before.
    pub previous: State,
    /// When the first beat of the row that changed it was sent.
    pub since: Mono,
    /// How long the previous state lasted.
    pub lasted: Duration,
    /// What the last answer of the row said.
    pub verdict: Option<Verdict>,
    /// Why.
    pub reason: Option<Reason>,
}

impl Change {
    /// Whether it is only that the target was found to be up at the start.
    pub(crate) fn is_first_up(&self) -> bool {
        (self.previous, self.state) == (State::Unknown, State::Up)
    }
}

/// Beats in a row, up to the newest.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    beats: u64,
    first: u64,
    /// When the first one was sent.
    since: Mono,
}

impl Row {
    fn extend(&mut self, seq: Seq, sent: Mono) {
        if self.beats == 0 {
            (self.first, self.since) = (seq.0, sent);
        }
        self.beats += 1;
    }

    /// `seq` is not of this row after all, so that it begins with the next one, sent at `next`.
    fn cut(&mut self, seq: Seq, next: Mono) {
        let end = self.first + self.beats;
        if (self.first..end).contains(&seq.0) {
            *self = Row { beats: end - seq.0 - 1, first: seq.0 + 1, since: next };
        }
    }
}

/// Follows the state of one target.
#[derive(Debug)]
pub(crate) struct Tracker {
    hysteresis: Hysteresis,
    state: State,
    changes: u64,
    /// By rows alone.
    by_rows: State,
    /// Which threshold does not hold over the last minute.
    failing: Option<Reason>,
    /// Since when; the first beat's sending at first.
    since: Option<Mono>,
    ok: Row,
    unanswered: Row,
    not_ok: Row,
    /// The newest answer that was not ok.
    answered: Option<(u64, Verdict)>,
}

impl Tracker {
    pub(crate) fn new(hysteresis: Hysteresis) -> Self {
        Tracker {
            hysteresis,
            state: State::Unknown,
            changes: 0,
            by_rows: State::Unknown,
            failing: None,
            since: None,
            ok: Row::default(),
            unanswered: Row::default(),
            not_ok: Row::default(),
            answered: None,
        }
    }

    /// What it is now.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// How often it has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Beats in a row that were not answered, up to the newest.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.beats
    }

    /// The next beat, sent at `sent`, ended so.
    pub(crate) fn record(&mut self, seq: Seq, sent: Mono, outcome: Outcome) -> Option<Change> {
        self.since.get_or_insert(sent);
        let mut reason = None;
        match outcome {
            Outcome::Answered(Verdict::Ok) => {
                self.ok.extend(seq, sent);
                (self.unanswered, self.not_ok) = Default::default();
            }
            Outcome::Answered(verdict) => {
                self.not_ok.extend(seq, sent);
                self.answered = Some((seq.0, verdict));
                (self.ok, self.unanswered) = Default::default();
            }
            Outcome::Unanswered(why) => {
                self.not_ok.extend(seq, sent);
                self.unanswered.extend(seq, sent);
                self.ok = Row::default();
                reason = Some(why);
            }
        }
        let (state, since) = self.decide(sent);
        self.by_rows = state;
        self.change(since, reason)
    }

    /// The refused beat, which was recorded as unanswered, was answered in time all the same; the one
    /// after it was sent at `next`.
    pub(crate) fn answered_after_all(
        &mut self,
        (seq, sent): (Seq, Mono),
        verdict: Verdict,
        next: Mono,
    ) -> Option<Change> {
        self.unanswered.cut(seq, next);
        match verdict {
            Verdict::Ok => self.not_ok.cut(seq, next),
            _ => {
                let newer = self.answered.filter(|(newest, _)| *newest > seq.0);
                self.answered = newer.or(Some((seq.0, verdict)));
            }
        }
        let Hysteresis { down_after, up_after } = self.hysteresis;
        let degraded = self.not_ok.beats >= down_after && self.bad_answer().is_some();
        self.by_rows = match verdict {
            _ if self.unanswered.beats >= down_after => return None,
            _ if degraded => State::Degraded,
            Verdict::Ok if up_after == 1 => State::Up,
            _ => return None,
        };
        self.change(sent, None)
    }

    /// Whether a threshold does not hold over the last minute, known since the end of the beat that
    /// was sent at `sent`.
    pub(crate) fn set_failing(&mut self, failing: Option<Reason>, sent: Mono) -> Option<Change> {
        self.failing = failing;
        self.change(sent, None)
    }

    /// The state by rows after the beat sent at `sent`, and since when.
    fn decide(&self, sent: Mono) -> (State, Mono) {
        let Hysteresis { down_after, up_after } = self.hysteresis;
        if self.unanswered.beats >= down_after {
            return (State::Down, self.unanswered.since);
        }
        if self.not_ok.beats >= down_after && self.bad_answer().is_some() {
            // The first answer ends the outage, whose beats are in the same row.
            let after_outage = self.by_rows == State::Down;
            return (State::Degraded, if after_outage { sent } else { self.not_ok.since });
        }
        if self.ok.beats >= up_after {
            return (State::Up, self.ok.since);
        }
        (self.by_rows, sent)
    }

    /// What the newest answer in the row of those that are not ok said.
    fn bad_answer(&self) -> Option<Verdict> {
        let row = self.not_ok;
        let in_row = self.answered.filter(|(seq, _)| row.beats > 0 && *seq >= row.first);
        in_row.map(|(_, verdict)| verdict)
    }

    fn change(&mut self, since: Mono, reason: Option<Reason>) -> Option<Change> {
        let state = match (self.by_rows, self.failing) {
            (State::Up | State::Unknown, Some(_)) => State::Degraded,
            (state, _) => state,
        };
        let previous = std::mem::replace(&mut self.state, state);
        if state == previous {
            return None;
        }
        self.changes += 1;
        let began = self.since.replace(since).unwrap_or(since);
        let by_window = state != self.by_rows;
        Some(Change {
            state,
            previous,
            since,
            lasted: since.saturating_since(began),
            verdict: match state {
                State::Down => None,
                _ => Some(self.bad_answer().unwrap_or(Verdict::Ok)),
            },
            reason: if by_window { self.failing } else { reason.filter(|_| state != State::Up) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Mono {
        Mono::from_nanos(second * 1_000_000_000)
    }

    fn outcome(beat: u8) -> Outcome {
        match beat {
            b'+' => Outcome::Answered(Verdict::Ok),
            b'!' => Outcome::Answered(Verdict::Unexpected),
            b'r' => Outcome::Unanswered(Reason::Refused),
            _ => Outcome::Unanswered(Reason::NoReply),
        }
    }

    fn shown(beat: usize, change: &Change) -> String {
        assert_ne!(change.state, change.previous);
        let since = change.since.as_nanos() / 1_000_000_000;
        format!("{beat}:{}:{since}:{}", change.state, change.lasted.as_secs())
    }

    /// `+` ok, `!` unexpected, `-` no reply, `r` refused; the changes as `beat:state:since:lasted`,
    /// in seconds.
    fn changes(down_after: u64, up_after: u64, beats: &str) -> String {
        let mut tracker = Tracker::new(Hysteresis { down_after, up_after });
        let mut told = Vec::new();
        for (seq, beat) in (1..).zip(beats.bytes()) {
            let change = tracker.record(Seq(seq), at(seq), outcome(beat));
            told.extend(change.map(|change| shown(seq as usize, &change)));
        }
        told.join(" ")
    }

    #[test]
    fn it_takes_so_many_in_a_row() {
        let cases = [
            (1, 1, "++++", "1:up:1:0"),
            (1, 1, "+-+-", "1:up:1:0 2:down:2:1 3:up:3:1 4:down:4:1"),
            (3, 1, "--+--+--", "3:up:3:2"),
            (3, 1, "++---+", "1:up:1:0 5:down:3:2 6:up:6:3"),
            (3, 2, "---+-++", "3:down:1:0 7:up:6:5"),
            (2, 3, "--++-++-+++", "2:down:1:0 11:up:9:8"),
            (3, 3, "++", ""),
            // As many in a row that are not ok, at least one of them answered.
            (3, 1, "+!!!+", "1:up:1:0 4:degraded:2:1 5:up:5:3"),
            (3, 1, "+-!-+", "1:up:1:0 4:degraded:2:1 5:up:5:3"),
            (3, 1, "+!---!+", "1:up:1:0 4:degraded:2:1 5:down:3:1 6:degraded:6:3 7:up:7:1"),
            (1, 1, "!-!", "1:degraded:1:0 2:down:2:1 3:degraded:3:1"),
            (2, 2, "!!+!+!", "2:degraded:1:0"),
        ];
        for (down_after, up_after, beats, expected) in cases {
            assert_eq!(changes(down_after, up_after, beats), expected, "{beats}");
        }
    }

    #[test]
    fn it_is_degraded_while_a_threshold_does_not_hold() {
        let mut tracker = Tracker::new(Hysteresis { down_after: 2, up_after: 1 });
        let mut told = Vec::new();
        let steps = [(b'+', false), (b'+', true), (b'-', true), (b'-', true), (b'+', true)];
        for (seq, (beat, failing)) in (1..).zip(steps.into_iter().chain([(b'+', false)])) {
            let change = tracker.record(Seq(seq), at(seq), outcome(beat));
            let window = tracker.set_failing(failing.then_some(Reason::Loss), at(seq));
            for change in [change, window].into_iter().flatten() {
                let reason = change.reason.map_or(String::new(), |it| it.to_string());
                told.push(format!("{} {reason}", shown(seq as usize, &change)));
            }
        }
        let expected = [
            "1:up:1:0 ",
            "2:degraded:2:1 loss above --max-loss",
            "4:down:3:1 no reply",
            "5:degraded:5:2 loss above --max-loss",
            "6:up:6:1 ",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_answer_after_a_refusal_takes_its_beat_out_of_the_row() {
        // Each beat is refused, and answered before the next one leaves: never down.
        let mut tracker = Tracker::new(Hysteresis { down_after: 3, up_after: 1 });
        for seq in 1..=9 {
            assert_eq!(tracker.record(Seq(seq), at(seq), outcome(b'r')), None, "{seq}");
            let beat = (Seq(seq), at(seq));
            tracker.answered_after_all(beat, Verdict::Ok, at(seq + 1));
            assert_eq!((tracker.state(), tracker.unanswered()), (State::Up, 0), "{seq}");
        }
        // A row of three that was answered in the middle is none.
        let mut tracker = Tracker::new(Hysteresis { down_after: 3, up_after: 1 });
        let told: Vec<String> = (1..=3)
            .filter_map(|seq| tracker.record(Seq(seq), at(seq), outcome(b'r')))
            .map(|change| shown(3, &change))
            .collect();
        assert_eq!(told, ["3:down:1:0"]);
        let change = tracker.answered_after_all((Seq(2), at(2)), Verdict::Ok, at(3)).unwrap();
        assert_eq!((shown(3, &change), tracker.unanswered()), ("3:up:2:1".into(), 1));
        let verdict = Verdict::Unexpected;
        assert_eq!(tracker.answered_after_all((Seq(3), at(3)), verdict, at(4)), None);
        assert_eq!(tracker.unanswered(), 0);
    }
}
