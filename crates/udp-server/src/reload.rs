//! The access list and the reflector's key: read at the start, and again on SIGHUP.
//!
//! A thread of its own reads them again, so that no disk holds up a worker or a signal. What is bad
//! changes nothing and is said. Workers look once a batch whether there is something newer.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Receiver;
use udp_core::cli::web::Guard;
use udp_core::cli::{Failure, files, notify};
use udp_core::stamp::Key;

use crate::policy::{Access, Lists};

/// The longest access file, in bytes.
const LONGEST_LIST: u64 = 16 << 20;

/// Where they come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sources {
    /// `--allow` and `--deny`, which stay.
    pub(crate) named: Lists,
    /// `--access-file`
    pub(crate) access: Option<PathBuf>,
    /// `--stamp-key-file`
    pub(crate) key: Option<PathBuf>,
}

/// What was read.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) access: Arc<Access>,
    pub(crate) key: Option<Key>,
}

impl Sources {
    /// Whether there is anything to read again.
    pub(crate) fn any(&self) -> bool {
        self.access.is_some() || self.key.is_some()
    }

    /// Reads the files.
    ///
    /// # Errors
    /// One that cannot be read, or every bad line of it.
    pub(crate) fn read(&self) -> Result<Rules, Failure> {
        let mut lists = self.named.clone();
        if let Some(path) = &self.access {
            let content = files::read(path, LONGEST_LIST)?;
            let name = path.display().to_string();
            lists.extend(Lists::parse(&name, &content).map_err(Failure::in_file)?);
        }
        let key = self.key.as_deref().map(files::stamp_key).transpose()?;
        Ok(Rules { access: Arc::new(Access::new(&lists)), key })
    }

    /// Reads the files again; what is bad changes nothing and is said.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_again(&self, rules: &Current) -> Result<(), Failure> {
        // Of two who ask at once, the one that reads last is the one whose rules hold.
        let _one = rules.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = self.read().inspect_err(files::warn_unchanged)?;
        rules.replace(fresh);
        log::info!("access list and key read again");
        Ok(())
    }

    /// Reads on each request, until nobody asks any more.
    pub(crate) fn serve(&self, requests: &Receiver<()>, rules: &Current, guard: Option<&Guard>) {
        for () in requests {
            notify::reloading();
            // What is bad was said.
            let _ = guard.map(Guard::read_again);
            let _ = self.read_again(rules);
            notify::ready();
        }
    }
}

/// The rules that hold now, for all workers.
#[derive(Debug)]
pub(crate) struct Current {
    version: AtomicU64,
    rules: Mutex<Rules>,
    /// Held while files are read again.
    reading: Mutex<()>,
}

impl Current {
    /// These hold first.
    pub(crate) fn new(rules: Rules) -> Self {
        Current { version: AtomicU64::new(0), rules: Mutex::new(rules), reading: Mutex::default() }
    }

    /// The rules that hold now.
    pub(crate) fn get(&self) -> Rules {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, rules: Rules) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The rules, if they are newer than those that `seen` stands for.
    pub(crate) fn newer_than(&self, seen: &mut u64) -> Option<Rules> {
        let version = self.version.load(Ordering::Acquire);
        (std::mem::replace(seen, version) != version).then(|| self.get())
    }
}
