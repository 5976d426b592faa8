//! Up or down, with hysteresis: down after so many unanswered beats in a row, up again after so
//! many answered ones. Up at first.
//!
//! Beats are told in the order they were sent in, so that one slow reply in an outage is not taken
//! for its end.

use std::fmt;
use std::time::Duration;

use udp_core::clock::Mono;

/// Whether the target is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Up,
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Health::Up => "up",
            Health::Down => "down",
        })
    }
}

/// How many beats in a row change the state; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hysteresis {
    pub(crate) down_after: u64,
    pub(crate) up_after: u64,
}

/// The state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// What it is now.
    pub(crate) health: Health,
    /// What it was.
    pub(crate) previous: Health,
    /// When the first of the beats that changed it was sent: the outage's start, or its end.
    pub(crate) since: Mono,
    /// How long the previous state lasted: of one that became up again, the outage.
    pub(crate) lasted: Duration,
}

/// The state of one target.
#[derive(Debug)]
pub(crate) struct State {
    hysteresis: Hysteresis,
    health: Health,
    /// Since when; the first beat's sending at first.
    since: Option<Mono>,
    /// Beats in a row that speak against the state, and when the first of them was sent.
    against: u64,
    first_against: Mono,
}

impl State {
    pub(crate) fn new(hysteresis: Hysteresis) -> Self {
        State {
            hysteresis,
            health: Health::Up,
            since: None,
            against: 0,
            first_against: Mono::default(),
        }
    }

    /// What it is now.
    pub(crate) fn health(&self) -> Health {
        self.health
    }

    /// The next beat, sent at `sent`, was answered or was not.
    pub(crate) fn record(&mut self, answered: bool, sent: Mono) -> Option<Change> {
        let since = *self.since.get_or_insert(sent);
        let (confirms, needed) = match self.health {
            Health::Up => (answered, self.hysteresis.down_after),
            Health::Down => (!answered, self.hysteresis.up_after),
        };
        if confirms {
            self.against = 0;
            return None;
        }
        if self.against == 0 {
            self.first_against = sent;
        }
        self.against += 1;
        if self.against < needed {
            return None;
        }
        let previous = self.health;
        self.health = match previous {
            Health::Up => Health::Down,
            Health::Down => Health::Up,
        };
        self.against = 0;
        self.since = Some(self.first_against);
        Some(Change {
            health: self.health,
            previous,
            since: self.first_against,
            lasted: self.first_against.saturating_since(since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` answered, `-` not; the changes as `beat:state:since:lasted`, in seconds.
    fn changes(down_after: u64, up_after: u64, beats: &str) -> String {
        let mut state = State::new(Hysteresis { down_after, up_after });
        let mut said = Vec::new();
        for (k, beat) in beats.bytes().enumerate() {
            let sent = Mono::from_nanos((k as u64 + 1) * 1_000_000_000);
            if let Some(change) = state.record(beat == b'+', sent) {
                let since = change.since.as_nanos() / 1_000_000_000;
                assert_ne!(change.health, change.previous);
                let lasted = change.lasted.as_secs();
                said.push(format!("{}:{}:{since}:{lasted}", k + 1, change.health));
            }
        }
        said.join(" ")
    }

    #[test]
    fn it_takes_so_many_in_a_row() {
        let cases = [
            (1, 1, "++++", ""),
            (1, 1, "+-+-", "2:down:2:1 3:up:3:1 4:down:4:1"),
            (3, 1, "--+--+--", ""),
            (3, 1, "++---+", "5:down:3:2 6:up:6:3"),
            (3, 2, "---+-++", "3:down:1:0 7:up:6:5"),
            (2, 3, "--++-++-+++", "2:down:1:0 11:up:9:8"),
            (1, 1, "-", "1:down:1:0"),
        ];
        for (down_after, up_after, beats, expected) in cases {
            assert_eq!(changes(down_after, up_after, beats), expected, "{beats}");
        }
    }
}
