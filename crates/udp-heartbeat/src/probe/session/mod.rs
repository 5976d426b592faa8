//! The session of one target: which beats are outstanding, what each reply means, and the figures.
//! It alone changes them.
//!
//! What happens goes in, with its time; what it means comes out. There is no socket, no clock and
//! no text in here. Each beat ends in exactly one class and is counted once, so at every moment
//! `sent = received + lost + failed + pending`; refused and late beats are parts of the lost.

mod follow;
mod interval;
mod reply;
mod said;
mod scrape;
mod stamp;

use std::time::Duration;

use udp_core::clock::Mono;

use crate::probe::recent::Recent;
use crate::probe::state::{Hysteresis, Tracker};
use crate::probe::stats::buckets::Buckets;
use crate::probe::stats::distribution::{Distribution, Precision};
use crate::probe::stats::jitter::Jitter;
use crate::probe::stats::loss::LossRuns;
use crate::probe::thresholds::Limits;
use crate::probe::verdict::Verdict;
use crate::probe::window::{Arrival, Beat, Class, Route, Seq, Window};

pub(crate) use crate::probe::counts::Counts;
pub use interval::Interval;
pub use reply::Received;
pub(crate) use reply::{Reflected, Reply};
use said::Said;
pub(crate) use stamp::Stamp;

/// What a session is to go by.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) hysteresis: Hysteresis,
    /// Thresholds that decide about the state as well.
    pub(crate) limits: Option<Limits>,
    /// Settled beats that are remembered to recognise second and late replies.
    pub(crate) keep: usize,
    pub(crate) precision: Precision,
    /// Whether replies are a STAMP reflector's.
    pub(crate) stamp: bool,
    /// Whether round trips are counted by buckets as well.
    pub(crate) metered: bool,
}

/// One target's truth.
#[derive(Debug)]
pub(crate) struct Session {
    window: Window,
    counts: Counts,
    /// The next sequence number that is in order (RFC 4737's NextExp).
    next_in_order: u64,
    /// The first beat whose end the state does not know yet.
    untold: u64,
    /// The first beat whose class may still change.
    unsettled: u64,
    rtt: Distribution,
    buckets: Option<Box<Buckets>>,
    last_reply: Option<Mono>,
    jitter: Jitter,
    interval: interval::Collector,
    runs: LossRuns,
    state: Tracker,
    /// A refused beat whose end the state knew, and that was answered all the same.
    amended: Option<(Seq, Beat)>,
    /// Only where thresholds decide about the state.
    recent: Option<Box<Recent>>,
    /// Apart, so that thousands of targets without it lie close together.
    stamp: Option<Box<Stamp>>,
    /// The same: what a service gave as reasons.
    reasons: Option<Box<Said>>,
}

impl Session {
    pub(crate) fn new(rules: &Rules) -> Self {
        Session {
            window: Window::new(rules.timeout, rules.keep),
            counts: Counts::default(),
            next_in_order: 1,
            untold: 1,
            unsettled: 1,
            rtt: Distribution::new(rules.precision),
            buckets: rules.metered.then(Box::default),
            last_reply: None,
            jitter: Jitter::default(),
            interval: interval::Collector::default(),
            runs: LossRuns::new(rules.interval),
            state: Tracker::new(rules.hysteresis),
            amended: None,
            recent: rules.limits.clone().map(|limits| Box::new(Recent::new(limits))),
            stamp: rules.stamp.then(|| Box::new(Stamp::new(rules.timeout, rules.precision))),
            reasons: None,
        }
    }

    /// The number that the next beat will have.
    pub(crate) fn next(&self) -> Seq {
        self.window.next()
    }

    /// A beat is about to be sent.
    pub(crate) fn announce(&mut self, sent: Mono, route: Option<Route>) -> Seq {
        self.counts.sent += 1;
        if let Some(stamp) = &mut self.stamp {
            stamp.direction.sent(sent);
        }
        self.window.announce(sent, route)
    }

    /// When the beat was due by its schedule.
    pub(crate) fn plan(&mut self, seq: Seq, due: Mono) {
        self.window.plan(seq, due);
    }

    /// The beats from the next one on go elsewhere, or leave from a port of before.
    pub(crate) fn new_path(&mut self) {
        if let Some(stamp) = &mut self.stamp {
            stamp.direction.new_session();
        }
    }

    /// Slots were skipped.
    pub(crate) fn skipped(&mut self, slots: u64) {
        self.counts.slots_skipped += slots;
    }

    /// When the beat really was sent, known a moment after it was announced.
    pub(crate) fn correct(&mut self, seq: Seq, sent: Mono) {
        self.window.correct(seq, sent);
    }

    /// A beat that is remembered.
    pub(crate) fn beat(&self, seq: Seq) -> Option<&Beat> {
        self.window.get(seq)
    }

    /// The beat did not leave this host, and ends in this class. False if it is not in flight.
    pub(crate) fn failed(&mut self, seq: Seq, class: Class) -> bool {
        let settled = self.window.settle(seq, class);
        self.counts.failed += u64::from(settled);
        if let Some(stamp) = self.stamp.as_mut().filter(|_| settled) {
            stamp.direction.failed(seq.0);
        }
        settled
    }

