//! One line for a monitoring plugin: status, words, performance data.
//!
//! The format is that of the Monitoring Plugins' development guidelines. Several targets are summed,
//! and the worst of them counts.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use udp_core::cli::printer::Render;
use udp_core::cli::{Exit, Failure};

use super::item::Item;
use super::text::snapshot;
use crate::probe::session::Counts;
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::thresholds::{RttLimit, Thresholds};

/// The status, as good to bad as its exit code says; not knowing is no answer of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Ok => "OK",
            Status::Warning => "WARNING",
            Status::Critical => "CRITICAL",
            Status::Unknown => "UNKNOWN",
        })
    }
}

impl Status {
    /// The status of a run.
    pub(crate) fn of(summary: &Snapshot) -> Status {
        if summary.totals.sent == 0 || summary.totals.nothing_left() {
            return Status::Unknown;
        }
        summary.targets.iter().map(|target| judge(target).0).max().unwrap_or(Status::Unknown)
    }

    /// Its exit code, by the numbers that plugins have.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Status::Ok => Exit::Worked,
            Status::Warning => Exit::Failed,
            Status::Critical => Exit::Usage,
            Status::Unknown => Exit::Refused,
        }
    }
}

/// Says that nothing could be measured, for this reason.
pub(crate) fn unknown(failure: &Failure) -> ExitCode {
    let said = Failure { hint: None, ..failure.clone() }.to_string();
    let reason = said.strip_prefix("error: ").unwrap_or(&said);
    let reason = reason.replace('|', "/").replace('\n', " ");
    // There is nowhere left to say that this failed.
    let _ = writeln!(std::io::stdout(), "UDP {} - {reason}", Status::Unknown);
    Status::Unknown.exit().into()
}

/// How a target is, and why.
fn judge(target: &TargetSnapshot) -> (Status, Option<String>) {
    let counts = &target.counts;
    if counts.received == 0 {
        let reason = match (counts.failed == counts.sent, counts.refused > 0) {
            (true, _) => "nothing was sent",
            (_, true) => "refused",
            _ => "no answer",
        };
        return (Status::Critical, Some(reason.into()));
    }
    let unmet = |implied| target.unmet.iter().find(|unmet| unmet.implied == implied);
    let warned = target.warned.first().or_else(|| unmet(true));
    match (unmet(false), warned) {
        (Some(unmet), _) => (Status::Critical, Some(unmet.to_string())),
        (None, Some(unmet)) => (Status::Warning, Some(unmet.to_string())),
        (None, None) => (Status::Ok, None),
    }
}

/// The plugin's reporter.
#[derive(Debug)]
pub(crate) struct Nagios {
    warning: Thresholds,
    critical: Thresholds,
}

impl Nagios {
    /// Thresholds for the performance data.
    pub(crate) fn new(warning: Thresholds, critical: Thresholds) -> Self {
        Nagios { warning, critical }
    }

    fn line(&self, summary: &Snapshot) -> String {
        let status = Status::of(summary);
        let average = average(&summary.targets);
        let reasons: Vec<String> = summary
            .targets
            .iter()
            .filter_map(|it| Some(format!("{}: {}", it.label, judge(it).1?)))
            .collect();
        let words = match &reasons[..] {
            [] => {
                let name = match &summary.targets[..] {
                    [only] => only.label.clone(),
                    targets => format!("{} targets", targets.len()),
                };
                snapshot(&name, &summary.totals, average)
            }
            reasons => reasons.join("; "),
        };
        // A bar would begin the performance data.
        let words = words.replace('|', "/");
        format!("UDP {status} - {words}|{}", self.performance(&summary.totals, average))
    }

    fn performance(&self, totals: &Counts, average: Option<Duration>) -> String {
        let percent = |share: Option<f64>| share.map(|it| it.to_string()).unwrap_or_default();
        let (warning, critical) = (&self.warning, &self.critical);
        let loss = totals
            .loss_percent()
            .map_or("U".into(), |share| format!("{}%", (share * 10.0).round() / 10.0));
        let (warn, most) = (percent(warning.max_loss), percent(critical.max_loss));
        let mut text = format!("loss={loss};{warn};{most};0;100");
        if let Some(average) = average {
            let seconds = |limits: &[RttLimit]| {
                let limit = limits.iter().find(|it| it.percentile.is_none()).or(limits.first());
                limit.map(|it| it.most.as_secs_f64().to_string()).unwrap_or_default()
            };
            let (warn, most) = (seconds(&warning.max_rtt), seconds(&critical.max_rtt));
            text += &format!(" rta={:.6}s;{warn};{most};0;", average.as_secs_f64());
        }
        text
    }
}

