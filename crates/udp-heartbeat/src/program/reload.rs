//! Reads the list of targets and the key again: on SIGHUP, and the list when it has changed.
//!
//! A thread of its own reads, so that no disk holds up a beat. What is bad changes nothing and is said.
//! A file that is just being written is left alone until it has stayed the same for a while.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use udp_core::cli::{Failure, files};
use udp_core::stamp::Key;

use super::read_list;
use crate::config::{self, Sources};
use crate::probe::targets::Listed;
use crate::targets_file;

/// How often it is looked whether the list has changed, and how long it has to stay the same.
const EVERY: Duration = Duration::from_secs(1);

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
        self.list.is_some() || self.key.is_some() || self.has_secrets()
    }

    /// Whether a target of the command line has a file of its own.
    fn has_secrets(&self) -> bool {
        let all = self.named.iter().chain(&self.service);
        all.into_iter().any(|text| text.contains("-file="))
    }

    /// Reads on each request, which is `done` then, and what has changed meanwhile, until nobody
    /// asks any more.
    pub(crate) fn watch(&self, requests: &Receiver<()>, found: impl Fn(Fresh), done: impl Fn()) {
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
                Err(failure) => files::warn_unchanged(&failure),
            }
            if asked {
                done();
            }
        }
    }

    fn read(&self, all: bool) -> Result<Fresh, Failure> {
        let service = config::service(self.service.as_deref())?;
        let mut named = config::named(&self.named, service.as_ref())?;
        let merged = |targets| config::merge(targets, self.family, self.default_port).0;
        let targets = match &self.list {
            Some(path) => {
                let (file, content) = read_list(path)?;
                let listed = targets_file::parse(&file, &content, service.as_ref());
                named.extend(listed.map_err(Failure::in_file)?);
                let targets = merged(named);
                if targets.is_empty() {
                    return Err(Failure::usage(format!("{file} names no target")));
                }
                Some(targets)
            }
            None => self.has_secrets().then(|| merged(named)),
        };
        let key = self.key.as_deref().filter(|_| all).map(files::stamp_key);
        Ok(Fresh { targets, key: key.transpose()? })
    }
}
