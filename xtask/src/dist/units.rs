//! Has systemd read the units as they are installed. It looks for the programs on this machine, so it
//! is given the tree's.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, PROGRAMS, need, silent};

pub(super) fn check(dist: &Dist) -> Result<()> {
    need("systemd-analyze", "systemd")?;
    let units = tempfile::tempdir()?;
    let installed = dist.tree().join("usr/lib/systemd/system");
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no"]);
    let mut count = 0;
    for unit in fs::read_dir(&installed).context("no units: the step `stage` puts them there")? {
        let unit = unit?.path();
        let mut text = fs::read_to_string(&unit)?;
        for program in PROGRAMS {
            let there = dist.tree().join("usr/bin").join(program);
            text = text.replace(
                &format!("ExecStart={program} "),
                &format!("ExecStart={} ", there.display()),
            );
        }
        let copy = units.path().join(unit.file_name().context("a unit without a name")?);
        fs::write(&copy, text)?;
        command.arg(&copy);
        count += 1;
    }
    ensure!(count > 0, "no units in {}", installed.display());
    // It complains on stderr, and does not fail for every complaint.
    silent(
        Command::new("sh")
            .args(["-c", "exec \"$@\" 2>&1", "sh", "systemd-analyze"])
            .args(command.get_args()),
    )
}
