//! Diagnostics: `log` through `env_logger` on stderr, by way of a printer.
//!
//! A stderr that nobody reads must not hold up what is being said about, so lines go through a
//! bounded channel like those of stdout. A line is `warning: …`, `info: …`; timestamps are off
//! unless asked for. Colour is only for a terminal, and not where NO_COLOR is set.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use env_logger::{Builder, Env, Target, WriteStyle};
use log::{Level, LevelFilter};

use super::printer::{Handle, Policy, Printer};
use crate::clock;

/// Lines that may wait for stderr.
const CAPACITY: usize = 256;
/// How long the end of a program waits for its last diagnostics to be written.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where a program says what is neither data nor log: a snapshot that was asked for, a failure.
#[derive(Debug, Clone)]
pub struct Console {
    lines: Option<Handle<Vec<u8>>>,
}

impl Console {
    /// Says `line` on stderr; waits for nothing.
    pub fn note(&self, line: impl Into<String>) {
        let mut line: String = line.into();
        line.push('\n');
        match &self.lines {
            // What does not fit is counted and said by the printer.
            Some(lines) => drop(lines.offer(line.into_bytes())),
            None => drop(io::stderr().write_all(line.as_bytes())),
        }
    }
}

/// The diagnostics at work.
pub(super) struct Diagnostics {
    printer: Option<Printer<Vec<u8>>>,
    console: Console,
}

impl Diagnostics {
    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// Writes what is left. The logger lives as long as the process and holds a handle, so this
    /// printer never ends; it is enough that it has come this far.
    pub(super) fn finish(self) {
        if let Some(printer) = self.printer {
            printer.handle().wait_until_written(PATIENCE);
        }
    }
}

/// Starts logging. Without a thread for the printer, stderr is written directly.
pub(super) fn start(verbose: u8, timestamps: bool) -> Diagnostics {
    let show = |line: Vec<u8>, text: &mut Vec<u8>| text.extend_from_slice(&line);
    let missed = |count: u64, text: &mut Vec<u8>| {
        text.extend_from_slice(format!("... {count} lines not shown\n").as_bytes());
    };
    let printer = Printer::start(io::stderr(), show, missed, CAPACITY, Policy::Lossy).ok();
    let lines = printer.as_ref().map(|printer| printer.handle().clone());
    let console = Console { lines };

    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    builder.filter_level(level).parse_env(Env::new().filter("RUST_LOG"));
    let colour = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    builder.write_style(if colour { WriteStyle::Always } else { WriteStyle::Never });
    builder.format(move |out, record| {
        let style = out.default_level_style(record.level());
        if timestamps {
            write!(out, "{} ", clock::wall().rfc3339())?;
        }
        writeln!(out, "{style}{}{style:#}: {}", name(record.level()), record.args())
    });
    builder.target(Target::Pipe(Box::new(LogSink(console.clone()))));
    // A second start in one process (tests) keeps the first logger.
    let _ = builder.try_init();
    Diagnostics { printer, console }
}

/// Levels as our error lines write them.
fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Hands what the logger writes (whole lines) to the console.
struct LogSink(Console);

impl Write for LogSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0.lines {
            Some(lines) => drop(lines.offer(bytes.to_vec())),
            None => drop(io::stderr().write_all(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
