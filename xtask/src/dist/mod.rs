//! `cargo xtask dist`: everything that is installed, in `target/dist`, and each part tried by the
//! tool that is going to read it. What a step makes, later ones take from the tree in `root`.

mod archive;
mod deb;
mod image;
mod kubernetes;
mod pages;
mod parts;
mod programs;
mod rpm;
mod rules;
mod shells;
mod stage;
mod tools;
mod twice;
mod units;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo::workspace_root;
use crate::ci::now;
use crate::e2e::{Skipped, present, skip};
use crate::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the steps with these names, and what they are made of.
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Check rather than release: the development build's programs, and quick steps alone.
    #[arg(long)]
    check: bool,
    /// Make everything in a second place too, and compare: what both made must be equal.
    #[arg(long, conflicts_with_all = ["check", "steps"])]
    twice: bool,
    /// Print the names of the steps and what they do, and stop.
    #[arg(long)]
    list: bool,
}

/// A step by its name: what it shows, whether `--check` runs it too, and what it does.
struct Step(&'static str, &'static str, bool, fn(&Dist) -> Result<()>);

const QUICK: bool = true;
const LONG: bool = false;

const STEPS: [Step; 12] = [
    Step("pages", "manual pages and completions", QUICK, pages::make),
    Step("shells", "four shells complete", QUICK, shells::check),
    Step("parts", "bills of materials, licences of all parts", QUICK, parts::make),
    Step("stage", "the tree that packages are made of", QUICK, stage::make),
    Step("units", "systemd reads the units", QUICK, units::check),
    Step("deb", "Debian's package, by lintian", QUICK, deb::make),
    Step("install", "the tutorial where that is installed", QUICK, deb::install),
    Step("rpm", "Fedora's package, by rpmlint", LONG, rpm::make),
    Step("rules", "Prometheus tries its rules", QUICK, rules::check),
    Step("kubernetes", "manifests, by Kubernetes' schemas", QUICK, kubernetes::check),
    Step("image", "an OCI image, made twice and run", LONG, image::make),
    Step("archive", "an archive, and all checksums", LONG, archive::make),
];

/// What is installed.
const PROGRAMS: [&str; 3] = ["udp-client", "udp-heartbeat", "udp-server"];

/// What the steps share.
struct Dist {
    check: bool,
    version: String,
    /// The workspace.
    root: PathBuf,
    /// Where everything goes: `target/dist` in the workspace.
    out: PathBuf,
    /// When the source was last changed, in seconds since 1970 (SOURCE_DATE_EPOCH).
    epoch: u64,
    /// What it was built from, where its place does not tell.
    commit: Option<String>,
}

impl Dist {
    fn new(check: bool) -> Result<Self> {
        let root = workspace_root()?;
        let out = root.join("target/dist");
        std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let epoch = epoch(&root)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { check, version, root, out, epoch, commit: None })
    }

    /// What a package installs.
    fn tree(&self) -> PathBuf {
        self.out.join("root")
    }

    /// Removes all but what took long to build: nobody wants packages that are no release.
    fn clear(&self) -> Result<()> {
        for entry in std::fs::read_dir(&self.out)? {
            let path = entry?.path();
            match path.is_dir() {
                true if path.ends_with("tools") || path.ends_with("build") => {}
                true => std::fs::remove_dir_all(path)?,
                false => std::fs::remove_file(path)?,
            }
        }
        Ok(())
    }

    /// Who answers for the packages: whoever makes them, in the variables of Debian's tools.
    fn maintainer(&self) -> String {
        let set = |name, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.into());
        let name = set("DEBFULLNAME", "whoever built this package");
        format!("{name} <{}>", set("DEBEMAIL", "nobody@localhost.invalid"))
    }

    /// The date of the source, as 2026-01-31.
    fn date(&self) -> Result<String> {
        let date =
            said(Command::new("date").args(["-u", "+%F", "-d", &format!("@{}", self.epoch)]))?;
        Ok(date.trim().to_owned())
    }
}

/// From the environment, or the clone's last commit; 1980 where there is neither, the least that
/// every archive can hold.
fn epoch(root: &std::path::Path) -> Result<u64> {
    if let Ok(set) = std::env::var("SOURCE_DATE_EPOCH") {
        return set.parse().context("SOURCE_DATE_EPOCH is no number of seconds");
    }
    let log = Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root).output();
    let text = log.map(|log| String::from_utf8_lossy(&log.stdout).into_owned()).unwrap_or_default();
    Ok(text.trim().parse().unwrap_or(315_532_800))
}

/// Runs the chosen steps; true when none of them failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    for name in &args.steps {
        ensure!(
            STEPS.iter().any(|Step(step, ..)| *step == name),
            "no step is named {name}; `cargo xtask dist --list` names them"
        );
    }
    if args.list {
        for Step(name, what, ..) in &STEPS {
            say::line(&format!("{name:<13} {what}"));
        }
        return Ok(true);
    }
    let dist = Dist::new(args.check)?;
    let mut failed = Vec::new();
    for step @ Step(name, _, quick, _) in &STEPS {
        let chosen = match args.steps.is_empty() {
            true => *quick || !args.check,
            false => args.steps.iter().any(|it| it == name || made_of(it).contains(name)),
        };
        if chosen && !run_step(step, &dist) {
            failed.push(*name);
        }
    }
    if args.twice && failed.is_empty() {
        twice::compare(&dist)?;
    }
    if args.check && failed.is_empty() {
        dist.clear()?;
    }
    if failed.is_empty() {
        say::line(&format!("dist: {}", dist.out.display()));
    } else {
        say::line(&format!("dist: failed: {}", failed.join(", ")));
    }
    Ok(failed.is_empty())
}

/// The steps that `name` takes what it is made of from.
fn made_of(name: &str) -> &'static [&'static str] {
    match name {
        "shells" => &["pages"],
        "stage" => &["pages", "parts"],
        "units" | "deb" | "rpm" | "archive" => &["pages", "parts", "stage"],
        "install" => &["pages", "parts", "stage", "deb"],
        "image" => &["parts"],
        _ => &[],
    }
}

fn run_step(Step(name, what, _, run): &Step, dist: &Dist) -> bool {
    say::line(&format!("== {name}: {what}"));
    let began = now();
    match run(dist) {
        Ok(()) => {
            say::line(&format!("ok {name} ({:.1} s)", began.elapsed().as_secs_f64()));
            true
        }
        Err(error) if error.is::<Skipped>() => {
            say::line(&format!("skipped {name}: {error}"));
            true
        }
        Err(error) => {
            say::line(&format!("FAILED {name}: {error:#}"));
            false
        }
    }
}

/// Ends a step without its tool; in continuous integration it fails then.
fn need(tool: &str, package: &str) -> Result<()> {
    if present(tool) {
        return Ok(());
    }
    skip(&format!("{tool} is missing (Debian's package {package})"))
}

/// Runs a command to its good end and gives what it wrote on stdout.
fn said(command: &mut Command) -> Result<String> {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let shown = words.map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {shown}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {}\n{text}{complaint}", output.status);
    }
    Ok(text)
}

/// The same for a checker, which is to say nothing.
fn silent(command: &mut Command) -> Result<()> {
    let text = said(command)?;
    ensure!(text.trim().is_empty(), "{}", text.trim());
    Ok(())
}
