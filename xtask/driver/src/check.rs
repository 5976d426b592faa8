//! Compares expected with printed text, and says the difference in one line.
//!
//! Expected text is written as it stands, with marks where a figure differs from run to run:
//! `<port>`, `<ms>` (a number with three decimals), `<n>` (a whole number), `<any>` (the rest of
//! the line, perhaps nothing), `<missed>` (the heartbeat's slots that a busy machine made it miss),
//! `<ts>` (RFC 3339, UTC, microseconds).

use std::fmt::Debug;
use std::panic::Location;
use std::sync::LazyLock;

use anyhow::{Result, bail};
use regex::Regex;

static MISSED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?m), [0-9]+ slots skipped$").expect("a proper pattern"));

const MARKS: [(&str, &str); 7] = [
    ("<port>", r"[1-9][0-9]{0,4}"),
    ("<ms>", r"[0-9]+\.[0-9]{3}"),
    ("<n>", r"[0-9]+"),
    ("<any>", r"[^\n]*"),
    ("<lines>", r"(?:[^\n]*\n)*?"),
    ("<missed>", "(?:, [0-9]+ slots skipped)?"),
    ("<ts>", r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"),
];

/// Where the check stands: `file:line`.
#[track_caller]
pub fn here() -> String {
    let here = Location::caller();
    let file = here.file().rsplit('/').next().unwrap_or_default();
    format!("{file}:{}", here.line())
}

/// The heartbeat's line of counts, without the slots that a busy machine made it miss: those are
/// the machine's, and every other count stays exact.
pub fn beats(output: &str) -> String {
    let counts = output.lines().find(|l| l.contains(" sent, ") && l.contains(" received, "));
    without_missed(counts.unwrap_or_default())
}

/// All of the heartbeat's output, without the slots that a busy machine made it miss.
pub fn without_missed(output: &str) -> String {
    MISSED.replace_all(output, "").into_owned()
}

/// `got` equals `expected`.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a call with values reads best, and is no hot path"
)]
pub fn same<T: PartialEq + Debug>(what: &str, expected: T, got: T) -> Result<()> {
    if expected != got {
        bail!("{}: {what}: expected {expected:?}, got {got:?}", here());
    }
    Ok(())
}

/// The condition holds.
#[track_caller]
pub fn holds(what: &str, condition: bool) -> Result<()> {
    if !condition {
        bail!("{}: {what}", here());
    }
    Ok(())
}

/// `part` stands somewhere in `text`.
#[track_caller]
pub fn has(text: &str, part: &str) -> Result<()> {
    holds(&format!("{text:?} has {part:?}"), text.contains(part))
}

/// All of `got` is as `pattern` has it.
#[track_caller]
pub fn matches(what: &str, pattern: &str, got: &str) -> Result<()> {
    if regex(pattern, "$")?.is_match(got) {
        return Ok(());
    }
    let mut expected = pattern.split('\n');
    let mut lines = got.split('\n');
    for number in 1.. {
        match (expected.next(), lines.next()) {
            (Some(e), Some(g)) if regex(e, "$")?.is_match(g) => {}
            (None, None) => break,
            (e, g) => bail!(
                "{}: {what}, line {number}: expected {}, got {}; all of it: {got:?}",
                here(),
                e.map_or("no more".into(), |e| format!("{e:?}")),
                g.map_or("the end".into(), |g| format!("{g:?}")),
            ),
        }
    }
    bail!("{}: {what}: expected {pattern:?}, got {got:?}", here());
}

/// A pattern that a text must begin with.
pub fn beginning(pattern: &str) -> Result<Regex> {
    regex(pattern, "")
}

fn regex(pattern: &str, end: &str) -> Result<Regex> {
    let mut text = regex::escape(pattern);
    for (mark, meaning) in MARKS {
        text = text.replace(&regex::escape(mark), meaning);
    }
    Ok(Regex::new(&format!("^(?:{text}){end}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_for_figures_and_all_else_for_itself() {
        let pattern = "recvfrom ('127.0.0.1', <port>): a.b  seq=<n> rtt=<ms> ms\n<any>";
        matches("text", pattern, "recvfrom ('127.0.0.1', 7000): a.b  seq=1 rtt=0.143 ms\n")
            .expect("the figures match");
        for wrong in [
            "recvfrom ('127.0.0.1', 7000): a+b  seq=1 rtt=0.143 ms\n",
            "recvfrom ('127.0.0.1', 0): a.b  seq=1 rtt=0.143 ms\n",
            "recvfrom ('127.0.0.1', 7000): a.b  seq=1 rtt=0.14 ms\n",
            "recvfrom ('127.0.0.1', 7000): a.b  seq=1 rtt=0.143 ms\nx\ny",
        ] {
            let _ = matches("text", pattern, wrong).expect_err("a difference");
        }
    }

    #[test]
    fn missed_slots_are_left_out_and_nothing_else() {
        let counts =
            "2 sent, 1 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered, 1 pending";
        assert_eq!(beats(&format!("x\n{counts}\ny")), counts);
        assert_eq!(beats(&format!("x\n{counts}, 12 slots skipped\ny")), counts);
        assert_eq!(beats("nothing"), "");
    }

    #[test]
    fn a_difference_is_told_by_its_line() {
        let error = matches("text", "one\ntwo\n", "one\nthree\n").expect_err("a difference");
        let text = error.to_string();
        assert!(text.contains("line 2: expected \"two\", got \"three\""), "{text}");
    }
}
