//! Tells a service manager how the program stands (`sd_notify(3)`): ready, reading files again, alive,
//! ending. Without a service manager, and on other systems, nothing happens.
//!
//! A call may wait for the service manager, so it belongs on a thread that nothing waits for.

use std::time::Duration;

/// It runs, with all that it was asked for, or with what it has read again.
pub fn ready() {
    #[cfg(target_os = "linux")]
    say(&[sd_notify::NotifyState::Ready]);
}

/// It reads its files again; [`ready`] follows. The time is what `Type=notify-reload` asks for, to
/// tell this reload from one before.
pub fn reloading() {
    #[cfg(target_os = "linux")]
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        say(&[sd_notify::NotifyState::Reloading, now]);
    }
}

/// What had to be alive is alive; to be said within each [`watchdog`] time.
pub fn alive() {
    #[cfg(target_os = "linux")]
    say(&[sd_notify::NotifyState::Watchdog]);
}

/// It is about to end.
pub fn stopping() {
    #[cfg(target_os = "linux")]
    // It is ending: a failure concerns nobody any more.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}

/// The time within which the service manager wants to hear of it (`WatchdogSec=`).
pub fn watchdog() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
fn say(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot notify the service manager: {}", crate::error::describe(&error));
    }
}
