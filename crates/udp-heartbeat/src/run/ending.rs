//! The end of a run whose beats are all settled: what may still come, and what may still be asked.
//!
//! A second reply to the last beats may be on its way, so the run listens for three times the
//! longest round trip (at least a tenth of a second, at most the timeout). With STAMP, where it is
//! open in which direction beats were lost, the reflector is asked once more: its number shows how
//! many it has counted. It is asked again, each time after twice as long, until it has answered or
//! two timeouts have passed.

use std::time::Duration;

use udp_core::clock::{self, Mono};

use super::engine::{Ended, Engine};
use crate::probe::schedule::TargetId;

/// How long at least the run listens.
const AT_LEAST: Duration = Duration::from_millis(100);

impl Engine {
    /// Listens, and asks, until no more is to be expected.
    pub(super) fn drain(&mut self) -> Ended {
        if self.targets.totals().received == 0 {
            self.take_strays();
            return Ended;
        }
        let longest = self.targets.targets().iter().filter_map(|it| it.session.rtt().max()).max();
        let span =
            (longest.unwrap_or_default() * 3).max(AT_LEAST).min(self.targets.setup().rules.timeout);
        let (mut wait, mut left) = (span, self.targets.setup().rules.timeout * 2);
        loop {
            let asked = !left.is_zero() && self.counter_probe();
            if let Some(ended) = self.listen(if asked { wait.min(left) } else { span }) {
                return ended;
            }
            left = left.saturating_sub(wait);
            wait *= 2;
            if !asked {
                self.take_strays();
                return Ended;
            }
        }
    }

    /// Asks each reflector that may tell more. Whether any was asked.
    fn counter_probe(&mut self) -> bool {
        let open: Vec<TargetId> = (0..)
            .zip(self.targets.targets())
            .filter(|(_, target)| {
                target.session.wants_counter_probe()
                    && target.counter_probes.iter().all(|(_, answered)| !answered)
            })
            .map(|(id, _)| id)
            .collect();
        let mut bytes = Vec::new();
        for target in &open {
            let now = clock::mono();
            let Some((port, to)) = self.targets.counter_probe(*target, now, &mut bytes) else {
                continue;
            };
            // It is tried again if it does not come through, whatever the reason.
            let _ = self.ports.ensure(port, to).map(|()| self.ports.send(port, to, &bytes));
        }
        !open.is_empty()
    }

    /// Takes what comes within `span`, or the time that is left.
    fn listen(&mut self, span: Duration) -> Option<Ended> {
        let until = clock::mono() + span;
        let until = self.deadline.map_or(until, |deadline: Mono| deadline.min(until));
        let mut ready = Vec::new();
        loop {
            if let Some(ended) = self.take_calls() {
                return Some(ended);
            }
            self.take_in(&[], until);
            if clock::mono() >= until {
                return self.deadline.filter(|it| *it <= until).map(|_| Ended);
            }
            self.poller.wait(self.ports.sockets(), Some(until), &mut ready);
        }
    }
}
