//! Groups a reflector's answers into counts: its counter may start anew at any time.
//!
//! A count that began between two answers gave the numbers below that of the second to requests that
//! arrived in between. Where there are not so many, the two are of one count. Answers are gone
//! through in the order in which their requests were sent; a request overtook another only where
//! its number says so and the other's answer was still out.

use super::evidence::{Evidence, Known};

/// Answers of one count.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) session: u32,
    /// By the number.
    pub(super) known: Vec<usize>,
    /// All numbers above this were given after that moment.
    pub(super) floor: Option<i64>,
    pub(super) after: u64,
    /// By when one of its requests had arrived, and when one was sent that did.
    pub(super) first_by: u64,
    pub(super) last_sent: u64,
    lowest: i64,
    highest: i64,
}

/// What an answer is to the one before it.
enum Link {
    /// Of the same count.
    Same,
    /// Of the same one or a new one, all numbers above this were given in between.
    Above(i64),
    /// Nothing can be said.
    Apart,
}

/// The counts, in the order of their first answers.
pub(super) fn counts(evidence: &Evidence) -> Vec<Count> {
    let mut counts: Vec<Count> = Vec::new();
    // By when the answers up to each had arrived, and whose they are.
    let mut latest = Vec::with_capacity(evidence.known.len());
    let mut owner: Vec<usize> = Vec::with_capacity(evidence.known.len());
    for (at, known) in evidence.known.iter().enumerate() {
        let before = latest.last().copied().unwrap_or(0);
        let link = match counts.last() {
            Some(count) if count.session == known.session => {
                let view = View { evidence, latest: &latest, owner: &owner, count };
                let is_first = evidence.fresh == Some(known.session) && counts.len() == 1;
                view.link(at, is_first)
            }
            _ if evidence.fresh == Some(known.session) => Link::Above(-1),
            _ => Link::Apart,
        };
        let is_first = counts.last().is_none_or(|count| count.session != known.session);
        latest.push(before.max(known.first.by).max(known.last.by));
        match (link, counts.last_mut()) {
            (Link::Same, Some(count)) => count.add(at, known),
            (link, last) => {
                let mut count = Count::new(at, known);
                if let Link::Above(floor) = link {
                    count.floor = Some(floor);
                    count.after = last.map_or(0, |last| last.last_sent);
                }
                if is_first && count.floor.is_some() {
                    count.after = 0;
                }
                counts.push(count);
            }
        }
        owner.push(counts.len() - 1);
    }
    for count in &mut counts {
        count.known.sort_by_key(|at| evidence.known[*at].low);
        // Requests that overtook others have lower numbers.
        count.floor = count.floor.filter(|floor| *floor < count.lowest);
    }
    counts
}

/// The answers up to one.
struct View<'a> {
    evidence: &'a Evidence,
    latest: &'a [u64],
    owner: &'a [usize],
    count: &'a Count,
}

impl View<'_> {
    /// `is_first` if there was no count before.
    fn link(&self, at: usize, is_first: bool) -> Link {
        let (before, this) = (self.evidence.known[at - 1], self.evidence.known[at]);
        let (j, k) = (before.last, this.first);
        let may_overtake = j.by > k.sent;
        let is_seen = this.low <= self.count.highest
            && self.count.known.iter().any(|at| {
                let known = &self.evidence.known[*at];
                known.low <= this.high && this.low <= known.high
            });
        let may_be_new = self.may_begin(at, (j.sent, k.by), this.low, false);
        // It was of the count before, and all answers of this one are of a new one.
        let may_be_old = may_overtake
            && self.count.first_by > k.sent
            && self.may_begin(at, (k.sent, j.by), before.high, true)
            && (!is_first || self.may_begin(at, (0, k.by), this.low, false));
        let above = this.low > before.high;
        if !is_seen && (above || may_overtake) && !may_be_new && !may_be_old && self.fits(at) {
            return Link::Same;
        }
        match () {
            () if may_overtake => Link::Apart,
            () if above && !is_seen => Link::Above(self.count.highest),
            () if may_be_new => Link::Above(-1),
            () => Link::Apart,
        }
    }

    /// Whether there are requests that can have the numbers between the present count and this one.
    /// Where there are not, one was doubled, and what another count would need proves nothing.
    fn fits(&self, at: usize) -> bool {
        let Evidence { requests, open, known, .. } = self.evidence;
        let (low, high) = (self.count.highest + 1, known[at].low - 1);
        let until = known[at].first.by;
        let newest = self.count.known.iter().max_by_key(|at| known[**at].high);
        let after = newest.map_or(0, |at| known[*at].last.sent);
        let between = requests.iter().filter(|it| it.sent < until);
        let between = between.filter(|it| !self.evidence.is_over(it, after));
        let mut most: u64 = between.map(|it| it.count).sum();
        most += open.partition_point(|sent| *sent < until) as u64;
        let later = known[at + 1..].iter().take_while(|it| it.first.sent < until);
        most += later.filter(|it| low <= it.low && it.high <= high).count() as u64;
        high - low < most as i64
    }

    /// Whether so many requests can have arrived between those two moments that a count which began
    /// in between comes to this number at the answer `at`, or the one before; `with_count` if those
    /// of the present count may be among them.
    fn may_begin(
        &self,
        at: usize,
        (after, until): (u64, u64),
        number: i64,
        with_count: bool,
    ) -> bool {
        let Evidence { requests, open, known, base, .. } = self.evidence;
        if after < *base {
            return true;
        }
        // Numbers have 32 bits, and come round.
        let number = u64::from(number as u32);
        let first = requests.partition_point(|it| self.evidence.is_over(it, after));
        let between = requests[first..].iter().take_while(|it| it.sent < until);
        let mut most: u64 = between.map(|it| it.count).sum();
        most += open.partition_point(|sent| *sent < until) as u64;
        let below = |it: &Known| {
            let low = u64::from(it.low as u32);
            match it.first.by.max(it.last.by) > after && it.first.sent < until {
                true => number.min(low + (it.high - it.low) as u64 + 1).saturating_sub(low),
                false => 0,
            }
        };
        let newest = self.owner.last().copied();
        for earlier in (0..at).rev() {
            if most >= number || self.latest[earlier] <= after {
                break;
            }
            // Of this count and not above the answer before: it had arrived by then.
            let arrived =
                Some(self.owner[earlier]) == newest && known[earlier].high <= known[at - 1].high;
            most += if arrived && !with_count { 0 } else { below(&known[earlier]) };
        }
        for later in known.iter().skip(at + 1).take_while(|it| it.first.sent < until) {
            if most >= number {
                break;
            }
            most += below(later);
        }
        most >= number
    }
}

impl Count {
    fn new(at: usize, known: &Known) -> Count {
        Count {
            session: known.session,
            known: vec![at],
            floor: None,
            after: 0,
            first_by: known.by(),
            last_sent: known.last.sent,
            lowest: known.low,
            highest: known.high,
        }
    }

    fn add(&mut self, at: usize, known: &Known) {
        self.known.push(at);
        self.first_by = self.first_by.min(known.by());
        self.last_sent = self.last_sent.max(known.last.sent);
        self.lowest = self.lowest.min(known.low);
        self.highest = self.highest.max(known.high);
    }
}
