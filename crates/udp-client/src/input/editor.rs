//! Asking with a line editor (rustyline): history, paste as one message, and a screen shared with
//! what arrives meanwhile, which is shown above the prompt while what is being typed stays.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use crossbeam_channel::{Receiver, Sender};
use rustyline::config::{BellStyle, Config};
use rustyline::error::ReadlineError;
use rustyline::history::{FileHistory, History};
use rustyline::{Behavior, ExternalPrinter};
use udp_core::cli::Failure;

use super::prompt::PROMPT;
use super::{Fault, Feed};
use crate::config::Coding;

/// Lines that are kept for the next time.
const KEPT: usize = 1000;

/// The editor, before its thread runs it.
pub(super) struct Editor {
    editor: rustyline::Editor<(), FileHistory>,
    history: Option<PathBuf>,
}

/// The terminal's output, to be written to while the editor may be at work on it.
pub struct Screen {
    printer: Box<dyn FnMut(String) -> rustyline::Result<()> + Send>,
}

impl Editor {
    /// Takes the terminal over, and loads what was typed the last times.
    pub(super) fn open(history: bool) -> Result<(Editor, Screen), Failure> {
        let fail = |error: ReadlineError| {
            Failure::local(format!("cannot use the terminal: {}", reason(&error)))
        };
        let config = Config::builder()
            .behavior(Behavior::Stdio)
            .bell_style(BellStyle::None)
            .bracketed_paste(true)
            .max_history_size(KEPT)
            .map_err(fail)?
            .build();
        let mut editor = rustyline::Editor::with_config(config).map_err(fail)?;
        let mut printer = editor.create_external_printer().map_err(fail)?;
        let path = if history { history_file() } else { None };
        if let Some(path) = &path
            && path.exists()
            && let Err(error) = editor.load_history(path)
        {
            log::info!("cannot read the history in {}: {}", path.display(), reason(&error));
        }
        let printer = Box::new(move |text| printer.print(text));
        Ok((Editor { editor, history: path }, Screen { printer }))
    }

    /// Asks each time that it is asked to.
    pub(super) fn run(mut self, coding: Coding, asked: &Receiver<()>, sender: &Sender<Feed>) {
        while asked.recv().is_ok() {
            let feed = match self.editor.readline(PROMPT) {
                Ok(line) => {
                    self.keep(&line);
                    Feed::Items(vec![super::item(coding, line.into_bytes())])
                }
                Err(ReadlineError::Eof) => Feed::End,
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

fn reason(error: &ReadlineError) -> String {
    match error {
        ReadlineError::Io(error) => udp_core::error::describe(error),
        other => other.to_string(),
    }
}

impl Write for Screen {
    /// Shows whole lines, above the prompt if there is one.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        (self.printer)(String::from_utf8_lossy(text).into_owned()).map_err(
            |error| match error {
                ReadlineError::Io(error) => error,
                other => io::Error::other(other),
            },
        )?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal's settings as they were, to be put back when the program ends while the editor is
/// still at work.
#[derive(Debug)]
pub struct Restore {
    #[cfg(unix)]
    termios: Option<rustix::termios::Termios>,
}

impl Restore {
    /// Notes the settings.
    pub fn note() -> Restore {
        Restore {
            #[cfg(unix)]
            termios: rustix::termios::tcgetattr(io::stdin()).ok(),
        }
    }

    /// Puts them back, and writes `last` below the line that was being typed. The escape sequence
    /// ends the bracketed paste that the editor asked for.
    pub fn leave(&self, last: &[u8]) {
        #[cfg(unix)]
        if let Some(termios) = &self.termios {
            use rustix::termios::{OptionalActions, tcsetattr};
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, termios);
        }
        let mut stdout = io::stdout();
        let text = [b"\x1b[?2004l\n", last].concat();
        // The terminal may have gone away, which is a good reason to end.
        let _ = stdout.write_all(&text).and_then(|()| stdout.flush());
    }
}
