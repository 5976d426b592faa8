//! What must never be in this workspace, as ordinary tests over its sources.
//!
//! Each rule is a function over a file's text, tried on a text that breaks it, so that a rule
//! that finds nothing any more is noticed.

mod imports;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A file is read in one sitting: lines before its tests.
const LONGEST: usize = 350;
/// `main.rs` is a parse, a call, an exit code.
const LONGEST_MAIN: usize = 80;

/// The one file that holds, as samples, what it forbids.
const THIS_FILE: &str = "xtask/tests/tidy/main.rs";

struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace above").to_owned()
}

/// All Rust files of the product and its chores, by their paths from the root.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for top in ["crates", "xtask", "fuzz"] {
        collect(&root().join(top), &mut files);
    }
    assert!(files.len() > 20, "the sources were not found");
    files
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).expect("a readable source"),
            path: path.strip_prefix(root()).expect("below the root").display().to_string(),
        })
        .collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("a readable directory").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The lines of code, numbered from 1, without those that are comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(i, l)| (i + 1, l))
        .filter(|(_, l)| !l.trim_start().starts_with("//"))
}

/// Where the tests begin that stand in a file themselves.
static TESTS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?m)^#\[cfg\(test\)\]\n(#\[.*\]\n)*(pub\(crate\) )?mod \w+ \{";
    Regex::new(pattern).expect("a proper pattern")
});

/// The lines of a file before its tests.
fn before_tests(text: &str) -> usize {
    text[..TESTS.find(text).map_or(text.len(), |it| it.start())].lines().count()
}

/// Every line of code in which `pattern` is found, as `path:line: text`.
fn found(sources: &[&Source], pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).expect("a proper pattern");
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in code(&source.text) {
            if pattern.is_match(line) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

/// No source of the workspace that `applies` names holds `pattern`, but `sample` does.
fn never(pattern: &str, sample: &str, applies: impl Fn(&str) -> bool) {
    let sample = Source { path: "sample".to_owned(), text: sample.to_owned() };
    assert_eq!(found(&[&sample], pattern).len(), 1, "the rule {pattern} does not find its sample");
    let sources = sources();
    let chosen: Vec<&Source> = sources.iter().filter(|s| applies(&s.path)).collect();
    assert!(!chosen.is_empty(), "the rule {pattern} applies to no file");
    let found = found(&chosen, pattern);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A file of tests: in a `tests` directory, or a module that its parent declares for tests alone.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || is_test_module(Path::new(path))
}

fn is_test_module(path: &Path) -> bool {
    let (Some(directory), Some(stem)) = (path.parent(), path.file_stem()) else { return false };
    let declared = format!("#[cfg(test)]\nmod {};", stem.display());
    let parent = directory.with_extension("rs");
    let above = ["main.rs", "lib.rs", "mod.rs"].map(|name| directory.join(name));
    above.iter().chain([&parent]).any(|file| {
        fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(&declared))
    })
}

#[test]
fn unsafe_code_stands_in_sys_alone() {
    // The sample is put together, so that it breaks the rule nowhere but in the test of the rule.
    let sample = ["let x = unsafe", "{ y() };"].join(" ");
    never(r"\bunsafe\s*(\{|fn\b|impl\b|extern\b)", &sample, |path| {
        !path.starts_with("crates/udp-core/src/sys/")
    });
}

#[test]
fn unsafe_code_is_allowed_in_sys_alone() {
    never(r"(allow|expect)\(\s*unsafe_code", "#![allow(unsafe_code)]", |path| {
        !path.starts_with("crates/udp-core/src/sys") && path != THIS_FILE
    });
}

#[test]
fn the_portable_path_is_free_of_sys() {
    never(r"\b(crate|super)::sys\b", "use crate::sys::mmsg;", |path| {
        path.starts_with("crates/udp-core/src/batch/portable")
    });
}

#[test]
fn nothing_prints_but_the_printer() {
    never(r"\b(e?print(ln)?|dbg)!", "    println!(\"x\");", |path| {
        !is_test(path) && !path.contains("/examples/") && !path.contains("/benches/")
    });
}

#[test]
fn nothing_is_left_to_be_done() {
    // Written apart, so that this file does not hold what it forbids.
    let marks = ["todo!\\(", "unimplemented!\\(", "#\\[ignore", "\\bTO", "\\bFIX"];
    let pattern =
        format!("{}|{}|{}|{}DO\\b|{}ME\\b", marks[0], marks[1], marks[2], marks[3], marks[4]);
    let sample = format!("    let x = 1; // {}DO: more", "TO");
    never(&pattern, &sample, |path| path != THIS_FILE);
}

#[test]
fn time_is_read_in_one_place() {
    never(r"\b(Instant|SystemTime)::now\(|thread::sleep\(", "let t = Instant::now();", |path| {
        !["crates/udp-core/src/clock.rs", "xtask/driver/src/clock.rs", "xtask/src/ci.rs", THIS_FILE]
            .contains(&path)
            && !path.starts_with("xtask/bench/")
            && !path.starts_with("xtask/peers/")
    });
}

