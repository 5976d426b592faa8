//! Children of a process that is the first of its container.
//!
//! Processes whose parent has ended are handed to process 1 of their namespace, and stay there as
//! zombies until it waits for them (`pid_namespaces(7)`). Children that were started here are waited
//! for where they were started; `reap` waits for all others.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The processes that somebody here waits for.
static WAITED_FOR: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn waited_for() -> MutexGuard<'static, BTreeSet<u32>> {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process that is to be waited for with [`wait`].
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    // Held until it is in the set: it may end at once.
    let mut own = waited_for();
    let child = command.spawn()?;
    own.insert(child.id());
    Ok(child)
}

/// Waits for a process that [`spawn`] started.
///
/// # Errors
/// As [`Child::wait`].
pub fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let status = child.wait();
    waited_for().remove(&child.id());
    status
}

/// Whether this process is the one that orphans are handed to.
#[cfg(unix)]
pub(super) fn is_first() -> bool {
    cfg!(target_os = "linux") && std::process::id() == 1
}

/// Waits for the ended children that were not started here.
#[cfg(target_os = "linux")]
pub(super) fn reap() {
    use nix::sys::wait::{WaitPidFlag, waitpid};
    use nix::unistd::Pid;

    let own = waited_for();
    // Orphans are handed to the main thread: its list is all of them (`proc_pid_children(5)`).
    let children = std::fs::read_to_string("/proc/1/task/1/children").unwrap_or_default();
    for child in children.split_ascii_whitespace().filter_map(|id| id.parse::<i32>().ok()) {
        if !own.contains(&child.unsigned_abs()) {
            // One that still runs is left alone.
            let _ = waitpid(Pid::from_raw(child), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// No other system has such namespaces.
#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn reap() {}
