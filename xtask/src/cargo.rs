//! The workspace's root, the cargo that runs us, and where it put what it built: learned from its own
//! messages, so that a target directory elsewhere is honoured. The benchmark includes this file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|directory| directory.join("Cargo.lock").is_file());
    Ok(root.context("the chores' crate is in no workspace")?.to_owned())
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo put the program `name`, by the messages of its build.
pub(crate) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|m| m["target"]["name"] == name)
        .find_map(|m| m["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable_among_cargos_messages() {
        let messages = "{\"target\":{\"name\":\"udp-core\"},\"executable\":null}\n\
                        not json\n\
                        {\"target\":{\"name\":\"udp-server\"},\"executable\":\"/t/debug/udp-server\"}\n";
        assert_eq!(executable(messages, "udp-server"), Some("/t/debug/udp-server".into()));
        assert_eq!(executable(messages, "udp-core"), None);
        assert_eq!(executable(messages, "udp-client"), None);
    }
}
