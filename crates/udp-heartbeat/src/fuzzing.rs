//! What must hold for any modules file, list of targets and query of `/probe`: the bodies of fuzz targets in
//! `fuzz/`, run over the seeds there by an ordinary test as well. Nothing is sent, resolved or read.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use udp_core::cli::Fault;
use udp_core::cli::web::{Query, StatusCode};

use crate::modules::{self, MOST_BEATS, Modules};
use crate::program::asked;
use crate::targets_file;

/// A fuzz target's name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("probe_modules", probe_modules),
    ("probe_query", probe_query),
    ("targets_file", targets_list),
];

/// Files of secrets: there is one.
fn secret(path: &str) -> Result<Vec<u8>> {
    if path == "/secret" { Ok(b"hush\n".to_vec()) } else { Err(Error::from(ErrorKind::NotFound)) }
}

/// Each fault is at a line of the file, and is one line itself.
fn are_said(faults: &[Fault], content: &[u8]) {
    let lines = 1 + content.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    assert!(!faults.is_empty());
    for fault in faults {
        assert!((1..=lines).contains(&fault.line), "{fault:?} of {lines} lines");
        let said = Fault { hint: None, ..fault.clone() }.to_string();
        assert!(!fault.message.is_empty() && !said.contains(char::is_control), "{said:?}");
    }
}

/// Modules that are taken end within their time-out, and are shown as lines of their own.
pub fn probe_modules(data: &[u8]) {
    match modules::parse_with("m.yml", data, &secret) {
        Err(faults) => are_said(&faults, data),
        Ok(modules) => {
            assert!(!modules.is_empty());
            for module in modules.values() {
                assert!((1..=MOST_BEATS).contains(&module.count));
                assert!(module.min_replies.is_none_or(|least| least <= module.count));
                let shown = module.given.iter().any(|line| line.contains(char::is_control));
                assert!(!shown && !format!("{module:?}").contains("hush"), "{:?}", module.given);
            }
        }
    }
}

/// A query, and behind its first line the time-out's header: what is wrong is one short line, and what is
/// right bounded.
pub fn probe_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (query, header) = match text.split_once('\n') {
        Some((query, header)) => (query, Some(header)),
        None => (&*text, None),
    };
    let known = b"modules: {a: {prober: udp}, b: {prober: udp, timeout: 1s}}";
    let modules: Modules = modules::parse_with("m.yml", known, &secret).expect("these are modules");
    match asked(&modules, &Query::new(query), header) {
        Ok((_, asked)) => assert!(asked.timeout <= Duration::from_secs(600), "{asked:?}"),
        Err((status, line)) => {
            let known = [StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR];
            assert!(known.contains(&status) && !line.is_empty() && line.chars().count() < 500);
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

/// Targets that are taken have labels as Prometheus wants them.
pub fn targets_list(data: &[u8]) {
    match targets_file::parse_with("t", data, None, &secret) {
        Err(faults) => are_said(&faults, data),
        Ok(targets) => {
            for target in targets {
                assert!(!target.label(7000).contains(char::is_control), "{target:?}");
                for name in target.labels.keys() {
                    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    assert!(name.chars().all(letters) && !name.starts_with("__"), "{name:?}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_seed_holds() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, target) in TARGETS {
            let files = fs::read_dir(seeds.join(name)).expect("each target has seeds");
            let mut count = 0;
            for file in files {
                let path = file.expect("the directory is readable").path();
                target(&fs::read(&path).expect("the seed is readable"));
                count += 1;
            }
            assert!(count >= 3, "{name} has {count} seeds");
        }
    }
}
