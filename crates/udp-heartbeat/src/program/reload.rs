//! Reads the list of targets, the modules, the key and the web configuration again, and opens the recording
//! again, on SIGHUP and POST /-/reload; and the list when it has changed.
//!
//! A thread of its own reads, so that no disk holds up a beat. What is bad changes nothing and is said.
//! A file that is just being written is left alone until it has stayed the same for a while.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};
use std::{fs, io, thread};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use udp_core::cli::web::Guard;
use udp_core::cli::{Failure, files, notify};
use udp_core::clock::{self, Wall};
use udp_core::stamp::Key;

use super::inputs::{read_list, read_modules, say_twice};
use super::{PATIENCE, Probes, watchdog};
use crate::config::{self, Sources};
use crate::modules::Modules;
use crate::probe::targets::Listed;
use crate::record::Recording;
use crate::run::{Caller, Prober};
use crate::targets_file;

/// How often it is looked whether the list has changed, and how long it has to stay the same.
const EVERY: Duration = Duration::from_secs(1);

/// What was read.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) targets: Option<Vec<Listed>>,
    pub(crate) key: Option<Key>,
    pub(crate) modules: Option<Modules>,
}

/// Somebody asks for the files to be read again, and may wait for the answer.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    pub(crate) answer: Option<Sender<Result<(), String>>>,
}

impl Ask {
    fn answer(&self, how: Result<(), String>) {
        // Who asked may have gone.
        let _ = self.answer.as_ref().map(|answer| answer.try_send(how));
    }
}

/// Whether files were read again well, and when they last were.
#[derive(Debug, Clone)]
pub(crate) struct Reloads(Arc<Mutex<(bool, Wall)>>);

impl Reloads {
    /// They were read at the start.
    pub(crate) fn new() -> Reloads {
        Reloads(Arc::new(Mutex::new((true, clock::wall()))))
    }

    fn note(&self, well: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = well;
        if well {
            state.1 = clock::wall();
        }
    }

    pub(super) fn get(&self) -> (bool, Wall) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        self.list.is_some() || self.key.is_some() || self.modules.is_some() || self.has_secrets()
    }

    /// Whether a target of the command line has a file of its own.
    fn has_secrets(&self) -> bool {
        let all = self.named.iter().chain(&self.service);
        all.into_iter().any(|text| text.contains("-file="))
    }

    /// Reads on each request, which is `done` then, and what has changed meanwhile, until nobody
    /// asks any more.
    fn watch(
        &self,
        asks: &Receiver<Ask>,
        reloads: &Reloads,
        around: impl Fn() -> bool,
        found: impl Fn(Fresh, Ask),
        done: impl Fn(),
    ) {
        let look = || self.list.as_deref().and_then(mark);
        let mut read = look();
        let mut seen = read;
        loop {
            let ask = match asks.recv_timeout(EVERY) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = look();
            let settled = now == std::mem::replace(&mut seen, now);
            if ask.is_none() && (now == read || !settled) {
                continue;
            }
            read = now;
            let asked = ask.is_some();
            if asked {
                notify::reloading();
            }
            let well = !asked || around();
            let fresh = self.read(asked);
            reloads.note(fresh.is_ok() && well);
            let ask = ask.unwrap_or_default();
            match fresh {
                Ok(_) if !self.any() => ask.answer(Ok(())),
                Ok(fresh) => found(fresh, ask),
                Err(failure) => {
                    files::warn_unchanged(&failure);
                    ask.answer(Err(failure.to_string()));
                }
            }
            if asked {
                done();
            }
        }
    }

    fn read(&self, all: bool) -> Result<Fresh, Failure> {
        let service = config::service(self.service.as_deref())?;
        let mut named = config::named(&self.named, service.as_ref())?;
        let merged = |targets| {
            let (targets, twice) = config::merge(targets, self.family, self.default_port);
            say_twice(&twice);
            config::part(targets, self)
        };
        let targets = match &self.list {
            Some(path) => {
                let (file, content) = read_list(path)?;
                let listed = targets_file::parse(&file, &content, service.as_ref());
                named.extend(listed.map_err(Failure::in_file)?);
                if named.is_empty() && self.modules.is_none() {
                    return Err(Failure::usage(format!("{file} names no target")));
                }
                Some(merged(named)?)
            }
            None => self.has_secrets().then(|| merged(named)).transpose()?,
        };
        let key = self.key.as_deref().filter(|_| all).map(files::stamp_key);
        let modules = self.modules.as_deref().filter(|_| all).map(read_modules);
        Ok(Fresh { targets, key: key.transpose()?, modules: modules.transpose()? })
    }
}

/// Who has a part in it, beside the targets and the key.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) prober: Weak<Prober>,
    pub(crate) recording: Option<Recording>,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) probes: Option<Arc<Probes>>,
}

impl Around {
    /// Opens the recording again, and reads the web configuration. Whether that is good.
    fn again(&self) -> bool {
        if let (Some(recording), Some(prober)) = (&self.recording, self.prober.upgrade()) {
            recording.reopen(&prober.snapshot());
        }
        self.guard.as_ref().is_none_or(|guard| guard.read_again().is_ok())
    }
}

/// Starts the thread that reads files again where it is asked to.
pub(crate) fn start(
    sources: Sources,
    caller: Caller,
    reloads: Reloads,
    around: Around,
) -> io::Result<Sender<Ask>> {
    let (asks, asked) = bounded(1);
    let ready = caller.clone();
    let work = move || {
        let found = |Fresh { targets, key, modules }: Fresh, ask: Ask| {
            if let Some((probes, modules)) = around.probes.as_ref().zip(modules) {
                probes.replace(modules, key.clone());
            }
            caller.run(move |engine| {
                if let Some(key) = key {
                    engine.targets.replace_key(&key);
                }
                match targets {
                    Some(targets) => engine.take_targets(targets),
                    None => engine.tell_regrouped(Vec::new(), 0),
                }
                ask.answer(Ok(()));
            });
        };
        let done = || {
            watchdog::came_by(&ready, PATIENCE);
            notify::ready();
        };
        sources.watch(&asked, &reloads, || around.again(), found, done);
    };
    thread::Builder::new().name("files".into()).spawn(work)?;
    Ok(asks)
}
