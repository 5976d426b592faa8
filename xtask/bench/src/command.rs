//! The command line of the benchmark, and what it leads to: the chosen scenarios one after the other,
//! each shown when it is measured, the goals at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::cargo::workspace_root;
use crate::contender::Given;
use crate::machine::Machine;
use crate::report::Report;
use crate::rounds::Effort;
use crate::scenario::{Scenario, lane};
use crate::{build, contender, heartbeat, report, rounds, say, scenario};

/// Measure the server, side by side with every peer that this machine has.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
pub(crate) struct Args {
    /// Run only the scenarios whose name holds one of these.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Measure one more server beside ours; `{port}` in the command becomes its port. Those named
    /// `mmsg` and `gso` are what some goals compare with.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Given>,
    /// How often each row gets its slice.
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long each slice is, in seconds, after a quarter of that which is not counted.
    #[arg(long, default_value_t = 0.4, value_name = "SECS", value_parser = slice)]
    slice: f64,
    /// A rough look within two minutes: 3 rounds, short slices.
    #[arg(long, conflicts_with_all = ["rounds", "slice"])]
    quick: bool,
    /// Write every sample and what became of the goals to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the names of the scenarios and stop.
    #[arg(long)]
    list: bool,
}

const QUICK: Effort = Effort { rounds: 3, slice: Duration::from_millis(150) };

/// Measures the chosen scenarios. A goal that does not hold is for the reader to judge.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = choose(args)?;
    if args.list {
        for scenario in &chosen {
            say::line(&format!("{:<16}{}", scenario.name, scenario.about));
        }
        return Ok(());
    }
    let root = workspace_root()?;
    let built = build::all(&root)?;
    let contenders = contender::all(&root, &built, &args.peers);
    let heartbeat = heartbeat::Programs::find(&built);
    let effort = effort(args);
    let machine = Machine::look()?;
    say::line(&report::header(&machine, effort));
    let (scenarios, servers) = (Vec::new(), BTreeMap::new());
    let mut report = Report { machine, effort, scenarios, servers };
    for scenario in chosen {
        let cores = report.machine.cores;
        let measured = rounds::run(&scenario, &contenders, &heartbeat, cores, effort);
        say::line(&report::scenario(&scenario, &measured));
        report.add(scenario, measured, &contenders);
    }
    say::line(&report::goals(&report.scenarios));
    say::line(&report::who_is_who(&report.servers));
    if let Some(path) = &args.json {
        let text = format!("{:#}\n", report::json(&report));
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The scenarios asked for, with the peers given on the command line among their lanes.
fn choose(args: &Args) -> Result<Vec<Scenario>> {
    let mut chosen = scenario::all();
    if !args.scenarios.is_empty() {
        chosen.retain(|s| args.scenarios.iter().any(|wanted| s.name.contains(wanted.as_str())));
    }
    if chosen.is_empty() {
        bail!("no scenario is named like {}", args.scenarios.join(" or "));
    }
    for scenario in &mut chosen {
        let Some(work) = scenario.open_to_peers else { continue };
        for peer in &args.peers {
            if scenario.lanes.iter().any(|lane| lane.name == peer.name) {
                bail!("a server named {} is measured already", peer.name);
            }
            scenario.lanes.push(lane(&peer.name, work));
        }
    }
    Ok(chosen)
}

fn effort(args: &Args) -> Effort {
    if args.quick {
        return QUICK;
    }
    Effort { rounds: usize::from(args.rounds), slice: Duration::from_secs_f64(args.slice) }
}

/// From a twentieth of a second, below which the kernel's own figures are too coarse, to a minute.
fn slice(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds from 0.05 to 60".to_owned()),
    }
}
