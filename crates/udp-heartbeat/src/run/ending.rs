//! Ends a run: waits for the replies to beats in flight and asks reflectors for their counters. What
//! is unanswered when the run is stopped counts as pending.
//!
//! After the last beat a second reply may be on its way, so the run listens for three times the
//! longest round trip (at least a tenth of a second, at most the timeout). With STAMP, where it is
//! open in which direction beats were lost, the reflector is asked once more: its number shows how
//! many it has counted. It is asked again, each time after twice as long, until it has answered or
//! the time for that is over. A run that is stopped asks as well, and waits for nothing else.

use std::time::Duration;

use udp_core::clock::{self, Mono};

use super::engine::{Ended, Engine};
use super::poller::Ready;
use crate::probe::schedule::TargetId;

/// How long at least the run listens.
const AT_LEAST: Duration = Duration::from_millis(100);
/// After how long at least the reflector is asked again.
const AGAIN: Duration = Duration::from_millis(10);
/// How long at most a run that is stopped asks.
const STOPPED: Duration = Duration::from_secs(1);

impl Engine {
    /// All beats are settled: listens, and asks, until no more is to be expected.
    pub(super) fn drain(&mut self) {
        if self.fixed.lingers && self.targets.totals().received > 0 {
            let timeout = self.targets.setup().rules.timeout;
            let span = self.three_round_trips(AT_LEAST);
            self.ask_reflectors(clock::mono() + span, clock::mono() + timeout * 2);
        }
        self.take_strangers();
    }

    /// It was stopped, or its time is over: what has come counts, what has not is pending.
    pub(super) fn stop(&mut self) {
        self.receive_rest();
        self.deadline = None;
        if self.fixed.lingers && self.targets.totals().received > 0 {
            let now = clock::mono();
            self.ask_reflectors(now, now + STOPPED.min(self.targets.setup().rules.timeout));
        }
        self.take_strangers();
    }

    fn three_round_trips(&self, at_least: Duration) -> Duration {
        let longest = self.targets.targets().iter().filter_map(|it| it.session.rtt().max()).max();
        let longest = longest.unwrap_or_default();
        (longest * 3).max(at_least).min(self.targets.setup().rules.timeout)
    }

    /// Asks each reflector that may tell more, until it has or `last` has come; listens until
    /// `first` at least.
    fn ask_reflectors(&mut self, first: Mono, last: Mono) {
        let (mut next, mut wait) = (clock::mono(), self.three_round_trips(AGAIN));
        loop {
            let asked = self.unanswered();
            let now = clock::mono();
            if asked.is_empty() && now >= first || now >= last {
                return;
            }
            if !asked.is_empty() && now >= next {
                self.counter_probes(&asked);
                (next, wait) = (now + wait, wait * 2);
            }
            let until = if asked.is_empty() { first } else { next.min(last) };
            if let Some(Ended) = self.listen(until) {
                return;
            }
        }
    }

    /// The reflectors that may tell more.
    fn unanswered(&self) -> Vec<TargetId> {
        (0..)
            .zip(self.targets.targets())
            .filter(|(_, target)| {
                target.session.wants_counter_probe()
                    && target.counter_probes.iter().all(|(_, answered)| !answered)
            })
            .map(|(id, _)| id)
            .collect()
    }

    fn counter_probes(&mut self, targets: &[TargetId]) {
        let mut bytes = Vec::new();
        for target in targets {
            let now = clock::mono();
            let probe = self.targets.counter_probe(*target, now, &mut bytes);
            let Some((port, close, to)) = probe else { continue };
            if let Some(close) = close {
                self.ports.close(close);
            }
            // It is tried again if it does not come through, whatever the reason.
            let _ = self.ports.ensure(port, to).map(|()| self.ports.send(port, to, &bytes));
        }
    }

    /// Takes what comes next, until then.
    fn listen(&mut self, until: Mono) -> Option<Ended> {
        let until = self.deadline.map_or(until, |deadline| deadline.min(until));
        if let Some(ended) = self.take_calls() {
            return Some(ended);
        }
        let mut ready = Ready::default();
        self.poller.wait(self.ports.sockets(), Some(until), &mut ready);
        self.take_in(&ready.places, until);
        self.deadline.filter(|it| *it <= clock::mono()).map(|_| Ended)
    }
}
