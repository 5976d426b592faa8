//! Takes over what was read again: targets that stay keep their figures, new ones start, those gone
//! end with their summary.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use udp_core::clock;
use udp_core::endpoint::Role;

use super::engine::{Engine, Fixed};
use super::reload::Fresh;
use super::reporter::Name;
use super::setup;
use crate::probe::schedule::TargetId;
use crate::report::{Item, Reloaded};
use crate::targets_file::Listed;

impl Engine<'_> {
    /// Targets that stay keep their figures, new ones start, those gone end with their summary.
    pub(super) fn take_fresh(&mut self, fresh: Fresh) {
        if let Some(key) = fresh.key {
            self.targets.replace_key(key);
        }
        let (added, removed) = fresh.targets.map_or((0, 0), |listed| self.take_targets(listed));
        let targets = self.targets.present().count();
        log::info!("read again: {targets} targets, {added} added, {removed} removed");
        let reloaded = Reloaded { at: clock::wall(), targets, added, removed };
        self.reporter.say(Item::Reloaded(reloaded));
    }

    /// How many were added, and removed.
    fn take_targets(&mut self, listed: Vec<Listed>) -> (usize, usize) {
        let (mut added, mut removed) = (0, 0);
        let named: HashSet<String> = listed.iter().map(|it| self.label(it)).collect();
        let mut here: HashMap<String, TargetId> = HashMap::new();
        for id in self.targets.present().collect::<Vec<_>>() {
            let label = &self.targets.target(id).label;
            if named.contains(label) {
                here.insert(label.clone(), id);
            } else {
                self.remove(id);
                removed += 1;
            }
        }
        for listed in listed {
            let label = self.label(&listed);
            if let Some(id) = here.get(&label) {
                self.reporter.set_labels(*id, listed.labels);
            } else {
                self.add(label, listed);
                added += 1;
            }
        }
        (added, removed)
    }

    fn label(&self, listed: &Listed) -> String {
        listed.endpoint.label(self.fixed.default_port)
    }

    fn remove(&mut self, id: TargetId) {
        let summary = self.summary(vec![id]);
        self.timeline.end(id);
        self.reporter.lookups.remove(id);
        self.targets.retire(id, clock::mono());
        if self.fixed.summaries {
            self.reporter.say(Item::Summary(Box::new(summary)));
        }
    }

    fn add(&mut self, label: String, listed: Listed) {
        let now = clock::mono();
        let Listed { endpoint, labels } = listed;
        let count = self.fixed.count;
        let id =
            self.targets.add(label.clone(), endpoint.clone(), setup::stamp_session(), count, now);
        let name = Name { label: Arc::from(label), given: endpoint.to_string(), labels };
        self.reporter.set_name(id, name);
        if endpoint.is_name() {
            self.targets.unresolved(id, "its name has not resolved yet", now, &mut self.reporter);
            self.reporter.lookups.begin_new(id, now);
            self.ask(id);
        } else {
            let Fixed { family, default_port, .. } = self.fixed;
            match endpoint.resolve(Role::Ask, family, default_port) {
                Ok(addresses) => self.follow(id, &addresses, now),
                Err(error) => {
                    self.targets.unresolved(id, &error.to_string(), now, &mut self.reporter);
                }
            }
        }
        self.timeline.add(id, now);
    }
}
