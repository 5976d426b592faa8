//! The table of the targets, for people and for programs.

use udp_core::cli::web::{Reply, escape};

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
    let mut best = (false, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let json = match parts.next().as_deref() {
            Some("application/json") => true,
            Some("text/html" | "application/xhtml+xml" | "*/*") => false,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=").map(str::parse::<f64>));
        let quality = quality.map_or(1.0, Result::unwrap_or_default);
        if quality > best.1 {
            best = (json, quality);
        }
    }
    best.0
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