/// The parts that take bytes and times as arguments own no socket, no file and no clock.
#[test]
fn pure_parts_are_pure() {
    let pure = Regex::new(
        r"(?x)^crates/(
            udp-heartbeat/src/(probe|picture|compare|plan|shard|targets_file|run/discovery)
          | udp-client/src/(exchange|stats|transcript|session/addresses)
          | udp-server/src/(policy|service|report)/
          | udp-core/src/(text|stamp|service|source_port|expect)
        )",
    )
    .expect("a proper pattern");
    never(
        r"\bUdpSocket\b|std::fs\b|\bFile::|clock::(mono|wall|sleep)",
        "let now = clock::mono();",
        |path| pure.is_match(path),
    );
}

#[test]
fn a_file_is_read_in_one_sitting() {
    let sample = "a\n#[cfg(test)]\nmod b;\nc\n#[cfg(test)]\n#[expect(x)]\nmod tests {}\n";
    assert_eq!(before_tests(sample), 4);
    let long: Vec<String> = sources()
        .iter()
        .map(|s| (before_tests(&s.text), &s.path))
        .filter(|(lines, path)| {
            let longest = if path.ends_with("src/main.rs") { LONGEST_MAIN } else { LONGEST };
            *lines > longest && !is_test(path)
        })
        .map(|(lines, path)| format!("{path}: {lines} lines before its tests"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_file_opens_by_saying_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|s| !s.text.starts_with("//!") && !s.path.starts_with("fuzz/fuzz_targets/"))
        .map(|s| s.path)
        .collect();
    assert!(silent.is_empty(), "no //! at the top of:\n{}", silent.join("\n"));
}

/// What cargo knows of the workspace's packages.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// The chores, and the makers of what is measured and of manual pages: no part of the product.
fn is_chore(package: &Value) -> bool {
    package["manifest_path"]
        .as_str()
        .is_some_and(|it| Path::new(it).starts_with(root().join("xtask")))
}

#[test]
fn no_program_depends_on_another_and_the_black_box_on_none() {
    let programs = ["udp-server", "udp-client", "udp-heartbeat"];
    let mut seen = 0;
    let black_box = ["xtask", "driver"];
    let is_part = |p: &&Value| !is_chore(p) || black_box.iter().any(|name| p["name"] == *name);
    for package in packages().iter().filter(is_part) {
        seen += usize::from(programs.iter().any(|p| package["name"] == *p));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = dependency["name"].as_str().expect("a name");
            let package = &package["name"];
            assert!(!programs.contains(&name), "{package} depends on the program {name}");
            let product = !black_box.iter().any(|name| package == *name);
            assert!(product || name != "udp-core", "the black box shares {name}");
        }
    }
    assert_eq!(seen, programs.len(), "the programs were not found");
}

#[test]
fn a_package_carries_what_a_registry_shows_of_it() {
    let told = |value: &Value| value.as_array().is_some_and(|list| (1..=5).contains(&list.len()));
    for package in packages().iter().filter(|p| !is_chore(p)) {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a manifest"));
        let directory = manifest.parent().expect("a directory");
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(directory.join(file).is_file(), "no {file} beside {}", manifest.display());
        }
        let published = package["publish"].as_array().is_none_or(|list| !list.is_empty());
        assert!(told(&package["keywords"]) && told(&package["categories"]), "{}", package["name"]);
        assert!(package["readme"] == "README.md", "{}", package["name"]);
        assert!(!published || package["documentation"].is_string(), "{}", package["name"]);
    }
}

/// The names that `lock` gives as dependencies of `package`, without versions; `None` if it does
/// not have that package.
fn locked(lock: &str, package: &str) -> Option<Vec<String>> {
    let block = lock
        .split("[[package]]")
        .find(|block| block.lines().any(|line| line == format!("name = \"{package}\"")))?;
    let names = block.lines().filter_map(|line| line.trim().strip_prefix('"'));
    Some(names.map(|name| name.split([' ', '"']).next().unwrap_or_default().into()).collect())
}

/// Nothing in the usual run builds what is a workspace of its own, so its lock falls behind unseen.
#[test]
fn every_lock_knows_the_dependencies() {
    let sample = "[[package]]\nname = \"a\"\ndependencies = [\n \"b\",\n \"c 1.0\",\n]\n";
    assert_eq!(locked(sample, "a"), Some(vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(locked(sample, "b"), None);
    let mut compared = 0;
    for directory in ["fuzz", "xtask/peers"] {
        let lock = fs::read_to_string(root().join(directory).join("Cargo.lock")).expect("a lock");
        for package in packages() {
            let name = package["name"].as_str().expect("a name");
            let Some(known) = locked(&lock, name) else { continue };
            compared += 1;
            for dependency in package["dependencies"].as_array().expect("dependencies") {
                let wanted = dependency["name"].as_str().expect("a name");
                let for_tests = dependency["kind"] == "dev";
                // Optional ones are in a lock if a feature that is used there asks for them.
                let asked = package["features"]["cli"].to_string();
                let left_out =
                    dependency["optional"] == true && !asked.contains(&format!("\"dep:{wanted}\""));
                assert!(
                    for_tests || left_out || known.iter().any(|name| name == wanted),
                    "{directory}/Cargo.lock does not know that {name} takes {wanted}: run \
                     cargo metadata --manifest-path {directory}/Cargo.toml"
                );
            }
        }
    }
    assert!(compared > 1, "no package of the workspace is in another's lock");
}
