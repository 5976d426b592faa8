//! Reads the list of targets and the key again: on SIGHUP, and the list when it has changed.
//!
//! A thread of its own reads, so that no disk holds up a beat. What is bad changes nothing and is said.
//! A file that is just being written is left alone until it has stayed the same for a while.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use udp_core::Family;
use udp_core::cli::Failure;
use udp_core::clock;
use udp_core::endpoint::Role;
use udp_core::stamp::Key;

use super::engine::{Engine, Fixed};
use super::reporter::Name;
use super::{read_key, read_list, setup};
use crate::config::merge;
use crate::probe::schedule::TargetId;
use crate::report::{Item, Reloaded};
use crate::targets_file::{self, Listed};

/// How often it is looked whether the list has changed, and how long it has to stay the same.
const EVERY: Duration = Duration::from_secs(1);

/// Where targets and key come from.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// Targets of the command line, which stay.
    pub(crate) named: Vec<Listed>,
    pub(crate) list: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) family: Family,
    pub(crate) default_port: u16,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) targets: Option<Vec<Listed>>,
    pub(crate) key: Option<Key>,
}

/// When a file was changed last, and how long it is.
type Mark = Option<(SystemTime, u64)>;

fn mark(path: &Path) -> Mark {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

impl Sources {
    /// Whether there is anything to read again.
    pub(crate) fn any(&self) -> bool {
        self.list.is_some() || self.key.is_some()
    }

    /// Reads on each request, and what has changed meanwhile, until nobody asks any more.
    pub(crate) fn watch(&self, requests: &Receiver<()>, found: impl Fn(Fresh)) {
        let look = || self.list.as_deref().and_then(mark);
        let mut read = look();
        let mut seen = read;
        loop {
            let asked = match requests.recv_timeout(EVERY) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = look();
            let settled = now == std::mem::replace(&mut seen, now);
            if !asked && (now == read || !settled) {
                continue;
            }
            read = now;
            match self.read(asked) {
                Ok(fresh) => found(fresh),
                Err(failure) => say(&failure),
            }
        }
    }

    fn read(&self, all: bool) -> Result<Fresh, Failure> {
        let targets = match &self.list {
            Some(path) => {
                let (file, content) = read_list(path)?;
                let listed = targets_file::parse(&file, &content).map_err(Failure::in_file)?;
                let targets = self.named.iter().cloned().chain(listed).collect();
                let (targets, _) = merge(targets, self.family, self.default_port);
                if targets.is_empty() {
                    return Err(Failure::usage(format!("{file} names no target")));
                }
                Some(targets)
            }
            None => None,
        };
        let key = self.key.as_deref().filter(|_| all).map(|path| {
            let invalid = |error| Failure::local(format!("--stamp-key-file: {error}"));
            read_key(path).and_then(|bytes| Key::from_file_bytes(&bytes).map_err(invalid))
        });
        Ok(Fresh { targets, key: key.transpose()? })
    }
}

/// A file that is bad: nothing is changed by it.
fn say(failure: &Failure) {
    match &failure.faults[..] {
        [] => log::warn!("not read again: {}", failure.message),
        faults => faults.iter().take(10).for_each(|fault| log::warn!("not read again: {fault}")),
    }
}

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
