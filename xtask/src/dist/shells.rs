//! Has bash, zsh, fish and elvish themselves complete an option of each program. PowerShell's
//! completions are made by the same generator and tried by nobody.

use std::fs;
use std::path::Path;
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
    for shell in ["bash", "zsh", "fish", "elvish"] {
        need(shell, shell)?;
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
    in_zsh(&files)?;
    in_elvish(&files)
}

fn in_zsh(files: &Path) -> Result<()> {
    let home = tempfile::tempdir().context("no directory for zsh")?;
    let files = files.display();
    let start = format!("PS1='> '\nfpath=({files} $fpath)\nautoload -U compinit\ncompinit -u -D\n");
    fs::write(home.path().join(".zshrc"), start).context("cannot write .zshrc")?;
    on_a_terminal("zsh", &["-o", "NO_GLOBAL_RCS", "-i"], home.path())
}

fn in_elvish(files: &Path) -> Result<()> {
    let home = tempfile::tempdir().context("no directory for elvish")?;
    let settings = home.path().join(".config/elvish");
    fs::create_dir_all(&settings)?;
    std::os::unix::fs::symlink(files, settings.join("lib"))?;
    let mut start = "set edit:prompt = { put '> ' }\nset edit:rprompt = { }\n".to_owned();
    for (program, ..) in ASKED {
        start.push_str(&format!("use {program}\n"));
    }
    fs::write(settings.join("rc.elv"), start).context("cannot write rc.elv")?;
    on_a_terminal("elvish", &[], home.path())
}

/// These complete for a person alone.
fn on_a_terminal(shell: &str, args: &[&str], home: &Path) -> Result<()> {
    let terminal = Terminal::start(shell.as_ref(), args, home)?;
    terminal.wait_until(|screen| screen == ">")?;
    for (program, typed, option) in ASKED {
        terminal.type_in(&format!("{program} {typed}\t"))?;
        terminal
            .wait_until(|screen| screen.contains(&format!("> {program} {option}")))
            .with_context(|| format!("{shell} does not complete {program} {typed}"))?;
        // Ctrl-U: the line was only for its completion.
        terminal.type_in("\u{15}")?;
    }
    terminal.type_in("exit\r")?;
    terminal.finish().map(drop)
}
