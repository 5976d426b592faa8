//! The archive for every other Linux: static programs with their pages, completions, units and
//! documents, and checksums of all that was made.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, PROGRAMS, parts, programs, said};

pub(super) fn make(dist: &Dist) -> Result<()> {
    let name = format!("udp-toolkit-{}-{}", dist.version, programs::TARGET);
    let place = tempfile::tempdir_in(&dist.out)?;
    let top = place.path().join(&name);
    said(Command::new("cp").arg("-a").arg(dist.tree()).arg(&top))?;
    let built = programs::built(dist, programs::Linking::Static)?;
    for program in PROGRAMS {
        fs::copy(built.join(program), top.join("usr/bin").join(program))?;
    }
    fs::copy(parts::LIBC, top.join("usr/share/doc/udp-toolkit/libc-copyright"))?;
    let archive = dist.out.join(format!("{name}.tar.gz"));
    // No time, owner or order but the source's.
    said(Command::new("sh")
        .args(["-ec", "tar -c --sort=name --owner=0 --group=0 --numeric-owner --mtime=\"@$0\" -C \"$1\" \"$2\" | gzip -9n >\"$3\""])
        .arg(dist.epoch.to_string())
        .arg(place.path())
        .arg(&name)
        .arg(&archive))?;
    sums(dist)
}

/// `SHA256SUMS` over what can be handed on, checked by the tool that its reader has.
fn sums(dist: &Dist) -> Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(&dist.out)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if [".deb", ".rpm", ".tar", ".tar.gz", ".cdx.json"].iter().any(|end| name.ends_with(end)) {
            files.push(name);
        }
    }
    files.sort();
    let sums = said(Command::new("sha256sum").current_dir(&dist.out).args(&files))?;
    fs::write(dist.out.join("SHA256SUMS"), &sums).context("cannot write the checksums")?;
    let told = said(Command::new("sha256sum").current_dir(&dist.out).args(["-c", "SHA256SUMS"]))?;
    ensure!(told.lines().count() == files.len(), "{told}");
    Ok(())
}
