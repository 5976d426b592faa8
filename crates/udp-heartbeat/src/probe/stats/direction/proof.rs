//! Proves from the numbers in a reflector's answers which unanswered requests arrived.
//!
//! A request arrives, if it does, at the earliest when it was sent and less than `guard` later; one
//! that was answered at the latest when its answer came. Answers whose numbers no new count can
//! explain are [one count](super::counts), between whose first and last answer the reflector did
//! not begin anew. From there it is counting: a lost beat that arrived has one of the numbers of the
//! count that nobody has seen, and such a number is of a request that was not answered.
//!
//! Forward is claimed of those lost beats for which there is no number, whichever of them take which
//! number. Return is claimed of numbers that only lost beats can have; where there are more of them
//! than requests, one was doubled on its way and nothing is claimed of these.

use std::ops::Range;

use super::counts::{Count, counts};
use super::evidence::{Evidence, Known, Request};

/// How many lost beats were lost where, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Claims {
    pub(super) forward: u64,
    pub(super) back: u64,
}

/// Numbers in a row that nobody has seen.
#[derive(Debug, Clone, Copy)]
struct Unseen {
    low: i64,
    count: u64,
    /// They were given after this and before that.
    after: u64,
    before: u64,
    /// Both neighbours are of the count.
    inside: bool,
}

impl Claims {
    pub(super) fn add(&mut self, more: Claims) {
        self.forward += more.forward;
        self.back += more.back;
    }
}

impl Unseen {
    fn high(&self) -> i64 {
        self.low + self.count as i64 - 1
    }
}

/// Where counts overlap, what another one has seen, or not, may be the same number.
fn leave_out(unseen: &mut Vec<Unseen>, (low, high): (i64, i64), (after, before): (u64, u64)) {
    let meets =
        |it: &Unseen| it.after < before && after < it.before && it.low <= high && low <= it.high();
    let Some(at) = unseen.iter().position(meets) else { return };
    let last = unseen.iter().rposition(meets).unwrap_or(at);
    let mut left = Vec::new();
    for it in unseen.drain(at..=last) {
        if !meets(&it) {
            left.push(it);
            continue;
        }
        let (below, above) = (low - it.low, it.high() - high);
        if below > 0 {
            left.push(Unseen { count: below as u64, ..it });
        }
        if above > 0 {
            left.push(Unseen { low: high + 1, count: above as u64, ..it });
        }
    }
    unseen.splice(at..at, left);
}

impl Evidence {
    /// What is proven of the beats that were sent, and the numbers that were given, in this time and
    /// in these sessions; and by how much requests overtook each other.
    pub(super) fn prove(&self, time: &Range<u64>, sessions: impl Fn(u32) -> bool) -> (Claims, u64) {
        let counts = counts(self);
        let overtaking = counts.iter().map(|count| self.overtaking_in(count)).max();
        let overtaking = overtaking.unwrap_or(0).max(self.overtaking);
        let mut claims = Claims::default();
        let (mut next_lost, mut owners) = (0, Owners::default());
        let mut claimed: Vec<Unseen> = Vec::new();
        for count in &counts {
            let mut unseen = self.unseen(count);
            let forward = self.forward(count, &unseen, time, &mut next_lost);
            self.leave_out_what_others_saw(count, &mut unseen);
            claimed
                .iter()
                .for_each(|it| leave_out(&mut unseen, (it.low, it.high()), (it.after, it.before)));
            claimed.extend(&unseen);
            unseen.retain(|it| self.has_owners(count.session, it, overtaking, &mut owners));
            unseen.retain(|it| time.contains(&it.after));
            let all: u64 = unseen.iter().map(|it| it.count).sum();
            if sessions(count.session) {
                let back = all - self.others(count.session, &unseen);
                claims.add(Claims { forward, back });
            }
        }
        (claims, overtaking)
    }

    /// A moment not after that one, which divides no numbers and no requests.
    pub(super) fn settled_until(&self, mut end: u64) -> u64 {
        let counts = counts(self);
        let unseen: Vec<Unseen> = counts.iter().flat_map(|count| self.unseen(count)).collect();
        loop {
            let numbers = unseen.iter().map(|it| (it.after, it.before));
            let requests = self.requests.iter().map(|it| (it.sent, it.until + 1));
            let divided = |it: &(u64, u64)| it.0 < end && end < it.1;
            match numbers.chain(requests).find(divided) {
                Some((after, _)) => end = after,
                None => return end,
            }
        }
    }

    /// By how much at most a request was sent before one that arrived earlier.
    fn overtaking_in(&self, count: &Count) -> u64 {
        let (mut last, mut most) = (0, 0);
        for known in count.known.iter().map(|at| &self.known[*at]) {
            most = most.max(u64::saturating_sub(last, known.first.sent));
            last = last.max(known.last.sent);
        }
        most
    }

