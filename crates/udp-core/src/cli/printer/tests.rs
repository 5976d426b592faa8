//! The printer before outputs that fail, are stuck, or go away.

use super::*;
use std::io::ErrorKind;
use std::sync::Mutex;

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
    let finished = printer.end(None, || true);
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
    let finished = printer.end(None, || true);
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
    let finished = printer.end(Some(1), || false);
    assert!(finished.stuck && !finished.gone && finished.error.is_none());
}

#[test]
fn an_output_that_is_waited_for_is_given_up_once_told_so() {
    let (printer, _open, _kept) = stuck();
    let asked = std::cell::Cell::new(0);
    assert!(printer.end(Some(1), || asked.replace(asked.get() + 1) < 100).stuck);
    assert!(asked.get() > 100);
    let (printer, open, kept) = stuck();
    let keep_on = || {
        let _ = open.try_send(());
        true
    };
    let finished = printer.end(Some(1), keep_on);
    assert!(!finished.stuck && finished.error.is_none());
    assert_eq!(kept.lock().unwrap().as_slice(), b"line 0\nline 1\n");
}

/// What waits is left out when the time for it is over, and the last value is behind what is said
/// of that, however full the queue was.
#[test]
fn a_slow_reader_gets_the_last_value_all_the_same() {
    let (printer, open, kept) = stuck();
    for value in 1..=4 {
        printer.handle().offer(value).unwrap();
    }
    printer.handle().shared.skip.store(true, Ordering::Relaxed);
    drop(open);
    let finished = printer.end(Some(9), || true);
    assert_eq!((finished.stuck, finished.dropped), (false, 4));
    let text = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
    assert_eq!(text, "line 0\n... 4 not shown\nline 9\n");
}

#[test]
fn a_write_that_does_not_end_is_noticed_and_one_that_does_is_not() {
    let at = |ms: u64| clock::Mono::from_nanos(ms * 1_000_000);
    // Since when something is being written (0: nothing is), the end, now, whether it is stuck.
    for (since, from, now, stuck) in [
        (0, 1000, 9000, false),
        (1000, 1050, 1449, false),
        (1000, 1050, 1450, true),
        (1000, 1060, 1099, false),
        (1000, 1060, 1100, true),
        (2000, 1000, 2399, false),
        (2000, 1000, 2400, true),
    ] {
        let shared = Shared::default();
        shared.writing_since.store(at(since).as_nanos(), Ordering::Relaxed);
        assert_eq!(shared.is_stuck(at(from), at(now)), stuck, "{since} {from} {now}");
    }
}

#[test]
fn a_line_end_comes_first_where_the_terminal_has_echoed_a_key() {
    let (output, kept) = output(&[]);
    let printer = start(output, 4, Policy::Lossless);
    printer.handle().fresh_line();
    printer.handle().offer(1).unwrap();
    printer.end(Some(2), || true);
    assert_eq!(kept.lock().unwrap().as_slice(), b"\nline 1\nline 2\n");
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
    let finished = printer.end(None, || true);
    assert!(!finished.stuck && finished.lost_lines == 0);
    assert_eq!(finished.outcome(), Ok(Reader::Gone));
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
    let finished = printer.end(None, || true);
    assert_eq!(finished.lost_lines, 1);
    let failure = finished.outcome().unwrap_err();
    let expected = "error: cannot write to stdout: no storage space, 1 line not shown";
    assert_eq!((failure.to_string().as_str(), failure.exit), (expected, crate::cli::Exit::Local));
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
    let finished = printer.end(None, || true);
    assert!(finished.error.is_some() && !finished.stuck);
}
