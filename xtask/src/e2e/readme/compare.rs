//! Whether a command printed what the README shows: line by line, with the figures that differ
//! from run to run (ephemeral ports, milliseconds, time stamps, nanoseconds) made alike. A line
//! `...` stands for any lines, a line's end ` …` for any rest of it.

use std::sync::LazyLock;

use anyhow::{Result, bail};
use regex::Regex;

static FIGURES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r#""ts":"[^"]*""#, r#""ts":"TS""#),
        (r#"_ns":-?[0-9]+"#, r#"_ns":N"#),
        (r"', [1-9][0-9]{4}\)", "', PORT)"),
        (r#"("[a-z_]*port":|:)[1-9][0-9]{4}\b"#, "${1}PORT"),
        (r"\b[0-9]+\.[0-9]{3}\b", "N"),
        // Slots that a busy machine made a heartbeat miss.
        (r", [0-9]+ slots skipped$", ""),
        // A column is as wide as its widest figure.
        (r"   +", "  "),
    ]
    .into_iter()
    .filter_map(|(pattern, alike)| Some((Regex::new(pattern).ok()?, alike)))
    .collect()
});

/// All of `output` is as `expected` shows it.
pub(super) fn lines(expected: &[String], output: &str) -> Result<()> {
    let got = alike_lines(output);
    let expected: Vec<String> = expected.iter().map(|l| alike(l)).collect();
    if whole(&expected, &got) {
        return Ok(());
    }
    let difference = expected.iter().zip(&got).find(|(e, g)| !line(e, g));
    match difference {
        Some((e, g)) => bail!("the README shows {e:?}, the program printed {g:?}"),
        None => bail!("the README shows {} lines, there are {}", expected.len(), got.len()),
    }
}

/// `output` begins as `expected` shows it.
pub(super) fn beginning(expected: &[String], output: &str) -> bool {
    let mut expected: Vec<String> = expected.iter().map(|l| alike(l)).collect();
    expected.push("...".to_owned());
    whole(&expected, &alike_lines(output))
}

/// A screen shows `expected`; what a terminal echoes for a typed control key is left out.
pub(super) fn screen(expected: &[String], screen: &str) -> bool {
    let clean = |line: &str| alike(&line.replace("^C", "").replace("^D", "")).trim_end().to_owned();
    let got: Vec<String> = screen.lines().map(clean).filter(|l| !l.is_empty()).collect();
    let expected: Vec<String> =
        expected.iter().map(|l| clean(l)).filter(|l| !l.is_empty()).collect();
    whole(&expected, &got)
}

fn alike_lines(output: &str) -> Vec<String> {
    output.lines().map(alike).collect()
}

fn alike(line: &str) -> String {
    FIGURES.iter().fold(line.trim_end().to_owned(), |text, (figure, alike)| {
        figure.replace_all(&text, *alike).into_owned()
    })
}

fn whole(expected: &[String], got: &[String]) -> bool {
    match (expected.split_first(), got.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "..." => {
            (0..=got.len()).any(|skipped| whole(rest, &got[skipped..]))
        }
        (Some((e, expected)), Some((g, got))) => line(e, g) && whole(expected, got),
        _ => false,
    }
}

fn line(expected: &str, got: &str) -> bool {
    match expected.strip_suffix(" …") {
        Some(start) => got.starts_with(start),
        None => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn figures_are_alike_and_words_are_not() {
        for (expected, got, equal) in [
            (
                "recvfrom ('127.0.0.1', 36042): hello",
                "recvfrom ('127.0.0.1', 51000): hello\n",
                true,
            ),
            ("recvfrom ('127.0.0.1', 7000): hello", "recvfrom ('127.0.0.1', 7001): hello\n", false),
            ("seq=1 rtt=0.143 ms", "seq=1 rtt=12.001 ms\n", true),
            ("seq=1 rtt=0.143 ms", "seq=2 rtt=0.143 ms\n", false),
            ("rtt p50/p90/p99 = 0.130/-/- ms", "rtt p50/p90/p99 = 1.000/-/- ms\n", true),
            ("rtt p50/p90/p99 = 0.130/-/- ms", "rtt p50/p90/p99 = 1.000/2.000/- ms\n", false),
            ("5 sent, 4 received, 1 lost (20.0%)", "5 sent, 4 received, 1 lost (20.1%)\n", false),
            ("5 sent, 0 reordered", "5 sent, 0 reordered, 2 slots skipped\n", true),
            ("target   jitter  state", "target     jitter  state\n", true),
            ("target  jitter", "target jitter\n", false),
            ("a\n...\nz", "a\nz\n", true),
            ("a\n...\nz", "a\nb\nc\nz\n", true),
            ("a\n...\nz", "a\nb\nc\n", false),
            ("hint: set …", "hint: set that port free\n", true),
            ("a", "a\nb\n", false),
            ("a\nb", "a\n", false),
        ] {
            assert_eq!(lines(&shown(expected), got).is_ok(), equal, "{expected:?} {got:?}");
        }
    }

    #[test]
    fn a_beginning_may_be_followed_by_more() {
        assert!(beginning(&shown("a\nb"), "a\nb\nc\n"));
        assert!(!beginning(&shown("a\nb"), "a\nc\n"));
    }

    #[test]
    fn control_keys_on_a_screen_do_not_count() {
        assert!(screen(
            &shown("please input message:\n1 sent"),
            "please input message: ^C\n\n1 sent"
        ));
        assert!(!screen(&shown("please input message:\n1 sent"), "please input message:\n2 sent"));
    }
}
