//! What the end-to-end run holds the programs against: the independent implementations of STAMP, which are
//! the program `stamp-suite` from crates.io and scapy from PyPI, and NumPy and SciPy for statistics; each of one
//! exact version, installed below the target directory and nowhere else.
//!
//! What is there is asked for its version, so that a second run installs nothing, a half-finished
//! one is mended, and a new pin is noticed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cargo::{cargo, workspace_root};
use crate::say;

const SUITE: &str = "1.0.0";
/// The version of scapy stands where pip reads it, beside its hash.
const REQUIREMENTS: &str = include_str!("../interop/requirements.txt");
const STATISTICS: &str = include_str!("../interop/statistics.txt");

/// Where the other implementations are.
pub(crate) struct Tools {
    /// Session-sender and session-reflector in one.
    pub(crate) suite: PathBuf,
    /// A Python that has scapy.
    pub(crate) python: PathBuf,
}

impl Tools {
    fn below(directory: &Path) -> Self {
        Self {
            suite: directory.join("suite/bin/stamp-suite"),
            python: directory.join("scapy/bin/python"),
        }
    }

    fn has_suite(&self) -> bool {
        says(&self.suite, &["--version"], &format!("stamp-suite {SUITE}"))
    }

    fn has_scapy(&self) -> bool {
        let ask = "import scapy.contrib.stamp; print(scapy.VERSION)";
        says(&self.python, &["-c", ask], version("scapy"))
    }

    fn has_statistics(&self) -> bool {
        let ask = "import numpy, scipy; print(numpy.__version__, scipy.__version__)";
        let versions = format!("{} {}", version("numpy"), version("scipy"));
        says(&self.python, &["-Bc", ask], &versions)
    }
}

/// The tools of the pinned versions, or what is missing.
pub(crate) fn find() -> Result<Tools, String> {
    let tools = directory().map(|d| Tools::below(&d)).map_err(|error| format!("{error:#}"))?;
    let missing = if !tools.has_suite() {
        format!("stamp-suite {SUITE}")
    } else if !tools.has_scapy() {
        format!("scapy {}", version("scapy"))
    } else {
        return Ok(tools);
    };
    Err(not_there(&missing))
}

/// A Python that has NumPy and SciPy, or what is missing.
pub(crate) fn statistics() -> Result<PathBuf, String> {
    let tools = directory().map(|d| Tools::below(&d)).map_err(|error| format!("{error:#}"))?;
    if tools.has_statistics() { Ok(tools.python) } else { Err(not_there("SciPy")) }
}

fn not_there(missing: &str) -> String {
    format!("{missing} is not installed: `cargo xtask interop` does that")
}

/// Installs what is not there yet.
pub(crate) fn prepare() -> Result<()> {
    let directory = directory()?;
    let tools = Tools::below(&directory);
    if !tools.has_suite() {
        install_suite(&directory)?;
    }
    if !tools.has_scapy() {
        install_scapy(&directory, &tools)?;
    }
    if !tools.has_statistics() {
        install_from("statistics.txt", &tools)?;
    }
    find().and(statistics()).map_err(|reason| anyhow::anyhow!("installed, and still {reason}"))?;
    let versions = ["scapy", "numpy", "scipy"].map(|name| format!("{name} {}", version(name)));
    say::line(&format!("stamp-suite {SUITE}, {} are ready", versions.join(", ")));
    Ok(())
}

/// For a few packets a second: built fast rather than made fast.
fn install_suite(directory: &Path) -> Result<()> {
    let build = directory.join("build");
    run(cargo()
        .args(["install", "stamp-suite", "--quiet", "--locked", "--no-default-features", "--force"])
        .args(["--version", &format!("={SUITE}"), "--root"])
        .arg(directory.join("suite"))
        .env("CARGO_TARGET_DIR", &build)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"))?;
    std::fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}

fn install_scapy(directory: &Path, tools: &Tools) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory.join("scapy")))?;
    install_from("requirements.txt", tools)
}

/// Nothing is kept that the tests do not need: neither what was fetched nor compiled modules.
fn install_from(requirements: &str, tools: &Tools) -> Result<()> {
    run(Command::new(&tools.python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-cache-dir", "--no-compile"])
        .args(["--only-binary", ":all:", "--require-hashes", "--requirement"])
        .arg(workspace_root()?.join("xtask/interop").join(requirements)))
}

/// `interop` in the target directory, wherever that is.
fn directory() -> Result<PathBuf> {
    let output = cargo()
        .current_dir(workspace_root()?)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata says no JSON")?;
    let target = metadata["target_directory"].as_str().context("no target directory")?;
    Ok(Path::new(target).join("interop"))
}

/// The version of a package that pip is told.
fn version(package: &str) -> &'static str {
    let lines = REQUIREMENTS.lines().chain(STATISTICS.lines());
    let mut pins = lines.filter_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
    pins.next().and_then(|rest| rest.split_whitespace().next()).unwrap_or("without a pin")
}

/// Whether `program` is there and prints just this.
fn says(program: &Path, args: &[&str], expected: &str) -> bool {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    output.is_ok_and(|output| {
        output.status.success() && output.stdout.trim_ascii() == expected.as_bytes()
    })
}

fn run(command: &mut Command) -> Result<()> {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let shown = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    say::line(&shown);
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_pip_is_given() {
        for package in ["scapy", "numpy", "scipy"] {
            assert!(version(package).starts_with(|c: char| c.is_ascii_digit()), "{package}");
        }
        for pins in [REQUIREMENTS, STATISTICS] {
            let unhashed =
                pins.lines().filter(|it| it.contains("==") && !it.contains("--hash=sha256:"));
            assert_eq!(unhashed.count(), 0);
        }
    }

    #[test]
    fn what_is_not_there_or_says_something_else_is_missing() {
        let echo = Path::new("echo");
        assert!(says(echo, &["stamp-suite 1.0.0"], "stamp-suite 1.0.0"));
        assert!(!says(echo, &["stamp-suite 0.9.0"], "stamp-suite 1.0.0"));
        assert!(!says(Path::new("/nonexistent/program"), &[], ""));
        assert!(!says(Path::new("false"), &[], ""));
    }
}