    fn unseen(&self, count: &Count) -> Vec<Unseen> {
        let known: Vec<Known> = count.known.iter().map(|at| self.known[*at]).collect();
        // By when one of those with these numbers or higher ones had arrived.
        let mut before: Vec<u64> = known.iter().map(Known::by).collect();
        for at in (1..before.len()).rev() {
            before[at - 1] = before[at - 1].min(before[at]);
        }
        let mut unseen = Vec::new();
        let (mut highest, mut after) = (count.floor, count.after);
        for (at, known) in known.iter().enumerate() {
            let inside = at > 0;
            if let Some(number) = highest
                && known.low > number + 1
            {
                let count = (known.low - number - 1) as u64;
                unseen.push(Unseen { low: number + 1, count, after, before: before[at], inside });
            }
            highest = highest.max(Some(known.high));
            after = after.max(known.last.sent);
        }
        unseen
    }

    /// Lost beats that would have arrived within the count, and for which there is no number.
    fn forward(
        &self,
        count: &Count,
        unseen: &[Unseen],
        time: &Range<u64>,
        next: &mut usize,
    ) -> u64 {
        let from = count.first_by.max(time.start);
        let first = self.requests.partition_point(|it| it.sent < from).max(*next);
        let mut free: Vec<Unseen> = unseen.iter().rev().filter(|it| it.inside).copied().collect();
        let mut forward = 0;
        for (at, request) in self.requests.iter().enumerate().skip(first) {
            if request.until.saturating_add(self.guard) > count.last_sent
                || request.sent >= time.end
            {
                break;
            }
            *next = at + 1;
            if !request.lost || request.session != count.session {
                continue;
            }
            let mut left = request.count;
            while let Some(unseen) = free.last_mut() {
                if unseen.before > request.sent {
                    if self.is_over(request, unseen.after) {
                        break;
                    }
                    let taken = left.min(unseen.count);
                    left -= taken;
                    unseen.count -= taken;
                    if left == 0 {
                        break;
                    }
                }
                free.pop();
            }
            forward += left;
        }
        forward
    }

    /// Where counts overlap, an answer that is told to one may be of the other.
    fn leave_out_what_others_saw(&self, count: &Count, unseen: &mut Vec<Unseen>) {
        if count.known.len() == self.known.len() {
            return;
        }
        for (at, known) in self.known.iter().enumerate() {
            let latest = known.first.by.max(known.last.by);
            if !unseen.is_empty() && !count.known.contains(&at) {
                leave_out(unseen, (known.low, known.high), (known.first.sent, latest));
            }
        }
    }

    /// Whether so many requests of the session were sent where these numbers were given.
    fn has_owners(
        &self,
        session: u32,
        unseen: &Unseen,
        overtaking: u64,
        owners: &mut Owners,
    ) -> bool {
        let mut needed = unseen.count;
        while needed > 0
            && let Some(request) = self.requests.get(owners.next)
            && request.sent < unseen.before
        {
            let is_owner = request.session == session
                && request.until.saturating_add(overtaking) > unseen.after;
            let taken = if is_owner { needed.min(request.count - owners.taken) } else { 0 };
            needed -= taken;
            owners.taken += taken;
            if needed > 0 {
                *owners = Owners { next: owners.next + 1, taken: 0 };
            }
        }
        needed == 0
    }

    /// How many of these numbers others than lost beats of the session may have.
    fn others(&self, session: u32, unseen: &[Unseen]) -> u64 {
        let (Some(first), Some(last)) = (unseen.first(), unseen.last()) else { return 0 };
        let open = self.open.iter().map(|sent| Request {
            session,
            sent: *sent,
            until: *sent,
            count: 1,
            lost: false,
        });
        let begin = self.requests.partition_point(|it| self.is_over(it, first.after));
        let mut others: Vec<Request> = self.requests[begin..].iter().copied().chain(open).collect();
        others.retain(|it| !(it.lost && it.session == session) && it.sent < last.before);
        others.sort_by_key(|it| it.sent);
        let mut others = others.into_iter().peekable();
        let mut owned = 0;
        for unseen in unseen {
            let mut left = unseen.count;
            while left > 0
                && let Some(request) = others.peek_mut()
                && request.sent < unseen.before
            {
                let is_owner = !self.is_over(request, unseen.after);
                let taken = if is_owner { left.min(request.count) } else { request.count };
                request.count -= taken;
                left -= if is_owner { taken } else { 0 };
                owned += if is_owner { taken } else { 0 };
                if request.count == 0 {
                    others.next();
                }
            }
        }
        owned
    }
}

/// Requests that have got one of the numbers so far.
#[derive(Default)]
struct Owners {
    next: usize,
    taken: u64,
}
