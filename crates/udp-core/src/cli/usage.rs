//! Bad usage in one line: clap's errors, folded, and made safe to show.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::ValueEnum as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::parse::HINT;
use super::{Color, Exit, Failure};
use crate::error::describe;
use crate::text::credentials::hidden;

/// Prints what `error` has to say: help and version on stdout, anything else as a failure.
pub(super) fn report<A: clap::CommandFactory + super::HasCommon>(
    error: &clap::Error,
    color: Color,
) -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().skip(1).collect();
    let has = |flag, name| has_flag(&A::command(), &line, flag, name);
    let failure = if error.use_stderr() {
        failure(error, A::hint)
    } else {
        let more = (error.kind() == ErrorKind::DisplayVersion)
            .then(|| super::version::more(A::FEATURES, has('v', "verbose")));
        match print(error, color.on(&io::stdout()), &more.unwrap_or_default()) {
            Ok(()) => return Exit::Worked.into(),
            // A reader that went away has read enough.
            Err(reason) if reason.kind() == io::ErrorKind::BrokenPipe => {
                return Exit::Worked.into();
            }
            Err(reason) => Failure::local(format!("cannot print: {}", describe(&reason))),
        }
    };
    let exit = A::ended_by(&line, &failure);
    let timestamps = has('D', "timestamps");
    let usual = super::logging::start(0, timestamps, color).fail(&failure).into();
    exit.unwrap_or(usual)
}

/// Whether `flag` stands anywhere on a command line that was not parsed to its end.
fn has_flag(command: &clap::Command, line: &[OsString], flag: char, name: &str) -> bool {
    let takes_value = |short| {
        let mut options = command.get_arguments();
        options.any(|it| it.get_short() == Some(short) && it.get_action().takes_values())
    };
    line.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--").any(|word| {
        match word.strip_prefix('-') {
            Some(long) if long.starts_with('-') => long[1..] == *name,
            Some(flags) => flags.chars().take_while(|it| !takes_value(*it)).any(|it| it == flag),
            None => false,
        }
    })
}

/// What `--color` asks for, wherever it stands on a command line that may be wrong otherwise.
pub(super) fn wanted_color(line: impl Iterator<Item = OsString>) -> Color {
    let mut words = line.map(|word| word.to_string_lossy().into_owned());
    let mut color = Color::Auto;
    while let Some(word) = words.next().filter(|word| word != "--") {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next().unwrap_or_default(),
            Some(value) => value.trim_start_matches('=').to_owned(),
            None => continue,
        };
        color = Color::from_str(&value, false).unwrap_or(color);
    }
    color
}

/// Writes help, or the version with `more` of it, and finds out whether it was written: a stdout
/// that is closed is reopened on /dev/null by Rust's start-up code, where every write succeeds.
fn print(error: &clap::Error, color: bool, more: &str) -> io::Result<()> {
    super::stdout_is_open()?;
    let text = error.render();
    let text = if color { text.ansi().to_string() } else { text.to_string() };
    super::printer::print(format!("{text}{more}").as_bytes())
}

/// The first paragraph of clap's text is the message, without what a value parser gives as hint;
/// clap's own tip is the hint where there is no better one.
fn failure(error: &clap::Error, hint: fn(&str) -> Option<&'static str>) -> Failure {
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg)
    {
        if !option.starts_with('-') {
            return Failure::usage(fold(message)).with_hint(hint(option).unwrap_or("try --help"));
        }
        let similar = match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(similar)) => Some(format!("a similar option is {similar}")),
            _ => None,
        };
        let known = hint(option).map(String::from).or(similar);
        return Failure::usage(format!("no such option: {option}"))
            .with_hint(known.unwrap_or_else(|| "try --help".into()));
    }
    if let Some((message, hint)) = message.split_once(HINT) {
        return Failure::usage(fold(message)).with_hint(hint);
    }
    let tip = text.lines().find_map(|line| line.trim_start().strip_prefix("tip: "));
    Failure::usage(range_in_words(&fold(message))).with_hint(tip.unwrap_or("try --help"))
}

/// `0 is not in 1..=1024` as a person would say it.
fn range_in_words(message: &str) -> String {
    let words = message.rsplit_once(": ").and_then(|(option, reason)| {
        let (_, range) = reason.split_once(" is not in ")?;
        let (least, most) = range.split_once("..=")?;
        Some(format!("{option}: must be from {least} to {most}"))
    });
    words.unwrap_or_else(|| message.to_string())
}

/// Lines joined by a blank each.
fn fold(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `text` as one line that steers no terminal and shows no password: what it holds may have come from a
/// stranger. Unlike the escape form it is for reading alone, so a backslash stays as it is.
pub(super) fn one_line(text: &str) -> String {
    let text = &*hidden(text);
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
    fn timestamps_are_found_wherever_they_stand() {
        use clap::{Arg, ArgAction, CommandFactory as _};
        let command = Args::command()
            .arg(Arg::new("quiet").short('q').action(ArgAction::SetTrue))
            .arg(Arg::new("message").short('m'));
        for (line, expected) in [
            ("", false),
            ("-D", true),
            ("--bogus --timestamps", true),
            ("--timeout x -qD", true),
            ("-mD", false),
            ("-- -D", false),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(has_flag(&command, &words, 'D', "timestamps"), expected, "{line}");
        }
    }

    #[test]
    fn the_last_wish_for_colour_counts() {
        for (line, expected) in [
            ("-q", Color::Auto),
            ("--color never --bogus", Color::Never),
            ("--bogus --color=always", Color::Always),
            ("--color x --color never -- --color always", Color::Never),
        ] {
            assert_eq!(wanted_color(line.split(' ').map(OsString::from)), expected, "{line}");
        }
    }

    #[test]
    fn an_error_is_one_line_with_a_hint() {
        let cases: [(&[&str], &str); 8] = [
            (
                &["--must", "--timeout", "x"],
                "error: invalid value 'x' for '--timeout <TIMEOUT>': not a duration: a number with ns, us, ms, s, m, min, h or d, or seconds\nhint: try --help",
            ),
            (
                &["--must", "--timeout", "\u{202e}a"],
                "error: invalid value '\\u{202e}a' for '--timeout <TIMEOUT>': not a duration: a number with ns, us, ms, s, m, min, h or d, or seconds\nhint: try --help",
            ),
            (
                &["--must", "--tiemout", "1"],
                "error: no such option: --tiemout\nhint: a similar option is --timeout",
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
            (&["--must", "--port", "1"], "error: no such option: --port\nhint: use --bind"),
            (&["--must", "-q"], "error: no such option: -q\nhint: try --help"),
        ];
        for (arguments, expected) in cases {
            let line = ["program"].iter().chain(arguments);
            let error = Args::try_parse_from(line).unwrap_err();
            assert_eq!(
                failure(&error, |option| (option == "--port").then_some("use --bind")).to_string(),
                expected
            );
        }
    }
}
