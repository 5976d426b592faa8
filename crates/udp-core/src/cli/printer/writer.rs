//! The printer's thread: turns values into text and writes it, many at once when many wait.
//!
//! A failed write is remembered and a broken pipe is told; both end nothing, since whoever hands
//! values over must never wait for an output that is no more.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::{Render, Shared};
use crate::clock;

/// How far a lossy printer steps back, of 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Text is gathered up to this many bytes before it is written.
const BLOCK: usize = 64 * 1024;

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
    /// Renders and writes until every handle is dropped and the channel is empty. After a failed
    /// write it goes on: a disk may get room again, and values must keep flowing in any case.
    pub(super) fn run<T>(&mut self, incoming: &Receiver<T>, render: &mut impl Render<T>) {
        let mut text = Vec::new();
        let mut said = 0;
        while let Ok(value) = incoming.recv() {
            render.value(value, &mut text);
            let mut rendered = 1;
            while text.len() < BLOCK {
                let Ok(value) = incoming.try_recv() else { break };
                render.value(value, &mut text);
                rendered += 1;
            }
            let dropped = self.shared.dropped.load(Ordering::Relaxed);
            if dropped > said {
                render.missed(dropped - said, &mut text);
                said = dropped;
            }
            self.write(&text);
            self.shared.pending.fetch_sub(rendered, Ordering::Release);
            text.clear();
            text.shrink_to(2 * BLOCK);
        }
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > said {
            render.missed(dropped - said, &mut text);
            self.write(&text);
        }
    }

    fn write(&mut self, text: &[u8]) {
        if text.is_empty() || self.shared.gone.load(Ordering::Relaxed) {
            return;
        }
        match write_fully(&mut self.output, text) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.shared.gone.store(true, Ordering::Relaxed);
                let _ = self.gone.try_send(());
            }
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }
}

/// Writes and flushes all of `text`. An output that was set non-blocking (by another program on
/// the same terminal, say) is waited for here, since `write_all` would lose the rest.
fn write_fully(output: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    loop {
        let outcome = match text {
            [] => output.flush().map(|()| 0),
            _ => output.write(text),
        };
        match outcome {
            Ok(_) if text.is_empty() => return Ok(()),
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                clock::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}
