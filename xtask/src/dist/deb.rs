//! Debian's package, made of the staged tree by cargo-deb and read by lintian, and a bare Debian root
//! in which it is installed, used as a newcomer would, and taken away again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, need, said, silent, tools};
use crate::e2e::skip;

/// Where the package is.
fn package(dist: &Dist) -> PathBuf {
    dist.out.join(format!("udp-toolkit_{}-1_amd64.deb", dist.version))
}

pub(super) fn make(dist: &Dist) -> Result<()> {
    need("dpkg-shlibdeps", "dpkg-dev")?;
    let tool = tools::tool(dist, tools::DEB)?;
    said(
        Command::new(tool)
            .current_dir(&dist.root)
            .args([
                "-p",
                "pages",
                "--no-build",
                "--no-strip",
                "--compress-system",
                "--quiet",
                "--output",
            ])
            .arg(package(dist))
            .env("SOURCE_DATE_EPOCH", dist.epoch.to_string()),
    )?;
    need("lintian", "lintian")?;
    // One tag is about packages for Debian's own archive, which are to name the bug that asked for them.
    let quiet = ["--suppress-tags", "initial-upload-closes-no-bugs"];
    silent(
        Command::new("lintian")
            .args(["--fail-on", "warning", "--allow-root"])
            .args(quiet)
            .arg(package(dist)),
    )
}

/// What is typed in the root, with a network of its own.
const TUTORIAL: &str = include_str!("tutorial.sh");

pub(super) fn install(dist: &Dist) -> Result<()> {
    need("mmdebstrap", "mmdebstrap")?;
    need("unshare", "util-linux")?;
    let package = package(dist);
    ensure!(package.exists(), "no {}: the step `deb` makes it", package.display());
    if said(Command::new("id").arg("-u"))?.trim() != "0" {
        return skip("a root to install in needs root");
    }
    let place = tempfile::tempdir()?;
    let root = place.path().join("root");
    said(
        Command::new("mmdebstrap")
            .args([
                "--quiet",
                "--variant=essential",
                "--include=mandoc,init-system-helpers",
                "bookworm",
            ])
            .arg(&root),
    )?;
    fs::copy(&package, root.join("udp-toolkit.deb")).context("cannot copy the package")?;
    fs::write(root.join("tutorial.sh"), TUTORIAL)?;
    let told = said(
        Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-ec",
                "ip link set lo up; exec chroot \"$0\" sh -eu /tutorial.sh",
            ])
            .arg(&root),
    )?;
    ensure!(told.trim_end().ends_with("done"), "{told}");
    Ok(())
}
