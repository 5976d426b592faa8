//! The events of a run, one closed list, and the trait of whoever receives them. They come in
//! order, while the engine handles their cause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::clock::Mono;
use udp_core::service::{self, Spec};

use crate::probe::schedule::TargetId;
use crate::probe::session::{Counts, Interval, Received};
use crate::probe::snapshot::Snapshot;
use crate::probe::state::Change;
use crate::probe::window::Seq;

/// Something happened to a target.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// Which target, as [`Observer::begin`] named it.
    pub target: TargetId,
    /// The address concerned; none if the target has none.
    pub address: Option<SocketAddr>,
    /// When it happened.
    pub at: Mono,
    /// What happened.
    pub what: What<'a>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "a variant's words say what its fields are")]
pub enum What<'a> {
    /// A beat is being sent; its failure, if any, follows.
    Sent { seq: Seq, bytes: &'a [u8] },
    /// The first reply to a beat, in time.
    Reply { seq: Seq, reply: Received, bytes: &'a [u8], said: Option<Said<'a>> },
    /// The first reply to a beat that was lost.
    Late { seq: Seq, rtt: Duration, bytes: &'a [u8] },
    /// One more reply to a beat that has had one.
    Duplicate { seq: Seq, rtt: Duration, bytes: &'a [u8] },
    /// A datagram that answers no beat.
    Unsolicited { bytes: &'a [u8] },
    /// No reply in time.
    Lost { seq: Seq },
    /// The peer's host said that nothing listens there.
    Refused { seq: Seq },
    /// The beat did not leave this host.
    Failed { seq: Seq, reason: &'a str },
    /// The class of a beat is known for good, which follows each beat once; `counts` are the target's by then.
    Ended { seq: Seq, sent: Mono, end: End<'a>, counts: &'a Counts, said: Option<Said<'a>> },
    /// Something else went wrong, that no beat ends by.
    Trouble { reason: &'a str },
    /// The state has changed; `reason` is that of a service's last answer that was not ok.
    State { change: Change, counts: &'a Counts, reason: Option<&'a str> },
    /// A service never answered, which may mean this; said once.
    Silent { hint: &'a str },
    /// The figures since the last such event.
    Interval { figures: Interval },
    /// So many beats in a row are unanswered now, and so many were before this event's cause.
    InARow { unanswered: u64, before: u64 },
    /// The target's name has another address now, which was not known before if `from` is none.
    Moved { from: Option<SocketAddr> },
}

/// The class that a beat has ended in.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "a variant's words say what its fields are")]
#[non_exhaustive]
pub enum End<'a> {
    /// Answered in time.
    Received(Received),
    /// Not answered in time, refused or not.
    Lost { refused: bool },
    /// It did not leave this host.
    Failed(&'a str),
    /// In flight when the run was stopped.
    Pending,
}

/// What a service said, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Said<'a> {
    /// The service.
    pub spec: &'a Spec,
    /// Its reply; the verdict that counts is that of [`Received`].
    pub reply: &'a service::Reply,
}

/// Targets came or went, or were read again and are the same.
#[derive(Debug)]
#[non_exhaustive]
pub struct Regrouped {
    /// The figures of those that are gone, one target each.
    pub gone: Vec<Snapshot>,
    /// How many are new.
    pub added: usize,
    /// How many there are now.
    pub targets: usize,
}

/// Takes events on the thread that sends the beats: what takes time belongs on another.
pub trait Observer {
    /// Takes note of `event`.
    fn observe(&mut self, event: &Event<'_>);

    /// A target begins: events name it by `target` from now on. `given` is how it was written, and
    /// `label` the same with every default filled in.
    fn begin(&mut self, target: TargetId, label: &Arc<str>, given: &str) {
        let _ = (target, label, given);
    }

    /// The target that began is a service.
    fn service(&mut self, target: TargetId, spec: &Spec) {
        let _ = (target, spec);
    }

    /// Targets came or went.
    fn regrouped(&mut self, change: &Regrouped) {
        let _ = change;
    }

    /// Whether [`What::Sent`] is of use: the bytes of many beats cost something.
    fn wants_sent(&self) -> bool {
        true
    }
}

/// Both take each event, in this order.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, event: &Event<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }

    fn begin(&mut self, target: TargetId, label: &Arc<str>, given: &str) {
        self.0.begin(target, label, given);
        self.1.begin(target, label, given);
    }

    fn service(&mut self, target: TargetId, spec: &Spec) {
        self.0.service(target, spec);
        self.1.service(target, spec);
    }

    fn regrouped(&mut self, change: &Regrouped) {
        self.0.regrouped(change);
        self.1.regrouped(change);
    }

    fn wants_sent(&self) -> bool {
        self.0.wants_sent() || self.1.wants_sent()
    }
}

/// Somebody or nobody.
impl<A: Observer> Observer for Option<A> {
    fn observe(&mut self, event: &Event<'_>) {
        if let Some(observer) = self {
            observer.observe(event);
        }
    }

    fn begin(&mut self, target: TargetId, label: &Arc<str>, given: &str) {
        if let Some(observer) = self {
            observer.begin(target, label, given);
        }
    }

    fn service(&mut self, target: TargetId, spec: &Spec) {
        if let Some(observer) = self {
            observer.service(target, spec);
        }
    }

    fn regrouped(&mut self, change: &Regrouped) {
        if let Some(observer) = self {
            observer.regrouped(change);
        }
    }

    fn wants_sent(&self) -> bool {
        self.as_ref().is_some_and(Observer::wants_sent)
    }
}

/// An observer that takes note of nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Observer for Nobody {
    fn observe(&mut self, _event: &Event<'_>) {}

    fn wants_sent(&self) -> bool {
        false
    }
}
