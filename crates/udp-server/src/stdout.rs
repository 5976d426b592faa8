//! Writes what is reported to stdout through the printer thread.
//!
//! At the end it waits for a slow reader, and gives up on one that takes nothing any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use udp_core::cli::printer::{Policy, Printer, Render};
use udp_core::cli::{Failure, Style, stdout_is_open};
use udp_core::clock;
use udp_core::error::describe;

use crate::block::{Pool, Shape};
use crate::config::Format;
use crate::datagram_log::DatagramLog;
use crate::event::{Event, Summary};
use crate::output::{Watch, Watched, stdout};
use crate::report::{Json, Report, Text};

/// Events that wait for the printer at most. Blocks are fewer, so what is full is the pool.
const EVENTS: usize = 256;
/// For how long after the end datagrams that wait to be shown still are; then only the summary is.
/// That bounds what a slow terminal can hold up; all the blocks there are take a few milliseconds
/// to show to a reader that reads, and a busy machine may take a while to run the printer at all.
const SHOW_FOR: Duration = Duration::from_secs(1);
/// How long the end waits for a reader that still takes something.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the end looks whether the reader is stuck.
const LOOK: Duration = Duration::from_millis(2);

/// The printer at work, and what it renders.
pub(crate) struct StdoutLog {
    printer: Printer<Event>,
    format: Format,
    watch: Watch,
    /// Set when what is not shown yet shall not be: it is counted instead.
    skip: Arc<AtomicBool>,
    /// Blocks go back where they came from.
    pool: Pool,
}

/// Belongs to the printer's thread.
struct Renderer {
    report: Box<dyn Report>,
    /// Blocks go back where they came from.
    pool: Pool,
    skip: Arc<AtomicBool>,
    /// How many were said not to be shown.
    not_shown: u64,
}

impl Render<Event> for Renderer {
    fn value(&mut self, event: Event, out: &mut Vec<u8>) {
        let Renderer { report, pool, .. } = self;
        if let Event::Datagrams(block) = &event {
            if self.skip.load(Ordering::Relaxed) {
                pool.count_not_shown(block.len() as u64);
            } else {
                for (record, kept) in block.iter() {
                    report.datagram(record, kept, out);
                }
            }
        }
        // Before the summary, and after the datagrams that were shown.
        let not_shown = pool.not_shown();
        if not_shown > self.not_shown {
            report.not_shown(not_shown - self.not_shown, clock::wall(), out);
            self.not_shown = not_shown;
        }
        match event {
            Event::Datagrams(block) => pool.recycle(block),
            Event::Start(services) => report.start(&services, clock::wall(), out),
            Event::Dropped(reason, count) => report.dropped(reason, count, clock::wall(), out),
            Event::Summary(summary) => report.summary(&summary, clock::wall(), out),
        }
    }

    /// Drops that found no room come again with the summary.
    fn missed(&mut self, _: u64, _: &mut Vec<u8>) {}
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
        let skip = Arc::new(AtomicBool::new(false));
        let (output, watch) = Watched::new(stdout());
        let renderer =
            Renderer { report, pool: pool.clone(), skip: Arc::clone(&skip), not_shown: 0 };
        let printer =
            Printer::rendered(output, renderer, EVENTS, Policy::Lossy).map_err(|error| {
                Failure::local(format!("cannot start the printer: {}", describe(&error)))
            })?;
        Ok(StdoutLog { printer, format, watch, skip, pool })
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

    /// Reports the end, when the workers are gone, and writes what is left.
    ///
    /// # Errors
    /// A local failure, when stdout was closed or did not take everything: what could not be
    /// written was not done. A reader that went away, or does not read, is none.
    pub(crate) fn finish(self, summary: Summary) -> Result<(), Failure> {
        let handle = self.printer.handle();
        let start = clock::mono();
        let mut last = Some(Event::Summary(summary));
        while !self.watch.is_stuck(start) {
            if let Some(event) = last.take()
                && let Err(event) = handle.offer(event)
            {
                last = Some(event);
            }
            let looked = clock::mono();
            handle.wait_until_written(LOOK);
            let now = clock::mono();
            // It returns early when nothing is left to be written.
            let written = last.is_none() && now.saturating_since(looked) < LOOK;
            if written || now.saturating_since(start) >= PATIENCE {
                break;
            }
            if now.saturating_since(start) >= SHOW_FOR {
                self.skip.store(true, Ordering::Relaxed);
            }
        }
        self.printer.finish(Some(LOOK));
        let lost = self.watch.lost();
        if lost > 0 {
            let message = format!("{lost} lines not shown: stdout did not take them");
            return Err(Failure::local(message));
        }
        stdout_is_open().map_err(|error| {
            Failure::local(format!("cannot write to stdout: {}", describe(&error)))
        })
    }
}
