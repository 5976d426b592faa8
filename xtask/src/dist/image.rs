//! The image: three static programs, their licences and nothing else, put together by umoci without a
//! daemon, for a user without rights. It is made twice, to see that both are equal, and run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{Dist, PROGRAMS, need, parts, programs, said};
use crate::e2e::skip;

const TAG: &str = "udp-toolkit";

pub(super) fn make(dist: &Dist) -> Result<()> {
    need("umoci", "umoci")?;
    let tree = dist.out.join("image-root");
    lay_out(dist, &tree)?;
    let (image, again) = (dist.out.join("image"), dist.out.join("image-again"));
    put_together(dist, &tree, &image)?;
    put_together(dist, &tree, &again)?;
    said(Command::new("diff").arg("-r").arg(&image).arg(&again))
        .context("two images of the same programs differ")?;
    fs::remove_dir_all(&again)?;
    said(
        Command::new("tar")
            .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", dist.epoch))
            .arg("--file")
            .arg(dist.out.join(format!("udp-toolkit-{}-image.tar", dist.version)))
            .arg("--directory")
            .arg(&image)
            .arg("."),
    )?;
    run(&image)
}

/// The files of the image, all of the source's time.
fn lay_out(dist: &Dist, tree: &Path) -> Result<()> {
    let built = programs::built(dist, programs::Linking::Static)?;
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    let licences = tree.join("usr/share/licenses");
    fs::create_dir_all(tree.join("usr/bin"))?;
    fs::create_dir_all(&licences)?;
    for program in PROGRAMS {
        fs::copy(built.join(program), tree.join("usr/bin").join(program))?;
    }
    for licence in ["LICENSE", "LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(dist.root.join(licence), licences.join(licence))?;
    }
    parts::lay_out(dist, &licences)?;
    let all = "chmod -R u=rwX,go=rX \"$0\" && find \"$0\" -exec touch --date=\"@$1\" {} +";
    said(Command::new("sh").args(["-ec", all]).arg(tree).arg(dist.epoch.to_string())).map(drop)
}

/// An OCI layout at `image`, the same for the same tree.
fn put_together(dist: &Dist, tree: &Path, image: &Path) -> Result<()> {
    if image.exists() {
        fs::remove_dir_all(image)?;
    }
    let tagged = format!("{}:{TAG}", image.display());
    let time =
        said(Command::new("date").args(["-u", "+%FT%TZ", "-d", &format!("@{}", dist.epoch)]))?;
    let time = time.trim();
    said(Command::new("umoci").args(["init", "--layout"]).arg(image))?;
    said(Command::new("umoci").args(["new", "--image", &tagged]))?;
    // History names no tool and no time but the source's.
    let history = [
        "--history.created",
        time,
        "--history.author",
        "",
        "--history.created_by",
        "cargo xtask dist",
    ];
    said(
        Command::new("umoci")
            .args(["insert", "--image", &tagged])
            .args(history)
            .arg(tree.join("usr"))
            .arg("/usr"),
    )?;
    said(Command::new("umoci").args(["config", "--image", &tagged, "--no-history", "--created", time]).args([
        "--config.user=65534:65534",
        "--config.entrypoint=/usr/bin/udp-server",
        "--config.stopsignal=SIGTERM",
        "--config.exposedports=7000/udp",
        "--config.workingdir=/",
        "--os=linux",
        "--architecture=amd64",
    ]).args([
        "--config.label=org.opencontainers.image.title=udp-toolkit".to_owned(),
        format!("--config.label=org.opencontainers.image.version={}", dist.version),
        "--config.label=org.opencontainers.image.licenses=MIT OR Apache-2.0".to_owned(),
        "--config.label=org.opencontainers.image.description=UDP echo server, client and path monitor".to_owned(),
    ]))?;
    said(Command::new("umoci").args(["gc", "--layout"]).arg(image)).map(drop)
}

/// Unpacks the image and has runc run its programs: the server answers the client beside it.
fn run(image: &Path) -> Result<()> {
    need("runc", "runc")?;
    need("jq", "jq")?;
    need("readelf", "binutils")?;
    if said(Command::new("id").arg("-u"))?.trim() != "0" {
        return skip("running an image needs root");
    }
    let place = tempfile::tempdir()?;
    let bundle = place.path().join("bundle");
    said(
        Command::new("umoci")
            .args(["unpack", "--image"])
            .arg(format!("{}:{TAG}", image.display()))
            .arg(&bundle),
    )?;
    let told =
        said(Command::new("sh").args(["-eu", "-c", include_str!("image.sh")]).arg(place.path()))?;
    ensure!(told.trim_end().ends_with("done"), "{told}");
    Ok(())
}
