//! The printer: one thread that owns an output, so that writing never holds anybody up.
//!
//! What is to be shown goes through a bounded channel as a value; the printer's thread turns it
//! into text and writes it, many at once when many wait. A terminal that was stopped, a pipe that
//! nobody reads or a disk that is full are then the printer's problem alone: under
//! [`Policy::Lossy`] what does not fit is counted and said later, under [`Policy::Lossless`] the
//! caller waits. A reader that goes away is an event, not an error.

mod finish;
mod stdout;
#[cfg(test)]
mod tests;
mod writer;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded};

use crate::clock;
pub use finish::{Finished, Reader};
pub use stdout::{Stdout, stdout};
pub use writer::print;
use writer::{Writer, step_back};

/// What happens when the channel is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// What does not fit is dropped and counted.
    Lossy,
    /// The caller waits until there is room.
    Lossless,
}

/// Turns values into text. It belongs to the printer's thread, so it needs no lock.
pub trait Render<T>: Send {
    /// Appends the text of one value.
    fn value(&mut self, value: T, out: &mut Vec<u8>);
    /// Appends what says that so many values were not shown (the count since it was last said).
    fn missed(&mut self, count: u64, out: &mut Vec<u8>);
    /// The same as [`value`](Self::value) where the program ends and the output is too slow for all
    /// that waits: what need not be shown is not. How many were left out, to be said as missed.
    fn skipped(&mut self, _value: T, _out: &mut Vec<u8>) -> u64 {
        1
    }
}

impl<T, R: Render<T> + ?Sized> Render<T> for Box<R> {
    fn value(&mut self, value: T, out: &mut Vec<u8>) {
        (**self).value(value, out);
    }

    fn missed(&mut self, count: u64, out: &mut Vec<u8>) {
        (**self).missed(count, out);
    }

    fn skipped(&mut self, value: T, out: &mut Vec<u8>) -> u64 {
        (**self).skipped(value, out)
    }
}

/// Two functions as one.
struct Functions<R, M>(R, M);

impl<T, R, M> Render<T> for Functions<R, M>
where
    R: FnMut(T, &mut Vec<u8>) + Send,
    M: FnMut(u64, &mut Vec<u8>) + Send,
{
    fn value(&mut self, value: T, out: &mut Vec<u8>) {
        (self.0)(value, out);
    }

    fn missed(&mut self, count: u64, out: &mut Vec<u8>) {
        (self.1)(count, out);
    }
}

/// A printer at work. [`end`](Printer::end) it, or its last lines may never be seen.
#[derive(Debug)]
pub struct Printer<T> {
    handle: Handle<T>,
    /// Takes the value behind all others, which needs no room.
    last: Sender<T>,
    finished: Receiver<Option<io::Error>>,
    reader_gone: Receiver<()>,
}

