//! Every claim holds in every history that shows the same answers.

use std::collections::HashMap;

use super::*;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
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
use Event::{
    Answered, Back, FlightHere, FlightLost, Forward, Twice, TwiceBack, TwiceFirst, TwiceSecond,
};

/// What is seen of one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Seen {
    Nothing,
    InFlight,
    Numbers(Vec<u32>),
}

/// Too short for a request to overtake another.
const MOMENT: Duration = Duration::from_nanos(1);

#[derive(Debug, Clone)]
struct History {
    /// Beats, then closing requests.
    events: Vec<Event>,
    beats: usize,
    /// Before which requests the reflector begins to count anew.
    restarts: u32,
    /// And between the two of which doubled ones.
    within: u32,
    stateful: bool,
    /// The request that arrives after the next one instead of before it.
    overtaken: Option<usize>,
    /// Before which beats the source port, or the reflector, is another one.
    sessions: u32,
    /// With which number each is counted there; none if all have one count.
    begins: Option<u32>,
    /// It may be another than 0, and is told.
    told: bool,
    /// In which sessions the reflector copies our numbers.
    copying: u32,
}

impl History {
    fn ours(&self, index: usize) -> u32 {
        let ahead = if index < self.beats { 0 } else { 64 };
        index as u32 + ahead
    }

    fn seen(&self) -> Vec<Seen> {
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

    fn count(&self, events: &[Event]) -> u64 {
        self.events[..self.beats].iter().filter(|it| events.contains(it)).count() as u64
    }

    /// Which requests are doubled.
    fn doubled_set(&self) -> u32 {
        let doubled = |it: &Event| matches!(it, Twice | TwiceFirst | TwiceSecond | TwiceBack);
        self.events.iter().rev().fold(0, |set, it| set << 1 | u32::from(doubled(it)))
    }
}

fn at(index: usize) -> Mono {
    Mono::from_nanos((index as u64 + 1) * 1_000_000)
}

/// What is claimed of what was seen of beats of these sessions, where a request may be overtaken by
/// those sent within `guard`, and an answer comes after `took`.
fn claimed(
    seen: &[Seen],
    (beats, sessions): (usize, u32),
    (guard, took): (Duration, Duration),
) -> Split {
    let mut direction = Direction::new(guard);
    let ours = |index: usize| index as u32 + if index < beats { 0 } else { 64 };
    for index in 0..beats {
        if sessions >> index & 1 == 1 {
            direction.new_session();
        }
        direction.sent(at(index));
    }
    (beats..seen.len()).for_each(|index| direction.closing_sent(at(index)));
    let mut lost = 0;
    for (index, seen) in seen.iter().enumerate() {
        let seq = index as u64 + 1;
        match seen {
            Seen::Nothing if index < beats => {
                lost += 1;
                direction.lost(seq);
            }
            Seen::Nothing | Seen::InFlight => {}
            Seen::Numbers(numbers) => {
                for (nth, theirs) in numbers.iter().enumerate() {
                    let numbers = Numbers { ours: ours(index), theirs: *theirs };
                    let answer = Counted { numbers, sent: at(index), at: at(index) + took };
                    match nth {
                        0 if index >= beats => direction.closing_answered(answer),
                        0 => direction.answered(seq, answer),
                        _ => direction.answered_again(seq, answer),
                    }
                }
            }
        }
    }
    direction.split(lost, 0)
}

/// How many beats there are, which of them begin a session that is told, and what is seen of each.
type Shown = ((usize, u32), Vec<Seen>);

/// For everything that can be seen, the fewest beats that were lost each way.
#[derive(Default)]
struct Least(HashMap<Shown, (u64, u64)>);

impl Least {
    fn add(&mut self, history: &History) {
        let (forward, back) = (history.count(&[Forward]), history.count(&[Back, TwiceBack]));
        let sessions = if history.told { history.sessions } else { 0 };
        let shown: Shown = ((history.beats, sessions), history.seen());
        let least = self.0.entry(shown).or_insert((forward, back));
        *least = (least.0.min(forward), least.1.min(back));
    }

