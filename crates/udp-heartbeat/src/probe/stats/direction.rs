//! In which direction a lost beat was lost, as far as a STAMP reflector's own counter proves it.
//!
//! A stateful reflector (RFC 8762 §4) numbers what it answers: 0, 1, 2… in each session. Numbers
//! up to the highest one seen that never came back are answers that were lost on the way down. So
//! of the beats that were lost, and that were sent so early that the reflector would have answered
//! them by then, at most that many can have reached it, and the rest were lost on the way up. What
//! is not covered by this is unknown: beats after the last answer, beats across a restart of the
//! reflector, beats whose reply came late, and everything where the reflector has no state and
//! copies our number. "Up" is never said of a beat that the reflector may have received.
//!
//! "Down" is not said where the counter is seen to count other things too: requests that were
//! duplicated on the way up, or somebody else's.

use std::collections::VecDeque;
use std::time::Duration;

use udp_core::clock::Mono;

/// What kind of reflector it is, by the numbers in its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflector {
    /// Its numbers always were ours: either nothing was lost on the way up, or it copies them.
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
    pub(crate) up: u64,
    /// The reflector answered, and the answer did not come back.
    pub(crate) down: u64,
    /// Nothing proves either.
    pub(crate) unknown: u64,
}

/// The numbers of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Ours, of the request, as it was on the wire.
    pub(crate) ours: u32,
    /// The reflector's own.
    pub(crate) theirs: u32,
}

/// Lost beats remembered one by one until they are covered; more are joined into groups.
const GROUPS: usize = 1024;

/// What is known about one session with a reflector.
#[derive(Debug)]
pub(crate) struct Direction {
    /// A request is taken to reach the reflector, if at all, before one sent this much later.
    guard: Duration,
    reflector: Reflector,
    /// The counter counts more than our beats.
    inflated: bool,
    /// Since the reflector was last seen to begin counting.
    epoch: Option<Epoch>,
    /// Up and down of the epochs before.
    closed: (u64, u64),
    /// Lost beats that no answer covers yet, in the order they were sent in.
    waiting: VecDeque<Group>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first: Mono,
    last: Mono,
    beats: u64,
}

/// A stretch in which the reflector's numbers only rise.
#[derive(Debug)]
struct Epoch {
    /// Only of beats sent from here on is it known that their numbers are counted here.
    from: Mono,
    /// Numbers below this do not count.
    base: i64,
    /// The highest number, and when the beat was sent that got it.
    highest: i64,
    highest_sent: Mono,
    /// How many numbers from the base on were seen.
    seen: u64,
    /// Of these, the ones lower than the highest on beats sent after it: reordered requests, or
    /// the first signs of a new count.
    doubtful: u64,
    recent: Recent,
    /// Lost beats that an answer covers.
    covered: u64,
}

