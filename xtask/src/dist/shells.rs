//! Has bash, zsh and fish themselves complete an option of each program. PowerShell's and elvish's
//! completions are made by the same generator and tried by nobody.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, need, said};
use crate::e2e::Terminal;

/// What is typed, and the option that it must become.
const ASKED: [(&str, &str, &str); 3] = [
    ("udp-server", "--max-d", "--max-datagram"),
    ("udp-client", "--max-r", "--max-rtt"),
    ("udp-heartbeat", "--targets-f", "--targets-file"),
];

pub(super) fn check(dist: &Dist) -> Result<()> {
    let files = dist.out.join("completions");
    ensure!(files.is_dir(), "no {}: the step `pages` makes it", files.display());
    for (shell, package) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        need(shell, package)?;
    }
    for (program, typed, option) in ASKED {
        let in_bash = format!(
            "source {0}/{program}.bash; words=$(complete -p {program}); words=${{words##*-F }}\n\
             COMP_WORDS=({program} {typed}); COMP_CWORD=1\n\
             ${{words%% *}} {program} {typed} {program}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            files.display(),
        );
        let told = said(Command::new("bash").args(["--norc", "-c", &in_bash]))?;
        ensure!(told.trim() == option, "bash completes {program} {typed} to {told:?}");
        let in_fish =
            format!("source {}/{program}.fish; complete -C'{program} {typed}'", files.display());
        let told = said(Command::new("fish").args(["--no-config", "-c", &in_fish]))?;
        ensure!(
            told.starts_with(&format!("{option}\t")),
            "fish completes {program} {typed} to {told:?}"
        );
    }
    in_zsh(&files.display().to_string())
}

/// Its completion works on a terminal alone.
fn in_zsh(files: &str) -> Result<()> {
    let home = tempfile::tempdir().context("no directory for zsh")?;
    let start = format!("PS1='> '\nfpath=({files} $fpath)\nautoload -U compinit\ncompinit -u -D\n");
    fs::write(home.path().join(".zshrc"), start).context("cannot write .zshrc")?;
    let zsh = Terminal::start("zsh".as_ref(), &["-o", "NO_GLOBAL_RCS", "-i"], home.path())?;
    zsh.wait_until(|screen| screen == ">")?;
    for (program, typed, option) in ASKED {
        zsh.type_in(&format!("{program} {typed}\t"))?;
        zsh.wait_until(|screen| screen.contains(&format!("> {program} {option}")))
            .with_context(|| format!("zsh does not complete {program} {typed}"))?;
        // Ctrl-U: the line was only for its completion.
        zsh.type_in("\u{15}")?;
    }
    zsh.type_in("exit\r")?;
    zsh.finish().map(drop)
}
