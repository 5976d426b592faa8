//! The window of a target's newest beats, and the class of each.
//!
//! Every beat ends in exactly one class. A lost beat that is answered after all is late, which is a
//! part of lost (RFC 6673). A refused beat is lost at once, but an ICMP message is only a hint (RFC
//! 8085 §5.2): an answer within the timeout makes it received. Beats without a final class are
//! always kept; of the others the last few, so that a second reply is known to be a duplicate (RFC
//! 5560) and a late one to be late; of older ones that were lost their number and time, as many, so that a
//! late reply is late however old it is. A reply to any other answers nothing.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::source_port::PortId;

use crate::probe::verdict::Verdict;

/// Which path, by its place in the list of paths.
pub(crate) type PathId = u32;

/// Which beat of a target: 1, 2, 3…, whatever its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Not known yet; `pending` if the run ends so.
    InFlight,
    /// A reply came in time.
    Received,
    /// No reply in time.
    Lost,
    /// Lost, and then its reply came.
    Late,
    /// Lost at once, because the peer's host said that nothing listens there; an answer within the
    /// timeout still counts.
    Refused,
    /// It did not leave this host.
    Failed,
    /// The same, because the target's name has no address yet: this says nothing about the target.
    Unaddressed,
}

/// Where a beat left from and went. A port's name says nothing without its path's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) path: PathId,
    pub(crate) port_id: Option<PortId>,
}

/// A beat in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beat {
    /// When it was due, and when it was sent.
    pub(crate) due: Mono,
    pub(crate) sent: Mono,
    /// Where it went, and the source port it left by, in a mode that needs one; none if it has not
    /// been sent. What becomes of it is booked there, wherever its target is by then.
    pub(crate) route: Option<Route>,
    /// What became of it.
    pub(crate) class: Class,
    /// The peer's host said that nothing listens there.
    pub(crate) refused: bool,
    /// What its answer said, if it was received.
    pub(crate) verdict: Verdict,
}

/// What a reply that names a beat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The first reply, in time.
    Received {
        /// How long it took.
        after: Duration,
        /// The beat had been refused.
        after_refusal: bool,
    },
    /// The first reply, too late; `expired` if the beat was in flight until now and is hereby lost.
    Late {
        /// How long it took.
        after: Duration,
        /// The beat had not been called lost before.
        expired: bool,
    },
    /// One more reply to a beat that has had one.
    Duplicate(Duration),
    /// To no beat that is known, or to one that never left.
    Unsolicited,
}

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    timeout: Duration,
    keep: usize,
    beats: VecDeque<Beat>,
    /// Number and time of beats before those that were lost and never answered, in their order.
    lost: VecDeque<(u64, Mono)>,
    /// The sequence number of the first one in `beats`; 1 at the start.
    first: u64,
    /// No beat below this is in flight.
    open: u64,
    in_flight: u64,
}

impl Window {
    /// A beat unanswered for `timeout` is lost. Of those that are settled, `keep` are remembered.
    pub(crate) fn new(timeout: Duration, keep: usize) -> Self {
        let (beats, lost) = (VecDeque::new(), VecDeque::new());
        Window { timeout, keep, beats, lost, first: 1, open: 1, in_flight: 0 }
    }

    /// The next beat's number.
    pub(crate) fn next(&self) -> Seq {
        Seq(self.first + self.beats.len() as u64)
    }

    /// A beat, if it is still remembered.
    pub(crate) fn get(&self, seq: Seq) -> Option<&Beat> {
        self.beats.get(self.index(seq)?)
    }

    /// A beat is about to be sent.
    pub(crate) fn announce(&mut self, sent: Mono, route: Option<Route>) -> Seq {
        let seq = self.next();
        self.beats.push_back(Beat {
            due: sent,
            sent,
            route,
            class: Class::InFlight,
            refused: false,
            verdict: Verdict::Ok,
        });
        self.in_flight += 1;
        seq
    }

    /// When the beat was due by its schedule.
    pub(crate) fn plan(&mut self, seq: Seq, due: Mono) {
        if let Some(beat) = self.get_mut(seq) {
            beat.due = due;
        }
    }

    /// When the beat really was sent, known a moment later.
    pub(crate) fn correct(&mut self, seq: Seq, sent: Mono) {
        if let Some(beat) = self.get_mut(seq)
            && beat.class == Class::InFlight
        {
            beat.sent = sent;
        }
    }

