//! Builds the three programs once, as `cargo run` does, and finds them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, executable};

/// Where the built programs are.
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) heartbeat: PathBuf,
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
