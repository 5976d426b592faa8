//! `--web-config`: TLS and passwords from files that are read again for each new connection.
//!
//! A file that turned bad lets nobody in until it is good again. Unlike with exporter-toolkit, which reads
//! them so as well, a connection ends with the certificates and rules for clients that it began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::config::{self, Rules, Seen};
use super::passwords::Passwords;
use crate::cli::{Failure, files};

/// The configuration of `--web-config`.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    state: Mutex<State>,
    pub(super) passwords: Passwords,
}

#[derive(Debug)]
struct State {
    seen: Seen,
    rules: Result<Arc<Rules>, Failure>,
    /// Whether the last good one had TLS.
    tls: bool,
}

impl Guard {
    /// Reads the configuration for the first time.
    ///
    /// # Errors
    /// What is bad, or cannot be read.
    pub fn open(path: &Path) -> Result<Arc<Guard>, Failure> {
        let mut seen = Seen::new();
        let rules = Arc::new(config::read(path, &mut seen)?);
        let tls = rules.tls.is_some();
        let state = Mutex::new(State { seen, rules: Ok(rules), tls });
        Ok(Arc::new(Guard { path: path.into(), state, passwords: Passwords::default() }))
    }

    /// Reads again what has changed.
    ///
    /// # Errors
    /// As [`open`](Self::open): nobody is let in until it is good again.
    pub fn read_again(&self) -> Result<(), Failure> {
        self.rules().map(drop)
    }

    pub(super) fn rules(&self) -> Result<Arc<Rules>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !config::unchanged(&state.seen) {
            state.seen.clear();
            state.rules = config::read(&self.path, &mut state.seen).map(Arc::new);
            match &state.rules {
                Ok(rules) => {
                    log::info!("{} read again", self.path.display());
                    state.tls = rules.tls.is_some();
                }
                Err(failure) => {
                    files::warn_unchanged(failure);
                    log::warn!("nobody is answered until it is good again");
                }
            }
        }
        state.rules.clone()
    }

    /// Whether TLS is spoken, by the last good one.
    pub(super) fn has_tls(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).tls
    }
}