    /// A reply to `seq` came at `at`, and this is what it says.
    pub(crate) fn arrive(&mut self, seq: Seq, at: Mono, verdict: Verdict) -> Arrival {
        let timeout = self.timeout;
        let Some(beat) = self.get_mut(seq) else { return self.arrive_after_all(seq, at) };
        let after = at.saturating_since(beat.sent);
        let (class, arrival) = match beat.class {
            Class::InFlight | Class::Refused if after <= timeout => {
                let after_refusal = beat.class == Class::Refused;
                (Class::Received, Arrival::Received { after, after_refusal })
            }
            Class::InFlight => (Class::Late, Arrival::Late { after, expired: true }),
            Class::Lost | Class::Refused => (Class::Late, Arrival::Late { after, expired: false }),
            Class::Received | Class::Late => return Arrival::Duplicate(after),
            Class::Failed | Class::Unaddressed => return Arrival::Unsolicited,
        };
        beat.verdict = verdict;
        let was = std::mem::replace(&mut beat.class, class);
        if was == Class::InFlight {
            self.settled();
        }
        arrival
    }

    /// A reply to a beat that is in the window no more.
    fn arrive_after_all(&mut self, seq: Seq, at: Mono) -> Arrival {
        let found = self.lost.binary_search_by_key(&seq.0, |(number, _)| *number);
        match found.ok().and_then(|place| self.lost.remove(place)) {
            Some((_, sent)) => Arrival::Late { after: at.saturating_since(sent), expired: false },
            None => Arrival::Unsolicited,
        }
    }

    /// The beat in flight was refused or failed. False if it is not in flight.
    pub(crate) fn settle(&mut self, seq: Seq, class: Class) -> bool {
        match self.get_mut(seq) {
            Some(beat) if beat.class == Class::InFlight && class != Class::InFlight => {
                beat.class = class;
                beat.refused = class == Class::Refused;
                self.settled();
                true
            }
            _ => false,
        }
    }

    /// The timeout of a refused beat has passed: it stays lost.
    pub(crate) fn end_refused(&mut self, seq: Seq) {
        if let Some(beat) = self.get_mut(seq)
            && beat.class == Class::Refused
        {
            beat.class = Class::Lost;
        }
    }

    /// Expires one beat whose timeout had passed at `now`; call it until there is none, and only when
    /// every datagram that came until `now` has been processed.
    pub(crate) fn expire(&mut self, now: Mono) -> Option<(Seq, Beat)> {
        let seq = self.oldest_in_flight()?;
        let timeout = self.timeout;
        let beat = self.get_mut(seq)?;
        if now <= beat.sent + timeout {
            return None;
        }
        beat.class = Class::Lost;
        let beat = *beat;
        self.settled();
        Some((seq, beat))
    }

    /// Beats whose class may still change.
    pub(crate) fn open(&self) -> impl Iterator<Item = (Seq, &Beat)> {
        let numbered = (self.first..).map(Seq).zip(&self.beats);
        numbered.filter(|(_, beat)| matches!(beat.class, Class::InFlight | Class::Refused))
    }

    /// The beat that has been in flight longest.
    pub(crate) fn oldest_in_flight(&self) -> Option<Seq> {
        (self.in_flight > 0).then_some(Seq(self.open))
    }

    /// A beat has come out of flight: moves on to the next one that is in it, and forgets.
    fn settled(&mut self) {
        self.in_flight -= 1;
        let next = self.next().0;
        while self.open < next
            && self.get(Seq(self.open)).is_none_or(|beat| beat.class != Class::InFlight)
        {
            self.open += 1;
        }
    }

    /// Forgets what is settled, below `seq`, and more than is to be kept.
    pub(crate) fn forget_below(&mut self, seq: Seq) {
        let below = seq.0.min(self.open);
        while self.beats.len() > self.keep && self.first < below {
            if let Some(beat) = self.beats.pop_front().filter(|beat| beat.class == Class::Lost) {
                self.lost.push_back((self.first, beat.sent));
                if self.lost.len() > self.keep {
                    self.lost.pop_front();
                }
            }
            self.first += 1;
        }
    }

