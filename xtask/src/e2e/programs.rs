//! Finds the workspace, builds the three programs once, and learns from cargo's own messages
//! where it put them (so that a target directory elsewhere is honoured).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Where the built programs are.
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) heartbeat: PathBuf,
}

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.parent().context("the chores' crate has no parent directory")?;
    ensure!(root.join("Cargo.toml").is_file(), "no Cargo.toml in {}", root.display());
    Ok(root.to_owned())
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the programs (in the development profile, as `cargo run` does) and finds them; or takes
/// those in the directory that `UDP_PROGRAMS` names, such as a release build's.
pub(crate) fn build(root: &Path) -> Result<Programs> {
    if let Some(directory) = std::env::var_os("UDP_PROGRAMS") {
        let there = |name: &str| {
            let path = Path::new(&directory).join(name);
            path.canonicalize().with_context(|| format!("no program at {}", path.display()))
        };
        return Ok(Programs {
            server: there("udp-server")?,
            client: there("udp-client")?,
            heartbeat: there("udp-heartbeat")?,
        });
    }
    let output = cargo()
        .current_dir(root)
        .args(["build", "--quiet", "--message-format", "json-render-diagnostics"])
        .args(["-p", "udp-server", "-p", "udp-client", "-p", "udp-heartbeat"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo build failed");
    }
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let find = |name: &str| {
        executable(&messages, name).with_context(|| format!("cargo built no program {name}"))
    };
    Ok(Programs {
        server: find("udp-server")?,
        client: find("udp-client")?,
        heartbeat: find("udp-heartbeat")?,
    })
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
