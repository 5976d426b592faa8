//! Files that import each other, in a circle: neither can be understood before the other.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{Source, sources};

/// The module that a file is, below its crate's `src`.
fn module(path: &str) -> Option<(&str, String)> {
    let (krate, file) = path.split_once("/src/")?;
    let file = file.strip_suffix(".rs")?;
    let file = file.strip_suffix("/mod").unwrap_or(file).replace('/', "::");
    let file = if matches!(file.as_str(), "lib" | "main" | "mod") { String::new() } else { file };
    Some((krate, file))
}

/// The paths that a `use` names, its groups taken apart.
fn paths(text: &str) -> Vec<String> {
    let Some((start, group)) = text.split_once('{') else { return vec![text.to_owned()] };
    let group = group.strip_suffix('}').unwrap_or(group);
    let (mut all, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = &group[from..at];
                all.extend(paths(&format!("{start}{part}")));
                from = at + 1;
            }
            _ => {}
        }
    }
    all
}

/// Which modules of its crate each one imports, tests aside; children belong to their parent.
fn imports(text: &str, module: &str, all: &BTreeSet<String>) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let uses = Regex::new(r"(?m)^\s*(?:pub(?:\([a-z ]+\))? )?use ((?:crate|super|self)::[^;]*);");
    let mut found = BTreeSet::new();
    for found_use in uses.expect("a proper pattern").captures_iter(text) {
        let compact: String = found_use[1].split_whitespace().collect();
        for path in paths(&compact) {
            let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
            for part in path.split("::") {
                match part {
                    "crate" => base.clear(),
                    "super" => drop(base.pop()),
                    "self" => {}
                    part => base.push(part),
                }
            }
            while !base.is_empty() && !all.contains(&base.join("::")) {
                base.pop();
            }
            let target = base.join("::");
            let child = module.is_empty() || target.starts_with(&format!("{module}::"));
            if target != module && !target.is_empty() && !child {
                found.insert(target);
            }
        }
    }
    found
}

/// Everything that `from` leads to.
fn reached(from: &str, graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in graph.get(module).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen
}

/// The circles of a graph, each as its modules in order.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let reach: BTreeMap<&String, _> = graph.keys().map(|it| (it, reached(it, graph))).collect();
    let circle = |(module, there): (&&String, &BTreeSet<String>)| {
        let back = |other: &&String| reach.get(other).is_some_and(|it| it.contains(*module));
        there
            .contains(*module)
            .then(|| there.iter().filter(back).map(String::as_str).collect::<Vec<_>>().join(" "))
    };
    reach.iter().filter_map(circle).collect()
}

#[test]
fn no_files_import_each_other() {
    let sources = sources();
    let mut crates: BTreeMap<&str, Vec<(String, &Source)>> = BTreeMap::new();
    for source in &sources {
        if let Some((krate, module)) = module(&source.path) {
            crates.entry(krate).or_default().push((module, source));
        }
    }
    let mut found = Vec::new();
    for (krate, modules) in &crates {
        let all: BTreeSet<String> = modules.iter().map(|(module, _)| module.clone()).collect();
        let graph = modules
            .iter()
            .map(|(module, source)| (module.clone(), imports(&source.text, module, &all)));
        let circles = circles(&graph.collect());
        found.extend(circles.into_iter().map(|circle| format!("{krate}: {circle}")));
    }
    assert!(found.is_empty(), "files import each other: {found:#?}");
    // The rule finds what breaks it.
    let all: BTreeSet<String> = ["a", "a::b", "c"].map(String::from).into();
    let graph = [
        ("a".into(), imports("use crate::c::{D, e::F};", "a", &all)),
        ("a::b".into(), imports("pub(crate) use super::super::c;", "a::b", &all)),
        ("c".into(), imports("use crate::{\n    a::b::X,\n    Y,\n};", "c", &all)),
    ];
    assert_eq!(circles(&graph.into()), ["a::b c".to_owned()].into());
}
