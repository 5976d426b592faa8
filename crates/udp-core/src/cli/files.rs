//! Files that the programs read at the start, and again on SIGHUP.
//!
//! A file is read no further than a bound, as it may be a device that never ends.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::Failure;
use crate::clock;
use crate::error::describe;
use crate::stamp::{Key, KeyError};

/// The longest key file, in bytes.
const LONGEST_KEY: u64 = 64 * 1024;
/// When to look again where waiting is refused.
const SOON: Duration = Duration::from_millis(10);

/// All of a file.
///
/// # Errors
/// A local failure: it cannot be read, or is longer than `most` bytes.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let content = File::open(path).and_then(|file| all_of(file, most));
    content.map_err(|error| cannot_read(&path.display().to_string(), &error))
}

/// Stdin, waited for also where it is non-blocking (`fcntl(2)`, O_NONBLOCK): the flag belongs to the open
/// file description, so any program that shares the pipe or terminal may have set it.
#[derive(Debug, Clone, Copy)]
pub struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match io::stdin().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_stdin(),
                read => return read,
            }
        }
    }
}

#[cfg(unix)]
fn wait_for_stdin() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let stdin = io::stdin();
    if poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).is_err() {
        clock::sleep(SOON);
    }
}

#[cfg(not(unix))]
fn wait_for_stdin() {
    clock::sleep(SOON);
}

/// All of stdin, with the same bound.
///
/// # Errors
/// As [`read`].
pub fn read_stdin(most: u64) -> Result<Vec<u8>, Failure> {
    all_of(Stdin, most).map_err(|error| cannot_read("stdin", &error))
}

fn all_of(input: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    input.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(content)
}

fn cannot_read(name: &str, error: &io::Error) -> Failure {
    Failure::local(format!("cannot read {name}: {}", describe(error)))
}

/// The key of STAMP's authenticated mode that `--stamp-key-file` names.
///
/// # Errors
/// A local failure: it cannot be read; a file with an error: it holds no key.
pub fn stamp_key(path: &Path) -> Result<Key, Failure> {
    let content = read(path, LONGEST_KEY)?;
    let no_key =
        |error: KeyError| Failure::empty_file(path.display().to_string(), error.to_string());
    Key::from_file_bytes(&content).map_err(no_key)
}

/// The bytes of a file that holds a secret of a service.
///
/// # Errors
/// The file cannot be read, or is longer than any key.
pub fn secret(path: &str) -> io::Result<Vec<u8>> {
    let content = File::open(path).and_then(|file| all_of(file, LONGEST_KEY));
    content.map_err(|error| io::Error::other(describe(&error)))
}

/// Says why what was read again changes nothing.
pub fn warn_unchanged(failure: &Failure) {
    match &failure.faults[..] {
        [] => log::warn!("not read again: {}", failure.message),
        faults => faults.iter().take(10).for_each(|fault| log::warn!("not read again: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    #[test]
    fn a_file_is_read_no_further_than_its_bound() {
        let zero = Path::new("/dev/zero");
        let failure = read(zero, 100).unwrap_err();
        assert_eq!(failure.message, "cannot read /dev/zero: longer than 100 bytes");
        let missing = stamp_key(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(missing.message, "cannot read /no/such/file: no such file or directory");
        let empty = stamp_key(Path::new("/dev/null")).unwrap_err();
        let said = (empty.to_string(), empty.exit);
        assert_eq!(said, ("/dev/null:1: the key is empty".into(), Exit::Usage));
    }
}
