//! Takes over a list of targets that was read again, or whose names have other addresses: those that stay
//! keep their figures, new ones start, those gone end with theirs.

use std::collections::HashMap;
use std::sync::Arc;

use udp_core::clock::{self, Mono};

use super::engine::Engine;
use super::{lookup, setup};
use crate::probe::event::{Observer, Regrouped};
use crate::probe::schedule::TargetId;
use crate::probe::snapshot::Snapshot;
use crate::probe::targets::Listed;

/// Of each that is listed, who it is if it is here already; and those of `here` that are gone.
fn compare<'a>(
    here: impl Iterator<Item = (&'a str, TargetId)>,
    listed: &[Arc<str>],
) -> (Vec<Option<TargetId>>, Vec<TargetId>) {
    let places: HashMap<&str, usize> = (listed.iter().map(|it| &**it)).zip(0..).collect();
    let mut order = vec![None; listed.len()];
    let mut gone = Vec::new();
    for (label, id) in here {
        match places.get(label) {
            Some(place) => order[*place] = Some(id),
            None => gone.push(id),
        }
    }
    (order, gone)
}

impl Engine {
    /// These are listed now.
    pub(crate) fn take_targets(&mut self, listed: Vec<Listed>) {
        let listed = match &mut self.discovery {
            Some(discovery) => {
                discovery.list(listed, clock::mono());
                discovery.targets()
            }
            None => listed,
        };
        self.regroup(listed);
    }

    /// These are the targets now.
    pub(super) fn regroup(&mut self, listed: Vec<Listed>) {
        let default_port = self.fixed.default_port;
        let labels: Vec<Arc<str>> =
            listed.iter().map(|it| Arc::from(it.label(default_port))).collect();
        let here = self.targets.present().map(|id| (&*self.targets.target(id).label, id));
        let (mut order, gone) = compare(here, &labels);
        let gone: Vec<Snapshot> = gone.into_iter().map(|id| self.remove(id)).collect();
        let (new, mut added) = (order.iter().filter(|id| id.is_none()).count() as u32, 0);
        let now = clock::mono();
        for ((id, label), listed) in order.iter_mut().zip(&labels).zip(listed) {
            if let Some(id) = id {
                self.targets.take_over(*id, listed);
                continue;
            }
            let new_id = self.add(label, listed, now);
            // Spread over the interval, as those of the start are.
            let interval = self.targets.target(new_id).pace.interval();
            self.timeline.add(new_id, now);
            self.timeline.set_interval(new_id, interval, now + interval * added / new);
            *id = Some(new_id);
            added += 1;
        }
        self.targets.put_in_order(order.into_iter().flatten().collect());
        self.tell_regrouped(gone, added as usize);
    }

    /// Tells that targets came or went, or that what was read again has them all unchanged.
    pub(crate) fn tell_regrouped(&mut self, gone: Vec<Snapshot>, added: usize) {
        let targets = self.targets.present().count();
        self.observers.regrouped(&Regrouped { gone, added, targets });
    }

    fn remove(&mut self, id: TargetId) -> Snapshot {
        let snapshot = self.snapshot(&[id]);
        self.timeline.end(id);
        self.observers.lookups.remove(id);
        let now = clock::mono();
        self.targets.end_open(id, now, &mut self.observers);
        self.targets.retire(id, now);
        snapshot
    }

    fn add(&mut self, label: &Arc<str>, listed: Listed, now: Mono) -> TargetId {
        let (endpoint, at) = (listed.endpoint.clone(), listed.at);
        let given = listed.clone();
        let session = setup::stamp_session();
        let id = self.targets.add(label.clone(), listed, session, self.fixed.count, now);
        setup::begin(&mut self.observers, id, label, &given);
        let port = self.targets.target(id).port;
        let found = match at {
            Some(at) => Ok(vec![at]),
            None if endpoint.is_name() => Err(setup::UNRESOLVED.to_owned()),
            None => lookup::system(&endpoint, self.fixed.family, port),
        };
        match found {
            Ok(addresses) => self.follow(id, &addresses, now),
            Err(reason) => self.targets.unresolved(id, &reason, now, &mut self.observers),
        }
        if at.is_none() && endpoint.is_name() && self.discovery.is_none() {
            self.observers.lookups.begin_new(id, now);
            self.ask(id);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_stays_and_goes() {
        type Case = (&'static [&'static str], &'static [&'static str], &'static str);
        let cases: [Case; 6] = [
            (&[], &[], "[] []"),
            (&[], &["a", "b"], "[None, None] []"),
            (&["a", "b"], &[], "[] [0, 1]"),
            (&["a", "b"], &["a", "b"], "[Some(0), Some(1)] []"),
            (&["a", "b", "c"], &["c", "x", "a"], "[Some(2), None, Some(0)] [1]"),
            (&["a:1@10.0.0.1", "a:1"], &["a:1@10.0.0.2", "a:1"], "[None, Some(1)] [0]"),
        ];
        for (here, listed, expected) in cases {
            let listed: Vec<Arc<str>> = listed.iter().map(|it| Arc::from(*it)).collect();
            let (order, gone) = compare(here.iter().copied().zip(0..), &listed);
            assert_eq!(format!("{order:?} {gone:?}"), expected, "{here:?} {listed:?}");
        }
    }
}
