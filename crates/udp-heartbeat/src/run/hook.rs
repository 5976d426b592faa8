//! The command that runs on each change of state.
//!
//! A thread of its own starts it, so nothing waits for it. A target's commands run one after the
//! other, those of different targets side by side up to a bound. What it prints goes to stderr,
//! and a Ctrl-C at the terminal is not for it. That it failed is said and changes nothing.

use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};
use udp_core::clock::Wall;

use crate::probe::schedule::TargetId;
use crate::probe::state::Health;

/// Changes that may wait for their command.
const WAITING: usize = 4096;
/// Commands that may run at once.
const RUNNING: usize = 16;
/// How long the end of the run waits for commands that are still at it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change of state, with what its command is told.
#[derive(Debug, Clone)]
pub(crate) struct Occasion {
    pub(crate) target: TargetId,
    /// `host:port`, as it was named.
    pub(crate) label: String,
    /// Its address and port, or nothing.
    pub(crate) address: String,
    pub(crate) state: Health,
    pub(crate) previous: Health,
    pub(crate) since: Wall,
    /// How long the previous state lasted.
    pub(crate) lasted: Duration,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
}

impl Occasion {
    fn variables(&self) -> [(&'static str, String); 8] {
        [
            ("UDP_STATE", self.state.to_string()),
            ("UDP_TARGET", self.label.clone()),
            ("UDP_ADDRESS", self.address.clone()),
            ("UDP_PREVIOUS", self.previous.to_string()),
            ("UDP_SINCE", self.since.rfc3339()),
            ("UDP_DURATION", format!("{:.3}", self.lasted.as_secs_f64())),
            ("UDP_SENT", self.sent.to_string()),
            ("UDP_LOST", self.lost.to_string()),
        ]
    }
}

/// Where changes go in.
#[derive(Debug)]
pub(crate) struct Hook {
    occasions: Sender<Occasion>,
    finished: Receiver<()>,
}

impl Hook {
    /// Starts the thread that runs `command` in the shell.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start(command: OsString) -> std::io::Result<Hook> {
        let (occasions, incoming) = bounded(WAITING);
        let (done, finished) = bounded(0);
        thread::Builder::new().name("on-change".into()).spawn(move || {
            serve(&command, &incoming);
            drop(done);
        })?;
        Ok(Hook { occasions, finished })
    }

    /// Runs the command for a change, some time.
    pub(crate) fn submit(&self, occasion: Occasion) {
        if let Err(refused) = self.occasions.try_send(occasion) {
            let label = refused.into_inner().label;
            log::warn!("--on-change: too many commands wait, none is run for {label}");
        }
    }

    /// Waits a while for commands that are still at it; they are not ended.
    pub(crate) fn finish(self) {
        drop(self.occasions);
        // Nothing is ever sent: the channel closes at the end.
        if self.finished.recv_timeout(PATIENCE) == Err(crossbeam_channel::RecvTimeoutError::Timeout)
        {
            log::warn!("--on-change: a command still runs and is left to itself");
        }
    }
}

/// Starts commands until all is done.
fn serve(command: &OsStr, incoming: &Receiver<Occasion>) {
    let (ended, ends) = unbounded();
    let mut waiting: VecDeque<Occasion> = VecDeque::new();
    let mut running: HashSet<TargetId> = HashSet::new();
    let mut open = true;
    while open || !running.is_empty() || !waiting.is_empty() {
        let at = waiting.iter().position(|it| !running.contains(&it.target));
        if let Some(at) = at.filter(|_| running.len() < RUNNING)
            && let Some(occasion) = waiting.remove(at)
        {
            let target = occasion.target;
            if start(command, occasion, ended.clone()) {
                running.insert(target);
            }
            continue;
        }
        // What cannot run yet waits in the channel, which is bounded.
        let take = open && waiting.len() < WAITING;
        let nothing = crossbeam_channel::never();
        select! {
            recv(if take { incoming } else { &nothing }) -> occasion => match occasion {
                Ok(occasion) => waiting.push_back(occasion),
                Err(_) => open = false,
            },
            recv(ends) -> target => {
                if let Ok(target) = target {
                    running.remove(&target);
                }
            }
        }
    }
}

/// Starts a command and a thread that waits for it. False if it could not be started.
fn start(command: &OsStr, occasion: Occasion, ended: Sender<TargetId>) -> bool {
    let failed = |error: &std::io::Error| {
        let reason = udp_core::error::describe(error);
        log::warn!("--on-change: cannot run the command: {reason}");
        false
    };
    let mut child = match shell(command)
        .envs(occasion.variables())
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .spawn()
    {
        Ok(child) => child,
        Err(error) => return failed(&error),
    };
    let wait = move || {
        match child.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                let (label, state) = (&occasion.label, occasion.state);
                log::warn!("--on-change: the command for {label} ({state}) failed: {status}");
            }
            Err(error) => log::warn!("--on-change: {}", udp_core::error::describe(&error)),
        }
        // The other end is there as long as anything runs.
        let _ = ended.send(occasion.target);
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
