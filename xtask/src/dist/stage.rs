//! Lays out in `root` what a package installs, where Debian's and Fedora's policies want it: the tree
//! that every kind of package is made of.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Dist, PROGRAMS, programs, said};

/// Files beside the programs, and where they go.
const FILES: [(&str, &str); 5] = [
    ("packaging/copyright", "usr/share/doc/udp-toolkit/copyright"),
    ("packaging/systemd/udp-toolkit.access", "etc/udp-toolkit/access"),
    ("packaging/systemd/udp-toolkit.modules.yml", "etc/udp-toolkit/modules.yml"),
    ("README.md", "usr/share/doc/udp-toolkit/README.md"),
    ("SECURITY.md", "usr/share/doc/udp-toolkit/SECURITY.md"),
];

/// Directories whose files of these kinds go there.
const DIRECTORIES: [(&str, &[&str], &str); 6] = [
    ("packaging/systemd", &["service", "socket"], "usr/lib/systemd/system"),
    ("docs", &["md"], "usr/share/doc/udp-toolkit/docs"),
    ("schema", &["json"], "usr/share/doc/udp-toolkit/schema"),
    ("packaging/prometheus", &["yml"], "usr/share/doc/udp-toolkit/prometheus"),
    ("packaging/grafana", &["json"], "usr/share/doc/udp-toolkit/grafana"),
    ("packaging/kubernetes", &["yaml"], "usr/share/doc/udp-toolkit/kubernetes"),
];

pub(super) fn make(dist: &Dist) -> Result<()> {
    let tree = dist.tree();
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot clear {}", tree.display()))?;
    }
    let built = programs::built(dist, programs::Linking::Dynamic)?;
    for name in PROGRAMS {
        let to = put(&built.join(name), &tree.join("usr/bin").join(name))?;
        said(Command::new("strip").arg(&to))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        let completions = dist.out.join("completions");
        let share = tree.join("usr/share");
        put(
            &completions.join(format!("{name}.bash")),
            &share.join("bash-completion/completions").join(name),
        )?;
        put(
            &completions.join(format!("_{name}")),
            &share.join(format!("zsh/vendor-completions/_{name}")),
        )?;
        put(
            &completions.join(format!("{name}.fish")),
            &share.join(format!("fish/vendor_completions.d/{name}.fish")),
        )?;
        // `use udp-server` in a shell that has no place for completions.
        put(
            &completions.join(format!("{name}.elv")),
            &share.join(format!("elvish/lib/{name}.elv")),
        )?;
    }
    for page in super::pages::PAGES {
        let (_, section) = page.rsplit_once('.').context("a page without a section")?;
        let to = tree.join("usr/share/man").join(format!("man{section}")).join(page);
        put(&dist.out.join("man").join(page), &to)?;
        said(Command::new("gzip").args(["-9n"]).arg(&to))?;
    }
    for (from, to) in FILES {
        put(&dist.root.join(from), &tree.join(to))?;
    }
    for name in [super::parts::NOTICES, super::parts::RUST] {
        let to = put(&dist.out.join(name), &tree.join("usr/share/doc/udp-toolkit").join(name))?;
        said(Command::new("gzip").args(["-9n"]).arg(&to))?;
    }
    for (from, kinds, to) in DIRECTORIES {
        let from = dist.root.join(from);
        let Ok(files) = fs::read_dir(&from) else { continue };
        for file in files {
            let file = file?.path();
            let kind = file.extension().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(name) = file.file_name().filter(|_| kinds.contains(&kind.as_str())) {
                put(&file, &tree.join(to).join(name))?;
            }
        }
    }
    // Scripts of a package, made of the units; there are none of our own.
    fs::create_dir_all(dist.out.join("scripts"))?;
    changelog(dist)
}

/// Copies, readable by all; says where to.
fn put(from: &Path, to: &Path) -> Result<PathBuf> {
    let directory = to.parent().context("a file in no directory")?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644))?;
    Ok(to.to_owned())
}

/// In Debian's form, which has one entry a release: what changed stands in CHANGELOG.md.
fn changelog(dist: &Dist) -> Result<()> {
    let epoch = format!("@{}", dist.epoch);
    let date = said(Command::new("date").args(["-u", "-R", "-d", &epoch]))?;
    let text = format!(
        "udp-toolkit ({}-1) unstable; urgency=medium\n\n  * What the programs do is in CHANGELOG.md of the source.\n\n -- {}  {}",
        dist.version,
        dist.maintainer(),
        date,
    );
    fs::write(dist.out.join("changelog"), text).context("cannot write the changelog")
}
