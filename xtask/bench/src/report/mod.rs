//! Reports a run, for people and for programs.

mod json;
mod table;

pub(crate) use json::json;
pub(crate) use table::{goals, header, scenario, who_is_who};

use std::collections::BTreeMap;

use crate::contender::Contender;
use crate::machine::Machine;
use crate::rounds::{Effort, Measured};
use crate::scenario::Scenario;

/// A whole run.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) effort: Effort,
    pub(crate) scenarios: Vec<(Scenario, Measured)>,
    /// The commands of all servers that were measured, by their names.
    pub(crate) servers: BTreeMap<String, String>,
}

impl Report {
    /// Adds a scenario's figures, and who they are of.
    pub(crate) fn add(&mut self, scenario: Scenario, measured: Measured, all: &[Contender]) {
        for (lane, _) in &measured.lanes {
            if let Some(contender) = all.iter().find(|c| c.name == lane.contender) {
                self.servers.insert(contender.name.clone(), contender.shown());
            }
        }
        self.scenarios.push((scenario, measured));
    }
}
