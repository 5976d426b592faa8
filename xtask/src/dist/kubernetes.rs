//! Holds the manifests for Kubernetes against its schemas (kubernetes-validate, from PyPI, which has them
//! inside), and has the programs read the arguments that they are given there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, programs, said};
use crate::e2e::skip;

pub(super) fn check(dist: &Dist) -> Result<()> {
    let tools = dist.root.join("target/tools");
    let Some(wheel) = wheel(&tools.join("wheels")) else {
        return skip("kubernetes-validate is missing: .ci/run fetches it");
    };
    let commands = said(
        Command::new(tools.join("bin/python"))
            // Its schemas are 72 MB unpacked: they are read where they are.
            .env("PYTHONPATH", wheel)
            .args(["-c", include_str!("kubernetes.py")])
            .arg(dist.root.join("packaging/kubernetes"))
            .arg(&dist.version),
    )?;
    let built = programs::built(dist, programs::Linking::Dynamic)?;
    let mut count = 0;
    for line in commands.lines().filter(|line| line.starts_with('[')) {
        let words: Vec<String> = serde_json::from_str(line)?;
        let (program, args) = words.split_first().context("an empty command")?;
        let name = program.strip_prefix("/usr/bin/").context("a program that no image has")?;
        // An unknown option is refused before help is given.
        said(Command::new(built.join(name)).args(args).arg("--help"))
            .with_context(|| format!("{name} is given what it does not take"))?;
        count += 1;
    }
    ensure!(count > 2, "the manifests run {count} programs");
    Ok(())
}

fn wheel(directory: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(directory).ok()?;
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    files.find(|path| path.to_string_lossy().contains("/kubernetes_validate-"))
}
