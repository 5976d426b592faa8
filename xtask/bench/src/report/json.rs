//! The run as one JSON object: every sample, their spreads, and what became of each goal.

use serde_json::{Map, Value, json};

use super::Report;
use crate::figure::Figure;
use crate::goal::{Against, Bound, Goal, Rounds as _, Verdict};
use crate::rounds::Measured;
use crate::scenario::Scenario;
use crate::stats::Spread;

/// The version of this layout.
const VERSION: u32 = 1;

pub(crate) fn json(report: &Report) -> Value {
    let scenarios: Vec<Value> = report.scenarios.iter().map(|(s, m)| scenario(s, m)).collect();
    json!({
        "type": "bench",
        "v": VERSION,
        "machine": report.machine.json(),
        "rounds": report.effort.rounds,
        "slice_ns": u64::try_from(report.effort.slice.as_nanos()).unwrap_or(u64::MAX),
        "servers": report.servers,
        "scenarios": scenarios,
    })
}

fn scenario(scenario: &Scenario, measured: &Measured) -> Value {
    let lanes: Vec<Value> = measured.lanes.iter().map(|(l, _)| lane(&l.name, measured)).collect();
    let missing: Map<String, Value> =
        measured.missing.iter().map(|(lane, why)| (lane.clone(), why.as_str().into())).collect();
    let goals: Vec<Value> = scenario.goals.iter().map(|g| goal(g, measured)).collect();
    json!({
        "name": scenario.name,
        "about": scenario.about,
        "lanes": lanes,
        "missing": missing,
        "goals": goals,
    })
}

fn lane(name: &str, measured: &Measured) -> Value {
    let (_, samples) =
        &measured.lanes[measured.lanes().iter().position(|l| *l == name).unwrap_or(0)];
    let mut figures: Vec<Figure> = samples.iter().flat_map(|s| s.keys().copied()).collect();
    figures.sort_unstable();
    figures.dedup();
    let figures: Map<String, Value> = figures
        .into_iter()
        .map(|figure| {
            let samples = measured.samples(name, figure).unwrap_or_default();
            let spread = Spread::of(samples.iter().copied().flatten());
            let figure_json = json!({ "samples": samples, "spread": spread.map(spread_json) });
            (figure.key().to_owned(), figure_json)
        })
        .collect();
    json!({ "name": name, "figures": figures })
}

fn goal(goal: &Goal, measured: &Measured) -> Value {
    let (holds, spread, why) = match goal.judge(measured) {
        Verdict::Holds(spread) => (Some(true), Some(spread), None),
        Verdict::Fails(spread) => (Some(false), Some(spread), None),
        Verdict::NotMeasured(why) => (None, None, Some(why)),
    };
    let against = match goal.against {
        Against::Lane(lane) => json!({ "lane": lane }),
        Against::Beyond(lane) => json!({ "beyond": lane }),
        Against::BestOf(beginning) => json!({ "best_of": beginning }),
        Against::Nothing => Value::Null,
    };
    let bound = match goal.bound {
        Bound::AtMost(most) => json!({ "at_most": most }),
        Bound::AtLeast(least) => json!({ "at_least": least }),
    };
    json!({
        "what": goal.what,
        "figure": goal.figure.key(),
        "lane": goal.lane,
        "against": against,
        "bound": bound,
        "measured": spread.map(spread_json),
        "holds": holds,
        "not_measured": why,
    })
}

fn spread_json(spread: Spread) -> Value {
    json!({
        "median": spread.median,
        "q1": spread.low,
        "q3": spread.high,
        "min": spread.least,
        "max": spread.most,
        "count": spread.count,
    })
}
