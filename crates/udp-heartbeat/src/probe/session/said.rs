//! Counts the reasons that a service gave, and keeps the numeric facts of its newest answer.

use super::Session;
use crate::probe::asking::Reasons;
use crate::probe::verdict::Verdict;

/// What a service said.
#[derive(Debug, Default)]
pub(super) struct Said {
    reasons: Reasons,
    /// That of the last answer that was not ok.
    bad: Option<String>,
    /// Numbers of the newest answer, by name.
    facts: Vec<(&'static str, i64)>,
}

impl Session {
    /// A service gave this reason for an answer that was received.
    pub(crate) fn said(&mut self, verdict: Verdict, reason: Option<&str>) {
        if reason.is_none() && verdict == Verdict::Ok {
            return;
        }
        let said = self.reasons.get_or_insert_default();
        reason.into_iter().for_each(|reason| said.reasons.count(reason));
        if verdict != Verdict::Ok {
            said.bad = reason.map(str::to_owned);
        }
    }

    /// An answer that was received has these numbers; they are kept for a scrape alone.
    pub(crate) fn keep_facts(&mut self, facts: impl Iterator<Item = (&'static str, i64)>) {
        if self.buckets.is_some() {
            let said = self.reasons.get_or_insert_default();
            said.facts.clear();
            said.facts.extend(facts);
        }
    }

    /// The numbers of the newest answer.
    pub(crate) fn facts(&self) -> &[(&'static str, i64)] {
        self.reasons.as_ref().map_or(&[], |said| &said.facts)
    }

    /// The reason of the last answer that was not ok.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reasons.as_ref()?.bad.as_deref()
    }

    /// How often each reason was given.
    pub(crate) fn reasons(&self) -> Option<&Reasons> {
        self.reasons.as_ref().map(|said| &said.reasons)
    }
}
