//! One service target: its requests, its pace when it refuses or limits, and the reasons it gave.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use udp_core::service::{Ask, Asked, Identity, Nonces, Reply, Service, Spec, Verdict};

/// How far apart beats are at most, in intervals.
const SLOWEST: u32 = 16;
/// So many answers that are ok halve the distance again.
const OKS: u32 = 10;
/// Reasons that are told apart; more of them are one.
const REASONS: usize = 64;

/// A service that is asked, with the nonces of one target.
#[derive(Debug)]
pub(crate) struct Asking {
    spec: Spec,
    service: Arc<dyn Service>,
    nonces: Nonces,
}

impl Asking {
    pub(crate) fn new(spec: Spec, service: Arc<dyn Service>, nonces: Nonces) -> Self {
        Asking { spec, service, nonces }
    }

    /// The same with what was read again.
    pub(crate) fn with(&self, spec: &Spec) -> Option<Asking> {
        Some(Asking::new(spec.clone(), spec.service()?.clone(), self.nonces.clone()))
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(crate) fn service(&self) -> &dyn Service {
        &*self.service
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    pub(crate) fn identity(&self) -> Identity {
        self.spec.entry().identity
    }

    /// The length of a request.
    pub(crate) fn length(&self) -> usize {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, self.spec.port()));
        let mut out = Vec::new();
        let ask = Ask { number: 1, nonces: &self.nonces, peer, name: None, local: None, kept: &[] };
        self.service.request(&ask, &mut out);
        out.len()
    }

    /// What the bytes say.
    pub(crate) fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let reply = self.service.recognise(asked, bytes)?;
        // A number that no beat had is nobody's.
        (1..=asked.last).contains(&reply.number).then_some(reply)
    }

    /// The verdict of a reply, with what is accepted moved into `ok`.
    pub(crate) fn judge(&self, reply: &Reply) -> Verdict {
        self.spec.judge(reply)
    }
}

/// How far apart the beats of a target are, in intervals: more where the service says that it is too much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    interval: Duration,
    factor: u32,
    oks: u32,
}

impl Pace {
    pub(crate) fn new(interval: Duration) -> Self {
        Pace { interval, factor: 1, oks: 0 }
    }

    /// The time from one beat to the next.
    pub(crate) fn interval(&self) -> Duration {
        self.interval * self.factor
    }

    /// An answer came, and was given this verdict; the new interval, if it is another one now. What says
    /// slower is obeyed where it is accepted, too.
    pub(crate) fn answered(&mut self, reply: &Reply, verdict: Verdict) -> Option<Duration> {
        let was = self.factor;
        if reply.stop {
            (self.factor, self.oks) = (SLOWEST, 0);
        } else if reply.verdict == Verdict::Limited {
            (self.factor, self.oks) = ((self.factor * 2).min(SLOWEST), 0);
        } else if verdict == Verdict::Ok && self.factor > 1 {
            self.oks += 1;
            if self.oks == OKS {
                (self.factor, self.oks) = (self.factor / 2, 0);
            }
        }
        (self.factor != was).then(|| self.interval())
    }
}

/// How often each reason was given, in received answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasons(BTreeMap<String, u64>);

impl Reasons {
    pub(crate) fn count(&mut self, reason: &str) {
        let known = self.0.len();
        match self.0.get_mut(reason) {
            Some(count) => *count += 1,
            None if known < REASONS => drop(self.0.insert(reason.to_owned(), 1)),
            None => *self.0.entry("others".to_owned()).or_default() += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Reasons) {
        for (reason, count) in &other.0 {
            *self.0.entry(reason.clone()).or_default() += count;
        }
    }

    /// Each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(reason, count)| (reason.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_slower_and_faster_again() {
        let mut pace = Pace::new(Duration::from_secs(1));
        let cases = [
            (Verdict::Ok, Verdict::Ok, 30, &[][..]),
            (Verdict::Limited, Verdict::Limited, 6, &[2, 4, 8, 16]),
            (Verdict::Ok, Verdict::Ok, 9, &[]),
            (Verdict::Limited, Verdict::Limited, 1, &[]),
            (Verdict::Failing, Verdict::Failing, 10, &[]),
            (Verdict::Ok, Verdict::Ok, 50, &[8, 4, 2, 1]),
            // By `accept=` or `--alive`.
            (Verdict::Limited, Verdict::Ok, 1, &[2]),
            (Verdict::Unexpected, Verdict::Ok, 10, &[1]),
            (Verdict::Declined, Verdict::Ok, 2, &[16]),
        ];
        for (said, verdict, times, expected) in cases {
            // Of what is declined DENY and RSTR are meant.
            let mut reply = Reply::new(1, said);
            reply.stop = said == Verdict::Declined;
            let answers = std::iter::repeat_n((), times);
            let told = answers.filter_map(|()| pace.answered(&reply, verdict));
            let told: Vec<u64> = told.map(|interval| interval.as_secs()).collect();
            assert_eq!(told, expected, "{said} {verdict}");
        }
    }

    #[test]
    fn reasons_do_not_grow_for_ever() {
        let mut reasons = Reasons::default();
        (0..1000).for_each(|n| reasons.count(&format!("{n}")));
        reasons.count("7");
        assert_eq!(reasons.iter().count(), REASONS + 1);
        assert!(reasons.iter().any(|it| it == ("7", 2)));
        assert!(reasons.iter().any(|it| it == ("others", 1000 - REASONS as u64)));
    }
}
