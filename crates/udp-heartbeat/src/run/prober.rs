//! The library's face: a prober is made of a plan, run on a thread, and asked or stopped from any
//! other.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use udp_core::cli::Failure;
use udp_core::clock;
use udp_core::error::describe;

use super::discovery::Discovery;
use super::engine::{Batch, Call, Engine, Fixed};
use super::lookup::{self, Lookup, Resolver};
use super::observers::Observers;
use super::poller::{Poller, Waker};
use super::ports::Ports;
use super::resolve::resolve;
use super::setup;
use crate::plan::Plan;
use crate::probe::event::Observer;
use crate::probe::meter::Meters;
use crate::probe::snapshot::Snapshot;
use crate::probe::stats::buckets::Buckets;
use crate::probe::stats::distribution::{Distribution, Precision};

/// What other threads may have said that the loop has not taken yet; then they wait.
const CALLS: usize = 64;
/// How often one that waits for figures looks whether the run has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Sends beats to its targets and measures what becomes of them.
///
/// [`run`](Prober::run) does so on the thread that calls it until the plan is done; the other methods
/// may be called meanwhile from any thread. Several probers may run in one process: none of them
/// prints, takes signals or changes anything of the process.
pub struct Prober {
    /// None while it runs.
    engine: Mutex<Option<Engine>>,
    caller: Caller,
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

/// Speaks to the loop from other threads.
#[derive(Clone)]
pub(crate) struct Caller {
    calls: Sender<Call>,
    waker: Waker,
}

impl Caller {
    /// Tells the loop; false if it is no more.
    fn call(&self, call: Call) -> bool {
        let told = self.calls.send(call).is_ok();
        self.waker.ring();
        told
    }

    /// Ends the run.
    pub(crate) fn stop(&self) {
        self.call(Call::Stop);
    }

    /// Has `work` done between two beats; false if there is no loop any more.
    pub(crate) fn run(&self, work: impl FnOnce(&mut Engine) + Send + 'static) -> bool {
        self.call(Call::Do(Box::new(work)))
    }
}

impl Prober {
    /// Resolves the names of the plan's targets and opens the first socket. `observer` is told what
    /// happens, on the thread that runs the prober.
    ///
    /// # Errors
    /// A single name that does not resolve, an interval that needs [`Plan::fast`], an address that
    /// cannot be bound, or a system without a thread or socket to give.
    pub fn new(plan: Plan, observer: impl Observer + Send + 'static) -> Result<Self, Failure> {
        Prober::resolved_by(lookup::system, plan, observer)
    }

    /// The same, with names looked up in this way.
    pub(crate) fn resolved_by(
        lookup: impl Lookup,
        mut plan: Plan,
        observer: impl Observer + Send + 'static,
    ) -> Result<Self, Failure> {
        let thread_failed = |error: io::Error| {
            Failure::local(format!("cannot start a thread: {}", describe(&error)))
        };
        let (poller, waker) = Poller::new().map_err(thread_failed)?;
        let (sender, calls) = bounded(CALLS);
        let caller = Caller { calls: sender, waker };
        let names = plan.targets.iter().filter(|target| target.endpoint.is_name()).count();
        let template = setup::template(&mut plan)?;
        let mut resolver = None;
        if names > 0 || plan.changing {
            let caller = caller.clone();
            let found = move |found| {
                caller.call(Call::Found(found));
            };
            let started = Resolver::start(names, plan.family, lookup.clone(), found);
            resolver = Some(started.map_err(thread_failed)?);
        }
        let discovery = || Discovery::new(plan.shard, plan.default_port);
        let mut discovery = plan.every_address.then(discovery);
        let placed = resolve(&mut plan, discovery.as_mut(), resolver.as_mut(), &lookup, &calls)?;
        let mut ports = Ports::new(template, plan.backend, plan.length());
        let mut observers = Observers::new(Box::new(observer));
        let targets = setup::targets(&mut plan, &placed, &mut ports, &mut observers)?;
        let now = clock::mono();
        let engine = Engine {
            timeline: setup::timeline(&plan, &targets, now),
            targets,
            ports,
            observers,
            poller,
            calls,
            resolver,
            discovery,
            deadline: plan.deadline.map(|deadline| now + deadline),
            intervals: plan.report_every.map(|every| (now + every, every)),
            fixed: Fixed {
                thresholds: plan.thresholds,
                warnings: plan.warnings,
                judged: plan.judged,
                count: plan.count,
                family: plan.family,
                default_port: plan.default_port,
                lingers: plan.lingers,
            },
            lag: Distribution::new(Precision::Fine),
            lag_buckets: plan.metered.then(Buckets::default),
            batch: Batch::default(),
            next_tick: now,
            next_reading: now,
            unread: 0,
            taking: Default::default(),
            has_run: false,
        };
        Ok(Prober { engine: Mutex::new(Some(engine)), caller })
    }

    /// Runs until the plan is done or [`stop`](Self::stop) is called; the figures at the end. A
    /// prober that runs already, or has run, does nothing.
    pub fn run(&self) -> Snapshot {
        let taken = self.engine().take();
        if let Some(mut engine) = taken {
            if !engine.has_run {
                engine.has_run = true;
                engine.run();
                engine.end_beats();
            }
            *self.engine() = Some(engine);
        }
        self.snapshot()
    }

    /// Ends the run, or has it end at once if it has not begun.
    pub fn stop(&self) {
        self.caller.stop();
    }

    /// The figures until now. While it runs they are taken between two beats, a few targets at a
    /// time, so that no beat is late for it.
    pub fn snapshot(&self) -> Snapshot {
        self.ask(Engine::snapshot_of_all, Call::Snapshot)
    }

    /// What a scrape reads, taken in the same way.
    pub(crate) fn meters(&self) -> Meters {
        self.ask(Engine::meters_of_all, Call::Meters)
    }

    /// Asks the engine, by a call where it runs.
    fn ask<T>(&self, at_rest: fn(&mut Engine) -> T, call: fn(Sender<T>) -> Call) -> T {
        let (to, taken) = bounded(1);
        let mut asked = false;
        loop {
            if let Some(engine) = &mut *self.engine() {
                return at_rest(engine);
            }
            asked = asked || self.caller.call(call(to.clone()));
            if let Ok(answer) = taken.recv_timeout(LOOK) {
                return answer;
            }
        }
    }

    /// For what the program asks of it beyond this.
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Whose clock stamps replies, as far as is known.
    pub(crate) fn has_kernel_stamps(&self) -> bool {
        self.engine().as_ref().is_some_and(|engine| engine.ports.kernel_stamps())
    }

    /// A panic in an observer leaves nothing half done that figures are taken from.
    fn engine(&self) -> MutexGuard<'_, Option<Engine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
