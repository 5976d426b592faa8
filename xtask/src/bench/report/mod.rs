//! What a run came to, for people and for programs.

mod json;
mod table;

pub(crate) use json::json;
pub(crate) use table::{goals, header, scenario, who_is_who};

use super::machine::Machine;
use super::rounds::{Effort, Measured};
use super::scenario::Scenario;

/// A whole run.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) effort: Effort,
    pub(crate) scenarios: Vec<(Scenario, Measured)>,
}
