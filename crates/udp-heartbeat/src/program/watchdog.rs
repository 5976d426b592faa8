//! Tells the service manager that the schedule loop is alive, where it wants to hear so
//! (`WatchdogSec=`). It is said when the loop has come by: a loop that hangs is not alive, whatever
//! other threads do. The loop itself waits for nobody.

use std::io;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{bounded, never};
use udp_core::cli::notify;

use crate::run::Caller;

/// Starts a thread for it, if there is anybody to be told.
pub(super) fn start(caller: &Caller) -> io::Result<()> {
    let Some(limit) = notify::watchdog() else { return Ok(()) };
    let caller = caller.clone();
    let work = move || {
        while came_by(&caller, limit) {
            notify::alive();
            // Twice within the time, as sd_watchdog_enabled(3) recommends.
            let _ = never::<()>().recv_timeout(limit / 2);
        }
    };
    thread::Builder::new().name("watchdog".into()).spawn(work).map(drop)
}

/// Whether the loop does, within `limit`, what it is asked between two beats.
pub(super) fn came_by(caller: &Caller, limit: Duration) -> bool {
    let (passed, seen) = bounded(1);
    let asked = caller.run(move |_| {
        let _ = passed.try_send(());
    });
    asked && seen.recv_timeout(limit).is_ok()
}
