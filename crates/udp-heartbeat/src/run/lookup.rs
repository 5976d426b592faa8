//! Names and their addresses: looked up on threads of their own, so that a resolver that hangs
//! holds up nothing.
//!
//! A name is looked up at the start, then every minute, and after every third beat lost in a row,
//! but not more than once a second. While that fails, the old address stays. So that a move is
//! followed with the very next beat, the look-up begins with the second loss and its answer is kept
//! until the third.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use udp_core::clock::Mono;
use udp_core::endpoint::Role;
use udp_core::{Endpoint, Family};

use crate::probe::schedule::TargetId;

/// Threads that look up: a name that hangs holds up few others.
const THREADS: usize = 8;
/// Each name is looked up again after this long.
const EVERY: Duration = Duration::from_secs(60);
/// But not sooner than this.
pub(super) const AT_LEAST: Duration = Duration::from_secs(1);

/// What a look-up found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) question: Question,
    pub(crate) addresses: Addresses,
}

/// What is looked up: a name, and the port where it names none.
#[derive(Debug)]
pub(crate) struct Question {
    /// Whose name it is; none where each of its addresses is to be a target.
    pub(crate) target: Option<TargetId>,
    pub(crate) endpoint: Endpoint,
    pub(crate) port: u16,
}

/// At least one address, or why there is none.
pub(crate) type Addresses = Result<Vec<SocketAddr>, String>;

/// Looks up a name's addresses of a family; it may block.
pub(crate) trait Lookup:
    Fn(&Endpoint, Family, u16) -> Addresses + Clone + Send + 'static
{
}
impl<F: Fn(&Endpoint, Family, u16) -> Addresses + Clone + Send + 'static> Lookup for F {}

/// Asks the system's resolver.
pub(crate) fn system(endpoint: &Endpoint, family: Family, port: u16) -> Addresses {
    endpoint.resolve(Role::Ask, family, port).map_err(|error| error.to_string())
}

/// The threads, and what is still to be asked: one question for each name at most.
#[derive(Debug)]
pub(crate) struct Resolver {
    questions: Sender<Question>,
    waiting: VecDeque<Question>,
}

impl Resolver {
    /// Starts threads for so many names; `answer` takes what they find.
    ///
    /// # Errors
    /// When the system has not one thread for it.
    pub(crate) fn start<F>(
        names: usize,
        family: Family,
        lookup: impl Lookup,
        answer: F,
    ) -> std::io::Result<Resolver>
    where
        F: Fn(Found) + Clone + Send + 'static,
    {
        let (questions, open): (_, Receiver<Question>) = bounded(THREADS);
        for number in 0..names.clamp(1, THREADS) {
            let (open, lookup, answer) = (open.clone(), lookup.clone(), answer.clone());
            let work = move || {
                for question in open {
                    let addresses = lookup(&question.endpoint, family, question.port);
                    answer(Found { question, addresses });
                }
            };
            match thread::Builder::new().name("resolver".into()).spawn(work) {
                Ok(_) => {}
                Err(_) if number > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Resolver { questions, waiting: VecDeque::new() })
    }

    /// Asks for a name's addresses.
    pub(crate) fn ask(&mut self, question: Question) {
        self.waiting.push_back(question);
        self.go_on();
    }

    /// Hands out what waits for a thread: to be called with each answer.
    pub(crate) fn go_on(&mut self) {
        while let Some(question) = self.waiting.pop_front() {
            if let Err(error) = self.questions.try_send(question) {
                // The threads live as long as this sender: they are busy.
                self.waiting.push_front(error.into_inner());
                return;
            }
        }
    }
}

/// Why a name is looked up out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// One more loss, and it is to be known where the target is now.
    AlmostLost,
    /// So many beats are lost in a row.
    Lost,
}

impl Reason {
    /// The reason that comes up when, after `before` beats, `unanswered` in a row are not answered.
    pub(crate) fn of(unanswered: u64, before: u64) -> Option<Reason> {
        if unanswered / 3 > before / 3 {
            return Some(Reason::Lost);
        }
        ((unanswered + 1) / 3 > (before + 1) / 3).then_some(Reason::AlmostLost)
    }
}

/// When which name is due. Pure.
#[derive(Debug, Default)]
pub(crate) struct LookUps {
    names: Vec<Name>,
    /// In order of their regular time.
    regular: VecDeque<(Mono, TargetId)>,
}

#[derive(Debug)]
struct Name {
    target: TargetId,
    asked: Mono,
    pending: Option<Asked>,
    /// What was found early.
    kept: Option<Vec<SocketAddr>>,
}

/// What is to be done with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Use,
    /// Keep it until the beats are lost indeed.
    Keep,
}

impl LookUps {
    /// A target whose name was looked up at `now`.
    pub(crate) fn add(&mut self, target: TargetId, now: Mono) {
        self.regular.push_back((now + EVERY, target));
        self.names.push(Name { target, asked: now, pending: None, kept: None });
    }

    /// A target that is new, and whose name is being looked up.
    pub(crate) fn begin_new(&mut self, target: TargetId, now: Mono) {
        let new = Name { target, asked: now, pending: Some(Asked::Use), kept: None };
        let found = self.names.binary_search_by_key(&target, |name| name.target);
        match found {
            Ok(index) => self.names[index] = new,
            Err(index) => self.names.insert(index, new),
        }
        self.regular.push_back((now + EVERY, target));
    }

    /// The target is none any more.
    pub(crate) fn remove(&mut self, target: TargetId) {
        self.names.retain(|name| name.target != target);
        self.regular.retain(|(_, it)| *it != target);
    }

