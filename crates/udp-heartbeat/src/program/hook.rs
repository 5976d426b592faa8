//! The command that runs on each change of state.
//!
//! A thread of its own starts it, so nothing waits for it. A target's commands run one after the
//! other; while one runs, only the newest change waits, and a command that hangs is warned about.
//! Commands print to stderr and are not reached by a Ctrl-C at the terminal.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use udp_core::cli::children;
use udp_core::clock::{self, Mono};
use udp_core::text::escape::escape;

use crate::probe::schedule::TargetId;
use crate::report::StateChange;

/// Changes that may wait to be looked at.
const WAITING: usize = 4096;
/// Commands that may run at once.
const RUNNING: usize = 16;
/// A command that runs longer than this is warned about.
const HANGS: Duration = Duration::from_secs(5);
/// How long the end of the run waits for commands that are still at it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change of state, and whose.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) target: TargetId,
    /// `host:port`, for messages.
    pub(crate) label: Arc<str>,
    /// The target as it was given.
    pub(crate) given: String,
    /// Its address and port, or nothing.
    pub(crate) address: String,
    pub(crate) change: StateChange,
}

impl Notice {
    fn variables(&self) -> [(&'static str, String); 10] {
        let StateChange { change, since, sent, lost, .. } = &self.change;
        let or_nothing = |text: Option<String>| text.unwrap_or_default();
        [
            ("UDP_STATE", change.state.to_string()),
            ("UDP_PREVIOUS", change.previous.to_string()),
            ("UDP_TARGET", self.given.clone()),
            ("UDP_ADDRESS", self.address.clone()),
            ("UDP_SINCE", since.rfc3339()),
            ("UDP_DURATION", format!("{:.3}", change.lasted.as_secs_f64())),
            ("UDP_SENT", sent.to_string()),
            ("UDP_LOST", lost.to_string()),
            ("UDP_VERDICT", or_nothing(change.verdict.map(|it| it.to_string()))),
            // A stranger's word, which may hold what no environment takes.
            ("UDP_REASON", escape(or_nothing(self.change.reason()).as_bytes())),
        ]
    }

    /// The target and its new state, for a message.
    fn name(&self) -> String {
        format!("{} ({})", self.label, self.change.change.state)
    }
}

/// Where changes go in.
#[derive(Debug)]
pub(crate) struct Hook {
    notices: Sender<Notice>,
    finished: Receiver<()>,
}

impl Hook {
    /// Starts the thread that runs `command` in the shell; what it prints goes to stderr, or nowhere where
    /// that would be over a `screen`.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start(command: OsString, screen: bool) -> std::io::Result<Hook> {
        let (notices, incoming) = bounded(WAITING);
        let (done, finished) = bounded(0);
        thread::Builder::new().name("on-change".into()).spawn(move || {
            Commands::new(command, screen).serve(&incoming);
            drop(done);
        })?;
        Ok(Hook { notices, finished })
    }

    /// Runs the command for a change, some time.
    pub(crate) fn submit(&self, notice: Notice) {
        if let Err(refused) = self.notices.try_send(notice) {
            let label = refused.into_inner().label;
            log::warn!("--on-change: too many changes wait, none is told for {label}");
        }
    }

    /// Waits a while for commands that are still at it; they are not ended.
    pub(crate) fn finish(self) {
        drop(self.notices);
        // Nothing is ever sent: the channel closes at the end.
        if self.finished.recv_timeout(PATIENCE) == Err(crossbeam_channel::RecvTimeoutError::Timeout)
        {
            log::warn!("--on-change: a command still runs and is left to itself");
        }
    }
}

/// Commands that run and changes that wait for theirs.
struct Commands {
    command: OsString,
    screen: bool,
    /// At most one of a target: its newest.
    waiting: VecDeque<Notice>,
    running: HashMap<TargetId, Running>,
}

struct Running {
    name: String,
    /// When it is warned about, unless it was.
    hangs: Option<Mono>,
}

