//! Builds the three programs for release, such that two builds in two places are equal: no path of
//! this machine in them, no time but the source's. For a check, the development build's.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Dist, PROGRAMS};
use crate::cargo::cargo;
use crate::e2e::{Launch, Server, build, memory};
use crate::say;

/// How a program gets at the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linking {
    /// From the system, as distributions want it.
    Dynamic,
    /// It is inside, for an image with nothing else and for systems of any age.
    Static,
}

/// The target that std is there for.
pub(super) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The directory that holds the programs.
pub(super) fn built(dist: &Dist, linking: Linking) -> Result<PathBuf> {
    if dist.check {
        let programs = build(&dist.root)?;
        return Ok(programs.server.parent().context("a program in no directory")?.to_owned());
    }
    let (kind, feature) = match linking {
        Linking::Dynamic => ("dynamic", "-crt-static"),
        Linking::Static => ("static", "+crt-static"),
    };
    let target = dist.out.join("build").join(kind);
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|h| h + "/.cargo"))?;
    let flags = [
        format!("-Ctarget-feature={feature}"),
        format!("--remap-path-prefix={}=/src", dist.root.display()),
        format!("--remap-path-prefix={home}=/cargo"),
    ];
    let mut command = cargo();
    if let Some(commit) = &dist.commit {
        command.env("UDP_COMMIT", commit);
    }
    let status = command
        .current_dir(&dist.root)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-p", "udp-server", "-p", "udp-client", "-p", "udp-heartbeat"])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("SOURCE_DATE_EPOCH", dist.epoch.to_string())
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the release build failed");
    }
    let directory = target.join(TARGET).join("release");
    weigh(&directory)?;
    Ok(directory)
}

/// What the programs may take at most: a file's MiB, and a server's memory once it has answered.
fn weigh(directory: &Path) -> Result<()> {
    const MIB: u64 = 1024 * 1024;
    for (program, most) in PROGRAMS.into_iter().zip([6, 9, 6]) {
        let bytes = std::fs::metadata(directory.join(program))?.len();
        say::line(&format!("{program}: {:.1} MiB", bytes as f64 / MIB as f64));
        ensure!(bytes <= most * MIB, "{program} has {bytes} bytes, more than {most} MiB");
    }
    let server = Server::start(Launch::new(directory.join("udp-server")).args([
        "--quiet",
        "--bind",
        "127.0.0.1:0",
    ]))?;
    let address = server.address().to_string();
    Launch::new(directory.join("udp-client")).args(["-m", "x", &address]).finish()?.exits(0)?;
    let peak = memory(server.process.id())?.peak;
    say::line(&format!("udp-server: {peak} KiB of memory"));
    ensure!(peak <= 6 * 1024, "a server that has answered once takes {peak} KiB");
    server.stop()?.exits(0).map(drop)
}
