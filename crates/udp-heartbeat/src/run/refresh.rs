//! Takes over a list of targets that was read again: those that stay keep their figures, new ones
//! start, those gone end with theirs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use udp_core::clock;
use udp_core::endpoint::Role;

use super::engine::Engine;
use super::setup;
use crate::probe::schedule::TargetId;
use crate::probe::snapshot::Snapshot;
use crate::probe::targets::Listed;

impl Engine {
    /// The figures of each target that is gone, and how many are new.
    pub(crate) fn take_targets(&mut self, listed: Vec<Listed>) -> (Vec<Snapshot>, usize) {
        let (mut gone, mut added) = (Vec::new(), 0);
        let named: HashSet<String> = listed.iter().map(|it| self.label(it)).collect();
        let mut here: HashMap<Arc<str>, TargetId> = HashMap::new();
        for id in self.targets.present().collect::<Vec<_>>() {
            let label = self.targets.target(id).label.clone();
            if named.contains(&*label) {
                here.insert(label, id);
            } else {
                gone.push(self.remove(id));
            }
        }
        for listed in listed {
            let label = self.label(&listed);
            if let Some(id) = here.get(&*label) {
                self.targets.take_over(*id, listed);
            } else {
                self.add(&Arc::from(label), &listed);
                added += 1;
            }
        }
        (gone, added)
    }

    fn label(&self, listed: &Listed) -> String {
        listed.label(self.fixed.default_port)
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

    fn add(&mut self, label: &Arc<str>, listed: &Listed) {
        let now = clock::mono();
        let endpoint = listed.endpoint.clone();
        let session = setup::stamp_session();
        let id = self.targets.add(label.clone(), listed.clone(), session, self.fixed.count, now);
        setup::begin(&mut self.observers, id, label, listed);
        if endpoint.is_name() {
            self.targets.unresolved(id, setup::UNRESOLVED, now, &mut self.observers);
            self.observers.lookups.begin_new(id, now);
            self.ask(id);
        } else {
            let port = self.targets.target(id).port;
            match endpoint.resolve(Role::Ask, self.fixed.family, port) {
                Ok(addresses) => self.follow(id, &addresses, now),
                Err(error) => {
                    self.targets.unresolved(id, &error.to_string(), now, &mut self.observers);
                }
            }
        }
        self.timeline.add(id, now);
        let interval = self.targets.target(id).pace.interval();
        self.timeline.set_interval(id, interval, now);
    }
}
