//! A list of targets: one a line with labels, or JSON as Prometheus' `file_sd` has it.
//!
//! Bytes in, targets out, or what is wrong with which line. A byte order mark, CRLF and tabs are
//! taken as editors write them.

use serde::Deserialize;
use udp_core::cli::{Fault, files};
use udp_core::service::{self, ReadFile, Spec, SpecError};
use udp_core::text;

use crate::probe::targets::{Labels, Listed};

/// What is wrong with a line, and the right form where it is obvious.
type Wrong = (String, Option<String>);

/// Labels that figures have of their own.
const RESERVED: [&str; 8] =
    ["target", "address", "flow", "direction", "verdict", "state", "name", "le"];

/// The targets in a file of this name, and the service of those that name none.
pub(crate) fn parse(
    file: &str,
    content: &[u8],
    service: Option<&Spec>,
) -> Result<Vec<Listed>, Vec<Fault>> {
    parse_with(file, content, service, &files::secret)
}

/// The same with another way to the files of secrets.
pub(crate) fn parse_with(
    file: &str,
    content: &[u8],
    service: Option<&Spec>,
    read: &ReadFile,
) -> Result<Vec<Listed>, Vec<Fault>> {
    let text = text::file::decode(content);
    let found = if is_json(&text) { json(&text, read) } else { lines(&text, read) };
    let found = found.into_iter().map(|(line, found)| {
        (line, found.map(|it| Listed { spec: it.spec.or_else(|| service.cloned()), ..it }))
    });
    let mut targets = Vec::new();
    let mut faults = Vec::new();
    for (line, found) in found {
        match found {
            Ok(target) => targets.push(target),
            Err((message, hint)) => {
                faults.push(Fault { file: file.into(), line, message, hint });
            }
        }
    }
    if faults.is_empty() { Ok(targets) } else { Err(faults) }
}

/// `[{`, `[]` or a `{` without its list; a line may begin with a bracket as well: `[::1]:7000`.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    let inside = text.strip_prefix('[').map(str::trim_start);
    text.starts_with('{') || inside.is_some_and(|inside| inside.starts_with(['{', ']']))
}

fn lines(text: &str, read: &ReadFile) -> Vec<(usize, Result<Listed, Wrong>)> {
    let listed = (1..).zip(text.lines()).map(|(line, text)| {
        let words = text.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.take_while(|word| !word.starts_with('#')).collect();
        (line, words.split_first().map(|(target, labels)| listed(target, labels, read)))
    });
    listed.filter_map(|(line, listed)| Some((line, listed?))).collect()
}

fn listed(target: &str, words: &[&str], read: &ReadFile) -> Result<Listed, Wrong> {
    let target = target.split('#').next().unwrap_or_default();
    let listed = named_with(target, read).map_err(|error| wrong(target, &error))?;
    let mut labels = Labels::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            let port = word.bytes().all(|b| b.is_ascii_digit()) && listed.endpoint.port().is_none();
            let hint = port.then(|| format!("write {target}:{word}"));
            return Err((format!("'{word}' is no label=value"), hint));
        };
        insert(&mut labels, name, value)?;
    }
    Ok(Listed { labels, ..listed })
}

/// A target as it is typed, whose secrets are in files.
pub(crate) fn named(text: &str) -> Result<Listed, SpecError> {
    named_with(text, &files::secret)
}

fn named_with(text: &str, read: &ReadFile) -> Result<Listed, SpecError> {
    let (endpoint, spec) = service::target(text, read)?;
    Ok(Listed { spec, given: Some(text.to_owned()), ..Listed::bare(endpoint) })
}

fn wrong(target: &str, error: &SpecError) -> Wrong {
    (format!("'{target}': {error}"), error.hint().map(String::from))
}

fn insert(labels: &mut Labels, name: &str, value: &str) -> Result<(), Wrong> {
    let mut letters = name.chars();
    let valid = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    let reason = match () {
        () if !valid => "is no valid label name",
        () if name.starts_with("__") || RESERVED.contains(&name) => "is a reserved label name",
        () if labels.insert(name.into(), value.into()).is_some() => "is given twice",
        () => return Ok(()),
    };
    Err((format!("'{name}' {reason}"), None))
}

/// What is `null` is empty, as Prometheus reads it: programs in Go write an empty list so.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    targets: Option<Vec<String>>,
    labels: Option<Labels>,
}

