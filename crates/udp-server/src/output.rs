//! Stdout, watched: the end of the program must know whether the reader is slow or stuck.
//!
//! A reader that is only slow gets the summary; one that has taken nothing for a while (a paused
//! terminal, a pipe that nobody reads) must not keep the program from ending.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use udp_core::clock::{self, Mono};

/// How long one write may take at the end before the reader counts as stuck.
const STUCK_AFTER: Duration = Duration::from_millis(40);
/// The same for a reader that took something just before the end: on a busy machine it may be
/// willing and still not run for longer than that.
const SLOW_AFTER: Duration = Duration::from_millis(400);
/// A write that had been under way for so long when the end came had no willing reader.
const STANDSTILL: Duration = Duration::from_millis(60);
/// Bytes of one write at most: a slow reader must be seen to take something now and then.
const PIECE: usize = 4096;

/// An output that shows when its present write began, and says what it did not take.
pub(crate) struct Watched<W> {
    output: W,
    shown: Arc<Shown>,
    /// Whether it is a terminal, which fails with EIO once it has hung up.
    terminal: bool,
}

/// The other end of a [`Watched`].
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    shown: Arc<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    /// Nanoseconds of the monotonic clock, 0 while nothing is being written.
    writing_since: AtomicU64,
    /// Lines that could not be written.
    lost: AtomicU64,
}

impl<W> Watched<W> {
    /// Watches `output`.
    pub(crate) fn new(output: W) -> (Self, Watch) {
        let shown = Arc::new(Shown::default());
        let watch = Watch { shown: Arc::clone(&shown) };
        let terminal = io::stdout().is_terminal();
        (Watched { output, shown, terminal }, watch)
    }
}

impl Watch {
    /// Whether the reader has taken nothing for too long of what is being written; what it did not
    /// take before `from` is forgiven.
    pub(crate) fn is_stuck(&self, from: Mono) -> bool {
        let since = match self.shown.writing_since.load(Relaxed) {
            0 => return false,
            since => Mono::from_nanos(since),
        };
        let stood_still = from.saturating_since(since) >= STANDSTILL;
        let allowed = if stood_still { STUCK_AFTER } else { SLOW_AFTER };
        clock::mono().saturating_since(from.max(since)) >= allowed
    }

    /// Lines that could not be written, for another reason than that nobody reads any more.
    pub(crate) fn lost(&self) -> u64 {
        self.shown.lost.load(Relaxed)
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shown.writing_since.store(clock::mono().as_nanos().max(1), Relaxed);
        let result = self.output.write(bytes.get(..PIECE).unwrap_or(bytes));
        self.shown.writing_since.store(0, Relaxed);
        if let Err(error) = &result {
            self.failed(error, bytes);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W> Watched<W> {
    /// A write failed, and what was to be written is given up. LogLimit the first time; how much was
    /// lost is said at the end.
    fn failed(&self, error: &io::Error, bytes: &[u8]) {
        use io::ErrorKind::{BrokenPipe, Interrupted, WouldBlock};
        #[cfg(unix)]
        if self.terminal && error.raw_os_error() == Some(nix::libc::EIO) {
            return;
        }
        if matches!(error.kind(), BrokenPipe | Interrupted | WouldBlock) {
            return;
        }
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if self.shown.lost.fetch_add(lines as u64, Relaxed) == 0 {
            log::warn!("cannot write to stdout: {}", udp_core::error::describe(error));
        }
    }
}

/// Stdout without the standard library's line buffer in between: the printer gathers lines itself.
pub(crate) fn stdout() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(descriptor) = io::stdout().as_fd().try_clone_to_owned() {
            return Box::new(std::fs::File::from(descriptor));
        }
    }
    Box::new(io::stdout())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, bounded};

    struct Gated(Receiver<()>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_those_that_nobody_wants_are_not() {
        for (kind, lost) in [
            (io::ErrorKind::StorageFull, 3),
            (io::ErrorKind::BrokenPipe, 0),
            (io::ErrorKind::Interrupted, 0),
        ] {
            let (mut watched, watch) = Watched::new(Failing(kind));
            assert!(watched.write(b"one\ntwo\n").is_err());
            assert!(watched.write(b"three\n").is_err());
            assert_eq!(watch.lost(), lost, "{kind:?}");
        }
    }

    #[test]
    fn a_write_that_does_not_end_is_noticed_and_one_that_does_is_not() {
        let (open, gate) = bounded::<()>(0);
        let (mut watched, watch) = Watched::new(Gated(gate));
        let start = clock::mono();
        assert!(!watch.is_stuck(start));
        let writer = std::thread::spawn(move || watched.write(b"x").unwrap());
        let end = clock::mono() + Duration::from_secs(60);
        while !watch.is_stuck(start) && clock::mono() < end {
            std::thread::yield_now();
        }
        assert!(watch.is_stuck(start));
        assert!(!watch.is_stuck(end), "what is still to come is not late");
        drop(open);
        assert_eq!(writer.join().unwrap(), 1);
        assert!(!watch.is_stuck(start));
    }
}
