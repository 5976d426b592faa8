//! Deadlines of waits. The only clock reader of the end-to-end run.

use std::time::{Duration, Instant};

/// How long anything that should happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A moment after which waiting is over.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    /// What is left, or `None` once the moment has passed.
    pub fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(now()).filter(|left| !left.is_zero())
    }

    pub fn instant(self) -> Instant {
        self.0
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the black box shares no code with what it tests, so it reads the clock itself"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets time pass. Only for a scenario whose subject is time itself: what should happen is waited
/// for by looking at it.
#[expect(
    clippy::disallowed_methods,
    reason = "the black box shares no code with what it tests, so it sleeps by itself"
)]
pub fn pause(wait: Duration) {
    std::thread::sleep(wait);
}
