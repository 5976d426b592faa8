//! The package for Fedora and its kin, made of the same tree by cargo-generate-rpm, read by rpmlint.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{Dist, PROGRAMS, need, said, tools};

pub(super) fn make(dist: &Dist) -> Result<()> {
    let tool = tools::tool(dist, tools::RPM)?;
    let package = dist.out.join(format!("udp-toolkit-{}-1.x86_64.rpm", dist.version));
    said(
        Command::new(tool)
            .current_dir(&dist.root)
            .args(["--package", "xtask/pages", "--output"])
            .arg(&package)
            .args(["--source-date", &dist.epoch.to_string()]),
    )?;
    need("rpm", "rpm")?;
    let files = said(Command::new("rpm").args(["--query", "--list", "--package"]).arg(&package))?;
    for program in PROGRAMS {
        ensure!(files.lines().any(|f| f == format!("/usr/bin/{program}")), "no {program} in it");
    }
    need("rpmlint", "rpmlint")?;
    let told = said(
        Command::new("rpmlint")
            .arg("--config")
            .arg(dist.root.join("packaging/rpmlint.toml"))
            .arg(&package),
    )?;
    ensure!(told.contains(" 0 errors, 0 warnings"), "{told}");
    Ok(())
}
