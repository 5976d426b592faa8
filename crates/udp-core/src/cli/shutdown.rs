//! Signals: how a program is asked to stop, or to say how it stands.
//!
//! SIGINT, SIGTERM and SIGHUP (unless it is ignored, as under nohup) ask it to stop; a second one
//! ends the process at once, as if it had no handler. SIGUSR1, and SIGQUIT where there is a
//! terminal to send it, ask for a snapshot. SIGXFSZ is switched off, so that a file at its size
//! limit is a failed write and not the end. See `signal(7)`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};

use super::Failure;

/// What a signal asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalEvent {
    /// Stop, with a summary.
    Stop,
    /// Say in one line on stderr how things stand, and go on.
    Snapshot,
}

/// The signals that were taken over.
#[derive(Debug, Clone)]
pub struct Signals {
    events: Receiver<SignalEvent>,
    stopped: Arc<AtomicBool>,
}

impl Signals {
    /// What signals ask for, in order: a program's select loop listens here.
    pub fn events(&self) -> &Receiver<SignalEvent> {
        &self.events
    }

    /// Whether a stop was asked for, for loops that wait on something else.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The flag behind [`stopped`](Self::stopped), to share with other threads, or to set.
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.stopped
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{self, IsTerminal};
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGXFSZ};
    use signal_hook::iterator::Signals as Incoming;
    use signal_hook::low_level::emulate_default_handler;

    use super::{Arc, AtomicBool, Failure, Ordering, SignalEvent, Signals, bounded};

    /// Events that may wait; a program that does not even take so many is stuck, and a second
    /// SIGINT ends it.
    const CAPACITY: usize = 16;

    impl Signals {
        /// Takes the signals over.
        ///
        /// # Errors
        /// A local failure, when the system refuses a handler or a thread.
        pub fn install() -> Result<Signals, Failure> {
            let failed = |error: io::Error| {
                Failure::local(format!("cannot handle signals: {}", crate::error::describe(&error)))
            };
            let mut wanted = vec![SIGINT, SIGTERM, SIGUSR1];
            if !is_ignored(SIGHUP) {
                wanted.push(SIGHUP);
            }
            if io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
            {
                wanted.push(SIGQUIT);
            }
            signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
                .map_err(failed)?;
            let mut incoming = Incoming::new(&wanted).map_err(failed)?;
            let (sender, events) = bounded(CAPACITY);
            let stopped = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&stopped);
            let deliver = move || {
                let mut asked = false;
                for signal in incoming.forever() {
                    let event = match signal {
                        SIGUSR1 | SIGQUIT => SignalEvent::Snapshot,
                        _ => SignalEvent::Stop,
                    };
                    if event == SignalEvent::Stop {
                        if asked {
                            // Ends the process; if it cannot, there is nothing better to do.
                            let _ = emulate_default_handler(signal);
                        }
                        asked = true;
                        flag.store(true, Ordering::Relaxed);
                    }
                    let _ = sender.try_send(event);
                }
            };
            thread::Builder::new().name("signals".into()).spawn(deliver).map_err(failed)?;
            Ok(Signals { events, stopped })
        }
    }

    /// Whether the process was started with `signal` ignored: a bit of SigIgn, `proc(5)`.
    fn is_ignored(signal: i32) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask >> (signal - 1) & 1 == 1
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Where there are no signals to take over, the system's own handling of Ctrl-C stays.
    ///
    /// # Errors
    /// Never.
    pub fn install() -> Result<Signals, Failure> {
        let (sender, events) = bounded(1);
        // Kept open: a closed channel would look like an endless row of events.
        std::mem::forget(sender);
        Ok(Signals { events, stopped: Arc::new(AtomicBool::new(false)) })
    }
}
