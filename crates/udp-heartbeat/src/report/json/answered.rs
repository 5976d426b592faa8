//! A service's verdict, reason and facts as fields of a JSON reply.

use serde::Serialize;
use udp_core::cli::json::FactValues;

use crate::report::item::Answer;

#[derive(Serialize)]
pub(super) struct Answered<'a> {
    service: &'static str,
    reason: Option<&'a str>,
    facts: FactValues<'a>,
}

impl<'a> Answered<'a> {
    pub(super) fn new(answer: &'a Answer) -> Self {
        let Answer { entry, reply } = answer;
        Answered {
            service: entry.scheme,
            reason: reply.reason.as_deref(),
            facts: FactValues(&reply.facts),
        }
    }
}
