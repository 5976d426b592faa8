//! Splits the input into messages: the end of a line, LF or CRLF, is no part of it. An empty line
//! is an empty message, and a last line without an end is a line. A line may hold any bytes, but
//! not more than could be sent, so that an input without line ends does not fill the memory.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::{Feed, Item, item, too_long};
use crate::config::Coding;

/// No UDP payload is longer.
const LONGEST: usize = udp_core::batch::SLOT;
/// How much longer hex with blanks and prefixes, or the escape form, may be: `\u{10ffff}` is ten
/// characters for four bytes, `0x00 ` five for one.
const WRITTEN_OUT: usize = 8;
/// Messages are handed on by so many at most.
const BATCH: usize = 256;
/// … or so many bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// How long a written message may be.
pub(super) fn longest(coding: Coding) -> usize {
    match coding {
        Coding::Text => LONGEST,
        Coding::Hex | Coding::Escape => LONGEST * WRITTEN_OUT,
    }
}

/// Reads `input` to its end. What is there is handed on before more is waited for; reading stops
/// when nobody takes it any more.
pub(super) fn read<R: Read>(
    input: &mut BufReader<R>,
    coding: Coding,
    mut hand_on: impl FnMut(Feed) -> bool,
) -> io::Result<()> {
    let mut items: Vec<Item> = Vec::new();
    let (mut bytes, mut number) = (0, 0u64);
    loop {
        let line = read_line(input, longest(coding));
        let (line, error) = match line {
            Ok(line) => (line, None),
            Err(error) => (None, Some(error)),
        };
        let more = line.is_some();
        if let Some(line) = line {
            number += 1;
            let item = line.and_then(|line| item(coding, line));
            let item = item.map_err(|fault| fault.on_line(number));
            bytes += item.as_ref().map_or(0, Vec::len);
            items.push(item);
        }
        let full = items.len() >= BATCH || bytes >= BATCH_BYTES;
        // With nothing more in hand, the next line may be long in coming.
        let waiting = !input.buffer().contains(&b'\n');
        if !items.is_empty() && (full || waiting || !more) {
            bytes = 0;
            if !hand_on(Feed::Items(std::mem::take(&mut items))) {
                return Ok(());
            }
        }
        match error {
            Some(error) => return Err(error),
            None if !more => return Ok(()),
            None => {}
        }
    }
}

/// The next line, `None` at the end. One that is too long is skipped to its end.
fn read_line(input: &mut impl BufRead, longest: usize) -> io::Result<Option<Item>> {
    let mut line = Vec::new();
    let (mut any, mut over) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            break;
        }
        any = true;
        let end = available.iter().position(|&byte| byte == b'\n');
        let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        over |= line.len() + part.len() > longest;
        if !over {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            line.pop_if(|last| *last == b'\r');
            break;
        }
    }
    Ok(match (any, over) {
        (false, _) => None,
        (_, true) => Some(Err(too_long())),
        (_, false) => Some(Ok(line)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Fault;

    fn read_all(text: &[u8], coding: Coding, capacity: usize) -> Vec<Item> {
        let mut input = BufReader::with_capacity(capacity, text);
        let mut all = Vec::new();
        let mut take = |feed| {
            if let Feed::Items(items) = feed {
                all.extend(items);
            }
            true
        };
        read(&mut input, coding, &mut take).unwrap();
        all
    }

    #[test]
    fn one_line_is_one_message() {
        let cases: [(&[u8], &[&[u8]]); 9] = [
            (b"", &[]),
            (b"a", &[b"a"]),
            (b"a\n", &[b"a"]),
            (b"\n", &[b""]),
            (b"a\n\nb", &[b"a", b"", b"b"]),
            (b"a\r\nb\r\n", &[b"a", b"b"]),
            (b"a\rb\r\r\nc\r", &[b"a\rb\r", b"c\r"]),
            (b"\xff\x00\n\xfe", &[b"\xff\x00", b"\xfe"]),
            (b"one\ntwo\nthree\n", &[b"one", b"two", b"three"]),
        ];
        for (text, lines) in cases {
            let expected: Vec<Item> = lines.iter().map(|line| Ok(line.to_vec())).collect();
            for capacity in [1, 2, 5, 1000] {
                assert_eq!(read_all(text, Coding::Text, capacity), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn written_forms_are_decoded_and_faults_name_their_line() {
        let items = read_all(b"6a 6b\r\n\nxy\n0x00", Coding::Hex, 3);
        assert_eq!(items[0], Ok(b"jk".to_vec()));
        assert_eq!(items[1], Ok(Vec::new()));
        assert!(
            matches!(&items[2], Err(Fault::Form(why)) if why.starts_with("line 3: ")),
            "{items:?}"
        );
        assert_eq!(items[3], Ok(vec![0]));
        let items = read_all(b"a\\tb\n\\q\n", Coding::Escape, 3);
        assert_eq!(items[0], Ok(b"a\tb".to_vec()));
        let fault = "line 2: unknown escape";
        assert!(matches!(&items[1], Err(Fault::Form(why)) if why.starts_with(fault)), "{items:?}");
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_is_not() {
        let mut text = vec![b'x'; LONGEST];
        text.push(b'\n');
        text.extend(vec![b'y'; LONGEST + 1]);
        text.extend(b"\nz\n");
        let items = read_all(&text, Coding::Text, 4096);
        assert_eq!(items[0].as_ref().map(Vec::len), Ok(LONGEST));
        assert_eq!(items[1], Err(Fault::TooLong("line 2: message too long".into())));
        assert_eq!(items[2], Ok(b"z".to_vec()));
        assert_eq!(items.len(), 3);
    }

    #[test]
    fn what_is_there_is_handed_on_before_more_is_waited_for() {
        /// Gives one piece a read; a test that waits would read again.
        struct Pieces(Vec<&'static [u8]>, std::rc::Rc<std::cell::Cell<usize>>);
        impl Read for Pieces {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.1.set(self.1.get() + 1);
                let Some(piece) = self.0.pop() else { return Ok(0) };
                into[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
        let reads = std::rc::Rc::new(std::cell::Cell::new(0));
        let pieces = Pieces(vec![b"ee\n", b"a\nb\nthr"], reads.clone());
        let mut seen = Vec::new();
        let note = |feed| {
            if let Feed::Items(items) = feed {
                seen.push((reads.get(), items.len()));
            }
            true
        };
        read(&mut BufReader::new(pieces), Coding::Text, note).unwrap();
        assert_eq!(seen, [(1, 2), (2, 1)]);
    }

    #[test]
    fn reading_stops_when_nobody_takes_it() {
        let text = b"a\n".repeat(10_000);
        let mut input = BufReader::with_capacity(16, text.as_slice());
        let mut taken = 0;
        let take = |_| {
            taken += 1;
            false
        };
        read(&mut input, Coding::Text, take).unwrap();
        assert_eq!(taken, 1);
    }
}
