//! Derives changes of state and loss runs (RFC 3357) from beats whose class is final, in the order
//! of sending.

use super::Session;
use crate::probe::state::{Change, Outcome, Reason, State};
use crate::probe::stats::loss::LossRuns;
use crate::probe::window::{Beat, Class, Seq};

impl Session {
    /// The next change of state that follows from what was recorded; call until there is none. A
    /// beat counts once the end of all beats before it is known.
    pub(crate) fn change(&mut self) -> Option<Change> {
        if let Some((seq, beat)) = self.amended.take() {
            let next = self.window.get(Seq(seq.0 + 1)).map_or(beat.sent, |next| next.sent);
            let change = self.state.answered_after_all((seq, beat.sent), beat.verdict, next);
            if change.is_some() {
                return change;
            }
        }
        while let Some(beat) = self.window.get(Seq(self.untold)).copied()
            && beat.class != Class::InFlight
        {
            let seq = Seq(self.untold);
            self.untold += 1;
            let change = outcome(&beat).and_then(|it| self.state.record(seq, beat.sent, it));
            if change.is_some() {
                return change;
            }
        }
        while let Some(beat) = self.settled_beat(self.unsettled) {
            self.runs.record(beat.class == Class::Received, beat.sent);
            self.unsettled += 1;
        }
        self.window.forget_below(Seq(self.unsettled));
        let recent = self.recent.as_ref()?;
        self.state.set_failing(recent.failing(), recent.newest())
    }

    /// The beat, if its class does not change any more.
    fn settled_beat(&self, number: u64) -> Option<Beat> {
        let beat = self.window.get(Seq(number)).filter(|_| number < self.untold)?;
        (beat.class != Class::Refused).then_some(*beat)
    }

    /// How many beats in a row were not answered, up to now.
    pub(crate) fn unanswered_in_a_row(&self) -> u64 {
        self.state.unanswered()
    }

    /// Whether a beat was answered that was sent after all those whose end the state knows.
    pub(crate) fn is_answered_later(&self) -> bool {
        self.next_in_order > self.untold
    }

    /// The rows of unanswered beats, as if the class of none would change any more.
    pub(crate) fn runs(&self) -> LossRuns {
        let mut runs = self.runs.clone();
        let known = (self.unsettled..self.untold).filter_map(|seq| self.window.get(Seq(seq)));
        known.for_each(|beat| runs.record(beat.class == Class::Received, beat.sent));
        runs
    }

    /// How often the state has changed.
    pub(crate) fn state_changes(&self) -> u64 {
        self.state.changes()
    }

    pub(crate) fn state(&self) -> State {
        self.state.state()
    }
}

fn outcome(beat: &Beat) -> Option<Outcome> {
    Some(match beat.class {
        Class::Unaddressed => return None,
        Class::Received => Outcome::Answered(beat.verdict),
        Class::Failed => Outcome::Unanswered(Reason::NotSent),
        _ if beat.refused => Outcome::Unanswered(Reason::Refused),
        _ => Outcome::Unanswered(Reason::NoReply),
    })
}
