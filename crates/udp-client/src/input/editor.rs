//! Asking with a line editor (rustyline): history, and a screen shared with what arrives meanwhile,
//! which is shown above the prompt while what is being typed stays.
//!
//! Lines typed ahead, while a reply is awaited, are messages too: the editor keeps what it has read
//! beyond a line, and between two lines the terminal is without line editing and echo, so that what
//! is typed then waits as it is (`termios(3)`). Ctrl-C and Ctrl-\ are signals at that time.

#[cfg(unix)]
use crossbeam_channel::{Receiver, Sender};
use rustyline::config::{BellStyle, Config};
use rustyline::error::ReadlineError;
use rustyline::history::{FileHistory, History};
use rustyline::{
    Behavior, Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, ExternalPrinter,
    KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use udp_core::cli::Failure;
use udp_core::text::escape::escape;

use super::prompt::PROMPT;
use super::terminal::{Ahead, Early};
use super::{Fault, Feed};
use crate::config::Coding;

/// Lines that are kept for the next time.
const KEPT: usize = 1000;

/// The editor, before its thread runs it.
pub(super) struct Editor {
    editor: rustyline::Editor<(), FileHistory>,
    history: Option<PathBuf>,
    ahead: Ahead,
}

/// The terminal's output, to be written to while the editor may be at work on it.
pub struct Screen {
    printer: Box<dyn FnMut(String) -> rustyline::Result<()> + Send>,
}

impl Editor {
    /// Takes the terminal over, and loads what was typed the last times.
    pub(super) fn open(history: bool, ahead: Ahead) -> Result<(Editor, Screen), Failure> {
        let fail = |error: ReadlineError| {
            Failure::local(format!("cannot use the terminal: {}", reason(&error)))
        };
        let config = Config::builder()
            .behavior(Behavior::Stdio)
            .bell_style(BellStyle::None)
            // Each pasted line is a message, as fast as it comes.
            .bracketed_paste(false)
            .max_history_size(KEPT)
            .map_err(fail)?
            .build();
        let mut editor = rustyline::Editor::with_config(config).map_err(fail)?;
        let tab = Event::from(KeyEvent(KeyCode::Tab, Modifiers::NONE));
        editor.bind_sequence(tab, Cmd::Insert(1, "\t".into()));
        let quit = EventHandler::Conditional(Box::new(Quit));
        editor.bind_sequence(KeyEvent::ctrl('\\'), quit);
        let mut printer = editor.create_external_printer().map_err(fail)?;
        let path = if history { history_file() } else { None };
        if let Some(path) = &path
            && path.exists()
            && let Err(error) = editor.load_history(path)
        {
            log::info!("cannot read the history in {}: {}", path.display(), reason(&error));
        }
        let printer = Box::new(move |text| printer.print(text));
        Ok((Editor { editor, history: path, ahead }, Screen { printer }))
    }

    /// Asks each time that it is asked to.
    pub(super) fn run(mut self, coding: Coding, asked: &Receiver<()>, sender: &Sender<Feed>) {
        while asked.recv().is_ok() {
            let feed = match self.next_line() {
                Ok(line) => {
                    self.keep(&String::from_utf8_lossy(&line));
                    // A paste in brackets (ESC [200~), which nobody asked for, holds line ends.
                    let lines = line.split(|byte| *byte == b'\n');
                    Feed::Items(lines.map(|line| super::item(coding, line.to_vec())).collect())
                }
                Err(ReadlineError::Eof) => Feed::End,
                Err(error) if has_hung_up(&error) => Feed::End,
                Err(ReadlineError::Interrupted) => Feed::Interrupted,
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                    let fault = "what was typed is not UTF-8; --escape can write any byte";
                    Feed::Items(vec![Err(Fault::Form(fault.into()))])
                }
                Err(error) => Feed::Failed(format!("cannot read the terminal: {}", reason(&error))),
            };
            let last = !matches!(feed, Feed::Items(_));
            if sender.send(feed).is_err() || last {
                return;
            }
        }
    }

    /// The next line: first what was typed before the terminal was taken over, then what is typed.
    fn next_line(&mut self) -> rustyline::Result<Vec<u8>> {
        let line = match self.ahead.next() {
            Some(Early::Line(line)) => {
                // It was echoed when it was typed, above everything else.
                writeln!(io::stdout(), "{PROMPT}{}", escape(&line))?;
                return Ok(line);
            }
            Some(Early::End) => return Err(ReadlineError::Eof),
            Some(Early::Begun(text)) => self.editor.readline_with_initial(PROMPT, (&text, "")),
            None => self.editor.readline(PROMPT),
        };
        line.map(String::into_bytes)
    }

    /// Remembers a line, on disk at once: the program may be ended in any way.
    fn keep(&mut self, line: &str) {
        let fresh = self.editor.history_mut().add(line).unwrap_or(false);
        if let Some(path) = &self.history
            && fresh
            && let Err(error) = self.editor.append_history(path)
        {
            log::info!("cannot keep the history in {}: {}", path.display(), reason(&error));
        }
    }
}

/// Ctrl-\ asks for a snapshot, as the signal that it is the key of does elsewhere.
struct Quit;

impl ConditionalEventHandler for Quit {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        #[cfg(unix)]
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGQUIT);
        Some(Cmd::Noop)
    }
}

/// `$XDG_STATE_HOME/udp-client/history`, or where this system keeps such things; its directory is
/// made, for its owner alone.
fn history_file() -> Option<PathBuf> {
    let directory = dirs::state_dir().or_else(dirs::data_local_dir)?.join("udp-client");
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Err(error) = builder.create(&directory) {
        log::info!("cannot make {}: {error}", directory.display());
        return None;
    }
    Some(directory.join("history"))
}

/// Whether the terminal is no more: EIO (`tty_ioctl(4)`).
fn has_hung_up(error: &ReadlineError) -> bool {
    match error {
        #[cfg(unix)]
        ReadlineError::Io(error) => error.raw_os_error() == Some(nix::errno::Errno::EIO as i32),
        #[cfg(unix)]
        ReadlineError::Errno(error) => *error as i32 == nix::errno::Errno::EIO as i32,
        _ => false,
    }
}

fn reason(error: &ReadlineError) -> String {
    match error {
        ReadlineError::Io(error) => udp_core::error::describe(error),
        other => other.to_string(),
    }
}

impl Write for Screen {
    /// Shows whole lines, above the prompt if there is one.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match (self.printer)(String::from_utf8_lossy(text).into_owned()) {
            Ok(()) => Ok(text.len()),
            // A reader that went away, as any other.
            Err(error) if has_hung_up(&error) => Err(ErrorKind::BrokenPipe.into()),
            // The editor has ended and could not leave its mode: there is no terminal either.
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::Other => {
                Err(ErrorKind::BrokenPipe.into())
            }
            Err(ReadlineError::Io(error)) => Err(error),
            Err(other) => Err(io::Error::other(other)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
