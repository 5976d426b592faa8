//! The packers, which are programs of their own: each of one exact version, installed in
//! `target/dist/tools` where it is missing, built fast rather than made fast.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{Dist, said};
use crate::cargo::cargo;

/// What makes Debian's package.
pub(super) const DEB: (&str, &str) = ("cargo-deb", "3.8.0");
/// What makes the package for Fedora and its kin.
pub(super) const RPM: (&str, &str) = ("cargo-generate-rpm", "0.21.1");

/// Where the tool is; it is installed if it is not there.
pub(super) fn tool(dist: &Dist, (name, version): (&str, &str)) -> Result<PathBuf> {
    let tools = dist.out.join("tools");
    let place = tools.join("bin").join(name);
    let installed = std::fs::read_to_string(tools.join(".crates.toml")).unwrap_or_default();
    if place.exists() && installed.contains(&format!("\"{name} {version} ")) {
        return Ok(place);
    }
    let build = tools.join("build");
    let mut command = cargo();
    command
        .args(["install", name, "--quiet", "--locked", "--force"])
        .args(["--version", &format!("={version}"), "--root"])
        .arg(&tools)
        .env("CARGO_TARGET_DIR", &build)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    // What they are in a terminal or a network for is of no use here.
    if name == DEB.0 {
        command.arg("--no-default-features");
    }
    said(&mut command)?;
    std::fs::remove_dir_all(&build)
        .with_context(|| format!("cannot remove {}", build.display()))?;
    Ok(place)
}
