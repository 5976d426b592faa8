//! Records the requests to a target and their answers in the order of sending. Bounded: of older
//! ones only the claims are kept.

use std::collections::VecDeque;

use super::entry::Entry;
use super::evidence::{Evidence, Known, Request, Span};
use super::proof::Claims;
use super::{Fates, Numbers};

/// Entries that are kept, and more only while they are younger than a few guards; few in tests,
/// whose links are short.
const KEEP: usize = if cfg!(test) { 12 } else { 256 };

#[derive(Debug)]
pub(super) struct Record {
    guard: u64,
    entries: VecDeque<Entry>,
    session: u32,
    /// The session whose count began with it, as long as its first answers are here.
    fresh: Option<u32>,
    /// When the last of the answers came that were late, or second ones.
    late: u64,
    overtaking: u64,
    /// Sessions whose reflector was seen to count, and not to copy our numbers.
    counting: Vec<u32>,
    /// What was proven of beats that were sent, and of numbers that were given, before `begin`.
    closed: Claims,
    /// The same of the present session, if its reflector counts.
    supposed: Claims,
    begin: u64,
    /// Of what was sent before, and may have arrived until then, not all is here.
    base: u64,
    /// With so many entries, older ones are to go.
    limit: usize,
}

impl Record {
    pub(super) fn new(guard: u64) -> Record {
        Record {
            guard,
            entries: VecDeque::new(),
            session: 0,
            fresh: Some(0),
            late: 0,
            overtaking: 0,
            counting: Vec::new(),
            closed: Claims::default(),
            supposed: Claims::default(),
            begin: 0,
            base: 0,
            limit: KEEP,
        }
    }

    /// What comes next is counted by another counter, of which no number is known.
    pub(super) fn begin(&mut self) {
        self.session += 1;
        self.supposed = Claims::default();
    }

    /// A request that was not answered in time; `lost` if that is all there is to say. `open` are
    /// those of which nothing is known yet.
    pub(super) fn add(&mut self, seq: u64, sent: u64, lost: bool, open: &Fates) {
        self.add_to(self.session, (seq, sent, lost), open);
    }

    /// A closing request, so many sessions after that of the beats that are recorded.
    pub(super) fn close(&mut self, ahead: u32, sent: u64, open: &Fates) {
        self.add_to(self.session + ahead, (0, sent, false), open);
    }

    fn add_to(&mut self, session: u32, (seq, sent, lost): (u64, u64, bool), open: &Fates) {
        let request = Request { session, sent, until: sent, count: 1, lost };
        self.insert(Entry::Request((seq, seq), request));
        self.shorten(open);
    }

    /// An answer to a request of the present session.
    pub(super) fn answer(&mut self, seq: u64, span: Span, numbers: Numbers, open: &Fates) {
        self.answer_in(self.session, (seq, span), numbers, open);
        self.shorten(open);
    }

    /// A request that had been given up is answered after all.
    pub(super) fn amend(&mut self, seq: u64, span: Span, numbers: Numbers, open: &Fates) {
        let meant = |it: &Entry| match it {
            Entry::Request((first, last), it) => {
                (*first..=*last).contains(&seq) && (it.sent..=it.until).contains(&span.sent)
            }
            Entry::Known(..) => false,
        };
        // Whatever was claimed of it, or of the number that is now known to be its own.
        self.reopen(span, Claims { forward: 1, back: 1 });
        let Some(at) = self.entries.iter().rposition(meant) else { return };
        let session = self.entries[at].session();
        match &mut self.entries[at] {
            Entry::Request(_, request) if request.count > 1 => request.count -= 1,
            _ => drop(self.entries.remove(at)),
        }
        self.late = self.late.max(span.by);
        self.answer_in(session, (seq, span), numbers, open);
    }

    /// One more answer to a request.
    pub(super) fn answer_again(&mut self, seq: u64, span: Span, numbers: Numbers, open: &Fates) {
        let own = self.entries.iter().filter_map(|it| Some((it.number_of(seq)?, it.session())));
        let mut own = own.peekable();
        let first = own.peek().copied();
        // With a number that it is known to have, it was the answer that was doubled.
        if first.is_some() && own.any(|(it, _)| it as u32 == numbers.theirs) {
            return;
        }
        self.reopen(span, Claims { forward: 0, back: 1 });
        if let Some((_, session)) = first {
            self.late = self.late.max(span.by);
            self.answer_in(session, (seq, span), numbers, open);
        }
    }

    /// So much of what was proven of that time may be wrong.
    fn reopen(&mut self, span: Span, claims: Claims) {
        if span.sent < self.begin {
            for proven in [&mut self.closed, &mut self.supposed] {
                proven.forward = proven.forward.saturating_sub(claims.forward);
                proven.back = proven.back.saturating_sub(claims.back);
            }
        }
    }

    fn known(&self) -> impl DoubleEndedIterator<Item = &Known> {
        self.entries.iter().filter_map(|it| match it {
            Entry::Known(_, known) => Some(known),
            Entry::Request(..) => None,
        })
    }

    fn answer_in(
        &mut self,
        session: u32,
        (seq, span): (u64, Span),
        Numbers { ours, theirs }: Numbers,
        open: &Fates,
    ) {
        if ours != theirs && !self.counting.contains(&session) {
            self.counting.push(session);
            if session == self.session {
                self.closed.add(std::mem::take(&mut self.supposed));
            }
        }
        let near = |it: &&Known| it.session == session && it.first.sent <= span.sent;
        let number = match self.known().rev().find(near) {
            Some(known) => unwrapped(known.high, theirs),
            None => theirs.into(),
        };
        let known = Known { session, low: number, high: number, first: span, last: span };
        if self.continues(seq, &known, open)
            && let Some(Entry::Known(_, last)) = self.entries.back_mut()
        {
            (last.high, last.last) = (number, span);
        } else {
            self.insert(Entry::Known(seq, known));
        }
    }

