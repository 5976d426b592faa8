//! Debian's package, made of the staged tree by cargo-deb and read by lintian, and a bare Debian root
//! in which it is installed, used as a newcomer would, and taken away again.

use std::fs;
use std::path::{Path, PathBuf};
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
    pack(dist, &package(dist), &[])?;
    // The same tree makes the same package.
    let again = tempfile::NamedTempFile::new()?;
    pack(dist, again.path(), &[])?;
    said(Command::new("cmp").arg(package(dist)).arg(again.path()))?;
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

fn pack(dist: &Dist, package: &Path, more: &[&str]) -> Result<()> {
    let options = ["-p", "pages", "--no-build", "--no-strip", "--compress-system", "--quiet"];
    let mut command = Command::new(tools::tool(dist, tools::DEB)?);
    command
        .current_dir(&dist.root)
        .args(options)
        .args(more)
        .args(["--maintainer", &dist.maintainer(), "--output"])
        .arg(package)
        .env("SOURCE_DATE_EPOCH", dist.epoch.to_string());
    said(&mut command).map(drop)
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
    // What it is an upgrade of.
    pack(dist, &root.join("older.deb"), &["--fast", "--deb-version", "0.0.1-1"])?;
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
