//! Has promtool try the recording and alerting rules, and read every expression of the Grafana board.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Dist, need, said};

pub(super) fn check(dist: &Dist) -> Result<()> {
    need("promtool", "prometheus")?;
    let rules = dist.root.join("packaging/prometheus");
    said(
        Command::new("promtool").args(["check", "rules"]).arg(rules.join("udp-toolkit.rules.yml")),
    )?;
    said(Command::new("promtool").args(["test", "rules"]).arg(rules.join("udp-toolkit.test.yml")))?;
    let board = std::fs::read(dist.root.join("packaging/grafana/udp-toolkit.json"))?;
    let board: Value = serde_json::from_slice(&board).context("the board is no JSON")?;
    let panels = board["panels"].as_array().context("a board without panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    // Grafana puts in a time and what was chosen; JSON is YAML.
    let said_by = |target: &Value| {
        target["expr"].as_str().map(|expr| {
            expr.replace("$__rate_interval", "5m").replace("$site", ".*").replace("$target", ".*")
        })
    };
    let rules: Vec<Value> = targets
        .filter_map(said_by)
        .enumerate()
        .map(|(n, expr)| json!({"record": format!("board:{n}"), "expr": expr}))
        .collect();
    ensure!(rules.len() > 10, "the board asks {} questions", rules.len());
    let file = tempfile::NamedTempFile::new()?;
    let rules = json!({"groups": [{"name": "board", "rules": rules}]});
    std::fs::write(file.path(), rules.to_string())?;
    said(Command::new("promtool").args(["check", "rules"]).arg(file.path())).map(drop)
}
