//! Markdown tables: one a scenario, and one of the goals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::figure::Figure;
use crate::goal::{Against, Goal, Rounds as _, Verdict};
use crate::machine::Machine;
use crate::rounds::{Effort, Measured};
use crate::scenario::Scenario;
use crate::stats::{Spread, ratios};

/// What was measured on, and how to read the rest.
pub(crate) fn header(machine: &Machine, effort: Effort) -> String {
    let Effort { rounds, slice } = effort;
    format!(
        "{}\n{rounds} interleaved rounds of {} ms a row; medians, quartiles in parentheses; \
         ratios are taken within each round.\n",
        machine.describe(),
        slice.as_millis()
    )
}

/// The rows of one scenario.
pub(crate) fn scenario(scenario: &Scenario, measured: &Measured) -> String {
    let figures: BTreeSet<Figure> = measured
        .lanes
        .iter()
        .flat_map(|(_, samples)| samples.iter().flat_map(|sample| sample.keys().copied()))
        .filter(|figure| is_worth_a_column(measured, *figure))
        .collect();
    let first = measured.lanes.first().map(|(lane, _)| lane.name.as_str());
    let compared = figures.first().copied();
    let mut out = format!("### {}: {}\n\n", scenario.name, scenario.about);
    let mut heading = vec![String::new()];
    heading.extend(figures.iter().map(|figure| figure.heading().to_owned()));
    if let (Some(figure), Some(first)) = (compared, first) {
        heading.push(format!("{}: {first} ÷ it", figure.heading()));
    }
    row(&mut out, &heading);
    row(&mut out, &vec!["---".to_owned(); heading.len()]);
    for (lane, _) in &measured.lanes {
        let mut cells = vec![lane.name.clone()];
        for figure in &figures {
            let samples = measured.samples(&lane.name, *figure).unwrap_or_default();
            cells.push(cell(*figure, samples.into_iter().flatten()));
        }
        if let (Some(figure), Some(first)) = (compared, first) {
            let ours = measured.samples(first, figure).unwrap_or_default();
            let theirs = measured.samples(&lane.name, figure).unwrap_or_default();
            cells.push(ratio_cell(&ratios(&ours, &theirs)));
        }
        row(&mut out, &cells);
    }
    for (lane, why) in &measured.missing {
        let _ = writeln!(out, "\n{lane}: {why}.");
    }
    out
}

/// All goals of the run.
pub(crate) fn goals(scenarios: &[(Scenario, Measured)]) -> String {
    let mut out = String::from("### goals\n\n");
    row(
        &mut out,
        &["scenario", "ours: against", "measured", "quartiles", "goal", ""].map(str::to_owned),
    );
    row(&mut out, &vec!["---".to_owned(); 6]);
    for (scenario, measured) in scenarios {
        for goal in &scenario.goals {
            let (median, quartiles, holds) = match goal.judge(measured) {
                Verdict::Holds(s) => (goal.show(s.median), quartiles(goal, s), "holds".to_owned()),
                Verdict::Fails(s) => {
                    (goal.show(s.median), quartiles(goal, s), "**does not hold**".to_owned())
                }
                Verdict::NotMeasured(why) => ("–".to_owned(), String::new(), why),
            };
            let (name, what) = (scenario.name.to_owned(), goal.what.to_owned());
            row(&mut out, &[name, what, median, quartiles, goal.show_bound(), holds]);
        }
    }
    out
}

/// The commands behind the names that were measured.
pub(crate) fn who_is_who(servers: &BTreeMap<String, String>) -> String {
    let mut out = String::from("### servers\n\n");
    row(&mut out, &["name", "command"].map(str::to_owned));
    row(&mut out, &vec!["---".to_owned(); 2]);
    for (name, command) in servers {
        // A bar would end the cell.
        row(&mut out, &[name.clone(), command.replace('|', "\\|")]);
    }
    out
}

fn quartiles(goal: &Goal, spread: Spread) -> String {
    let worst = goal.against == Against::Nothing && goal.figure.worst_counts();
    if worst {
        format!("at worst {}", goal.show(spread.most))
    } else {
        format!("{} – {}", goal.show(spread.low), goal.show(spread.high))
    }
}

