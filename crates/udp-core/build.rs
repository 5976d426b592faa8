//! Finds what `--version` says of this build: its target, and the commit it was made from.
//!
//! The commit is `UDP_COMMIT` (set by who makes packages), or what `cargo package` recorded, or the
//! clone's HEAD. git is asked in a release build alone: a commit rebuilds nothing in development.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    writeln!(out, "cargo:rerun-if-env-changed=UDP_COMMIT")?;
    if std::env::var_os("CARGO_FEATURE_CLI").is_none() {
        return Ok(());
    }
    let package = set("CARGO_MANIFEST_DIR");
    let mut commit = given(&set("UDP_COMMIT")).or_else(|| recorded(Path::new(&package)));
    let root = Path::new(&package).join("../..");
    if commit.is_none() && set("PROFILE") == "release" {
        for file in watched(&root) {
            writeln!(out, "cargo:rerun-if-changed={file}")?;
        }
        commit = checked_out(&root);
    }
    writeln!(out, "cargo:rustc-env=UDP_CORE_COMMIT={}", commit.unwrap_or_default())?;
    writeln!(out, "cargo:rustc-env=UDP_CORE_TARGET={}", set("TARGET"))
}

/// The first line of what the environment says, if it says anything.
pub(crate) fn given(text: &str) -> Option<String> {
    let line = text.lines().next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// What `cargo package` wrote beside the manifest.
pub(crate) fn recorded(package: &Path) -> Option<String> {
    let text = std::fs::read_to_string(package.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let hash: String = rest.split('"').nth(1)?.chars().take(12).collect();
    Some(hash + if text.contains("\"dirty\": true") { CHANGED } else { "" })
}

const CHANGED: &str = " with changes";

/// HEAD of the clone at `root`, and whether what is built was changed since. A directory that merely
/// lies in somebody's clone is none.
pub(crate) fn checked_out(root: &Path) -> Option<String> {
    root.join(".git").exists().then_some(())?;
    let head = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let built = ["status", "--porcelain", "--untracked-files=no", "--", "Cargo.lock", "crates"];
    let changed = git(root, &built).is_none_or(|files| !files.is_empty());
    Some(head + if changed { CHANGED } else { "" })
}

/// What changes with HEAD, and with what is built.
fn watched(root: &Path) -> Vec<String> {
    let git = ["HEAD", "logs/HEAD"].map(|name| git(root, &["rev-parse", "--git-path", name]));
    let git = git.into_iter().flatten().map(|path| root.join(path));
    let built = ["Cargo.lock", "crates"].map(|name| root.join(name));
    // A file that does not exist would be taken for changed each time.
    git.chain(built).filter(|it| it.exists()).map(|it| it.display().to_string()).collect()
}

/// What git says at `root`; None without git, or where it refuses.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("--no-optional-locks").args(args).current_dir(root).env_remove("GIT_DIR");
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