    /// Beats that there is room for.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        self.beats.capacity() + self.lost.capacity()
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.0.checked_sub(self.first)?).ok()
    }

    fn get_mut(&mut self, seq: Seq) -> Option<&mut Beat> {
        let index = self.index(seq)?;
        self.beats.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000_000 + ms * 1_000_000)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn window() -> Window {
        Window::new(ms(100), 4)
    }

    fn in_time(after: u64) -> Arrival {
        Arrival::Received { after: ms(after), after_refusal: false }
    }

    #[test]
    fn first_reply_second_reply_late_reply() {
        let mut window = window();
        let first = window.announce(at(0), None);
        let second = window.announce(at(10), None);
        assert_eq!((first, second), (Seq(1), Seq(2)));
        assert_eq!(window.arrive(second, at(30), Verdict::Ok), in_time(20));
        assert_eq!(window.arrive(second, at(31), Verdict::Ok), Arrival::Duplicate(ms(21)));
        assert_eq!(window.expire(at(100)), None);
        let lost = window.expire(at(101)).map(|(seq, beat)| (seq, beat.class));
        assert_eq!(lost, Some((first, Class::Lost)));
        assert_eq!(window.expire(at(1000)), None);
        assert_eq!(
            window.arrive(first, at(150), Verdict::Ok),
            Arrival::Late { after: ms(150), expired: false }
        );
        assert_eq!(window.arrive(first, at(160), Verdict::Ok), Arrival::Duplicate(ms(160)));
        assert_eq!(window.oldest_in_flight(), None);
    }

    #[test]
    fn a_reply_at_the_very_last_moment_is_in_time_and_one_after_it_is_late_before_it_expired() {
        let mut window = window();
        let first = window.announce(at(0), None);
        let second = window.announce(at(0), None);
        assert_eq!(window.arrive(first, at(100), Verdict::Ok), in_time(100));
        assert_eq!(
            window.arrive(second, at(101), Verdict::Ok),
            Arrival::Late { after: ms(101), expired: true }
        );
        assert_eq!(window.expire(at(1000)), None);
    }

    #[test]
    fn a_refused_beat_is_refused_once_and_an_answer_to_it_counts() {
        let mut window = window();
        let refused: Vec<Seq> = (0..3).map(|_| window.announce(at(0), None)).collect();
        for seq in &refused {
            assert!(window.settle(*seq, Class::Refused));
            assert!(!window.settle(*seq, Class::Refused));
        }
        let in_time = Arrival::Received { after: ms(100), after_refusal: true };
        let late = |after| Arrival::Late { after: ms(after), expired: false };
        assert_eq!(window.arrive(refused[0], at(100), Verdict::Ok), in_time);
        assert_eq!(window.arrive(refused[0], at(100), Verdict::Ok), Arrival::Duplicate(ms(100)));
        assert_eq!(window.arrive(refused[1], at(101), Verdict::Ok), late(101));
        window.end_refused(refused[2]);
        assert_eq!(window.arrive(refused[2], at(102), Verdict::Ok), late(102));
    }

    #[test]
    fn what_answers_no_beat() {
        let mut window = window();
        let failed = window.announce(at(0), None);
        assert!(window.settle(failed, Class::Failed));
        assert!(!window.settle(Seq(9), Class::Failed));
        for seq in [failed, Seq(0), Seq(2), Seq(u64::MAX)] {
            assert_eq!(window.arrive(seq, at(1), Verdict::Ok), Arrival::Unsolicited);
        }
    }

    #[test]
    fn the_oldest_in_flight_moves_on() {
        let mut window = window();
        let all: Vec<Seq> = (0..4).map(|k| window.announce(at(k), None)).collect();
        window.arrive(all[1], at(5), Verdict::Ok);
        assert_eq!(window.oldest_in_flight(), Some(all[0]));
        window.arrive(all[0], at(5), Verdict::Ok);
        assert_eq!(window.oldest_in_flight(), Some(all[2]));
        window.settle(all[3], Class::Failed);
        window.arrive(all[2], at(5), Verdict::Ok);
        assert_eq!(window.oldest_in_flight(), None);
    }

    #[test]
    fn memory_holds_what_is_in_flight_and_a_few_more() {
        let mut window = window();
        let slow = window.announce(at(0), None);
        for _ in 0..100 {
            let seq = window.announce(at(1), None);
            window.arrive(seq, at(2), Verdict::Ok);
            window.forget_below(seq);
        }
        assert_eq!(window.beats.len(), 101);
        assert_eq!(window.arrive(slow, at(3), Verdict::Ok), in_time(3));
        window.forget_below(window.next());
        assert_eq!(window.beats.len(), 4);
        assert_eq!(window.arrive(slow, at(4), Verdict::Ok), Arrival::Unsolicited);
        assert_eq!(window.arrive(Seq(101), at(4), Verdict::Ok), Arrival::Duplicate(ms(3)));
    }

    #[test]
    fn a_late_reply_is_late_however_old_it_is() {
        let mut window = window();
        for k in 0..20 {
            let seq = window.announce(at(0), None);
            if k % 2 == 1 {
                window.arrive(seq, at(1), Verdict::Ok);
            }
        }
        while window.expire(at(200)).is_some() {}
        window.forget_below(window.next());
        let late = Arrival::Late { after: ms(9000), expired: false };
        // 1 to 16 are forgotten; of those that were lost the last four are known.
        for (seq, arrival) in [(15, late), (9, late), (9, Arrival::Unsolicited)] {
            assert_eq!(window.arrive(Seq(seq), at(9000), Verdict::Ok), arrival, "{seq}");
        }
        for seq in [7, 10] {
            assert_eq!(window.arrive(Seq(seq), at(9000), Verdict::Ok), Arrival::Unsolicited);
        }
    }
}
