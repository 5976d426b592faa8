//! NDJSON as the programs print it: parsed, and checked against the published schemas.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::check;

/// Parses every line of `output`, and checks each against the schema of `program`.
pub(crate) fn events(program: &str, output: &[u8]) -> Result<Vec<Value>> {
    let text = std::str::from_utf8(output).context("JSON that is not UTF-8")?;
    check::holds("NDJSON ends with a line end", text.ends_with('\n'))?;
    let events = driver::json::objects(program.strip_prefix("udp-").unwrap_or(program), text)?;
    // What holds for every event of every program, whatever its schema says.
    for event in &events {
        check::same("the schema version", Some(1), event["v"].as_u64())?;
        check::matches("ts", "<ts>", event["ts"].as_str().unwrap_or_default())?;
        check::holds("an event has a type", event["type"].is_string())?;
    }
    Ok(events)
}

/// The types of the events, in order.
fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["type"].as_str().unwrap_or_default()).collect()
}

/// The first event of a type.
pub(crate) fn first<'a>(events: &'a [Value], kind: &str) -> Result<&'a Value> {
    events
        .iter()
        .find(|e| e["type"] == kind)
        .with_context(|| format!("no event of type {kind} among {:?}", types(events)))
}
