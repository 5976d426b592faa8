//! Services: real servers from Debian packages, each in a network namespace of its own, and a liar that
//! shares nothing with ours (`xtask/services/liar.py`).

mod blackbox;
mod liar;
mod real;
mod rig;
mod servers;
mod together;

use anyhow::{Context as _, Result};
use driver::json::of_type;
use serde_json::Value;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::runner::Scenario;

pub(super) fn all() -> Vec<Scenario> {
    [together::all(), real::all(), liar::all(), blackbox::all()].into_iter().flatten().collect()
}

/// The summary's figures of one target that are compared.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    received: u64,
    lost: u64,
    late: u64,
    duplicate: u64,
    ok: u64,
    invalid: u64,
    unsolicited: u64,
}

impl Figures {
    fn of(summary: &Value) -> Result<Self> {
        let figure =
            |name: &str| summary[name].as_u64().with_context(|| format!("no {name} in {summary}"));
        let verdict = |name: &str| summary["verdicts"][name].as_u64().unwrap_or_default();
        Ok(Figures {
            received: figure("received")?,
            lost: figure("lost")?,
            late: figure("late")?,
            duplicate: figure("duplicate")?,
            ok: verdict("ok"),
            invalid: verdict("invalid"),
            unsolicited: figure("unsolicited")?,
        })
    }

    /// All of so many beats were answered, and well.
    fn all(beats: u64) -> Self {
        let (lost, late, duplicate, invalid, unsolicited) = (0, 0, 0, 0, 0);
        Figures { received: beats, ok: beats, lost, late, duplicate, invalid, unsolicited }
    }
}

/// The summary of the target whose name begins so.
fn summary<'a>(events: &'a [Value], target: &str) -> Result<&'a Value> {
    let is_its =
        |event: &&Value| event["target"].as_str().is_some_and(|name| name.starts_with(target));
    let mut summaries = of_type(events, "summary").into_iter();
    summaries.find(is_its).with_context(|| format!("no summary of {target}"))
}

/// The facts of a service's first reply, each held against a pattern.
fn facts(events: &[Value], service: &str, expected: &[(&str, &str)]) -> Result<()> {
    let replies = of_type(events, "reply");
    let mut replies = replies.into_iter().filter(|reply| reply["service"] == service);
    let reply = replies.next().with_context(|| format!("no reply of {service}"))?;
    for (name, pattern) in expected {
        let fact = &reply["facts"][name];
        let text = fact.as_str().map_or_else(|| fact.to_string(), String::from);
        check::matches(&format!("{service}'s {name}"), pattern, &text)?;
    }
    Ok(())
}
