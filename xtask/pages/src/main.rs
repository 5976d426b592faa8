//! Writes the programs' manual pages and shell completions into a directory, from the same
//! definitions that parse their command lines, so that neither can say what the programs do not.
//!
//! A package of its own: the chores share no code with the programs and do not wait for their build.

mod definitions;
mod help;
mod man;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Command, ValueEnum as _};
use clap_complete::aot::{Shell, generate_to};

fn main() -> Result<()> {
    let arguments = Command::new("pages")
        .arg(clap::arg!(<DIRECTORY> "where to write").value_parser(clap::value_parser!(PathBuf)));
    let arguments = arguments.arg(clap::arg!(<DATE> "what the pages are dated, as 2026-01-31"));
    let matches = arguments.get_matches();
    let directory: &PathBuf = matches.get_one("DIRECTORY").context("no directory")?;
    let date: &String = matches.get_one("DATE").context("no date")?;
    let programs = [
        udp_core::cli::command::<udp_server::args::Args>(),
        udp_core::cli::command::<udp_client::args::Args>(),
        udp_core::cli::command::<udp_heartbeat::args::Args>(),
    ];
    let pages = made(&directory.join("man"))?;
    for program in &programs {
        let page = man::page(program, date)?;
        write(&pages.join(format!("{}.1", program.get_name())), &page)?;
    }
    let page = definitions::page(&programs, date)?;
    write(&pages.join(format!("{}.7", man::TOOLKIT)), &page)?;
    let completions = made(&directory.join("completions"))?;
    for program in programs {
        let name = program.get_name().to_owned();
        let mut program = program;
        for shell in Shell::value_variants() {
            generate_to(*shell, &mut program, &name, &completions)
                .with_context(|| format!("cannot write the completion for {shell}"))?;
        }
    }
    Ok(())
}

fn made(directory: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory.to_owned())
}

fn write(path: &Path, page: &str) -> Result<()> {
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}
