//! Which commit a build is said to be made from: `build.rs`, tried in clones and packages.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;

#[allow(dead_code, reason = "its main is for cargo")]
#[path = "../build.rs"]
mod build;

fn git(at: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(at).args(["-c", "user.name=N", "-c", "user.email=e@invalid"]).args(args);
    let output = command.output().expect("git");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn a_package_names_its_commit() {
    for (text, commit) in [("", None), (" \n", None), ("v1-3-gabc\nrest", Some("v1-3-gabc"))] {
        assert_eq!(build::given(text).as_deref(), commit, "{text:?}");
    }
    let place = tempfile::tempdir().expect("a directory");
    assert_eq!(build::recorded(place.path()), None);
    let hash = "0123456789abcdef0123456789abcdef01234567";
    for (more, commit) in [("", "0123456789ab"), (", \"dirty\": true", "0123456789ab with changes")]
    {
        let text = format!("{{\n \"git\": {{\"sha1\": \"{hash}\"{more}}}\n}}");
        fs::write(place.path().join(".cargo_vcs_info.json"), text).expect("written");
        assert_eq!(build::recorded(place.path()).as_deref(), Some(commit));
    }
}

#[test]
fn a_clone_names_its_head_and_a_directory_in_one_does_not() {
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path();
    let inner = root.join("crates/unpacked");
    fs::create_dir_all(&inner).expect("made");
    assert_eq!(build::checked_out(root), None, "no clone");
    git(root, &["init", "--quiet"]);
    assert_eq!(build::checked_out(root), None, "no commit yet");
    fs::write(root.join("crates/a"), "1").expect("written");
    fs::write(root.join("README"), "1").expect("written");
    git(root, &["add", "."]);
    git(root, &["commit", "--quiet", "-m", "one"]);
    let head = git(root, &["rev-parse", "--short=12", "HEAD"]);
    assert_eq!(build::checked_out(root).as_ref(), Some(&head));
    assert_eq!(build::checked_out(&inner), None, "unpacked in somebody's clone");
    fs::write(root.join("README"), "2").expect("written");
    assert_eq!(build::checked_out(root).as_ref(), Some(&head), "not a part of the build");
    fs::write(root.join("crates/a"), "2").expect("written");
    assert_eq!(build::checked_out(root), Some(head + " with changes"));
}