    /// Whether the answer is the next of the last entry's count, whatever else is known.
    fn continues(&self, seq: u64, known: &Known, open: &Fates) -> bool {
        let Some(Entry::Known(first, last)) = self.entries.back() else { return false };
        let (after, until) = (last.last.sent, known.first.by);
        let near = |it: &&Entry| it.until().saturating_add(self.guard) > after;
        let others = self.entries.iter().rev().skip(1).take_while(near);
        // A count that began in between would need so many others to come to this number.
        let most: u64 = others.map(|it| it.count(after)).sum();
        last.session == known.session
            && last.high + 1 == known.low
            && first + (known.low - last.low) as u64 == seq
            && last.first.by <= known.first.sent
            && self.late <= after
            && u64::from(known.low as u32) > most + open.before(until)
    }

    fn insert(&mut self, entry: Entry) {
        let at = self.entries.iter().rposition(|it| it.key() <= entry.key());
        self.entries.insert(at.map_or(0, |at| at + 1), entry);
    }

    fn evidence(&self, open: &Fates) -> Evidence {
        let requests = self.entries.iter().filter_map(|it| match it {
            Entry::Request(_, request) => Some(*request),
            Entry::Known(..) => None,
        });
        Evidence {
            known: self.known().copied().collect(),
            requests: requests.collect(),
            open: open.times(),
            guard: self.guard,
            overtaking: self.overtaking,
            fresh: self.fresh,
            base: self.base,
        }
    }

    /// What all of it proves.
    pub(super) fn claims(&self, open: &Fates) -> Claims {
        let counts = |session| self.counting.contains(&session);
        let (mut claims, _) = self.evidence(open).prove(&(self.begin..u64::MAX), counts);
        claims.add(self.closed);
        claims
    }

    /// Lost beats of which an answer to one more request would tell more.
    pub(super) fn open(&self) -> u64 {
        let last = self.known().filter(|it| it.session == self.session).map(|it| it.last.sent);
        let last = last.max();
        let requests = self.entries.iter().filter_map(|it| match it {
            Entry::Request(_, it) if it.lost && it.session == self.session => Some(it),
            _ => None,
        });
        let open =
            |it: &&Request| last.is_none_or(|last| it.until.saturating_add(self.guard) > last);
        requests.filter(open).map(|it| it.count).sum()
    }

    /// Bounds the entries: what an answer a guard later has settled is claimed and forgotten, and
    /// of long rows of requests without an answer the single times are.
    fn shorten(&mut self, open: &Fates) {
        if self.entries.len() < self.limit {
            return;
        }
        let answered = self.known().next_back().map_or(0, |it| it.last.sent);
        let evidence = self.evidence(open);
        let end = evidence.settled_until(answered.saturating_sub(2 * self.guard));
        if end > self.begin {
            let time = self.begin..end;
            let (claims, overtaking) = evidence.prove(&time, |it| self.counting.contains(&it));
            self.closed.add(claims);
            if !self.counting.contains(&self.session) {
                let (supposed, _) = evidence.prove(&time, |it| it == self.session);
                self.supposed.add(supposed);
            }
            (self.overtaking, self.begin) = (overtaking, end);
            self.forget(end.saturating_sub(2 * self.guard));
        }
        if self.entries.len() >= self.limit / 2 {
            self.join_requests();
        }
        self.limit = KEEP.max(2 * self.entries.len());
    }

    /// Forgets what was sent before the last answer of that time. What is near may still have one of
    /// the numbers that follow, or explain them.
    fn forget(&mut self, near: u64) {
        let sent = self.known().filter(|it| it.last.sent < near).map(|it| it.last.sent).max();
        let Some(base) = sent.filter(|it| *it > self.base) else { return };
        let guard = self.guard;
        self.entries.retain(|it| it.until().saturating_add(guard) > base);
        (self.base, self.fresh) = (base, None);
        let (entries, session) = (&self.entries, self.session);
        let is_here = |it: u32| it >= session || entries.iter().any(|entry| entry.session() == it);
        self.counting.retain(|it| is_here(*it));
    }

    /// Joins neighbours of a kind that are older than a guard, and leaves out those that were the
    /// last of their session.
    fn join_requests(&mut self) {
        let newest = self.entries.back().map_or(0, Entry::until);
        let mut answered = self.session;
        let mut kept = VecDeque::new();
        for entry in self.entries.drain(..).rev() {
            let open = entry.until().saturating_add(self.guard) >= newest;
            match entry {
                Entry::Known(_, known) => answered = known.session,
                Entry::Request(_, it) if it.session != answered && !open => continue,
                Entry::Request(..) => {}
            }
            kept.push_front(entry);
        }
        self.entries = kept;
        let mut joined: VecDeque<Entry> = VecDeque::new();
        let mut may_join = false;
        for entry in self.entries.drain(..) {
            if may_join
                && let Entry::Request((_, to), request) = &entry
                && let Some(Entry::Request((_, last), into)) = joined.back_mut()
                && (into.session, into.lost) == (request.session, request.lost)
                && request.until.saturating_add(self.guard) < newest
            {
                (*last, into.until) = (*to, request.until);
                into.count += request.count;
                may_join = false;
            } else {
                joined.push_back(entry);
                may_join = true;
            }
        }
        self.entries = joined;
    }

    /// Entries that there may be.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.limit
    }
}

/// The number near that one that has these 32 bits: numbers come round.
fn unwrapped(near: i64, theirs: u32) -> i64 {
    let number = near + i64::from(theirs.wrapping_sub(near as u32) as i32);
    if number < 0 { theirs.into() } else { number }
}
