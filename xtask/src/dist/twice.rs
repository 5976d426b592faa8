//! Everything made once more, of a copy of the source in another place, to see that it is the same.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, STEPS, run_step, said};
use crate::say;

/// The steps that make something which is handed on.
const MAKERS: [&str; 7] = ["pages", "parts", "stage", "deb", "rpm", "image", "archive"];

/// What the steps have made for `dist` is made again elsewhere, and both compared.
pub(super) fn compare(dist: &Dist) -> Result<()> {
    let place = tempfile::tempdir_in(dist.root.join("target"))?;
    let root = place.path().join("another/place");
    let out = root.join("target/dist");
    fs::create_dir_all(&out)?;
    // The files as they are, without the clone.
    let copy = "git ls-files -z | tar -c --null --files-from=- | tar -x -C \"$0\"";
    said(Command::new("sh").args(["-ec", copy]).arg(&root).current_dir(&dist.root))?;
    std::os::unix::fs::symlink(dist.out.join("tools"), out.join("tools"))?;
    let version = said(Command::new(dist.tree().join("usr/bin/udp-server")).arg("--version"))?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit: "));
    let again = Dist {
        check: false,
        version: dist.version.clone(),
        root,
        out,
        epoch: dist.epoch,
        commit: Some(commit.context("a program without a commit")?.to_owned()),
    };
    for step in STEPS.iter().filter(|step| MAKERS.contains(&step.0)) {
        ensure!(run_step(step, &again), "the second time {} failed", step.0);
    }
    let sums = |dist: &Dist| fs::read_to_string(dist.out.join("SHA256SUMS"));
    let (first, second) = (sums(dist)?, sums(&again)?);
    let differ: Vec<&str> = first.lines().filter(|line| !second.contains(line)).collect();
    ensure!(first == second, "made in two places, these differ:\n{}", differ.join("\n"));
    say::line("both places made the same, byte for byte");
    Ok(())
}
