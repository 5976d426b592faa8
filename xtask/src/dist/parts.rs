//! What the programs are made of: a bill of materials (CycloneDX 1.5) for each program, and one file
//! with the licences of all parts. A part is what is linked in; a macro that runs in the build is none.
//! That no part has a licence which we must not pass on is `cargo xtask ci deny`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Dist, PROGRAMS, programs, said};
use crate::cargo::cargo;

/// The licences of the parts, in the output directory.
pub(super) const NOTICES: &str = "third-party.txt";
/// Those of Rust's library and what it contains, as its own distribution has them.
pub(super) const RUST: &str = "rust-library.html";
/// Those of the C library, of which a static program has copies.
pub(super) const LIBC: &str = "/usr/share/doc/libc6/copyright";

/// A package of a program, by name and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    name: String,
    version: String,
    /// In SPDX's words.
    licence: String,
}

impl Part {
    fn id(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

pub(super) fn make(dist: &Dist) -> Result<()> {
    let sums = checksums(&fs::read_to_string(dist.root.join("Cargo.lock"))?);
    let mut all = BTreeSet::new();
    for program in PROGRAMS {
        let tree = said(
            cargo()
                .current_dir(&dist.root)
                .args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "depth"])
                .args(["--format", " {p}|{l}", "--target", programs::TARGET, "--package", program]),
        )?;
        let (parts, needs) = parse(&tree)?;
        ensure!(parts.len() > 20, "{program}: {} parts", parts.len());
        let bill = bill(dist, &parts, &needs, &sums)?;
        let text = serde_json::to_string_pretty(&bill)? + "\n";
        fs::write(dist.out.join(format!("{program}.cdx.json")), text)?;
        all.extend(parts);
    }
    fs::write(dist.out.join(NOTICES), notices(dist, &all)?)?;
    let rust = said(Command::new("rustc").args(["--print", "sysroot"]).current_dir(&dist.root))?;
    let rust = Path::new(rust.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    fs::copy(&rust, dist.out.join(RUST))
        .with_context(|| format!("no licences of Rust's library: {}", rust.display()))?;
    Ok(())
}

/// Puts what is said of a static program's parts into `directory`.
pub(super) fn lay_out(dist: &Dist, directory: &Path) -> Result<()> {
    let bills = PROGRAMS.map(|program| format!("{program}.cdx.json"));
    for name in bills.iter().map(String::as_str).chain([NOTICES, RUST]) {
        fs::copy(dist.out.join(name), directory.join(name))
            .with_context(|| format!("no {name}: the step `parts` makes it"))?;
    }
    fs::copy(LIBC, directory.join("libc-copyright"))?;
    Ok(())
}

/// The parts, the program itself first, and which each needs.
type Tree = (Vec<Part>, BTreeMap<String, BTreeSet<String>>);

/// Reads lines as `2 bytes v1.12.2|MIT`, with ` (*)` behind what was told before.
fn parse(tree: &str) -> Result<Tree> {
    let (mut parts, mut needs) = (Vec::new(), BTreeMap::<String, BTreeSet<String>>::new());
    let mut above: Vec<String> = Vec::new();
    for line in tree.lines() {
        let (package, licence) = line.split_once('|').context("a part without a licence")?;
        let words: Vec<&str> = package.split(' ').collect();
        let [depth, name, version, ..] = words[..] else { bail!("what is {line:?}?") };
        let version = version.trim_start_matches('v').to_owned();
        let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
        ensure!(!licence.is_empty(), "{name} {version} says no licence");
        let part = Part { name: name.to_owned(), version, licence };
        above.truncate(depth.parse().with_context(|| format!("what is {line:?}?"))?);
        if let Some(parent) = above.last() {
            needs.entry(parent.clone()).or_default().insert(part.id());
        }
        above.push(part.id());
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Ok((parts, needs))
}

/// A program's bill of materials; the first of the parts is the program.
fn bill(
    dist: &Dist,
    parts: &[Part],
    needs: &BTreeMap<String, BTreeSet<String>>,
    sums: &BTreeMap<String, String>,
) -> Result<Value> {
    let component = |kind: &str, part: &Part| {
        let id = part.id();
        let mut it = json!({
            "type": kind, "bom-ref": id, "name": part.name, "version": part.version, "purl": id,
            "licenses": [{"expression": part.licence}],
        });
        if let Some(sum) = sums.get(&id) {
            it["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        it
    };
    let (program, rest) = parts.split_first().context("no parts")?;
    let mut components: Vec<Value> = rest.iter().map(|part| component("library", part)).collect();
    // What comes with the compiler, and from the system.
    let rust = said(Command::new("rustc").arg("--version").current_dir(&dist.root))?;
    let libc = said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    for (text, name, licence) in
        [(rust, "rust-std", "MIT OR Apache-2.0"), (libc, "glibc", "LGPL-2.1-or-later")]
    {
        let version = text.split_whitespace().nth(1).context("no version")?;
        components.push(json!({
            "type": "library", "bom-ref": name, "name": name, "version": version,
            "licenses": [{"expression": licence}],
        }));
    }
    let depends: Vec<Value> =
        needs.iter().map(|(part, needs)| json!({"ref": part, "dependsOn": needs})).collect();
    Ok(json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {
            "timestamp": format!("{}T00:00:00Z", dist.date()?),
            "component": component("application", program),
        },
        "components": components,
        "dependencies": depends,
    }))
}

/// By what the lock file says, of each package from a registry.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.strip_prefix(" = ")?.trim_matches('"').to_owned())
        };
        let id = format!("pkg:cargo/{}@{}", field("name")?, field("version")?);
        Some((id, field("checksum")?))
    });
    packages.collect()
}

