//! The printer's thread: turns values into text and writes it, many at once when many wait.
//!
//! A failed write is remembered and a broken pipe is reported; both end nothing, since whoever hands
//! values over must never wait for an output that is no more.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::{Policy, Render, Shared, stdout};
use crate::clock;

/// How far a lossy printer steps back, of 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Text is gathered up to this many bytes before it is written: what a slow reader has to take at the
/// end before the last value.
const BLOCK: usize = 16 * 1024;
/// Bytes of one write at most: a slow reader must be seen to take something now and then.
const PIECE: usize = 4096;

/// Where lines may be lost, what they tell about goes first when the processors are busy.
pub(super) fn step_back() {
    #[cfg(target_os = "linux")]
    // If it is refused, the printer competes like any other thread.
    let _ = crate::sys::set_nice(NICE);
}

/// The printer's thread.
pub(super) struct Writer<W> {
    pub(super) output: W,
    pub(super) shared: Arc<Shared>,
    pub(super) gone: Sender<()>,
    pub(super) error: Option<io::Error>,
}

impl<W: Write> Writer<W> {
    /// Renders and writes until every handle is dropped and the channel is empty, and then what is
    /// behind all. After a failed write it goes on: a disk may get room again, and values must keep
    /// flowing in any case.
    pub(super) fn run<T>(
        &mut self,
        incoming: &Receiver<T>,
        behind: &Receiver<T>,
        render: &mut impl Render<T>,
    ) {
        let mut text = Vec::new();
        let mut said = 0;
        while let Ok(value) = incoming.recv() {
            self.render(value, render, &mut text);
            let mut rendered = 1;
            while text.len() < BLOCK {
                let Ok(value) = incoming.try_recv() else { break };
                self.render(value, render, &mut text);
                rendered += 1;
            }
            self.say_missed(&mut said, render, &mut text);
            self.write(&text);
            self.shared.pending.fetch_sub(rendered, Ordering::Release);
            text.clear();
            text.shrink_to(8 * BLOCK);
        }
        self.say_missed(&mut said, render, &mut text);
        let last = behind.try_recv().ok();
        let rendered = u64::from(last.is_some());
        if let Some(value) = last {
            render.value(value, &mut text);
        }
        self.write(&text);
        self.shared.pending.fetch_sub(rendered, Ordering::Release);
    }

    fn render<T>(&self, value: T, render: &mut impl Render<T>, text: &mut Vec<u8>) {
        if self.shared.skip.load(Ordering::Relaxed) {
            let skipped = render.skipped(value, text);
            self.shared.dropped.fetch_add(skipped, Ordering::Relaxed);
        } else {
            render.value(value, text);
        }
    }

    fn say_missed<T>(&self, said: &mut u64, render: &mut impl Render<T>, text: &mut Vec<u8>) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > *said {
            render.missed(dropped - *said, text);
            *said = dropped;
        }
    }

    fn write(&mut self, text: &[u8]) {
        if text.is_empty() || self.shared.gone.load(Ordering::Relaxed) {
            return;
        }
        if self.shared.fresh_line.swap(false, Ordering::Relaxed) {
            // If it fails, so does what follows.
            let _ = write_fully(&mut self.output, b"\n", &self.shared);
        }
        match write_fully(&mut self.output, text, &self.shared) {
            Ok(()) => {}
            Err((_, error)) if error.kind() == ErrorKind::BrokenPipe => {
                self.shared.gone.store(true, Ordering::Relaxed);
                let _ = self.gone.try_send(());
            }
            Err((rest, error)) => {
                let lines = rest.iter().filter(|byte| **byte == b'\n').count();
                self.shared.lost_lines.fetch_add(lines as u64, Ordering::Relaxed);
                self.error = self.error.take().or(Some(error));
            }
        }
    }
}

/// Writes all of `text` to stdout, however slow it is.
///
/// # Errors
/// As `write(2)`.
pub fn print(text: &[u8]) -> io::Result<()> {
    let mut output = stdout(Policy::Lossless);
    write_fully(&mut output, text, &Shared::default()).map_err(|(_, error)| error)
}

/// Writes and flushes all of `text`, and shows since when each piece of it is being written. An
/// output that was set non-blocking (by another program on the same terminal, say) is waited for
/// here, since `write_all` would lose the rest. What was not written comes back with the error.
fn write_fully<'a>(
    output: &mut impl Write,
    mut text: &'a [u8],
    shared: &Shared,
) -> Result<(), (&'a [u8], io::Error)> {
    let begin = || shared.writing_since.store(clock::mono().as_nanos().max(1), Ordering::Relaxed);
    begin();
    let outcome = loop {
        let outcome = match text {
            [] => output.flush().map(|()| 0),
            _ => output.write(text.get(..PIECE).unwrap_or(text)),
        };
        match outcome {
            Ok(_) if text.is_empty() => break Ok(()),
            Ok(0) => break Err((text, ErrorKind::WriteZero.into())),
            Ok(written) => {
                text = text.get(written..).unwrap_or_default();
                begin();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                clock::sleep(Duration::from_millis(1));
            }
            Err(error) => break Err((text, error)),
        }
    };
    shared.writing_since.store(0, Ordering::Relaxed);
    outcome
}