impl Direction {
    /// For beats that are lost after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Direction {
            // Beats at an interval equal to the timeout are not exactly that far apart.
            guard: timeout - timeout / 64,
            reflector: Reflector::Unknown,
            inflated: false,
            epoch: None,
            closed: (0, 0),
            waiting: VecDeque::new(),
        }
    }

    /// An answer came to a beat sent at `sent`, when `beats` had been sent in all. `again` if the
    /// beat had been answered before.
    pub(crate) fn answer(&mut self, numbers: Numbers, sent: Mono, beats: u64, again: bool) {
        if numbers.ours != numbers.theirs {
            self.reflector = Reflector::Stateful;
        }
        match &mut self.epoch {
            Some(epoch) => {
                let theirs = epoch.unwrapped(numbers.theirs);
                let known = epoch.knows(theirs);
                let behind = theirs < epoch.highest && sent > epoch.highest_sent + self.guard;
                if !again && (known == Some(true) || behind) {
                    self.begin_anew(i64::from(numbers.theirs), sent);
                } else if known == Some(false) {
                    epoch.note(theirs, sent);
                    self.inflated |= again;
                }
            }
            // A session's first number is 0, and its count cannot be ahead of the beats, unless
            // the counter is not of this session alone.
            None if u64::from(numbers.theirs) < beats => {
                let mut epoch = Epoch::new(Mono::default(), 0, sent);
                epoch.note(i64::from(numbers.theirs), sent);
                self.epoch = Some(epoch);
            }
            None => self.begin_anew(i64::from(numbers.theirs), sent),
        }
        self.cover();
    }

    /// The answer to a request whose number took a counter_probe: one that counts cannot follow.
    pub(crate) fn answer_to_counter_probe(&mut self, numbers: Numbers, sent: Mono, beats: u64) {
        if numbers.ours == numbers.theirs {
            self.reflector = Reflector::Stateless;
        } else {
            self.answer(numbers, sent, beats, false);
        }
    }

    /// A beat sent at `sent` is lost. Beats are told in the order they were sent in.
    pub(crate) fn lost(&mut self, sent: Mono) {
        let full = self.waiting.len() >= GROUPS;
        match self.waiting.back_mut() {
            Some(last) if full => {
                last.last = sent;
                last.beats += 1;
            }
            _ => self.waiting.push_back(Group { first: sent, last: sent, beats: 1 }),
        }
        self.cover();
    }

    /// The lost beat sent at `sent` was answered after all; that answer is to be told as well.
    pub(crate) fn late(&mut self, sent: Mono) {
        let at = self.waiting.iter().position(|it| it.first <= sent && sent <= it.last);
        if let Some(at) = at {
            self.waiting[at].beats -= 1;
            if self.waiting[at].beats == 0 {
                self.waiting.remove(at);
            }
        } else if let Some(epoch) = &mut self.epoch
            && sent >= epoch.from
        {
            epoch.covered = epoch.covered.saturating_sub(1);
        }
    }

    /// What kind of reflector it is.
    pub(crate) fn reflector(&self) -> Reflector {
        self.reflector
    }

    /// Whether an answer to one more request would tell more about what was lost.
    pub(crate) fn is_open(&self) -> bool {
        match self.reflector {
            Reflector::Stateless => false,
            Reflector::Unknown => self.epoch.is_some(),
            Reflector::Stateful => !self.waiting.is_empty(),
        }
    }

    /// How `lost` beats divide, `late` of which were answered after all.
    pub(crate) fn split(&self, lost: u64, late: u64) -> Split {
        if self.reflector != Reflector::Stateful {
            return Split { up: 0, down: 0, unknown: lost };
        }
        let (up, down) = self.epoch.as_ref().map_or((0, 0), Epoch::totals);
        let unanswered = lost.saturating_sub(late);
        let (up, down) = ((up + self.closed.0).min(unanswered), down + self.closed.1);
        // More answers are missing than beats: they were to something else.
        let sound = !self.inflated && down <= unanswered - up;
        let down = if sound { down } else { 0 };
        Split { up, down, unknown: lost - up - down }
    }

    /// Counts from the number `theirs` on. What was lost before is nobody's, and so is a beat sent
    /// shortly after this one, which may have overtaken it.
    fn begin_anew(&mut self, theirs: i64, sent: Mono) {
        if let Some(epoch) = &mut self.epoch {
            epoch.seen -= epoch.doubtful;
            let (up, down) = epoch.totals();
            self.closed = (self.closed.0 + up, self.closed.1 + down);
        }
        let mut epoch = Epoch::new(sent + self.guard, theirs, sent);
        epoch.note(theirs, sent);
        self.epoch = Some(epoch);
        self.waiting.clear();
    }

    /// Takes in lost beats that the reflector would have answered by now.
    fn cover(&mut self) {
        let Some(epoch) = &mut self.epoch else { return };
        while let Some(group) = self.waiting.front()
            && group.last + self.guard <= epoch.highest_sent
        {
            if group.first >= epoch.from {
                epoch.covered += group.beats;
            }
            self.waiting.pop_front();
        }
    }
}

impl Epoch {
    fn new(from: Mono, base: i64, sent: Mono) -> Self {
        Epoch {
            from,
            base,
            highest: base - 1,
            highest_sent: sent,
            seen: 0,
            doubtful: 0,
            recent: Recent::default(),
            covered: 0,
        }
    }

    /// A number near the highest one, which may have come round the end of 32 bits.
    fn unwrapped(&self, theirs: u32) -> i64 {
        let from_highest = theirs.wrapping_sub(self.highest as u32) as i32;
        self.highest + i64::from(from_highest)
    }

    /// Whether the number was seen. None if it does not count or is too old to tell: to leave it
    /// out can only make less of a proof.
    fn knows(&self, theirs: i64) -> Option<bool> {
        if theirs > self.highest {
            return Some(false);
        }
        let told = theirs >= self.base && self.highest - theirs < Recent::NUMBERS;
        told.then(|| self.recent.has(theirs))
    }

    fn note(&mut self, theirs: i64, sent: Mono) {
        self.recent.set(theirs, self.highest);
        self.seen += 1;
        if theirs > self.highest {
            self.highest = theirs;
            self.highest_sent = sent;
            self.doubtful = 0;
        } else if sent > self.highest_sent {
            self.doubtful += 1;
        }
    }

