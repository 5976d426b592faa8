//! Makes the manual pages and completions, by a program of its own that knows the command lines,
//! and has each page read by mandoc(1).

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, need, said, silent};
use crate::cargo::cargo;

/// The pages that there are.
pub(super) const PAGES: [&str; 4] =
    ["udp-client.1", "udp-heartbeat.1", "udp-server.1", "udp-toolkit.7"];

/// `man` and `completions` in the output directory.
pub(super) fn make(dist: &Dist) -> Result<()> {
    let mut command = cargo();
    command.current_dir(&dist.root).args(["run", "--quiet", "-p", "pages", "--"]);
    said(command.arg(&dist.out).arg(dist.date()?))?;
    need("mandoc", "mandoc")?;
    for page in PAGES {
        lint(&dist.out.join("man").join(page))?;
    }
    Ok(())
}

/// No warning, and what a page of this section holds.
fn lint(page: &Path) -> Result<()> {
    silent(Command::new("mandoc").args(["-T", "lint"]).arg(page))?;
    let text = said(Command::new("mandoc").args(["-T", "utf8"]).arg(page))?;
    let name = page.file_stem().context("a page without a name")?.to_string_lossy();
    for heading in ["NAME", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"] {
        // Headings are struck twice, with a backspace between.
        let heading: String = heading
            .chars()
            .map(|c| if c == ' ' { " ".into() } else { format!("{c}\u{8}{c}") })
            .collect();
        ensure!(text.contains(&heading), "{name} has no {}", heading.replace('\u{8}', ""));
    }
    Ok(())
}