    /// When the next regular look-up is due.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.regular.front().map(|(due, _)| *due)
    }

    /// A target whose regular look-up is due: ask until there is none.
    pub(crate) fn take(&mut self, now: Mono) -> Option<TargetId> {
        while let Some(&(due, target)) = self.regular.front()
            && due <= now
        {
            self.regular.pop_front();
            self.regular.push_back((now + EVERY, target));
            if self.name(target).is_some_and(|name| name.begin(now, Asked::Use)) {
                return Some(target);
            }
        }
        None
    }

    /// Beats of the target were lost in a row. Whether to look its name up, if it has one.
    pub(crate) fn begin(&mut self, target: TargetId, reason: Reason, now: Mono) -> bool {
        let asked = match reason {
            Reason::AlmostLost => Asked::Keep,
            Reason::Lost => Asked::Use,
        };
        match self.name(target) {
            Some(name) if name.pending.is_some() => {
                if asked == Asked::Use {
                    name.pending = Some(asked);
                }
                false
            }
            Some(name) => name.begin(now, asked),
            None => false,
        }
    }

    /// Whether something was found early.
    pub(crate) fn has_kept(&mut self, target: TargetId) -> bool {
        self.name(target).is_some_and(|name| name.kept.is_some())
    }

    /// The beats are lost indeed: what was found early.
    pub(crate) fn kept(&mut self, target: TargetId) -> Option<Vec<SocketAddr>> {
        self.name(target)?.kept.take()
    }

    /// The look-up of the target found `addresses`: they come back if they are to be used now.
    pub(crate) fn settle(
        &mut self,
        target: TargetId,
        addresses: Result<Vec<SocketAddr>, String>,
    ) -> Option<Result<Vec<SocketAddr>, String>> {
        let name = self.name(target)?;
        match (name.pending.take(), addresses) {
            (Some(Asked::Keep), found) => {
                name.kept = found.ok();
                None
            }
            (_, found) => Some(found),
        }
    }

    fn name(&mut self, target: TargetId) -> Option<&mut Name> {
        let found = self.names.binary_search_by_key(&target, |name| name.target);
        found.ok().map(|index| &mut self.names[index])
    }
}

impl Name {
    fn begin(&mut self, now: Mono, asked: Asked) -> bool {
        if self.pending.is_some() || now < self.asked + AT_LEAST {
            return false;
        }
        self.pending = Some(asked);
        self.asked = now;
        self.kept = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000_000 + ms * 1_000_000)
    }

    fn found() -> Result<Vec<SocketAddr>, String> {
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], 7))])
    }

    #[test]
    fn more_names_than_threads_are_all_looked_up() {
        let (sender, found) = bounded(1);
        let answer = move |it| sender.send(it).unwrap();
        let mut resolver = Resolver::start(3, Family::Any, system, answer).unwrap();
        for target in 0..100 {
            let endpoint = "127.0.0.1".parse().unwrap();
            resolver.ask(Question { target: Some(target), endpoint, port: 7000 });
        }
        let mut all = Vec::new();
        for _ in 0..100 {
            let Found { question, addresses } = found.recv().unwrap();
            resolver.go_on();
            assert_eq!(addresses.unwrap(), [SocketAddr::from(([127, 0, 0, 1], 7000))]);
            all.extend(question.target);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
    }

    #[test]
    fn every_minute_and_when_beats_are_lost() {
        let mut due = LookUps::default();
        due.add(3, at(0));
        due.add(7, at(0));
        assert_eq!(due.next_due(), Some(at(60_000)));
        assert_eq!(due.take(at(59_999)), None);
        assert_eq!(due.take(at(60_000)), Some(3));
        assert_eq!(due.take(at(60_000)), Some(7));
        assert_eq!(due.take(at(60_000)), None);
        assert!(!due.begin(3, Reason::Lost, at(62_000)), "still being looked up");
        assert_eq!(due.settle(3, found()), Some(found()));
        assert!(due.begin(3, Reason::Lost, at(62_000)));
        assert_eq!(due.settle(3, found()), Some(found()));
        assert!(!due.begin(3, Reason::Lost, at(62_900)), "not twice a second");
        assert!(!due.begin(5, Reason::Lost, at(64_000)), "an address, no name");
        assert_eq!(due.take(at(120_000)), Some(3));
        assert_eq!(due.take(at(120_000)), None, "still being looked up");
    }

    #[test]
    fn what_is_found_early_is_kept_until_it_is_needed() {
        let mut due = LookUps::default();
        due.add(3, at(0));
        assert!(due.begin(3, Reason::AlmostLost, at(2000)));
        assert_eq!(due.settle(3, found()), None);
        assert_eq!(due.kept(3), found().ok());
        assert_eq!(due.kept(3), None);
        // A resolver that takes its time: the answer is used when it comes.
        assert!(due.begin(3, Reason::AlmostLost, at(5000)));
        assert!(!due.begin(3, Reason::Lost, at(6000)));
        assert_eq!(due.kept(3), None);
        assert_eq!(due.settle(3, found()), Some(found()));
    }

    #[test]
    fn every_third_loss_and_the_one_before_it() {
        let reasons: Vec<_> = (1..=7).map(|n| Reason::of(n, n - 1)).collect();
        let (almost, lost) = (Some(Reason::AlmostLost), Some(Reason::Lost));
        assert_eq!(reasons, [None, almost, lost, None, almost, lost, None]);
        assert_eq!(Reason::of(9, 1), lost);
    }
}
