//! Runs scenarios a few at once, prints one line for each as it ends, and sums up.
//!
//! Every wait inside a scenario is bounded; should one hang all the same, the whole run is ended
//! after [`WHOLE_RUN`], with its children, and the unfinished scenarios count as failed.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Result;

use super::clock::{self, Deadline};
use super::context::Context;
use super::process;
use super::skip::Skipped;
use crate::say;

const WHOLE_RUN: Duration = Duration::from_secs(600);

/// One behaviour that is checked, by name.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) run: Box<Check>,
}

/// What a scenario does.
pub(crate) type Check = dyn Fn(&Context) -> Result<()> + Send + Sync;

/// Runs all of `scenarios`; true when none failed.
pub(crate) fn run(scenarios: &[Scenario], context: &Context, jobs: usize, times: bool) -> bool {
    let next = AtomicUsize::new(0);
    let (ended, endings) = mpsc::channel();
    let mut tally = Tally::default();
    let deadline = Deadline::after(WHOLE_RUN);
    let mut open: BTreeSet<&str> = scenarios.iter().map(|s| s.name.as_str()).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(scenarios.len()) {
            let ended = ended.clone();
            let next = &next;
            scope.spawn(move || {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = clock::now();
                    let outcome = guarded(scenario, context);
                    let took = clock::now() - began;
                    if ended.send((scenario.name.as_str(), outcome, took)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ended);
        while !open.is_empty() {
            let Some(left) = deadline.left() else { break };
            let Ok((name, outcome, took)) = endings.recv_timeout(left) else { break };
            open.remove(name);
            tally.note(name, &outcome, times.then_some(took));
        }
        for name in &open {
            tally.note(name, &Err(anyhow::anyhow!("did not end in time")), None);
        }
        if !open.is_empty() {
            say::line(&tally.summary());
            process::kill_all();
            std::process::exit(1);
        }
    });
    say::line(&tally.summary());
    tally.failed == 0
}

fn guarded(scenario: &Scenario, context: &Context) -> Result<()> {
    catch_unwind(AssertUnwindSafe(|| (scenario.run)(context))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(anyhow::anyhow!("the scenario panicked: {text}"))
    })
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    fn note(&mut self, name: &str, outcome: &Result<()>, took: Option<Duration>) {
        let took = took.map_or_else(String::new, |t| format!("  ({:.1} s)", t.as_secs_f64()));
        match outcome {
            Ok(()) => {
                self.passed += 1;
                say::line(&format!("ok {name}{took}"));
            }
            Err(error) => match error.downcast_ref::<Skipped>() {
                Some(reason) => {
                    self.skipped += 1;
                    say::line(&format!("skipped {name}: {reason}"));
                }
                None => {
                    self.failed += 1;
                    say::line(&format!("FAILED {name}: {error:#}{took}"));
                }
            },
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{} passed, {} failed", self.passed, self.failed);
        if self.skipped > 0 {
            text.push_str(&format!(", {} skipped", self.skipped));
        }
        text
    }
}
