//! Writes what is reported to stdout through the printer thread.
//!
//! At the end it waits for a slow reader, and gives up on one that takes nothing any more.

use std::io::IsTerminal;

use udp_core::cli::printer::{Policy, Printer, Render, stdout};
use udp_core::cli::{Failure, Style};
use udp_core::clock;
use udp_core::error::describe;

use crate::block::{Pool, Shape};
use crate::config::Format;
use crate::datagram_log::DatagramLog;
use crate::event::{Event, Summary};
use crate::report::{Json, Report, Text};

/// Events that wait for the printer at most. Blocks are fewer, so what is full is the pool.
const EVENTS: usize = 256;

/// The printer at work, and what it renders.
pub(crate) struct StdoutLog {
    printer: Printer<Event>,
    format: Format,
    /// Blocks go back where they came from.
    pool: Pool,
}

/// Belongs to the printer's thread.
struct Renderer {
    report: Box<dyn Report>,
    /// Blocks go back where they came from.
    pool: Pool,
    /// How many were said not to be shown.
    not_shown: u64,
}

impl Render<Event> for Renderer {
    fn value(&mut self, event: Event, out: &mut Vec<u8>) {
        if let Event::Datagrams(block) = &event {
            for (record, kept) in block.iter() {
                self.report.datagram(record, kept, out);
            }
        }
        // Before the summary, and after the datagrams that were shown.
        let not_shown = self.pool.not_shown();
        if not_shown > self.not_shown {
            self.report.not_shown(not_shown - self.not_shown, clock::wall(), out);
            self.not_shown = not_shown;
        }
        let report = &mut self.report;
        match event {
            Event::Datagrams(block) => self.pool.recycle(block),
            Event::Start(services) => report.start(&services, clock::wall(), out),
            Event::Dropped(reason, count) => report.dropped(reason, count, clock::wall(), out),
            Event::Summary(summary) => report.summary(&summary, clock::wall(), out),
        }
    }

    /// Drops that found no room come again with the summary.
    fn missed(&mut self, _: u64, _: &mut Vec<u8>) {}

    fn skipped(&mut self, event: Event, out: &mut Vec<u8>) -> u64 {
        match event {
            Event::Datagrams(block) => {
                self.pool.count_not_shown(block.len() as u64);
                self.pool.recycle(block);
            }
            other => self.value(other, out),
        }
        0
    }
}

impl StdoutLog {
    /// Starts the printer on stdout.
    ///
    /// # Errors
    /// A local failure, when the system has no thread for it.
    pub(crate) fn start(format: Format, style: Style) -> Result<Self, Failure> {
        let (shape, report): (Shape, Box<dyn Report>) = match format {
            Format::Text => {
                let shape = Shape { times: style.timestamps(), ..Text::SHAPE };
                (shape, Box::new(Text::new(style)))
            }
            Format::Json => (Json::SHAPE, Box::new(Json)),
        };
        let pool = Pool::new(shape);
        let renderer = Renderer { report, pool: pool.clone(), not_shown: 0 };
        let output = stdout(Policy::Lossy);
        let printer =
            Printer::rendered(output, renderer, EVENTS, Policy::Lossy).map_err(|error| {
                Failure::local(format!("cannot start the printer: {}", describe(&error)))
            })?;
        Ok(StdoutLog { printer, format, pool })
    }

    /// Text or JSON.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Reports `event`, if there is room.
    pub(crate) fn report(&self, event: Event) {
        // Whatever finds no room here comes again with the summary's counts.
        let _ = self.printer.handle().offer(event);
    }

    /// A worker's end, one of `workers`.
    pub(crate) fn datagram_log(&self, workers: usize) -> DatagramLog {
        DatagramLog::new(self.printer.handle().clone(), self.pool.clone(), workers)
    }

    /// What comes next begins a line: the terminal has shown the key that ends the server.
    pub(crate) fn interrupted(&self) {
        if self.format == Format::Text && std::io::stdout().is_terminal() {
            self.printer.handle().fresh_line();
        }
    }

    /// Reports the end, when the workers are gone, and writes what is left.
    ///
    /// # Errors
    /// A local failure, when stdout was closed or did not take everything.
    pub(crate) fn finish(self, summary: Summary) -> Result<(), Failure> {
        self.printer.end(Some(Event::Summary(summary)), || false).outcome().map(drop)
    }
}
