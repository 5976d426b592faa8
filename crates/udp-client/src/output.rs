//! Where what is said goes: stdout through a printer that loses nothing, stderr through the
//! diagnostics; at a prompt both above it.

use std::io::{self, Write};
use std::time::Duration;

use crossbeam_channel::Receiver;
use udp_core::cli::printer::{Policy, Printer};
use udp_core::cli::shutdown::Signals;
use udp_core::cli::{Console, Failure};
use udp_core::error::describe;

use crate::input::Screen;
use crate::transcript::PendingOutput;

/// Blocks of text that may wait to be written: a reader that stops reading stops the sending.
const CAPACITY: usize = 16;
/// How often a full output looks whether the program is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a stopped program waits for an output that does not move.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether a person is at the prompt, who is to see everything in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// On stderr.
    Apart,
    /// Among the rest.
    Together,
}

/// Whether somebody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// As far as can be told.
    There,
    /// No more: a broken pipe.
    Gone,
}

/// The output.
pub struct Output {
    printer: Printer<Vec<u8>>,
    console: Console,
    signals: Signals,
    notes: Notes,
}

impl Output {
    /// On stdout, or on the screen that a line editor shares.
    ///
    /// # Errors
    /// A local failure: no thread for it.
    pub fn start(
        screen: Option<Screen>,
        notes: Notes,
        console: &Console,
        signals: &Signals,
    ) -> Result<Output, Failure> {
        let sink: Box<dyn Write + Send> = match screen {
            Some(screen) => Box::new(screen),
            None => Box::new(io::stdout()),
        };
        let show = |block: Vec<u8>, text: &mut Vec<u8>| text.extend_from_slice(&block);
        // Nothing is ever dropped, so nothing is missed.
        let missed = |_: u64, _: &mut Vec<u8>| {};
        let printer = Printer::start(sink, show, missed, CAPACITY, Policy::Lossless)
            .map_err(|e| Failure::local(format!("cannot write: {}", describe(&e))))?;
        Ok(Output { printer, console: console.clone(), signals: signals.clone(), notes })
    }

    /// Hands on what there is to say. Waits for a full output, unless the program is to stop or a
    /// person is at the prompt: then what did not fit stays for the next time.
    pub fn say(&self, said: &mut PendingOutput) {
        for note in said.notes.drain(..) {
            match self.notes {
                Notes::Apart => self.console.note(note),
                Notes::Together => {
                    said.out.extend_from_slice(note.as_bytes());
                    said.out.push(b'\n');
                }
            }
        }
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

    /// Waits a moment until all is written, so that a prompt comes after it.
    pub fn settle(&self) {
        self.printer.handle().wait_until_written(PATIENCE);
    }

    /// Fires when the reader has gone away.
    pub fn reader_gone(&self) -> &Receiver<()> {
        self.printer.reader_gone()
    }

    /// Writes what is left, however long the reader takes, unless the program is to stop.
    ///
    /// # Errors
    /// A local failure: something could not be written.
    pub fn finish(self) -> Result<Reader, Failure> {
        let Output { printer, signals, .. } = self;
        let reader_gone = printer.reader_gone().clone();
        match printer.finish_while(|| !signals.stopped(), GLANCE, PATIENCE).error {
            Some(e) => Err(Failure::local(format!("cannot write to stdout: {}", describe(&e)))),
            None if reader_gone.try_recv().is_ok() => Ok(Reader::Gone),
            None => Ok(Reader::There),
        }
    }
}
