//! Passes events on: to the look-ups of names, and to the observer of the run.

use std::sync::Arc;

use udp_core::service::Spec;

use super::lookup::{LookUps, Reason};
use crate::probe::event::{Event, Observer, Regrouped, What};
use crate::probe::schedule::TargetId;

/// The look-ups, and the observer.
pub(super) struct Observers {
    observer: Box<dyn Observer + Send>,
    pub(super) lookups: LookUps,
    /// Targets whose name has to be looked up, and why.
    pub(super) lost: Vec<(TargetId, Reason)>,
}

impl Observers {
    pub(super) fn new(observer: Box<dyn Observer + Send>) -> Self {
        Observers { observer, lookups: LookUps::default(), lost: Vec::new() }
    }
}

impl Observer for Observers {
    fn observe(&mut self, event: &Event<'_>) {
        if let What::InARow { unanswered, before } = event.what
            && let Some(reason) = Reason::of(unanswered, before)
        {
            self.lost.push((event.target, reason));
        }
        self.observer.observe(event);
    }

    fn begin(&mut self, target: TargetId, label: &Arc<str>, given: &str) {
        self.observer.begin(target, label, given);
    }

    fn service(&mut self, target: TargetId, spec: &Spec) {
        self.observer.service(target, spec);
    }

    fn regrouped(&mut self, change: &Regrouped) {
        self.observer.regrouped(change);
    }

    fn wants_sent(&self) -> bool {
        self.observer.wants_sent()
    }
}
