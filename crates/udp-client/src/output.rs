//! Writes to stdout through a printer that loses nothing and to stderr through the diagnostics; at
//! a prompt both appear above the line that is being typed.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crossbeam_channel::Receiver;
use udp_core::cli::printer::{Policy, Printer, Reader, Render, stdout};
use udp_core::cli::shutdown::Signals;
use udp_core::cli::{Console, Failure, Style, Tone, json};
use udp_core::clock;
use udp_core::error::describe;

use crate::config::{Config, Format, Source};
use crate::input::Screen;
use crate::transcript::{Demands, Json, PendingOutput, Raw, Text, Transcript};

/// Blocks of text that may wait to be written: a reader that stops reading stops the sending.
const CAPACITY: usize = 16;
/// How often a full output looks whether the program is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a prompt waits for what is to stand above it.
const SETTLE: Duration = Duration::from_millis(500);

/// Whether a person is at the prompt, who is to see everything in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// On stderr.
    Apart,
    /// Among the rest.
    Together,
}

/// Blocks of text as they are.
struct Blocks {
    format: Format,
    style: Style,
}

impl Render<Vec<u8>> for Blocks {
    fn value(&mut self, block: Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(&block);
    }

    fn missed(&mut self, count: u64, out: &mut Vec<u8>) {
        let (at, start) = (clock::wall(), out.len());
        match self.format {
            Format::Text => {
                out.extend_from_slice(format!("... {count} lines not shown\n").as_bytes());
                self.style.dress(out, start, at, Tone::Plain);
            }
            Format::Json => json::not_shown(count, at, out),
            // Nothing but replies stands there.
            Format::Raw => log::warn!("not all replies were shown"),
        }
    }

    fn skipped(&mut self, block: Vec<u8>, _: &mut Vec<u8>) -> u64 {
        block.iter().filter(|byte| **byte == b'\n').count() as u64
    }
}

/// The transcript that was asked for.
pub(crate) fn transcript(config: &Config) -> Box<dyn Transcript> {
    let expectation = config.settings.expectation.clone();
    let demands = Demands { expectation, max_rtt: config.settings.max_rtt };
    match config.format {
        Format::Text => Box::new(Text::new(config.coding, demands, config.look)),
        Format::Raw => Box::new(Raw::new(demands)),
        Format::Json => Box::new(Json::new(config.look.quiet.then_some(demands))),
    }
}

/// The output.
pub struct Output {
    printer: Printer<Vec<u8>>,
    console: Console,
    signals: Signals,
    notes: Notes,
    /// Whether stdout is a terminal on which the key that ends the program is seen.
    terminal: bool,
}

impl Output {
    /// On stdout, or on the screen that a line editor shares. Nothing is dropped but where the
    /// program is stopped and the output is slow, which is said.
    ///
    /// # Errors
    /// A local failure: no thread for it.
    pub fn start(
        screen: Option<Screen>,
        config: &Config,
        console: &Console,
        signals: &Signals,
    ) -> Result<Output, Failure> {
        let plain = screen.is_none() && config.source != Source::PlainPrompt;
        let terminal = plain && config.format == Format::Text && io::stdout().is_terminal();
        let (format, style) = (config.format, config.look.style);
        let notes = if config.source.is_prompt() { Notes::Together } else { Notes::Apart };
        let sink: Box<dyn Write + Send> = match screen {
            Some(screen) => Box::new(screen),
            None => Box::new(stdout(Policy::Lossless)),
        };
        let printer = Printer::rendered(sink, Blocks { format, style }, CAPACITY, Policy::Lossless)
            .map_err(|e| Failure::local(format!("cannot write: {}", describe(&e))))?;
        let (console, signals) = (console.clone(), signals.clone());
        Ok(Output { printer, console, signals, notes, terminal })
    }

    /// Hands on what there is to say. Waits for a full output, unless the program is to stop or a
    /// person is at the prompt: then what did not fit stays for the next time.
    pub fn say(&self, said: &mut PendingOutput) {
        self.note(said);
        if said.out.is_empty() {
            return;
        }
        let mut block = std::mem::take(&mut said.out);
        while let Err(back) = self.printer.handle().offer_within(block, GLANCE) {
            if self.signals.stopped() || self.printer.handle().is_gone() {
                return;
            }
            if self.notes == Notes::Together {
                // The editor shows what waits for it only once it asks again, which it does not do
                // while we wait here.
                said.out = back;
                return;
            }
            block = back;
        }
    }

    /// Says how things stand, on stderr.
    pub fn snapshot(&self, line: String) {
        self.console.note(line);
    }

    /// Hands on what is for stderr.
    fn note(&self, said: &mut PendingOutput) {
        for note in said.notes.drain(..) {
            match self.notes {
                Notes::Apart => self.console.complain(&note),
                Notes::Together => {
                    said.out.extend_from_slice(note.as_bytes());
                    said.out.push(b'\n');
                }
            }
        }
    }

    /// Waits a moment until all is written, so that a prompt comes after it.
    pub fn settle(&self) {
        self.printer.handle().wait_until_written(SETTLE);
    }

    /// Fires when the reader has gone away.
    pub fn reader_gone(&self) -> &Receiver<()> {
        self.printer.reader_gone()
    }

    /// Says the last, and writes what is left, however long the reader takes, unless the program is
    /// to stop.
    ///
    /// # Errors
    /// A local failure: something could not be written.
    pub fn end(self, mut last: PendingOutput) -> Result<Reader, Failure> {
        self.note(&mut last);
        self.console.settle();
        let Output { printer, signals, terminal, .. } = self;
        if terminal && signals.interrupted() {
            printer.handle().fresh_line();
        }
        let last = Some(last.out).filter(|out| !out.is_empty());
        printer.end(last, || !signals.stopped()).outcome()
    }
}
