//! Every seed of the fuzz targets, through the very functions that are fuzzed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use udp_core::fuzzing::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

#[test]
fn every_seed_holds() {
    for (name, target) in TARGETS {
        let files = fs::read_dir(fuzz().join("seeds").join(name)).expect("each target has seeds");
        let mut count = 0;
        for file in files {
            let path = file.expect("the directory is readable").path();
            println!("{}", path.display()); // shown when it fails
            target(&fs::read(&path).expect("the seed is readable"));
            count += 1;
        }
        assert!(count >= 3, "{name} has {count} seeds");
    }
}

#[test]
fn every_target_is_fuzzed_and_has_seeds() {
    let names = |directory: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(directory)).expect("the directory is there");
        entries
            .map(|entry| {
                let name = entry.expect("the directory is readable").file_name();
                name.to_string_lossy().trim_end_matches(".rs").to_owned()
            })
            .collect()
    };
    let mut known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    // Those of server and heartbeat, whose own tests run them; and the one that is compiled on Linux alone.
    let elsewhere = ["cidr", "control", "probe_modules", "probe_query", "targets_file"];
    known.extend(elsewhere.map(String::from));
    assert_eq!(names("seeds"), known);
    assert_eq!(names("fuzz_targets"), known);
}
