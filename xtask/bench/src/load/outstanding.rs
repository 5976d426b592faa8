//! The table of a flow's outstanding datagrams: each has a place until it is answered or given up.
//! Pure: ages are counted in scans that the caller makes, not in time.

/// A scan that finds a datagram this many scans old gives it up.
const LOST_AFTER: u32 = 2;

/// The places of one flow.
pub(crate) struct Outstanding {
    places: Vec<Place>,
    free: Vec<u32>,
    scan: u32,
}

#[derive(Clone, Copy, Default)]
struct Place {
    number: u64,
    sent_at: u64,
    scan: u32,
    taken: bool,
}

/// What a reply that names a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The first answer to what is outstanding there, sent at this time.
    Answer(u64),
    /// It was answered or given up before.
    Late,
    /// No such place was ever given out.
    Unknown,
}

impl Outstanding {
    /// Room for `places` outstanding datagrams, below 2^24.
    pub(crate) fn new(places: u32) -> Self {
        Self {
            places: vec![Place::default(); places as usize],
            free: (0..places).rev().collect(),
            scan: 0,
        }
    }

    /// How many datagrams may be sent now.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// Enters a datagram that is about to be sent; none if there is no room.
    pub(crate) fn enter(&mut self, number: u64, now: u64) -> Option<u32> {
        let place = self.free.pop()?;
        let taken = Place { number, sent_at: now, scan: self.scan, taken: true };
        self.places[place as usize] = taken;
        Some(place)
    }

    /// Takes back what could not be sent.
    pub(crate) fn withdraw(&mut self, place: u32) {
        self.places[place as usize].taken = false;
        self.free.push(place);
    }

    /// Strikes out what a reply answers.
    pub(crate) fn settle(&mut self, place: u32, number: u64) -> Settled {
        let Some(entry) = self.places.get_mut(place as usize) else { return Settled::Unknown };
        if !entry.taken || entry.number != number {
            return Settled::Late;
        }
        entry.taken = false;
        let sent_at = entry.sent_at;
        self.free.push(place);
        Settled::Answer(sent_at)
    }

    /// Gives up what was outstanding through two whole spans between scans. How many.
    pub(crate) fn give_up_old(&mut self) -> u64 {
        self.scan += 1;
        let mut lost = 0;
        for (place, entry) in (0..).zip(&mut self.places) {
            if entry.taken && self.scan - entry.scan > LOST_AFTER {
                entry.taken = false;
                self.free.push(place);
                lost += 1;
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_answered_once() {
        let mut outstanding = Outstanding::new(2);
        let place = outstanding.enter(7, 1000).unwrap();
        assert_eq!(outstanding.room(), 1);
        assert_eq!(outstanding.settle(place, 8), Settled::Late, "another number");
        assert_eq!(outstanding.settle(place, 7), Settled::Answer(1000));
        assert_eq!(outstanding.settle(place, 7), Settled::Late, "a second time");
        assert_eq!(outstanding.settle(99, 7), Settled::Unknown);
        assert_eq!(outstanding.room(), 2);
    }

    #[test]
    fn a_full_book_takes_no_more() {
        let mut outstanding = Outstanding::new(1);
        let place = outstanding.enter(0, 0).unwrap();
        assert_eq!(outstanding.enter(1, 0), None);
        outstanding.withdraw(place);
        assert!(outstanding.enter(1, 0).is_some());
    }

    #[test]
    fn what_is_outstanding_through_two_spans_is_given_up() {
        let mut outstanding = Outstanding::new(3);
        outstanding.enter(0, 0).unwrap();
        assert_eq!(outstanding.give_up_old(), 0);
        let young = outstanding.enter(1, 0).unwrap();
        assert_eq!(outstanding.give_up_old(), 0);
        assert_eq!(outstanding.give_up_old(), 1, "the first one alone");
        assert_eq!(outstanding.settle(young, 1), Settled::Answer(0));
        assert_eq!(outstanding.give_up_old(), 0);
        assert_eq!(outstanding.room(), 3);
    }
}
