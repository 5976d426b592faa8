//! The thread that writes a recording. A file that cannot be written is reported once and left
//! alone; the beats go on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use udp_core::clock::{self, Mono};
use udp_core::error::describe;

use super::file::Output;
use super::line::{Line, Lines, Run};
use super::waiting::LINES;
use super::{Control, Shared};

/// How often it looks for lines: whoever hands them over need wake nobody.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How long compressed lines may wait: a flush costs some bytes.
const FLUSH: Duration = Duration::from_secs(1);
/// Bytes that are written at once.
const CHUNK: usize = 1 << 16;

pub(super) struct Writer {
    path: PathBuf,
    /// Empty between two looks.
    lines: Vec<Line>,
    shared: Arc<Shared>,
    output: Option<Output>,
    run: Option<Run>,
    text: Vec<u8>,
    render: Lines,
    /// When the oldest byte that is not flushed was written.
    unflushed: Option<Mono>,
    /// Lines that found no room and are not recorded as such yet.
    missed: u64,
    said_missed: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf, shared: Arc<Shared>) -> Writer {
        Writer {
            path,
            lines: Vec::with_capacity(LINES),
            shared,
            output: None,
            run: None,
            text: Vec::new(),
            render: Lines::default(),
            unflushed: None,
            missed: 0,
            said_missed: false,
        }
    }

    /// Writes until the run is over.
    pub(super) fn serve(mut self, orders: &Receiver<Control>) {
        loop {
            let order = orders.recv_timeout(TICK);
            if let Ok(Control::Begin(output, run)) = order {
                self.begin(output, *run);
                continue;
            }
            self.drain();
            match order {
                Ok(Control::Reopen(targets)) => {
                    if let Some(run) = self.run.take() {
                        self.reopen(Run { at: clock::wall(), targets, ..run });
                    }
                }
                Ok(Control::Finish(snapshot)) => {
                    self.render.add(Line::Summary(snapshot), &mut self.text);
                    return self.close();
                }
                Ok(Control::Begin(..)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
        }
    }

    fn begin(&mut self, output: Output, run: Run) {
        self.render.begin(&run, &mut self.text);
        self.output = Some(output);
        self.run = Some(run);
        self.shared.stopped.store(false, Ordering::Relaxed);
        self.write();
        self.flush();
    }

    fn reopen(&mut self, run: Run) {
        match Output::open(&self.path) {
            Ok(output) => {
                self.close();
                self.begin(output, run);
            }
            Err(error) => {
                let path = self.path.display();
                log::error!("cannot open the recording {path} again: {}", describe(&error));
                self.run = Some(run);
            }
        }
    }

    /// Writes what waits.
    fn drain(&mut self) {
        self.render.clocks.refresh(clock::mono(), clock::wall());
        self.missed += self.shared.waiting.take(&mut self.lines);
        for line in self.lines.drain(..) {
            self.render.add(line, &mut self.text);
            if self.text.len() >= CHUNK {
                write_to(&mut self.output, &mut self.text, &mut self.unflushed).unwrap_or_else(
                    |error| stop(&self.path, &self.shared, &mut self.output, &error),
                );
            }
        }
        if self.missed > 0 {
            if !std::mem::replace(&mut self.said_missed, true) {
                log::warn!(
                    "the recording {} is slow: not every beat is in it",
                    self.path.display()
                );
            }
            self.render.missed(std::mem::take(&mut self.missed), &mut self.text);
        }
        self.write();
        if self.unflushed.is_some_and(|since| clock::mono() - since >= FLUSH) {
            self.flush();
        }
    }

    fn write(&mut self) {
        if let Err(error) = write_to(&mut self.output, &mut self.text, &mut self.unflushed) {
            stop(&self.path, &self.shared, &mut self.output, &error);
        }
    }

    fn flush(&mut self) {
        self.unflushed = None;
        if let Some(Err(error)) = self.output.as_mut().map(Output::flush) {
            stop(&self.path, &self.shared, &mut self.output, &error);
        }
    }

    fn close(&mut self) {
        self.write();
        self.flush();
        if let Some(Err(error)) = self.output.take().map(Output::close) {
            stop(&self.path, &self.shared, &mut self.output, &error);
        }
    }
}

fn write_to(
    output: &mut Option<Output>,
    text: &mut Vec<u8>,
    unflushed: &mut Option<Mono>,
) -> io::Result<()> {
    let text = std::mem::take(text);
    match output {
        Some(output) if !text.is_empty() => {
            unflushed.get_or_insert_with(clock::mono);
            output.write(&text)
        }
        _ => Ok(()),
    }
}

/// Says why nothing is written any more, and leaves the file alone.
fn stop(path: &std::path::Path, shared: &Shared, output: &mut Option<Output>, error: &io::Error) {
    shared.stopped.store(true, Ordering::Relaxed);
    shared.failed.store(true, Ordering::Relaxed);
    *output = None;
    let (path, reason) = (path.display(), describe(error));
    log::error!("cannot write the recording {path}: {reason}; the beats go on without it");
}
