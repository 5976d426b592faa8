//! Short histories of beats, closing requests and restarts, and what is seen of them.

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// Lost on the way there.
    Forward,
    /// It got a number, and the answer was lost on the way back.
    Back,
    /// Answered.
    Answered,
    /// The request was doubled, and answered twice; of one answer or both nothing came back.
    Twice,
    TwiceFirst,
    TwiceSecond,
    TwiceBack,
    /// In flight at the end; it got a number, or did not.
    FlightHere,
    FlightLost,
}
pub(super) use Event::{
    Answered, Back, FlightHere, FlightLost, Forward, Twice, TwiceBack, TwiceFirst, TwiceSecond,
};

/// What is seen of one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Seen {
    Nothing,
    InFlight,
    Numbers(Vec<u32>),
}

#[derive(Debug, Clone)]
pub(super) struct History {
    /// Beats, then closing requests.
    pub(super) events: Vec<Event>,
    pub(super) beats: usize,
    /// Before which requests the reflector begins to count anew.
    pub(super) restarts: u32,
    /// And between the two of which doubled ones.
    pub(super) within: u32,
    pub(super) stateful: bool,
    /// The request that arrives after the next one instead of before it.
    pub(super) overtaken: Option<usize>,
    /// Before which beats the source port, or the reflector, is another one.
    pub(super) sessions: u32,
    /// With which number each is counted there; none if all have one count.
    pub(super) begins: Option<u32>,
    /// It may be another than 0, and is told.
    pub(super) told: bool,
    /// In which sessions the reflector copies our numbers.
    pub(super) copying: u32,
}

impl History {
    pub(super) fn ours(&self, index: usize) -> u32 {
        let ahead = if index < self.beats { 0 } else { 64 };
        index as u32 + ahead
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen = vec![Seen::Nothing; self.events.len()];
        let mut order: Vec<usize> = (0..self.events.len()).collect();
        if let Some(index) = self.overtaken {
            order.swap(index, index + 1);
        }
        let begins = self.begins.unwrap_or_default();
        let mut counters = vec![begins; 1 + self.sessions.count_ones() as usize];
        counters[0] = 0;
        for index in order {
            if self.restarts >> index & 1 == 1 {
                counters.fill(0);
            }
            let begins_within = self.within >> index & 1 == 1;
            let mut first = true;
            let session = (self.sessions & ((2 << index) - 1)).count_ones() as usize;
            let counter = &mut counters[if self.begins.is_some() { session } else { 0 }];
            let mut number = || {
                *counter = if begins_within && !first { 1 } else { *counter + 1 };
                first = false;
                let copies = !self.stateful || self.copying >> session & 1 == 1;
                if copies { self.ours(index) } else { *counter - 1 }
            };
            seen[index] = match self.events[index] {
                Forward => Seen::Nothing,
                Back => {
                    number();
                    Seen::Nothing
                }
                Answered => Seen::Numbers(vec![number()]),
                Twice => Seen::Numbers(vec![number(), number()]),
                TwiceFirst => Seen::Numbers(vec![(number(), number()).0]),
                TwiceSecond => Seen::Numbers(vec![(number(), number()).1]),
                TwiceBack => {
                    number();
                    number();
                    Seen::Nothing
                }
                FlightHere => {
                    number();
                    Seen::InFlight
                }
                FlightLost => Seen::InFlight,
            };
        }
        seen
    }

    pub(super) fn count(&self, events: &[Event]) -> u64 {
        self.events[..self.beats].iter().filter(|it| events.contains(it)).count() as u64
    }

    /// Which requests are doubled.
    pub(super) fn doubled_set(&self) -> u32 {
        let doubled = |it: &Event| matches!(it, Twice | TwiceFirst | TwiceSecond | TwiceBack);
        self.events.iter().rev().fold(0, |set, it| set << 1 | u32::from(doubled(it)))
    }
}

/// Every row of `length` events.
pub(super) fn rows(choices: &[Event], length: usize) -> impl Iterator<Item = Vec<Event>> {
    let base = choices.len();
    (0..base.pow(length as u32)).map(move |mut code| {
        let mut row = Vec::with_capacity(length);
        for _ in 0..length {
            row.push(choices[code % base]);
            code /= base;
        }
        row
    })
}

/// Every history of up to `most` beats of these fates and up to two closing requests, with every
/// set of restarts, of a reflector with state and without.
pub(super) fn histories(most: usize, choices: &[Event], mut take: impl FnMut(&History)) {
    for beats in 1..=most {
        for row in rows(choices, beats) {
            // Only the last beats are in flight.
            let landed = row.iter().rposition(|it| !matches!(it, FlightHere | FlightLost));
            let flying = row.iter().position(|it| matches!(it, FlightHere | FlightLost));
            if flying.zip(landed).is_some_and(|(flying, landed)| flying < landed) {
                continue;
            }
            for closings in 0..=2 {
                for closing in rows(&[Forward, Back, Answered], closings) {
                    let events = [row.clone(), closing].concat();
                    let restarts = 1 << events.len();
                    let mut history = History {
                        events,
                        beats,
                        restarts: 0,
                        within: 0,
                        stateful: false,
                        overtaken: None,
                        sessions: 0,
                        begins: None,
                        told: false,
                        copying: 0,
                    };
                    take(&history);
                    history.stateful = true;
                    let doubled = history.doubled_set();
                    for within in (0..=doubled).filter(|it| it & !doubled == 0) {
                        for restarts in 0..restarts {
                            (history.restarts, history.within) = (restarts, within);
                            take(&history);
                        }
                    }
                }
            }
        }
    }
}

impl History {
    /// The same with every set of sessions: of new ports, which is not told, or of whatever is.
    pub(super) fn by_session(&self, told: bool) -> impl Iterator<Item = History> {
        let begins: &[_] = if told { &[None, Some(0), Some(2)] } else { &[None, Some(0)] };
        // The first beat's is the first.
        let sessions = (0..1 << self.beats).step_by(2);
        let both = sessions.flat_map(|sessions| begins.iter().map(move |it| (sessions, *it)));
        both.flat_map(move |(sessions, begins)| {
            // One that copies is another reflector.
            let kinds = if told && begins.is_some() { 2 << u32::count_ones(sessions) } else { 1 };
            let of = move |copying| History { sessions, begins, told, copying, ..self.clone() };
            (0..kinds).map(of)
        })
    }
}
