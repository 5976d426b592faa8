//! What the programs' command lines share: parsers, logging, shutdown, exit codes, the printer.
//!
//! [`main`] is the whole of a program's `main`: it parses, starts the diagnostics, runs, prints a
//! failure as one line (and perhaps a hint) on stderr and gives the exit code. Nothing here opens
//! a socket or writes to stdout by itself; what goes to stdout goes through a [`printer`].

pub mod children;
pub mod cidr;
mod exit;
pub mod files;
pub mod json;
mod logging;
pub mod notify;
pub mod parse;
pub mod printer;
pub mod shutdown;
mod style;
mod usage;
mod version;
#[cfg(feature = "web")]
pub mod web;
#[cfg(feature = "web")]
pub mod yaml;

pub use exit::{Exit, Failure, Fault};
pub use logging::Console;
pub use style::{Style, Tone};

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::endpoint::Family;
use crate::error::describe;

/// The group of the options about what is printed.
const OUTPUT: &str = "Output";

/// The flags that every program has. Those without a group of their own are in that of the program.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct CommonArgs {
    /// Use IPv4 only
    #[arg(short = '4', long = "ipv4", conflicts_with = "v6", hide_short_help = true)]
    pub v4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long = "ipv6", hide_short_help = true)]
    pub v6: bool,
    /// Send and receive through this interface only: a VRF, a tunnel
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub interface: Option<String>,
    /// More diagnostics (-v info, -vv debug); RUST_LOG wins
    #[arg(short = 'v', long = "verbose", action = clap::ArgAction::Count, global = true, help_heading = OUTPUT)]
    pub verbose: u8,
    /// Prefix each line of text with the time (RFC 3339, UTC)
    #[arg(short = 'D', long, global = true, help_heading = OUTPUT)]
    pub timestamps: bool,
    /// Colour what went wrong red and what recovered green; never in a pipe
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        value_enum,
        default_value_t = Color::Auto,
        help_heading = OUTPUT,
        hide_short_help = true
    )]
    pub color: Color,
}

impl CommonArgs {
    /// The family of addresses that was asked for.
    pub fn family(&self) -> Family {
        match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// When diagnostics and lines are coloured: on a terminal alone, whatever was asked for.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// Unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// In spite of NO_COLOR.
    Always,
    /// Not at all.
    Never,
}

impl Color {
    /// Whether to colour what goes to `stream`.
    pub fn on(self, stream: &impl IsTerminal) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        stream.is_terminal()
            && match self {
                Color::Auto => !set("NO_COLOR") && !dumb(),
                Color::Always => true,
                Color::Never => false,
            }
    }
}

/// A program's arguments, which hold the common ones.
pub trait HasCommon {
    /// Whether a stdout that is closed at the start is an error: for a program whose output is
    /// its purpose.
    const NEEDS_STDOUT: bool = true;

    /// What of the program's own features it was built with, for `--version`.
    const FEATURES: &'static [&'static str] = &[];

    /// The common ones.
    fn common(&self) -> &CommonArgs;

    /// Says a failure in the form that `line`, the command line, asks for, and how the program
    /// ends then; by default as one line on stderr.
    fn ended_by(_line: &[OsString], _failure: &Failure) -> Option<ExitCode> {
        None
    }

    /// The right form of an option that other programs have.
    fn hint(_unknown: &str) -> Option<&'static str> {
        None
    }
}

/// Whether there is a stdout to write to.
///
/// # Errors
/// EBADF, if it was closed when the process was started (`>&-`). Rust's start-up code opens
/// /dev/null in its place, where every write seems to succeed.
pub fn stdout_is_open() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if crate::sys::stdout_was_closed() {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(())
}

/// The program's options with those for help, each in a group.
pub fn command<A: clap::CommandFactory>() -> clap::Command {
    let flag = |name: &'static str, short, action, help: &'static str| {
        clap::Arg::new(name).long(name).short(short).action(action).help(help).help_heading(OUTPUT)
    };
    let help =
        || flag("help", 'h', clap::ArgAction::Help, "Print help (-h the most used, --help all)");
    let values = |arg: clap::Arg| {
        // `-i -1` is a value that is out of range, and no option; `-4` and `-6` are flags
        // before a positional argument.
        let option = arg.get_action().takes_values() && !arg.is_positional();
        arg.allow_negative_numbers(option)
    };
    let mut command = A::command().disable_help_flag(true).disable_version_flag(true);
    let subcommands: Vec<String> =
        command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in subcommands {
        command = command
            .mut_subcommand(name, |it| it.disable_help_flag(true).arg(help()).mut_args(values));
    }
    // An option that stands alone may be told how to print all the same.
    let of = |wanted: fn(&clap::Arg) -> bool| -> Vec<clap::Id> {
        command.get_arguments().filter(|it| wanted(it)).map(|it| it.get_id().clone()).collect()
    };
    let (alone, others) = (of(clap::Arg::is_exclusive_set), of(|it| !it.is_global_set()));
    for name in alone {
        let others = others.iter().filter(|it| **it != name).cloned().collect::<Vec<_>>();
        command = command.mut_arg(name, |it| it.exclusive(false).conflicts_with_all(others));
    }
    command
        .arg(help())
        .arg(
            flag(
                "version",
                'V',
                clap::ArgAction::Version,
                "Print version, commit and features; -v: kernel abilities",
            )
            .hide_short_help(true),
        )
        .mut_args(values)
}

/// The command line with a subcommand in front of those common flags that stand before it, behind which
/// clap takes it for a positional argument.
fn subcommand_first(command: &clap::Command, mut line: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(word) = line.get(at).and_then(|word| word.to_str()) {
        let short = word.strip_prefix('-').unwrap_or_default();
        at += match word {
            "--color" => 2,
            "--verbose" | "--timestamps" => 1,
            _ if word.starts_with("--color=") => 1,
            _ if !short.is_empty() && short.bytes().all(|it| matches!(it, b'v' | b'D')) => 1,
            _ => break,
        };
    }
    if line.get(at).is_some_and(|word| command.find_subcommand(word).is_some()) {
        line[1..=at].rotate_right(1);
    }
    line
}

/// Parses the command line, runs the program, and says how it ended.
///
/// Bad usage is one line on stderr and exit code 2; `--help` and `--version` go to stdout.
pub fn main<A, R>(run: R) -> ExitCode
where
    A: clap::Parser + HasCommon,
    R: FnOnce(A, &Console) -> Result<Exit, Failure>,
{
    let color = usage::wanted_color(std::env::args_os().skip(1));
    let command = command::<A>().color(match color.on(&io::stdout()) {
        true => clap::ColorChoice::Always,
        false => clap::ColorChoice::Never,
    });
    let line = subcommand_first(&command, std::env::args_os().collect());
    let parsed = command.try_get_matches_from(line).and_then(|it| A::from_arg_matches(&it));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            return usage::report::<A>(&error, color);
        }
    };
    let common = args.common();
    let diagnostics = logging::start(common.verbose, common.timestamps, common.color);
    let outcome = match stdout_is_open() {
        Err(error) if A::NEEDS_STDOUT => {
            Err(Failure::local(format!("cannot write to stdout: {}", describe(&error))))
        }
        _ => run(args, diagnostics.console()),
    };
    let exit = match outcome {
        Ok(exit) => {
            diagnostics.finish();
            exit
        }
        Err(failure) => {
            let line: Vec<OsString> = std::env::args_os().skip(1).collect();
            let exit = A::ended_by(&line, &failure);
            let usual = diagnostics.fail(&failure).into();
            return exit.unwrap_or(usual);
        }
    };
    exit.into()
}
