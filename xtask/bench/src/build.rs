//! Builds what is measured: our programs and the peers, as they are released.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, executable};
use crate::say;

/// Where the built programs are.
pub(crate) struct Built {
    pub(crate) server: PathBuf,
    pub(crate) heartbeat: PathBuf,
    /// The minimal echo servers by their names.
    pub(crate) peers: BTreeMap<String, PathBuf>,
}

const PEERS: [&str; 4] = ["std", "mio", "tokio", "quinn-udp"];

/// Builds everything that is measured.
pub(crate) fn all(root: &Path) -> Result<Built> {
    // One at a time: what one program needs of a shared crate must not end up in the other.
    let program = |name: &str| {
        say::complain(&format!("building {name}"));
        one(root, &["--release", "-p", name], name)
    };
    let (server, heartbeat) = (program("udp-server")?, program("udp-heartbeat")?);
    say::complain("building the peers");
    let directory = root.join("xtask/peers");
    let messages = build(&directory, &["--release"])?;
    let mut peers = BTreeMap::new();
    for peer in PEERS {
        let name = format!("peer-{peer}");
        let program = executable(&messages, &name);
        let program = program.with_context(|| format!("cargo built no program {name}"))?;
        peers.insert(peer.to_owned(), program);
    }
    Ok(Built { server, heartbeat, peers })
}

fn one(root: &Path, arguments: &[&str], name: &str) -> Result<PathBuf> {
    let messages = build(root, arguments)?;
    executable(&messages, name).with_context(|| format!("cargo built no program {name}"))
}

fn build(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = cargo()
        .current_dir(directory)
        .args(["build", "--quiet", "--message-format", "json-render-diagnostics"])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo build failed in {}", directory.display());
    }
    String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")
}