/// The mean round trip of all targets' replies.
fn average(targets: &[TargetSnapshot]) -> Option<Duration> {
    let replies: u64 = targets.iter().map(|target| target.counts.received).sum();
    let of =
        |it: &TargetSnapshot| Some(it.rtt.average?.as_nanos() * u128::from(it.counts.received));
    let sum: u128 = targets.iter().filter_map(of).sum();
    let replies = u128::from(replies);
    let mean = (sum + replies / 2).checked_div(replies)?;
    Some(Duration::from_nanos(u64::try_from(mean).ok()?))
}

impl Render<Item> for Nagios {
    fn value(&mut self, item: Item, out: &mut Vec<u8>) {
        if let Item::Summary(summary) = &item {
            out.extend_from_slice(self.line(summary).as_bytes());
            out.push(b'\n');
        }
    }

    fn missed(&mut self, _: u64, _: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::thresholds::Unmet;
    use crate::report::text::summary::tests::{run_of, target};

    fn said(targets: Vec<TargetSnapshot>, warning: &Thresholds, critical: &Thresholds) -> String {
        let summary = run_of(targets);
        let line = Nagios::new(warning.clone(), critical.clone()).line(&summary);
        format!("{}: {line}", Status::of(&summary).exit() as u8)
    }

    #[test]
    fn what_a_plugin_says() {
        let none = Thresholds::default();
        let good = || TargetSnapshot { unmet: Vec::new(), ..target() };
        let unmet = |implied| vec![Unmet { text: "why".into(), implied }];
        let silent = TargetSnapshot {
            label: "b:1".into(),
            counts: Counts { sent: 5, lost: 5, refused: 2, ..Counts::default() },
            rtt: Default::default(),
            ..good()
        };
        let failed = TargetSnapshot {
            counts: Counts { sent: 2, failed: 2, ..Counts::default() },
            ..silent.clone()
        };
        let warning = Thresholds {
            max_loss: Some(12.5),
            max_rtt: vec!["p90=1s".parse().unwrap(), "50ms".parse().unwrap()],
            ..none.clone()
        };
        let critical = Thresholds { max_loss: Some(50.0), ..none.clone() };
        let ok = "5 sent, 4 received, 1 lost (20.0%), 0 late, 0 duplicate, 0 reordered, rtt avg 0.134 ms";
        let cases = [
            (vec![good()], format!("0: UDP OK - 127.0.0.1:7000: {ok}|loss=20%;12.5;50;0;100 rta=0.000134s;0.05;;0;")),
            (
                vec![TargetSnapshot { warned: unmet(false), ..good() }],
                "1: UDP WARNING - 127.0.0.1:7000: why|loss=20%;12.5;50;0;100 rta=0.000134s;0.05;;0;".into(),
            ),
            (
                vec![TargetSnapshot { unmet: unmet(true), ..good() }],
                "1: UDP WARNING - 127.0.0.1:7000: why|loss=20%;12.5;50;0;100 rta=0.000134s;0.05;;0;".into(),
            ),
            (
                vec![TargetSnapshot { unmet: unmet(false), ..good() }],
                "2: UDP CRITICAL - 127.0.0.1:7000: why|loss=20%;12.5;50;0;100 rta=0.000134s;0.05;;0;".into(),
            ),
            (
                vec![good(), silent.clone()],
                "2: UDP CRITICAL - b:1: refused|loss=60%;12.5;50;0;100 rta=0.000134s;0.05;;0;".into(),
            ),
            (vec![silent], "2: UDP CRITICAL - b:1: refused|loss=100%;12.5;50;0;100".into()),
            (vec![failed], "3: UDP UNKNOWN - b:1: nothing was sent|loss=U;12.5;50;0;100".into()),
        ];
        for (targets, expected) in cases {
            assert_eq!(said(targets, &warning, &critical), expected);
        }
    }
}