    /// The peer's host refused the beat, which is lost unless it is answered in time all the same.
    /// False if it is not in flight.
    pub(crate) fn refused(&mut self, seq: Seq) -> bool {
        let settled = self.window.settle(seq, Class::Refused);
        self.counts.lost += u64::from(settled);
        self.counts.refused += u64::from(settled);
        if settled {
            self.judge(self.window.get(seq).copied().as_ref(), None);
            if let Some(stamp) = &mut self.stamp {
                stamp.direction.refused(seq.0);
            }
        }
        settled
    }

    /// The timeout of a refused beat has passed.
    pub(crate) fn end_refused(&mut self, seq: Seq) {
        self.window.end_refused(seq);
    }

    /// Something came that answers no beat.
    pub(crate) fn unsolicited(&mut self) {
        self.counts.unsolicited += 1;
    }

    /// A reply to `seq` came at `at`, and this is what it says; `waited` is the time that passed before the
    /// request that it answers, where that was not the beat's first.
    pub(crate) fn reply(
        &mut self,
        seq: Seq,
        at: Mono,
        verdict: Verdict,
        (reflected, waited): (Option<&Reflected>, Option<Duration>),
    ) -> Reply {
        let before = self.window.get(seq).copied();
        let refused = before.is_some_and(|beat| beat.refused);
        let arrival = self.window.arrive(seq, at, verdict);
        let out = reflected.map(|it| it.residence).or(waited).unwrap_or_default();
        let net = |rtt_total: Duration| rtt_total.checked_sub(out).unwrap_or(rtt_total);
        let reply = match arrival {
            Arrival::Received { after: rtt_total, after_refusal } => {
                let reordered = seq.0 < self.next_in_order;
                self.next_in_order = self.next_in_order.max(seq.0 + 1);
                self.counts.lost -= u64::from(after_refusal);
                self.counts.refused -= u64::from(after_refusal);
                self.counts.received += 1;
                self.counts.verdicts.count(verdict);
                self.counts.reordered += u64::from(reordered);
                let rtt = net(rtt_total);
                if let (true, Some(beat)) = (after_refusal, before) {
                    self.amended = (seq.0 < self.untold).then_some((seq, Beat { verdict, ..beat }));
                    if let Some(recent) = &mut self.recent {
                        recent.take_back(beat.sent);
                    }
                }
                self.judge(before.as_ref(), Some(rtt));
                self.rtt.record(rtt);
                self.note_reply(at, Some(rtt));
                self.jitter.record(rtt);
                self.interval.record(rtt);
                let rtt_from_due = at.saturating_since(before.map_or(at, |beat| beat.due));
                Reply::Received(Received {
                    rtt,
                    rtt_total,
                    rtt_from_due,
                    reordered,
                    after_refusal,
                    verdict,
                })
            }
            Arrival::Late { after, expired } => {
                self.counts.lost += u64::from(expired);
                self.counts.late += 1;
                self.note_reply(at, None);
                self.counts.refused_late += u64::from(refused);
                if expired {
                    self.judge(before.as_ref(), None);
                }
                Reply::Late { rtt: net(after), expired }
            }
            Arrival::Duplicate(after) => {
                self.counts.duplicate += 1;
                Reply::Duplicate { rtt: net(after) }
            }
            Arrival::Unsolicited => {
                self.counts.unsolicited += 1;
                Reply::Unsolicited
            }
        };
        if let (Some(stamp), Some(beat), Some(it)) = (&mut self.stamp, &before, reflected) {
            stamp.reflect(&reply, (seq, beat), it, at);
        }
        reply
    }

    /// Expires one beat whose timeout had passed at `now`; call it until there is none, and only when
    /// every datagram that came until `now` has been processed.
    pub(crate) fn expire(&mut self, now: Mono) -> Option<(Seq, Beat)> {
        let (seq, beat) = self.window.expire(now)?;
        self.counts.lost += 1;
        self.judge(Some(&beat), None);
        if let Some(stamp) = &mut self.stamp {
            stamp.direction.lost(seq.0);
        }
        Some((seq, beat))
    }

    /// Holds a beat that ended against the thresholds of the state.
    fn judge(&mut self, beat: Option<&Beat>, rtt: Option<Duration>) {
        if let (Some(recent), Some(beat)) = (&mut self.recent, beat) {
            recent.record(beat.sent, rtt);
        }
    }

    /// Beats whose class may still change.
    pub(crate) fn open(&self) -> impl Iterator<Item = (Seq, &Beat)> {
        self.window.open()
    }

    /// The beat that has been in flight longest.
    pub(crate) fn oldest_in_flight(&self) -> Option<Seq> {
        self.window.oldest_in_flight()
    }

    /// The figures since this was last asked for.
    pub(crate) fn take_interval(&mut self) -> Interval {
        self.interval.take(&self.counts)
    }

    /// Whether one more answer from the reflector would tell more about what was lost.
    pub(crate) fn wants_counter_probe(&self) -> bool {
        self.counts.lost > self.counts.without_direction()
            && self.stamp().is_some_and(|it| it.direction.is_open())
    }

    /// How many beats ended how, until now.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The round trips: with STAMP, without the reflector's own time.
    pub(crate) fn rtt(&self) -> &Distribution {
        &self.rtt
    }

    pub(crate) fn jitter(&self) -> Option<Duration> {
        self.jitter.get()
    }

    /// With STAMP: what the reflector's answers told.
    pub(crate) fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_deref()
    }

    /// Entries in whatever grows with the number of beats.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> usize {
        let stamp = self.stamp().map_or(0, |it| it.direction.footprint());
        self.window.footprint() + self.rtt.footprint() + stamp
    }
}
