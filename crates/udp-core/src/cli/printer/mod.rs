//! The printer: one thread that owns an output, so that writing never holds anybody up.
//!
//! What is to be shown goes through a bounded channel as a value; the printer's thread turns it
//! into text and writes it, many at once when many wait. A terminal that was stopped, a pipe that
//! nobody reads or a disk that is full are then the printer's problem alone: under
//! [`Policy::Lossy`] what does not fit is counted and said later, under [`Policy::Lossless`] the
//! caller waits. A reader that goes away is an event, not an error.

mod writer;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError, bounded,
};

use crate::clock;
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
}

impl<T, R: Render<T> + ?Sized> Render<T> for Box<R> {
    fn value(&mut self, value: T, out: &mut Vec<u8>) {
        (**self).value(value, out);
    }

    fn missed(&mut self, count: u64, out: &mut Vec<u8>) {
        (**self).missed(count, out);
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

/// A printer at work. [`finish`](Printer::finish) it, or its last lines may never be seen.
#[derive(Debug)]
pub struct Printer<T> {
    handle: Handle<T>,
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
}

/// How a printer ended.
#[derive(Debug)]
pub struct Finished {
    /// Values that were dropped for want of room.
    pub dropped: u64,
    /// The first failed write, a reader that went away aside.
    pub error: Option<io::Error>,
    /// Whether the output was still stuck when the time was up.
    pub stuck: bool,
    /// Whether the reader had gone away.
    pub gone: bool,
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
        let (done, finished) = bounded(1);
        let (gone, reader_gone) = bounded(1);
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        thread::Builder::new().name("printer".into()).spawn(move || {
            if policy == Policy::Lossy {
                step_back();
            }
            let mut writer = Writer { output, shared: state, gone, error: None };
            writer.run(&incoming, &mut render);
            // The receiver may have given up waiting.
            let _ = done.send(writer.error);
        })?;
        Ok(Printer { handle: Handle { values, shared, policy }, finished, reader_gone })
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

    /// Writes what is left and ends; all other handles must have been dropped. Waits for the
    /// output no longer than `patience`, or for as long as it takes if there is none.
    pub fn finish(self, patience: Option<Duration>) -> Finished {
        self.finish_by(|finished| match patience {
            Some(patience) => finished.recv_timeout(patience),
            None => finished.recv().map_err(RecvTimeoutError::from),
        })
    }

    /// The same, for as long as `go_on` says, which is asked at each `glance`; from then on no
    /// longer than `patience`.
    pub fn finish_while(
        self,
        go_on: impl Fn() -> bool,
        glance: Duration,
        patience: Duration,
    ) -> Finished {
        self.finish_by(|finished| {
            while go_on() {
                match finished.recv_timeout(glance) {
                    Err(RecvTimeoutError::Timeout) => {}
                    outcome => return outcome,
                }
            }
            finished.recv_timeout(patience)
        })
    }

    fn finish_by(
        self,
        wait: impl FnOnce(&Receiver<Option<io::Error>>) -> Result<Option<io::Error>, RecvTimeoutError>,
    ) -> Finished {
        let Printer { handle, finished, .. } = self;
        let shared = Arc::clone(&handle.shared);
        drop(handle);
        let (in_time, error) = match wait(&finished) {
            Ok(error) => (true, error),
            Err(RecvTimeoutError::Timeout) => (false, None),
            Err(RecvTimeoutError::Disconnected) => {
                (true, Some(io::Error::other("the printer ended by itself")))
            }
        };
        let gone = shared.gone.load(Ordering::Relaxed);
        // All may be written, and its thread not have come to its end yet.
        let stuck = !in_time && shared.pending.load(Ordering::Acquire) > 0;
        if stuck && !gone {
            log::warn!("nobody reads stdout: the last lines were not written");
        }
        Finished { dropped: shared.dropped.load(Ordering::Relaxed), error, stuck, gone }
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

    /// Hands `value` over, waiting up to `patience` for room: for a summary, which must not be the
    /// line that is dropped.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::Mutex;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

    /// An output that fails as told, or tells that a write began and waits, and keeps what it got.
    struct Output {
        kept: Arc<Mutex<Vec<u8>>>,
        gate: Option<(Sender<()>, Receiver<()>)>,
        fail: Vec<ErrorKind>,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some((began, go_on)) = &self.gate {
                let _ = began.try_send(());
                let _ = go_on.recv();
            }
            if let Some(kind) = self.fail.pop() {
                return Err(kind.into());
            }
            // Short writes are normal.
            let taken = bytes.len().min(7);
            self.kept.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(output: Output, capacity: usize, policy: Policy) -> Printer<u32> {
        let line = |value: u32, text: &mut Vec<u8>| {
            text.extend_from_slice(format!("line {value}\n").as_bytes());
        };
        let missed = |count: u64, text: &mut Vec<u8>| {
            text.extend_from_slice(format!("... {count} not shown\n").as_bytes());
        };
        Printer::start(output, line, missed, capacity, policy).unwrap()
    }

    fn output(fail: &[ErrorKind]) -> (Output, Arc<Mutex<Vec<u8>>>) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        (Output { kept: Arc::clone(&kept), gate: None, fail: fail.to_vec() }, kept)
    }

    #[test]
    fn everything_is_written_in_order_before_the_end() {
        let (output, kept) = output(&[ErrorKind::WouldBlock, ErrorKind::Interrupted]);
        let printer = start(output, 4, Policy::Lossless);
        for value in 0..100 {
            printer.handle().offer(value).unwrap();
        }
        let finished = printer.finish(PATIENCE);
        assert_eq!((finished.dropped, finished.stuck, finished.error.is_none()), (0, false, true));
        let expected: String = (0..100).map(|value| format!("line {value}\n")).collect();
        assert_eq!(String::from_utf8_lossy(&kept.lock().unwrap()), expected);
    }

    /// A lossy printer whose output is stuck in its first write.
    fn stuck() -> (Printer<u32>, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (began, in_write) = bounded(1);
        let (open, go_on) = bounded(0);
        let (mut output, kept) = output(&[]);
        output.gate = Some((began, go_on));
        let printer = start(output, 4, Policy::Lossy);
        printer.handle().offer(0).unwrap();
        in_write.recv_timeout(Duration::from_secs(60)).unwrap();
        (printer, open, kept)
    }

    #[test]
    fn an_output_that_is_stuck_costs_lines_and_nothing_else() {
        let (printer, open, kept) = stuck();
        let handle = printer.handle();
        for value in 1..=4 {
            assert!(handle.has_room());
            handle.offer(value).unwrap();
        }
        assert!(!handle.has_room());
        for value in 5..=9 {
            assert_eq!(handle.offer(value), Err(value));
        }
        assert_eq!(handle.offer_within(7, Duration::from_millis(1)), Err(7));
        assert_eq!(handle.dropped(), 5);
        drop(open);
        let finished = printer.finish(PATIENCE);
        assert_eq!((finished.dropped, finished.stuck), (5, false));
        let expected = "line 0\n... 5 not shown\nline 1\nline 2\nline 3\nline 4\n";
        let text = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
        assert_eq!(sorted(&text), sorted(expected), "{text}");
    }

    fn sorted(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn an_output_that_stays_stuck_is_given_up() {
        let (printer, _open, _kept) = stuck();
        printer.handle().wait_until_written(Duration::from_millis(5));
        assert!(printer.finish(Some(Duration::from_millis(5))).stuck);
    }

    #[test]
    fn an_output_that_is_waited_for_is_given_up_once_told_so() {
        let (printer, _open, _kept) = stuck();
        let asked = std::cell::Cell::new(0);
        let go_on = || asked.replace(asked.get() + 1) < 3;
        let moment = Duration::from_millis(1);
        assert!(printer.finish_while(go_on, moment, moment).stuck);
        assert_eq!(asked.get(), 4);
        let (output, kept) = output(&[]);
        let printer = start(output, 4, Policy::Lossless);
        printer.handle().offer(3).unwrap();
        let finished = printer.finish_while(|| true, moment, moment);
        assert!(!finished.stuck && finished.error.is_none());
        assert_eq!(kept.lock().unwrap().as_slice(), b"line 3\n");
    }

    #[test]
    fn what_was_handed_over_is_waited_for() {
        let (output, kept) = output(&[]);
        let printer = start(output, 4, Policy::Lossless);
        printer.handle().offer(3).unwrap();
        printer.handle().wait_until_written(Duration::from_secs(60));
        assert_eq!(kept.lock().unwrap().as_slice(), b"line 3\n");
    }

    #[test]
    fn a_reader_that_goes_away_is_told_once() {
        let (output, kept) = output(&[ErrorKind::BrokenPipe]);
        let printer = start(output, 100, Policy::Lossless);
        printer.handle().offer(1).unwrap();
        printer.reader_gone().recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(printer.handle().is_gone());
        printer.handle().offer(2).unwrap();
        let finished = printer.finish(PATIENCE);
        assert!(finished.gone && finished.error.is_none() && !finished.stuck);
        assert!(kept.lock().unwrap().is_empty());
    }

    #[test]
    fn a_full_disk_is_remembered_and_writing_goes_on() {
        let (output, kept) = output(&[ErrorKind::StorageFull]);
        let printer = start(output, 1, Policy::Lossless);
        printer.handle().offer(0).unwrap();
        // The write that fails has this value alone.
        printer.handle().wait_until_written(Duration::from_secs(60));
        for value in 1..50 {
            printer.handle().offer(value).unwrap();
        }
        let finished = printer.finish(PATIENCE);
        assert_eq!(finished.error.map(|e| e.kind()), Some(ErrorKind::StorageFull));
        assert!(String::from_utf8_lossy(&kept.lock().unwrap()).ends_with("line 49\n"));
    }

    #[test]
    fn a_printer_that_ended_by_itself_is_an_error_and_is_not_waited_for() {
        let fails = |_: u32, _: &mut Vec<u8>| panic!("a renderer that fails");
        let printer = Printer::start(io::sink(), fails, |_, _| {}, 1, Policy::Lossless).unwrap();
        let handle = printer.handle();
        let refused = (0..1000).any(|value| {
            handle.offer_within(value, Duration::from_secs(60)).is_err() && handle.is_gone()
        });
        assert!(refused);
        let finished = printer.finish(PATIENCE);
        assert!(finished.error.is_some() && !finished.stuck);
    }
}