impl Commands {
    fn new(command: OsString, screen: bool) -> Self {
        Commands { command, screen, waiting: VecDeque::new(), running: HashMap::new() }
    }

    /// Starts commands until all is done.
    fn serve(&mut self, incoming: &Receiver<Notice>) {
        let (ended, ends) = bounded(RUNNING);
        let mut incoming = incoming.clone();
        let mut open = true;
        loop {
            self.start_next(&ended);
            if !open && self.running.is_empty() && self.waiting.is_empty() {
                return;
            }
            let hangs = self.running.values().filter_map(|it| it.hangs).min();
            let alarm = hangs.map_or(Duration::MAX, |at| at.saturating_since(clock::mono()));
            select! {
                recv(incoming) -> notice => match notice {
                    Ok(notice) => self.take(notice),
                    Err(_) => {
                        open = false;
                        incoming = crossbeam_channel::never();
                    }
                },
                recv(ends) -> target => {
                    target.ok().and_then(|target| self.running.remove(&target));
                }
                default(alarm) => self.warn(clock::mono()),
            }
        }
    }

    fn take(&mut self, notice: Notice) {
        match self.waiting.iter_mut().find(|it| it.target == notice.target) {
            Some(older) => *older = notice,
            None => self.waiting.push_back(notice),
        }
    }

    /// Starts what may run now.
    fn start_next(&mut self, ended: &Sender<TargetId>) {
        while self.running.len() < RUNNING
            && let Some(at) =
                self.waiting.iter().position(|it| !self.running.contains_key(&it.target))
            && let Some(notice) = self.waiting.remove(at)
        {
            let (target, name) = (notice.target, notice.name());
            if start((&self.command, self.screen), notice, ended.clone()) {
                let hangs = Some(clock::mono() + HANGS);
                self.running.insert(target, Running { name, hangs });
            }
        }
    }

    fn warn(&mut self, now: Mono) {
        for running in self.running.values_mut() {
            if running.hangs.take_if(|at| *at <= now).is_some() {
                log::warn!(
                    "--on-change: the command for {} has been running for {} s; \
                     the newest change is told when it ends",
                    running.name,
                    HANGS.as_secs()
                );
            }
        }
    }
}

/// Starts a command and a thread that waits for it. False if it could not be started.
fn start((command, screen): (&OsStr, bool), notice: Notice, ended: Sender<TargetId>) -> bool {
    let failed = |error: &std::io::Error| {
        let reason = udp_core::error::describe(error);
        log::warn!("--on-change: cannot run the command: {reason}");
        false
    };
    let mut shell = shell(command);
    shell.envs(notice.variables()).stdin(Stdio::null());
    match screen {
        true => shell.stdout(Stdio::null()).stderr(Stdio::null()),
        false => shell.stdout(Stdio::from(std::io::stderr())),
    };
    let child = match children::spawn(&mut shell) {
        Ok(child) => child,
        Err(error) => return failed(&error),
    };
    let wait = move || {
        match children::wait(child) {
            Ok(status) if status.success() => {}
            Ok(status) => {
                log::warn!("--on-change: the command for {} failed: {status}", notice.name());
            }
            Err(error) => log::warn!("--on-change: {}", udp_core::error::describe(&error)),
        }
        // The other end is there as long as anything runs, and has room for each command.
        let _ = ended.send(notice.target);
    };
    match thread::Builder::new().name("command".into()).spawn(wait) {
        Ok(_) => true,
        Err(error) => failed(&error),
    }
}

#[cfg(unix)]
fn shell(command: &OsStr) -> Command {
    use std::os::unix::process::CommandExt;

    let mut shell = Command::new("/bin/sh");
    // In a group of its own, which the terminal's Ctrl-C does not reach.
    shell.arg("-c").arg(command).process_group(0);
    shell
}

#[cfg(not(unix))]
fn shell(command: &OsStr) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}