/// Losses and wrong replies only where there are any.
fn is_worth_a_column(measured: &Measured, figure: Figure) -> bool {
    if !matches!(figure, Figure::Lost | Figure::Bad) {
        return true;
    }
    let mut values = measured.lanes.iter().flat_map(|(_, samples)| samples);
    values.any(|sample| sample.get(&figure).is_some_and(|value| *value > 0.0))
}

fn cell(figure: Figure, samples: impl Iterator<Item = f64>) -> String {
    let Some(spread) = Spread::of(samples) else { return "–".to_owned() };
    let (low, high) = (figure.show(spread.low), figure.show(spread.high));
    let median = figure.show(spread.median);
    if low == high { median } else { format!("{median} ({low}–{high})") }
}

fn ratio_cell(ratios: &[f64]) -> String {
    let Some(spread) = Spread::of(ratios.iter().copied()) else { return "–".to_owned() };
    let show = |value: f64| match value {
        ..0.1 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    };
    format!("{} ({}–{})", show(spread.median), show(spread.low), show(spread.high))
}

fn row(out: &mut String, cells: &[String]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Sample;
    use crate::goal::Bound;
    use crate::scenario::{Lane, Work};

    fn measured() -> (Scenario, Measured) {
        let lane = |name: &str| Lane {
            name: name.to_owned(),
            contender: name.to_owned(),
            work: Work::Start,
        };
        let sample = |cpu: f64, lost: f64| {
            Sample::from([(Figure::Cpu, cpu), (Figure::Lost, lost), (Figure::PeakMemory, 2e6)])
        };
        let samples = Measured {
            lanes: vec![
                (lane("ours"), vec![sample(100.0, 0.0), sample(120.0, 0.0), sample(110.0, 0.0)]),
                (lane("theirs"), vec![sample(200.0, 0.0), sample(200.0, 0.0), Sample::new()]),
            ],
            missing: vec![("absent".to_owned(), "not found on this machine".to_owned())],
        };
        let goal = |against, bound| Goal {
            what: "it: that",
            figure: Figure::Cpu,
            lane: "ours",
            against,
            bound,
        };
        let scenario = Scenario {
            name: "a_scenario",
            about: "what it is",
            lanes: Vec::new(),
            goals: vec![
                goal(Against::Lane("theirs"), Bound::AtMost(0.6)),
                goal(Against::Lane("theirs"), Bound::AtMost(0.5)),
                goal(Against::Lane("absent"), Bound::AtMost(0.5)),
                goal(Against::Nothing, Bound::AtMost(2000.0)),
            ],
            open_to_peers: None,
        };
        (scenario, samples)
    }

    #[test]
    fn a_scenario_as_a_table() {
        let (about, samples) = measured();
        assert_eq!(
            scenario(&about, &samples),
            "### a_scenario: what it is\n\
             \n\
             |  | CPU ns a reply | peak KiB | CPU ns a reply: ours ÷ it |\n\
             | --- | --- | --- | --- |\n\
             | ours | 110.0 (105.0–115.0) | 1,953 | 1.00 (1.00–1.00) |\n\
             | theirs | 200.0 | 1,953 | 0.55 (0.53–0.57) |\n\
             \n\
             absent: not found on this machine.\n"
        );
    }

    #[test]
    fn servers_as_a_table() {
        let servers = BTreeMap::from([("ours".to_owned(), "`x` | a reader".to_owned())]);
        assert!(who_is_who(&servers).ends_with("| ours | `x` \\| a reader |\n"));
    }

    #[test]
    fn goals_as_a_table() {
        let table = goals(&[measured()]);
        let rows: Vec<&str> = table.lines().skip(4).collect();
        assert_eq!(
            rows,
            [
                "| a_scenario | it: that | 0.550 × | 0.525 × – 0.575 × | ≤ 0.600 × | holds |",
                "| a_scenario | it: that | 0.550 × | 0.525 × – 0.575 × | ≤ 0.500 × | **does not hold** |",
                "| a_scenario | it: that | – |  | ≤ 0.500 × | absent is not here |",
                "| a_scenario | it: that | 110.0 ns | 105.0 ns – 115.0 ns | ≤ 2000 ns | holds |",
            ]
        );
    }
}
