//! Every claim holds in every history that shows the same answers.

mod history;

use std::collections::HashMap;

use super::*;
use history::{Event::*, History, Seen, histories};

/// Too short for a request to overtake another.
const MOMENT: Duration = Duration::from_nanos(1);

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
