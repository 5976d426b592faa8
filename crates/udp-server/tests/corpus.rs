//! Every seed of the CIDR fuzz target, through the very function that is fuzzed.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/cidr.rs"]
mod cidr;

#[test]
fn every_seed_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/cidr");
    let mut count = 0;
    for file in fs::read_dir(directory).expect("the target has seeds") {
        let path = file.expect("the directory is readable").path();
        println!("{}", path.display()); // shown when it fails
        cidr::cidr(&fs::read(&path).expect("the seed is readable"));
        count += 1;
    }
    assert!(count >= 3, "{count} seeds");
}
