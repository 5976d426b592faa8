//! The table of the targets, for people and for programs.

use udp_core::cli::web::{Reply, escape, preferred};

use crate::probe::snapshot::Snapshot;
use crate::report::{COLUMNS, cells, targets_json};

/// The table, as JSON where that is asked for.
pub(super) fn page(snapshot: &Snapshot, accept: &str) -> Reply {
    if wants_json(accept) {
        return Reply::ok("application/json", targets_json(snapshot));
    }
    let row = |tag: &str, cells: &[String]| {
        let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows = snapshot.targets.iter().map(|target| row("td", &cells(target)));
    let (head, rows) = (row("th", &COLUMNS.map(String::from)), rows.collect::<String>());
    Reply::html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>udp-heartbeat</title>\n\
         <style>td, th {{ padding: 0 1em; text-align: right }} \
         td:first-child, th:first-child {{ text-align: left }}</style></head>\n\
         <body><h1>Targets</h1>\n<p>{} UTC, times in ms</p>\n<table>\n{head}{rows}</table>\n</body></html>\n",
        snapshot.at.rfc3339()
    ))
}

/// Whether JSON is preferred to what a browser shows; of two that are as welcome, the first.
fn wants_json(accept: &str) -> bool {
    let known = |kind: &str, _: &dyn Fn(&str) -> Option<String>| match kind {
        "application/json" => Some(true),
        "text/html" | "application/xhtml+xml" | "*/*" => Some(false),
        _ => None,
    };
    preferred(accept, known) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("application/json", true),
            ("Application/JSON;q=0.9, */*;q=0.1", true),
            ("text/html,application/xhtml+xml,application/json;q=0.9", false),
            ("application/json;q=0.1, text/html", false),
            ("*/*;q=0.1, application/json", true),
            ("application/json;q=0", false),
        ] {
            assert_eq!(wants_json(accept), expected, "{accept}");
        }
    }
}