fn json(text: &str, read: &ReadFile) -> Vec<(usize, Result<Listed, Wrong>)> {
    let groups: Vec<Group> = match serde_json::from_str(text) {
        Ok(groups) => groups,
        Err(error) => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            return vec![(error.line().max(1), Err((message.into(), None)))];
        }
    };
    // The parser does not tell where a value stood.
    let line_of = |word: &str| {
        let quoted = serde_json::to_string(word).unwrap_or_default();
        text.lines().position(|line| line.contains(&quoted)).map_or(1, |line| line + 1)
    };
    let mut found = Vec::new();
    for Group { targets, labels: given } in groups {
        let mut labels = Labels::new();
        for (name, value) in given.unwrap_or_default() {
            if let Err(wrong) = insert(&mut labels, &name, &value) {
                found.push((line_of(&name), Err(wrong)));
            }
        }
        for target in targets.unwrap_or_default() {
            let listed = named_with(&target, read)
                .map(|it| Listed { labels: labels.clone(), ..it })
                .map_err(|error| wrong(&target, &error));
            found.push((line_of(&target), listed));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets with their labels, or what is wrong.
    fn shown(content: &str) -> Result<Vec<String>, String> {
        let listed = parse("f", content.as_bytes(), None);
        let faults =
            |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
        let shown = |it: &Listed| {
            let labels = it.labels.iter().map(|(name, value)| format!(" {name}={value}"));
            it.label(7000) + &labels.collect::<String>()
        };
        listed.map(|it| it.iter().map(shown).collect()).map_err(|it| faults(it).join("; "))
    }

    #[test]
    fn what_is_listed() {
        let cases: [(&str, &[&str]); 9] = [
            ("a\n\n# all\r\n b:1 # one\r\n[::1]", &["a:7000", "b:1", "[::1]:7000"]),
            ("\u{feff}a:1\r\n\tudp://b:2\t# x", &["a:1", "b:2"]),
            (
                "dns://a/x?type=A site=b\nntp://[::1]",
                &["dns://a:53/x?type=A site=b", "ntp://[::1]:123"],
            ),
            ("a#b\nc site=x#y rack==3 #z", &["a:7000", "c:7000 rack==3 site=x#y"]),
            ("", &[]),
            (" [ ]", &[]),
            (
                r#"[{"targets": ["a:1", "b"], "labels": {"k": "v w"}}]"#,
                &["a:1 k=v w", "b:7000 k=v w"],
            ),
            ("[\n {\"targets\": [\"a:1\"]},{\"targets\":[]}]", &["a:1"]),
            (r#"[{"targets": ["a:1"], "labels": null}, {"targets": null}, {}]"#, &["a:1"]),
        ];
        for (content, expected) in cases {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(shown(content), Ok(expected), "{content:?}");
        }
    }

    #[test]
    fn what_is_wrong() {
        let cases = [
            ("ntp://a/b", "f:1: 'ntp://a/b': ntp takes nothing behind the host"),
            (
                "ntp://h:x",
                "f:1: 'ntp://h:x': the port is not a number from 0 to 65535 or a service's name",
            ),
            ("a\nb c", "f:2: 'c' is no label=value"),
            ("127.0.0.1 7000", "f:1: '7000' is no label=value\nhint: write 127.0.0.1:7000"),
            ("h\t9", "f:1: '9' is no label=value\nhint: write h:9"),
            ("h,9", "f:1: 'h,9': not a host name\nhint: write h:9"),
            ("a b=1 b=2", "f:1: 'b' is given twice"),
            (
                "a 1b=1\na __b=1\na target=1",
                "f:1: '1b' is no valid label name; f:2: '__b' is a \
              reserved label name; f:3: 'target' is a reserved label name",
            ),
            ("[{\n\"targets\": [\"a:b:c\"]}]", "f:2: 'a:b:c': not an IPv6 address"),
            ("{\"targets\": [\"a\"]}", "f:1: invalid type: map, expected a sequence"),
            (
                "[{\"targets\": [],\n \"x\": 1}]",
                "f:2: unknown field `x`, expected `targets` or `labels`",
            ),
        ];
        for (content, expected) in cases {
            assert_eq!(shown(content).unwrap_err(), expected, "{content:?}");
        }
    }
}
