//! The lines of a recording, from a plain or a compressed file.
//!
//! A compressed one may hold members that a kill left without an end: what they hold is read, and the next
//! member is found by the comment in its header.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::record::SIGNATURE;

/// What a gzip member begins with, and how far before its comment (RFC 1952 §2.3).
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const HEADER: usize = 10;
/// Bytes that are looked through at once.
const CHUNK: usize = 1 << 20;

/// Opens the recording at `path`.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start)?;
    if start == MAGIC {
        let (path, regions) = (path.to_owned(), regions(&mut file)?);
        return Ok(Box::new(BufReader::new(Members { path, regions, current: None })));
    }
    // Not by a seek: it may be a pipe.
    Ok(Box::new(BufReader::with_capacity(1 << 16, io::Cursor::new(start).chain(file))))
}

/// Where members begin and end that have nothing to do with each other.
fn regions(file: &mut File) -> io::Result<VecDeque<(u64, u64)>> {
    file.seek(SeekFrom::Start(0))?;
    let mark = SIGNATURE.as_bytes();
    let (mut starts, mut window, mut base) = (vec![0], Vec::new(), 0);
    loop {
        let read = (&mut *file).take(CHUNK as u64).read_to_end(&mut window)?;
        let found = window.windows(mark.len()).enumerate().filter(|(_, it)| *it == mark);
        for (at, _) in found {
            let header = at.checked_sub(HEADER).and_then(|start| window.get(start..at));
            if header.is_some_and(|it| it.starts_with(&MAGIC)) {
                starts.push(base + (at - HEADER) as u64);
            }
        }
        if read == 0 {
            break;
        }
        let keep = window.len().min(HEADER + mark.len() - 1);
        base += (window.len() - keep) as u64;
        window.drain(..window.len() - keep);
    }
    let end = file.stream_position()?;
    starts.dedup();
    let ends = starts.iter().copied().skip(1).chain([end]);
    Ok(starts.iter().copied().zip(ends).filter(|(start, end)| start < end).collect())
}

/// Members, one behind the other, each read as far as it goes.
struct Members {
    path: PathBuf,
    regions: VecDeque<(u64, u64)>,
    current: Option<MultiGzDecoder<BufReader<io::Take<File>>>>,
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.current.as_mut().map(|it| it.read(buffer)) {
                Some(Ok(0)) => self.current = None,
                Some(Err(error)) if error.kind() != io::ErrorKind::Interrupted => {
                    self.current = None;
                    // The next member begins a line of its own.
                    if let Some(first) = buffer.first_mut() {
                        *first = b'\n';
                        return Ok(1);
                    }
                }
                Some(result) => return result,
                None => {
                    let Some((start, end)) = self.regions.pop_front() else { return Ok(0) };
                    let mut file = File::open(&self.path)?;
                    file.seek(SeekFrom::Start(start))?;
                    let region = BufReader::new(file.take(end - start));
                    self.current = Some(MultiGzDecoder::new(region));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn member(text: &str, whole: bool) -> Vec<u8> {
        let mut encoder =
            GzBuilder::new().comment(SIGNATURE).write(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        if whole { encoder.finish().unwrap() } else { flushed }
    }

    #[test]
    fn what_a_kill_left_and_what_came_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.gz");
        let mut long = member(&"line\n".repeat(50_000), false);
        let cut = member("whole\nhal", false);
        long.extend_from_slice(&member("whole\n", true));
        long.extend_from_slice(&cut[..cut.len() - 3]);
        long.extend_from_slice(&member("last\n", true));
        for (bytes, expected, last) in [
            (member("a\nb\n", true), 2, "b"),
            (member("a\nb", false), 2, "b"),
            (long, 50_000 + 4, "last"),
            (b"plain\ntext\n".to_vec(), 2, "text"),
            (Vec::new(), 0, ""),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let lines: Vec<String> = open(&path).unwrap().lines().map(Result::unwrap).collect();
            let lines: Vec<&String> = lines.iter().filter(|it| !it.is_empty()).collect();
            let end = lines.last().map_or("", |it| it);
            assert!(lines.len().abs_diff(expected) <= 1 && end == last, "{} {end}", lines.len());
        }
    }
}
