//! Names and their addresses: looked up on threads of their own, so that a resolver that hangs
//! holds up nothing.
//!
//! A name is looked up at the start, then every minute, and after every third beat lost in a row,
//! but not more than once a second. While that fails, the old address stays.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use udp_core::clock::Mono;
use udp_core::endpoint::Role;
use udp_core::{Endpoint, Family};

use crate::schedule::TargetId;

/// Threads that look up: a name that hangs holds up few others.
const THREADS: usize = 8;
/// Each name is looked up again after this long.
const EVERY: Duration = Duration::from_secs(60);
/// But not sooner than this.
const AT_LEAST: Duration = Duration::from_secs(1);

/// What a look-up found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) target: TargetId,
    pub(crate) addresses: Result<Vec<SocketAddr>, String>,
}

/// The threads.
#[derive(Debug)]
pub(crate) struct Resolver {
    questions: Sender<(TargetId, Endpoint)>,
}

impl Resolver {
    /// Starts threads for so many names; `answer` takes what they find.
    ///
    /// # Errors
    /// When the system has not one thread for it.
    pub(crate) fn start<F>(
        names: usize,
        family: Family,
        default_port: u16,
        answer: F,
    ) -> std::io::Result<Resolver>
    where
        F: Fn(Found) + Clone + Send + 'static,
    {
        // Bounded by the number of names: each has one question open at most.
        let (questions, open): (_, Receiver<(TargetId, Endpoint)>) = unbounded();
        for number in 0..names.clamp(1, THREADS) {
            let (open, answer) = (open.clone(), answer.clone());
            let work = move || {
                for (target, endpoint) in open {
                    let found = endpoint.resolve(Role::Ask, family, default_port);
                    answer(Found { target, addresses: found.map_err(|error| error.to_string()) });
                }
            };
            match thread::Builder::new().name("resolver".into()).spawn(work) {
                Ok(_) => {}
                Err(_) if number > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Resolver { questions })
    }

    /// Asks for a target's addresses.
    pub(crate) fn ask(&self, target: TargetId, endpoint: Endpoint) {
        // The threads live as long as this sender.
        let _ = self.questions.send((target, endpoint));
    }
}

/// When which name is due. Pure.
#[derive(Debug, Default)]
pub(crate) struct LookUps {
    names: Vec<Name>,
    /// In order of their regular time.
    regular: VecDeque<(Mono, usize)>,
}

#[derive(Debug)]
struct Name {
    target: TargetId,
    asked: Mono,
    pending: bool,
}

impl LookUps {
    /// A target whose name was looked up at `now`.
    pub(crate) fn add(&mut self, target: TargetId, now: Mono) {
        self.regular.push_back((now + EVERY, self.names.len()));
        self.names.push(Name { target, asked: now, pending: false });
    }

    /// When the next regular look-up is due.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.regular.front().map(|(due, _)| *due)
    }

    /// A target whose regular look-up is due: ask until there is none.
    pub(crate) fn take(&mut self, now: Mono) -> Option<TargetId> {
        while let Some(&(due, index)) = self.regular.front()
            && due <= now
        {
            self.regular.pop_front();
            let name = &mut self.names[index];
            self.regular.push_back((now + EVERY, index));
            if name.begin(now) {
                return Some(name.target);
            }
        }
        None
    }

    /// Beats of the target were lost in a row. Whether to look its name up, if it has one.
    pub(crate) fn begin(&mut self, target: TargetId, now: Mono) -> bool {
        let found = self.names.binary_search_by_key(&target, |name| name.target);
        found.is_ok_and(|index| self.names[index].begin(now))
    }

    /// The look-up of the target is over.
    pub(crate) fn settle(&mut self, target: TargetId) {
        if let Ok(index) = self.names.binary_search_by_key(&target, |name| name.target) {
            self.names[index].pending = false;
        }
    }
}

impl Name {
    fn begin(&mut self, now: Mono) -> bool {
        if self.pending || now < self.asked + AT_LEAST {
            return false;
        }
        self.pending = true;
        self.asked = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000_000 + ms * 1_000_000)
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
        assert!(!due.begin(3, at(62_000)), "still being looked up");
        due.settle(3);
        assert!(due.begin(3, at(62_000)));
        due.settle(3);
        assert!(!due.begin(3, at(62_900)), "not twice a second");
        assert!(!due.begin(5, at(64_000)), "an address, no name");
        assert_eq!(due.take(at(120_000)), Some(3));
        assert_eq!(due.take(at(120_000)), None, "still being looked up");
    }
}
