//! Turns signals into events of a `select!` loop: stop, snapshot, reload. See `signal(7)`.
//!
//! SIGINT and SIGTERM ask to stop. GNU `timeout` signals its child and then the child's group, so
//! either of the two within [`ONE_REQUEST`] of the first is the same request. Later a SIGINT ends
//! the process at once and a SIGTERM changes nothing. SIGHUP reloads where the program has files to
//! read again, and stops it elsewhere. SIGUSR1, and SIGQUIT where there is a terminal to send it,
//! ask for a snapshot. SIGINT, SIGQUIT and SIGHUP that were ignored at the start stay ignored, as
//! `nohup` and a shell's `&` want it. SIGXFSZ is caught, so that a file at its size limit is a
//! failed write and not the end. Process 1 of a container takes away the orphans that end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::Failure;
use crate::clock::Mono;

/// What a signal asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalEvent {
    /// Stop, with a summary.
    Stop,
    /// Say on stderr how things stand, and go on.
    Snapshot,
    /// Read files again, and go on.
    Reload,
}

/// What SIGHUP means to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// There are files to read again.
    Reload,
    /// There are none: it ends the program as SIGTERM does.
    Stop,
}

/// Requests to stop so close to the first are the same request.
pub const ONE_REQUEST: Duration = Duration::from_millis(300);

/// What a SIGINT, a SIGTERM or a hang-up that stops does to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// The first one: stop in order.
    Stop,
    /// The same request once more, or one that must not interrupt the ending.
    Ignored,
    /// The user insists: end at once.
    End,
}

/// What a program has to put back before a signal ends it at once.
static BEFORE_THE_END: OnceLock<fn()> = OnceLock::new();

/// Has `work` done before a second SIGINT ends the process, which otherwise leaves a terminal as it
/// is. The first call counts.
pub fn before_the_end(work: fn()) {
    let _ = BEFORE_THE_END.set(work);
}

/// Tells repeated requests to stop apart.
#[derive(Debug, Default)]
struct Requests {
    first: Option<Mono>,
}

impl Requests {
    /// Judges a request at `now`; `insists` for the signal of a key (SIGINT).
    fn judge(&mut self, insists: bool, now: Mono) -> Request {
        match self.first {
            None => {
                self.first = Some(now);
                Request::Stop
            }
            Some(first) if insists && now.saturating_since(first) > ONE_REQUEST => Request::End,
            Some(_) => Request::Ignored,
        }
    }
}

/// The signals that were taken over.
#[derive(Debug, Clone)]
pub struct Signals {
    events: Receiver<SignalEvent>,
    stopped: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
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

    /// Whether a key (SIGINT) asked for it, which a terminal has shown as `^C`.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
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

    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGXFSZ};
    use signal_hook::iterator::Signals as Incoming;
    use signal_hook::low_level::emulate_default_handler;

    use super::{
        Arc, AtomicBool, Failure, Hangup, Ordering, Request, Requests, SignalEvent, Signals,
        bounded,
    };
    use crate::cli::children;
    use crate::clock;

    /// Events that may wait; a program that does not even take so many is stuck, and a late
    /// SIGINT ends it.
    const CAPACITY: usize = 16;

    impl Signals {
        /// Takes the signals over; `hangup` says what SIGHUP is to mean.
        ///
        /// # Errors
        /// A local failure, when the system refuses a handler or a thread.
        pub fn install(hangup: Hangup) -> Result<Signals, Failure> {
            let failed = |error: io::Error| {
                Failure::local(format!("cannot handle signals: {}", crate::error::describe(&error)))
            };
            let mut wanted = vec![SIGINT, SIGTERM, SIGUSR1, SIGHUP];
            if io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
            {
                wanted.push(SIGQUIT);
            }
            if children::is_first() {
                wanted.push(SIGCHLD);
            }
            let ignored = ignored_signals();
            let respected = [SIGINT, SIGQUIT, SIGHUP];
            wanted.retain(|signal| !respected.contains(signal) || ignored >> (signal - 1) & 1 == 0);
            signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
                .map_err(failed)?;
            let mut incoming = Incoming::new(&wanted).map_err(failed)?;
            let (sender, events) = bounded(CAPACITY);
            let stopped = Arc::new(AtomicBool::new(false));
            let interrupted = Arc::new(AtomicBool::new(false));
            let (flag, by_key) = (Arc::clone(&stopped), Arc::clone(&interrupted));
            let deliver = move || {
                let mut requests = Requests::default();
                if children::is_first() {
                    children::reap();
                }
                for signal in incoming.forever() {
                    let event = match signal {
                        SIGCHLD => {
                            children::reap();
                            continue;
                        }
                        SIGUSR1 | SIGQUIT => SignalEvent::Snapshot,
                        SIGHUP if hangup == Hangup::Reload => SignalEvent::Reload,
                        _ => match requests.judge(signal == SIGINT, clock::mono()) {
                            Request::Stop => SignalEvent::Stop,
                            Request::Ignored => continue,
                            Request::End => {
                                if let Some(work) = super::BEFORE_THE_END.get() {
                                    work();
                                }
                                // Process 1 of a container has no default action.
                                let _ = emulate_default_handler(signal);
                                std::process::exit(128 + signal);
                            }
                        },
                    };
                    if event == SignalEvent::Stop {
                        by_key.store(signal == SIGINT, Ordering::Relaxed);
                        flag.store(true, Ordering::Relaxed);
                    }
                    let _ = sender.try_send(event);
                }
            };
            thread::Builder::new().name("signals".into()).spawn(deliver).map_err(failed)?;
            Ok(Signals { events, stopped, interrupted })
        }
    }

    /// The signals that were ignored when the process was started: SigIgn of `proc(5)`.
    fn ignored_signals() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Where there are no signals to take over, the system's own handling of Ctrl-C stays.
    ///
    /// # Errors
    /// Never.
    pub fn install(_hangup: Hangup) -> Result<Signals, Failure> {
        let (sender, events) = bounded(1);
        // Kept open: a closed channel would look like an endless row of events.
        std::mem::forget(sender);
        Ok(Signals { events, stopped: Arc::default(), interrupted: Arc::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_is_told_from_one_that_insists() {
        let at = |ms: u64| Mono::from_nanos(ms * 1_000_000);
        // For each request: whether it is a SIGINT, when it comes, what it does.
        type Row = (bool, u64, Request);
        let cases: [&[Row]; 5] = [
            &[(true, 0, Request::Stop), (true, 0, Request::Ignored), (true, 300, Request::Ignored)],
            &[(false, 0, Request::Stop), (false, 1, Request::Ignored), (true, 301, Request::End)],
            &[(false, 0, Request::Stop), (false, 900, Request::Ignored), (true, 901, Request::End)],
            &[(true, 0, Request::Stop), (false, 5000, Request::Ignored)],
            &[(true, 7, Request::Stop), (true, 307, Request::Ignored), (true, 308, Request::End)],
        ];
        for case in cases {
            let mut requests = Requests::default();
            for &(insists, ms, expected) in case {
                assert_eq!(requests.judge(insists, at(ms)), expected, "{ms} ms of {case:?}");
            }
        }
    }
}
