//! What a service said, as fields of a reply.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use udp_core::service::{Fact, Facts};

use crate::report::item::Answer;

#[derive(Serialize)]
pub(super) struct Answered<'a> {
    service: &'static str,
    reason: Option<&'a str>,
    facts: Values<'a>,
}

impl<'a> Answered<'a> {
    pub(super) fn new(answer: &'a Answer) -> Self {
        let Answer { entry, reply } = answer;
        Answered {
            service: entry.scheme,
            reason: reply.reason.as_deref(),
            facts: Values(&reply.facts),
        }
    }
}

/// An object of values.
struct Values<'a>(&'a Facts);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, fact) in self.0.iter() {
            match fact {
                Fact::Text(text) => map.serialize_entry(name, text)?,
                Fact::Number(number) => map.serialize_entry(name, number)?,
                Fact::Flag(flag) => map.serialize_entry(name, flag)?,
                Fact::List(all) => map.serialize_entry(name, all)?,
            }
        }
        map.end()
    }
}
