//! Diagnostics: `log` through `env_logger` on stderr, by way of a printer.
//!
//! A stderr that is not read must not hold up the work that is logged, so lines go through a
//! bounded channel like those of stdout. A line is `warning: …`, `info: …`; timestamps are off
//! unless asked for. Colour is only for a terminal, and not where NO_COLOR is set.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use env_logger::{Builder, Env, Target, WriteStyle};
use log::{Level, LevelFilter};

use super::printer::{Handle, Policy, Printer};
use super::usage::one_line;
use super::{Color, Exit, Failure};
use crate::clock;

/// Lines that may wait for stderr.
const CAPACITY: usize = 256;
/// How long the end of a program waits for its last diagnostics to be written.
const PATIENCE: Duration = Duration::from_secs(2);
/// … where stderr is full: a reader that reads has taken something by then.
const GRACE: Duration = Duration::from_millis(30);

/// Lines that are kept while they are held; then the oldest go.
const HELD: usize = 200;

/// Where a program says what is neither data nor log: a snapshot that was asked for, a failure.
#[derive(Debug, Clone)]
pub struct Console {
    lines: Option<Handle<Vec<u8>>>,
    timestamps: bool,
    color: bool,
    held: Arc<Mutex<Option<VecDeque<Vec<u8>>>>>,
}

impl Console {
    /// Says `line` on stderr; waits for nothing.
    pub fn note(&self, line: impl Into<String>) {
        let stamp = if self.timestamps { clock::wall().rfc3339() + " " } else { String::new() };
        self.say(format!("{stamp}{}\n", line.into()).into_bytes());
    }

    /// The same for what went wrong.
    pub fn complain(&self, line: &str) {
        let (red, plain) = self.red();
        self.note(format!("{red}{line}{plain}"));
    }

    /// Waits a moment until what was said is written, so that what stdout gets comes after it.
    pub fn settle(&self) {
        self.lines.iter().for_each(|lines| lines.wait_until_written(GRACE));
    }

    fn red(&self) -> (&'static str, &'static str) {
        if self.color { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") }
    }

    /// From now on, lines wait until [`release`](Self::release): a screen is shown on the terminal that
    /// stderr is. Elsewhere they go on.
    pub fn hold(&self) {
        if io::stderr().is_terminal() {
            self.held().get_or_insert_default();
        }
    }

    /// The newest line that waits, without its colour.
    pub fn newest(&self) -> Option<String> {
        let held = self.held();
        let line = held.as_ref()?.back()?;
        let (red, plain) = self.red();
        Some(String::from_utf8_lossy(line).trim_end().replace(red, "").replace(plain, ""))
    }

    /// Lets lines through again, those that waited first.
    pub fn release(&self) {
        let held = self.held().take();
        held.into_iter().flatten().for_each(|line| self.say(line));
    }

    fn say(&self, line: Vec<u8>) {
        if let Some(held) = &mut *self.held() {
            while held.len() >= HELD {
                held.pop_front();
            }
            return held.push_back(line);
        }
        match &self.lines {
            // What does not fit is counted and said by the printer.
            Some(lines) => drop(lines.offer(line)),
            None => drop(io::stderr().write_all(&line)),
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<VecDeque<Vec<u8>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The diagnostics at work.
pub(super) struct Diagnostics {
    printer: Option<Printer<Vec<u8>>>,
    console: Console,
    timestamps: bool,
}

impl Diagnostics {
    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// Writes what is left, and then the reason to end, by itself: the printer's thread may not
    /// run for a while on a busy machine. A stderr that takes nothing is not waited for.
    pub(super) fn fail(self, failure: &Failure) -> Exit {
        let text = failure.to_string();
        let stamp = if self.timestamps { clock::wall().rfc3339() + " " } else { String::new() };
        let (red, plain) = self.console.red();
        let lines = text.lines().map(|line| format!("{stamp}{red}{line}{plain}\n"));
        let lines: String = lines.collect();
        self.finish();
        if takes_more(&io::stderr()) {
            // There is nowhere left to say that this failed.
            let _ = io::stderr().write_all(lines.as_bytes());
        }
        failure.exit
    }

    /// Writes what is left. The logger lives as long as the process and holds a handle, so this
    /// printer never ends; it is enough that it has come this far.
    pub(super) fn finish(self) {
        self.console.release();
        if let Some(printer) = self.printer {
            printer.handle().wait_until_written(GRACE);
            if takes_more(&io::stderr()) {
                printer.handle().wait_until_written(PATIENCE - GRACE);
            }
        }
    }
}

/// Starts logging. Without a thread for the printer, stderr is written directly.
pub(super) fn start(verbose: u8, timestamps: bool, color: Color) -> Diagnostics {
    let show = |line: Vec<u8>, text: &mut Vec<u8>| text.extend_from_slice(&line);
    let missed = |count: u64, text: &mut Vec<u8>| {
        text.extend_from_slice(format!("... {count} lines not shown\n").as_bytes());
    };
    let printer = Printer::start(io::stderr(), show, missed, CAPACITY, Policy::Lossy).ok();
    let lines = printer.as_ref().map(|printer| printer.handle().clone());
    let color = color.on(&io::stderr());
    let console = Console { lines, timestamps, color, held: Arc::default() };
    let (red, plain) = console.red();

    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    builder.filter_level(level).parse_env(Env::new().filter("RUST_LOG"));
    builder.write_style(if color { WriteStyle::Always } else { WriteStyle::Never });
    builder.format(move |out, record| {
        let bad = record.level() <= Level::Warn;
        let (red, plain) = if bad { (red, plain) } else { ("", "") };
        if timestamps {
            write!(out, "{} ", clock::wall().rfc3339())?;
        }
        let text = one_line(&record.args().to_string());
        writeln!(out, "{red}{}: {text}{plain}", name(record.level()))
    });
    builder.target(Target::Pipe(Box::new(LogSink(console.clone()))));
    // A second start in one process (tests) keeps the first logger.
    let _ = builder.try_init();
    Diagnostics { printer, console, timestamps }
}

/// Whether `output` has room now: if not, what waits for it is not just late.
#[cfg(target_os = "linux")]
fn takes_more(output: &impl std::os::fd::AsFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut asked = [PollFd::new(output.as_fd(), PollFlags::POLLOUT)];
    // What cannot be asked is taken to have room.
    !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
}

/// As far as can be told.
#[cfg(not(target_os = "linux"))]
fn takes_more(_: &impl Write) -> bool {
    true
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
        self.0.say(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_takes_no_more() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        assert!(takes_more(&writer));
        // Whatever a pipe holds, it is full once nothing more goes in.
        let mut written = 0;
        while takes_more(&writer) {
            written += writer.write(&[b'x'; 4096]).unwrap();
        }
        reader.read_exact(&mut vec![0; written]).unwrap();
        assert!(takes_more(&writer));
        drop(reader);
        assert!(takes_more(&writer), "it fails at once, and holds up nothing");
    }
}