    /// Proven up and down.
    fn totals(&self) -> (u64, u64) {
        let numbers = u64::try_from(self.highest + 1 - self.base).unwrap_or(0);
        let missing = numbers.saturating_sub(self.seen);
        (self.covered.saturating_sub(missing), missing)
    }
}

/// Which of the latest numbers were seen: a ring of bits.
#[derive(Debug)]
struct Recent {
    bits: [u64; Recent::NUMBERS as usize / 64],
}

impl Default for Recent {
    fn default() -> Self {
        Recent { bits: [0; Recent::NUMBERS as usize / 64] }
    }
}

impl Recent {
    const NUMBERS: i64 = 1024;

    /// Whether `number`, one of the latest, was seen.
    fn has(&self, number: i64) -> bool {
        let (word, bit) = Recent::place(number);
        self.bits[word] & bit != 0
    }

    /// Notes `number`, `highest` being the highest before it.
    fn set(&mut self, number: i64, highest: i64) {
        let oldest = highest.max(number - Recent::NUMBERS);
        for skipped in oldest + 1..=number {
            let (word, bit) = Recent::place(skipped);
            self.bits[word] &= !bit;
        }
        let (word, bit) = Recent::place(number);
        self.bits[word] |= bit;
    }

    fn place(number: i64) -> (usize, u64) {
        let at = number.rem_euclid(Recent::NUMBERS);
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a beat, in a line of these.
    #[derive(Clone, Copy, PartialEq)]
    enum Fate {
        Answered,
        Up,
        Down,
        /// Reflected and answered, but as if nothing was lost: the reflector begins to count anew.
        Restart,
    }
    use Fate::{Answered, Down, Restart, Up};

    /// More than any counter here shows, but for that of several sessions.
    const SENT: u64 = 100;

    fn at(s: u64) -> Mono {
        Mono::from_nanos(s * 1_000_000_000)
    }

    /// Beats a second apart, lost after a second; a counter_probe at the end if `counter_probe`.
    fn run(fates: &[Fate], stateful: bool, counter_probe: bool) -> (Split, Reflector) {
        let mut direction = Direction::new(Duration::from_secs(1));
        let mut counter = 0;
        let mut lost = 0;
        for (k, fate) in fates.iter().enumerate() {
            let ours = k as u32;
            if *fate == Restart {
                counter = 0;
            }
            let theirs = if stateful { counter } else { ours };
            counter += u32::from(*fate != Up);
            match fate {
                Answered | Restart => {
                    direction.answer(Numbers { ours, theirs }, at(k as u64 + 1), SENT, false);
                }
                Up | Down => {
                    lost += 1;
                    direction.lost(at(k as u64 + 1));
                }
            }
        }
        if counter_probe && direction.is_open() {
            let ours = fates.len() as u32 + 64;
            let theirs = if stateful { counter } else { ours };
            direction.answer_to_counter_probe(
                Numbers { ours, theirs },
                at(fates.len() as u64 + 3),
                SENT,
            );
        }
        (direction.split(lost, 0), direction.reflector())
    }

    fn split(up: u64, down: u64, unknown: u64) -> Split {
        Split { up, down, unknown }
    }

    #[test]
    fn what_the_counter_proves() {
        let a = Answered;
        let cases: [(&[Fate], Split, Split); 12] = [
            (&[a, a, a], split(0, 0, 0), split(0, 0, 0)),
            (&[a, Up, a, a], split(1, 0, 0), split(1, 0, 0)),
            // Nothing was lost on the way up, so the numbers are ours until the counter_probe.
            (&[a, Down, a, a], split(0, 0, 1), split(0, 1, 0)),
            (&[a, Down, Up, a], split(1, 1, 0), split(1, 1, 0)),
            (&[a, Up, Up, Down, a, Up, a], split(3, 1, 0), split(3, 1, 0)),
            // The session's first number is 0: what was lost before the first answer counts.
            (&[Up, a], split(1, 0, 0), split(1, 0, 0)),
            (&[Down, Up, a], split(1, 1, 0), split(1, 1, 0)),
            // The end is unknown until one more answer.
            (&[a, Up, a, Up, Down], split(1, 0, 2), split(2, 1, 0)),
            (&[a, a, Up, Up], split(0, 0, 2), split(2, 0, 0)),
            (&[Up, Down, Up], split(0, 0, 3), split(0, 0, 3)),
            // Lost while it was away, or before it went: unknown.
            (&[a, Up, a, a, Down, Up, Restart, a, Up, a], split(2, 0, 2), split(2, 0, 2)),
            (&[a, a, a, a, Restart, a, Down, Up, a, a], split(1, 1, 0), split(1, 1, 0)),
        ];
        for (index, (fates, without, with)) in cases.into_iter().enumerate() {
            assert_eq!(run(fates, true, false).0, without, "case {index}, no counter_probe");
            assert_eq!(run(fates, true, true).0, with, "case {index}, counter_probe");
        }
    }

    #[test]
    fn a_reflector_without_state_is_recognised_by_the_leap() {
        let fates = [Answered, Down, Up, Answered, Answered];
        assert_eq!(run(&fates, false, false), (split(0, 0, 2), Reflector::Unknown));
        assert_eq!(run(&fates, false, true), (split(0, 0, 2), Reflector::Stateless));
        assert_eq!(run(&fates, true, true).1, Reflector::Stateful);
    }

    #[test]
    fn the_end_is_never_up_while_the_last_answer_is_not_older_than_the_time_out() {
        let mut direction = Direction::new(Duration::from_secs(1));
        let answer = |ours, theirs| Numbers { ours, theirs };
        let ms = |ms: u64| Mono::from_nanos(ms * 1_000_000);
        direction.answer(answer(1, 0), ms(1000), SENT, false);
        direction.lost(ms(1010));
        direction.answer(answer(3, 1), ms(1020), SENT, false);
        assert_eq!(direction.split(1, 0).unknown, 1);
        direction.answer(answer(90, 2), ms(2100), SENT, false);
        assert_eq!(direction.split(1, 0).up, 1);
    }

    #[test]
    fn a_late_answer_is_unknown() {
        let mut direction = Direction::new(Duration::from_secs(1));
        direction.answer(Numbers { ours: 0, theirs: 0 }, at(1), SENT, false);
        direction.lost(at(2));
        direction.lost(at(3));
        direction.answer(Numbers { ours: 3, theirs: 2 }, at(4), SENT, false);
        assert_eq!(direction.split(2, 0), split(1, 1, 0));
        direction.answer(Numbers { ours: 1, theirs: 1 }, at(2), SENT, false);
        direction.late(at(2));
        assert_eq!(direction.split(2, 1), split(1, 0, 1));
    }

    #[test]
    fn copies_on_the_way_down_change_nothing_and_copies_on_the_way_up_take_down_away() {
        let mut direction = Direction::new(Duration::from_secs(1));
        direction.answer(Numbers { ours: 0, theirs: 0 }, at(1), SENT, false);
        direction.lost(at(2));
        direction.lost(at(3));
        direction.answer(Numbers { ours: 3, theirs: 2 }, at(4), SENT, false);
        direction.answer(Numbers { ours: 3, theirs: 2 }, at(4), SENT, true);
        assert_eq!(direction.split(2, 0), split(1, 1, 0));
        direction.answer(Numbers { ours: 3, theirs: 3 }, at(4), SENT, true);
        assert_eq!(direction.split(2, 0), split(1, 0, 1));
    }

    #[test]
    fn a_counter_of_several_sessions_proves_nothing_down() {
        let mut direction = Direction::new(Duration::from_secs(1));
        direction.answer(Numbers { ours: 0, theirs: 500 }, at(1), SENT, false);
        direction.lost(at(3));
        direction.answer(Numbers { ours: 3, theirs: 520 }, at(5), SENT, false);
        assert_eq!(direction.split(1, 0), split(0, 0, 1));
    }

    #[test]
    fn numbers_go_round_the_end_of_32_bits() {
        let mut direction = Direction::new(Duration::from_secs(1));
        for k in 0..20u32 {
            let ours = u32::MAX - 30 + k;
            if k == 5 {
                direction.lost(at(u64::from(k) + 1));
                continue;
            }
            // A counter of several sessions, somewhat ahead of ours.
            let theirs = ours.wrapping_add(20).wrapping_sub(u32::from(k > 5));
            direction.answer(Numbers { ours, theirs }, at(u64::from(k) + 1), SENT, false);
        }
        assert_eq!(direction.split(1, 0), split(1, 0, 0));
    }

    #[test]
    fn an_outage_without_end_takes_no_more_memory() {
        let mut direction = Direction::new(Duration::from_secs(1));
        direction.answer(Numbers { ours: 0, theirs: 0 }, at(1), SENT, false);
        (2..1_000_000).for_each(|s| direction.lost(at(s)));
        assert!(direction.waiting.len() <= GROUPS);
        direction.answer(Numbers { ours: 1_000_000, theirs: 1 }, at(1_000_002), SENT, false);
        assert_eq!(direction.split(999_998, 0), split(999_998, 0, 0));
    }
}