/// Each part with its licence, then each text once, under the names of the parts that have it.
fn notices(dist: &Dist, parts: &BTreeSet<Part>) -> Result<String> {
    let metadata = said(
        cargo()
            .current_dir(&dist.root)
            .args(["metadata", "--locked", "--format-version", "1"])
            .args(["--filter-platform", programs::TARGET]),
    )?;
    let metadata: Value = serde_json::from_str(&metadata).context("metadata that is no JSON")?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let mut text = "What udp-client, udp-heartbeat and udp-server are made of beside their own \
                    source: name, version, licence (SPDX), then the licences' texts.\n\n"
        .to_owned();
    let mut texts: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for part in parts {
        let package =
            packages.iter().find(|it| it["name"] == part.name && it["version"] == part.version);
        let package = package.with_context(|| format!("no metadata of {}", part.name))?;
        if package["source"].is_null() {
            continue;
        }
        let title = format!("{} {}", part.name, part.version);
        text.push_str(&format!("{title}: {}\n", part.licence));
        let manifest = package["manifest_path"].as_str().map(PathBuf::from);
        let directory = manifest.as_deref().and_then(Path::parent).context("no directory")?;
        let files = licence_files(directory)?;
        ensure!(!files.is_empty(), "{title} holds no text of its licence");
        for file in files {
            let licence = String::from_utf8_lossy(&fs::read(file)?).into_owned();
            // Texts that differ in their line breaks alone are one.
            let words = licence.split_whitespace().collect::<Vec<_>>().join(" ");
            texts.entry(words).or_insert_with(|| (Vec::new(), licence)).0.push(title.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_values().collect();
    texts.sort();
    for (titles, licence) in texts {
        let rule = "=".repeat(80);
        text.push_str(&format!("\n{rule}\n{}\n{rule}\n\n{}\n", titles.join(", "), licence.trim()));
    }
    Ok(text.replace('\r', ""))
}

/// The files beside a manifest that by their names hold a licence, in order.
fn licence_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let names = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
        if path.is_file() && names.iter().any(|start| name.starts_with(start)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_parts_and_what_each_needs() {
        let tree = "0 me v0.1.0 (/src)|MIT\n1 a v1.0.0|MIT/Apache-2.0\n2 b v2.0.0|Zlib\n\
                    1 b v2.0.0|Zlib (*)\n";
        let (parts, needs) = parse(tree).unwrap();
        let shown: Vec<_> = parts.iter().map(|part| (part.id(), part.licence.as_str())).collect();
        let [me, a, b] = ["me@0.1.0", "a@1.0.0", "b@2.0.0"].map(|it| format!("pkg:cargo/{it}"));
        let licences = ["MIT", "MIT OR Apache-2.0", "Zlib"];
        assert_eq!(
            shown,
            [&me, &a, &b].map(Clone::clone).into_iter().zip(licences).collect::<Vec<_>>()
        );
        assert_eq!(needs[&me], BTreeSet::from([a.clone(), b.clone()]));
        assert_eq!(needs[&a], BTreeSet::from([b]));
        assert!(parse("0 me v0.1.0|\n").is_err(), "a part that says no licence");
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                    checksum = \"ab12\"\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
        let sums = checksums(lock);
        assert_eq!(sums, BTreeMap::from([("pkg:cargo/a@1.0.0".into(), "ab12".into())]));
    }
}
