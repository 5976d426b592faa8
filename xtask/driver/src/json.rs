//! NDJSON as the programs print it: parsed, and each line held against a published schema (`schema/`).

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The objects in `text`, one a line, each of which is as the schema `name` has it.
pub fn objects(name: &str, text: &str) -> Result<Vec<Value>> {
    let read = |name: &str| -> Result<Value> {
        let schemas = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema"));
        let path = schemas.join(format!("{name}.schema.json"));
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
    };
    // The schema of recordings refers to the heartbeat's.
    let heartbeat = jsonschema::Resource::from_contents(read("heartbeat")?);
    let registry = jsonschema::Registry::new().add("urn:udp-toolkit:udp-heartbeat:1", heartbeat)?;
    let registry = registry.prepare()?;
    let schema = jsonschema::options().with_registry(&registry).build(&read(name)?);
    let schema = schema.map_err(|error| anyhow::anyhow!("{name} is no schema: {error}"))?;
    let object = |line| {
        let value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let faults: Vec<_> = schema.iter_errors(&value).map(|fault| fault.to_string()).collect();
        ensure!(faults.is_empty(), "{line} is not as its schema has it: {}", faults.join("; "));
        Ok(value)
    };
    text.lines().map(object).collect()
}

/// Those of a type.
pub fn of_type<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["type"] == kind).collect()
}
