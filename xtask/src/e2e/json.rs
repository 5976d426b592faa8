//! NDJSON as the programs print it: parsed, and checked against the published schemas.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::check;
use super::context::Context;

/// Parses every line of `output`, and checks each against the schema of `program`.
pub(crate) fn events(context: &Context, program: &str, output: &[u8]) -> Result<Vec<Value>> {
    let schema = schema(&context.root, program)?;
    let text = std::str::from_utf8(output).context("JSON that is not UTF-8")?;
    check::holds("NDJSON ends with a line end", text.ends_with('\n'))?;
    text.lines().map(|line| event(&schema, line)).collect()
}

fn event(schema: &jsonschema::Validator, line: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
    let faults: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
    if !faults.is_empty() {
        bail!("{line} does not match its schema: {}", faults.join("; "));
    }
    // What holds for every event of every program, whatever its schema says.
    check::same("the schema version", Some(1), value["v"].as_u64())?;
    check::matches("ts", "<ts>", value["ts"].as_str().unwrap_or_default())?;
    check::holds("an event has a type", value["type"].is_string())?;
    Ok(value)
}

fn schema(root: &Path, program: &str) -> Result<jsonschema::Validator> {
    let name = program.strip_prefix("udp-").unwrap_or(program);
    let path = root.join("schema").join(format!("{name}.schema.json"));
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let schema: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    jsonschema::validator_for(&schema)
        .map_err(|error| anyhow::anyhow!("{} is no schema: {error}", path.display()))
}

/// The types of the events, in order.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["type"].as_str().unwrap_or_default()).collect()
}

/// The first event of a type.
pub(crate) fn first<'a>(events: &'a [Value], kind: &str) -> Result<&'a Value> {
    events
        .iter()
        .find(|e| e["type"] == kind)
        .with_context(|| format!("no event of type {kind} among {:?}", types(events)))
}
