//! What the programs are made of: a bill of materials (CycloneDX) for each, with every part's licence.
//! That no part has a licence which we must not pass on is `cargo xtask ci deny`'s to say.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Dist, PROGRAMS, said, tools};

pub(super) fn make(dist: &Dist) -> Result<()> {
    let tool = tools::tool(dist, tools::CYCLONEDX)?;
    let made = said(
        Command::new(tool)
            .current_dir(&dist.root)
            .args(["cyclonedx", "--manifest-path", "crates/udp-server/Cargo.toml", "-q"])
            .args(["--format", "json", "--describe", "binaries", "--target"])
            .arg(super::programs::TARGET)
            .env("SOURCE_DATE_EPOCH", dist.epoch.to_string()),
    );
    // It writes beside each manifest of the workspace, whatever it is asked.
    let mut bills = take_bills(&dist.root.join("xtask"))?;
    for packages in ["crates", "xtask"] {
        for entry in fs::read_dir(dist.root.join(packages))? {
            let path = entry?.path();
            if path.is_dir() {
                bills.extend(take_bills(&path)?);
            }
        }
    }
    made?;
    for program in PROGRAMS {
        let name = format!("{program}_bin.cdx.json");
        let text = bills.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        let text = text.with_context(|| format!("no bill of {program}"))?;
        // Without where it was built, so that it is the same everywhere.
        let text = text.replace(&dist.root.display().to_string(), "/src");
        let bill: Value = serde_json::from_str(&text).context("a bill that is no JSON")?;
        let parts = bill["components"].as_array().map_or(0, Vec::len);
        ensure!(bill["bomFormat"] == "CycloneDX" && parts > 20, "{program}: {parts} parts");
        fs::write(dist.out.join(format!("{program}.cdx.json")), text)?;
    }
    Ok(())
}

/// The bills that lie in a directory, by name; they are taken away.
fn take_bills(directory: &Path) -> Result<Vec<(String, String)>> {
    let mut bills = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".cdx.json") {
            bills.push((name, fs::read_to_string(&path)?));
            fs::remove_file(&path)?;
        }
    }
    Ok(bills)
}