    /// No claim says more. How many there are, and how many there could be.
    #[track_caller]
    fn bounds(&self, times: (Duration, Duration)) -> (u64, u64) {
        let (mut claims, mut possible) = (0, 0);
        for ((beats, seen), (forward, back)) in &self.0 {
            let split = claimed(seen, *beats, times);
            let holds = split.forward <= *forward && split.back <= *back;
            assert!(holds, "{split:?}, but {forward} and {back}: {seen:?}, {beats:?}");
            claims += split.forward + split.back;
            possible += forward + back;
        }
        (claims, possible)
    }
}

/// Every row of `length` events.
fn rows(choices: &[Event], length: usize) -> impl Iterator<Item = Vec<Event>> {
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
fn histories(most: usize, choices: &[Event], mut take: impl FnMut(&History)) {
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

#[test]
fn every_claim_holds_in_all_histories_that_show_the_same_and_none_is_missed() {
    let mut least = Least::default();
    histories(6, &[Forward, Back, Answered], |history| least.add(history));
    histories(4, &[Forward, Back, Answered, FlightHere, FlightLost], |history| least.add(history));
    let (claimed, possible) = least.bounds((Duration::ZERO, Duration::ZERO));
    assert_eq!(claimed, possible);
}

/// Whichever request overtakes the next one, and wherever the reflector begins anew.
#[test]
fn no_claim_is_wrong_where_requests_may_have_overtaken_each_other() {
    let mut least = Least::default();
    histories(4, &[Forward, Back, Answered], |history| {
        least.add(history);
        for first in 0..history.events.len() - 1 {
            least.add(&History { overtaken: Some(first), ..history.clone() });
        }
    });
    let (claims, _) = least.bounds((Duration::from_secs(1), Duration::from_secs(1)));
    assert!(claims > 0);
}

impl History {
    /// The same with every set of sessions: of new ports, which is not told, or of whatever is.
    fn by_session(&self, told: bool) -> impl Iterator<Item = History> {
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

/// Wherever beats leave from another port, or go elsewhere, and whichever request overtakes the next one.
#[test]
fn no_claim_is_wrong_where_there_is_more_than_one_session() {
    let flying = [Forward, Back, Answered, FlightHere, FlightLost];
    for (told, most, choices, guard) in [
        (false, 4, &flying[..3], 0),
        (false, 3, &flying[..], 0),
        (false, 3, &flying[..3], 1),
        (true, 3, &flying[..], 0),
        (true, 3, &flying[..3], 1),
    ] {
        let mut least = Least::default();
        histories(most, choices, |history| {
            for history in history.by_session(told) {
                least.add(&history);
                let requests = if guard > 0 { history.events.len() - 1 } else { 0 };
                for first in 0..requests {
                    least.add(&History { overtaken: Some(first), ..history.clone() });
                }
            }
        });
        let guard = Duration::from_secs(guard);
        let (claims, possible) = least.bounds((guard, guard));
        assert!(claims > 0);
        // A new port proves no less than one that a reflector may begin anew on.
        assert!(told || guard > Duration::ZERO || claims == possible);
    }
}

/// A request is taken as doubled where it shows: where no history with fewer of them explains what
/// is seen.
#[test]
fn no_claim_is_wrong_where_requests_are_seen_to_be_doubled() {
    let mut by_doubled = [const { Vec::new() }; 5];
    let all = [Forward, Back, Answered, Twice, TwiceFirst, TwiceSecond, TwiceBack];
    histories(3, &all, |history| {
        let doubled = history.doubled_set().count_ones() as usize;
        // Instead of three doubled ones and a restart in one of them, one may have come thrice.
        if doubled < 3 || history.within == 0 {
            by_doubled[doubled].push(history.clone());
        }
    });
    let mut explained = Least::default();
    for histories in by_doubled {
        let mut least = Least::default();
        histories.iter().for_each(|history| least.add(history));
        least.0.retain(|seen, _| !explained.0.contains_key(seen));
        least.bounds((MOMENT, MOMENT));
        explained.0.extend(least.0);
    }
}

/// Late answers take numbers that no answer in time has shown, however long the row is.
#[test]
fn no_number_is_claimed_that_a_late_answer_may_still_take() {
    let ms = |ms: u64| Mono::from_nanos((1_000 + ms) * 1_000_000);
    let mut direction = Direction::new(Duration::from_millis(55));
    (0..10).for_each(|it| direction.sent(ms(2 * it)));
    let answer = |seq: u64, theirs, at| Counted {
        numbers: Numbers { ours: seq as u32 - 1, theirs },
        sent: ms(2 * seq - 2),
        at: ms(at),
    };
    direction.lost(1);
    direction.lost(2);
    direction.answered(6, answer(6, 3, 58));
    direction.answered(3, answer(3, 1, 59));
    direction.answered_again(6, answer(6, 4, 59));
    [4, 5].iter().for_each(|seq| direction.lost(*seq));
    direction.answered_again(3, answer(3, 2, 66));
    [7, 8, 9].iter().for_each(|seq| direction.lost(*seq));
    direction.answered(10, answer(10, 5, 71));
    direction.answered(2, answer(2, 0, 72));
    assert_eq!(direction.split(7, 0).back, 0);
}
