//! Bad usage in one line: clap's errors, folded, and made safe to show.

use std::process::ExitCode;

use super::{Exit, Failure};

/// Prints what `error` has to say: help and version on stdout, anything else as a failure.
pub(super) fn report(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that went away has read enough.
        let _ = error.print();
        return Exit::Worked.into();
    }
    let failure = failure(error);
    let diagnostics = super::logging::start(0, false);
    diagnostics.console().note(failure.to_string());
    diagnostics.finish();
    failure.exit.into()
}

/// The first paragraph of clap's text is the message; its tip, if it has one, is the hint.
fn failure(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let tip = text.lines().find_map(|line| line.trim_start().strip_prefix("tip: "));
    Failure::usage(fold(message)).with_hint(tip.unwrap_or("try --help"))
}

/// Lines joined by a blank each.
fn fold(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `text` as one line that steers no terminal: what it holds may have come from a stranger. Unlike
/// the escape form it is for reading alone, so a backslash stays as it is.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for (index, part) in text.split('\n').enumerate() {
        if index > 0 {
            line.push(' ');
        }
        for (index, piece) in part.split('\\').enumerate() {
            if index > 0 {
                line.push('\\');
            }
            line.push_str(&crate::text::escape::escape(piece.as_bytes()));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    #[command(name = "program")]
    struct Args {
        #[arg(long, value_parser = super::super::parse::duration)]
        timeout: Option<std::time::Duration>,
        #[arg(long, conflicts_with = "timeout")]
        count: Option<u8>,
        #[arg(long, required = true)]
        must: bool,
    }

    #[test]
    fn an_error_is_one_line_with_a_hint() {
        let cases: [(&[&str], &str); 6] = [
            (
                &["--must", "--timeout", "x"],
                "error: invalid value 'x' for '--timeout <TIMEOUT>': not a duration such as 1.5s, 200ms or 2\nhint: try --help",
            ),
            (
                &["--must", "--timeout", "\u{202e}a"],
                "error: invalid value '\\u{202e}a' for '--timeout <TIMEOUT>': not a duration such as 1.5s, 200ms or 2\nhint: try --help",
            ),
            (
                &["--must", "--tiemout", "1"],
                "error: unexpected argument '--tiemout' found\nhint: a similar argument exists: '--timeout'",
            ),
            (
                &["--must", "--timeout", "1", "--count", "1"],
                "error: the argument '--timeout <TIMEOUT>' cannot be used with '--count <COUNT>'\nhint: try --help",
            ),
            (
                &[],
                "error: the following required arguments were not provided: --must\nhint: try --help",
            ),
            (&["--must", "stray"], "error: unexpected argument 'stray' found\nhint: try --help"),
        ];
        for (arguments, expected) in cases {
            let line = ["program"].iter().chain(arguments);
            let error = Args::try_parse_from(line).unwrap_err();
            assert_eq!(failure(&error).to_string(), expected);
        }
    }
}