/// Where values for a printer go in. Cheap to clone; the printer ends when every one is dropped.
#[derive(Debug)]
pub struct Handle<T> {
    values: Sender<T>,
    shared: Arc<Shared>,
    policy: Policy,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle {
            values: self.values.clone(),
            shared: Arc::clone(&self.shared),
            policy: self.policy,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Values handed over and not yet written.
    pending: AtomicU64,
    dropped: AtomicU64,
    gone: AtomicBool,
    /// Set at the end, when what waits is not shown any more.
    skip: AtomicBool,
    /// What is written next begins with a line end.
    fresh_line: AtomicBool,
    /// Since when the present write lasts: nanoseconds of the monotonic clock, 0 if there is none.
    writing_since: AtomicU64,
    /// Lines that could not be written.
    lost_lines: AtomicU64,
}

impl<T: Send + 'static> Printer<T> {
    /// Starts a printer on `output`.
    ///
    /// `render` appends the text of one value; `missed` appends what says that so many values were
    /// not shown (the count since it was last said). At most `capacity` values wait.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start<W, R, M>(
        output: W,
        render: R,
        missed: M,
        capacity: usize,
        policy: Policy,
    ) -> io::Result<Printer<T>>
    where
        W: Write + Send + 'static,
        R: FnMut(T, &mut Vec<u8>) + Send + 'static,
        M: FnMut(u64, &mut Vec<u8>) + Send + 'static,
    {
        Printer::rendered(output, Functions(render, missed), capacity, policy)
    }

    /// The same with one renderer.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn rendered<W, R>(
        output: W,
        mut render: R,
        capacity: usize,
        policy: Policy,
    ) -> io::Result<Printer<T>>
    where
        W: Write + Send + 'static,
        R: Render<T> + 'static,
    {
        let (values, incoming) = bounded(capacity);
        let (last, ending) = bounded(1);
        let (done, finished) = bounded(1);
        let (gone, reader_gone) = bounded(1);
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        thread::Builder::new().name("printer".into()).spawn(move || {
            if policy == Policy::Lossy {
                step_back();
            }
            let mut writer = Writer { output, shared: state, gone, error: None };
            writer.run(&incoming, &ending, &mut render);
            // The receiver may have given up waiting.
            let _ = done.send(writer.error);
        })?;
        Ok(Printer { handle: Handle { values, shared, policy }, last, finished, reader_gone })
    }

    /// A handle for another thread.
    pub fn handle(&self) -> &Handle<T> {
        &self.handle
    }

    /// Fires once when the reader has gone away (a broken pipe): a client's or heartbeat's reason
    /// to end, quietly.
    pub fn reader_gone(&self) -> &Receiver<()> {
        &self.reader_gone
    }
}

impl<T> Handle<T> {
    /// Hands `value` over, as the policy says. It comes back if there was no room (which is
    /// counted) or the printer has ended.
    ///
    /// # Errors
    /// The value, when it will not be shown.
    pub fn offer(&self, value: T) -> Result<(), T> {
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        let outcome = match self.policy {
            Policy::Lossless => self.values.send(value).map_err(|refused| {
                self.shared.gone.store(true, Ordering::Relaxed);
                refused.into_inner()
            }),
            Policy::Lossy => self.values.try_send(value).map_err(|refused| {
                if matches!(refused, TrySendError::Full(_)) {
                    self.count_dropped(1);
                }
                refused.into_inner()
            }),
        };
        self.settle(outcome)
    }

    /// Hands `value` over, waiting up to `patience` for room.
    ///
    /// # Errors
    /// The value, when there was no room in time; this is not counted.
    pub fn offer_within(&self, value: T, patience: Duration) -> Result<(), T> {
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        let outcome = self.values.send_timeout(value, patience).map_err(|refused| {
            if matches!(refused, SendTimeoutError::Disconnected(_)) {
                self.shared.gone.store(true, Ordering::Relaxed);
            }
            refused.into_inner()
        });
        self.settle(outcome)
    }

    /// Takes a value that was not handed over out of the count of those that wait.
    fn settle(&self, outcome: Result<(), T>) -> Result<(), T> {
        if outcome.is_err() {
            self.shared.pending.fetch_sub(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Waits until all that was handed over so far is written, but no longer than `patience`: for
    /// a printer whose handles cannot all be dropped, such as a logger's.
    pub fn wait_until_written(&self, patience: Duration) {
        let end = clock::mono() + patience;
        while self.shared.pending.load(Ordering::Acquire) > 0 && clock::mono() < end {
            clock::sleep(Duration::from_micros(200));
        }
    }

    /// Whether there is room now, so that a value that will be dropped need not be made.
    pub fn has_room(&self) -> bool {
        !self.values.is_full()
    }

    /// What is written next begins with a line end: the terminal has shown `^C` on the present one.
    pub fn fresh_line(&self) {
        self.shared.fresh_line.store(true, Ordering::Relaxed);
    }

    /// Counts values that were never made or handed over for want of room.
    pub fn count_dropped(&self, values: u64) {
        self.shared.dropped.fetch_add(values, Ordering::Relaxed);
    }

    /// How many values were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Whether the reader has gone away, or the printer itself: nothing more will be seen.
    pub fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Relaxed)
    }
}
