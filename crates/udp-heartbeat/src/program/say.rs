//! Writes snapshots to stderr: a line for each target, and under `-v` the figures that the summary
//! has no room for.

use std::time::Duration;

use udp_core::cli::Console;
use udp_core::cli::parse::ShownDuration;
use udp_core::text::units::{Millis, OrDash};

use crate::probe::snapshot::Snapshot;
use crate::report::snapshot;
use crate::run::Prober;

/// A line for each target.
pub(super) fn say_snapshot(prober: &Prober, console: &Console) {
    for target in prober.snapshot().targets {
        let line = snapshot(&target.label, &target.counts, target.rtt.average);
        console.note(format!("{line}, {}", target.state));
    }
}

/// What the summary has no room for, with -v.
pub(super) fn say_figures(summary: &Snapshot) {
    let span = |span: Option<Duration>| OrDash(span.map(Millis));
    log::info!(
        "send lag p50/p99/max = {}/{}/{} ms",
        span(summary.lag_p50),
        span(summary.lag_p99),
        span(summary.lag_max)
    );
    for target in summary.targets.iter().filter(|target| target.loss_runs > 0) {
        log::info!(
            "{}: {} loss bursts, longest {}; unavailable {} in total, longest outage {}",
            target.label,
            target.loss_runs,
            target.longest_run,
            ShownDuration(target.outage),
            ShownDuration(target.longest_outage),
        );
    }
}
