//! Stdout as a printer wants it: without the standard library's line buffer in between (the printer
//! gathers lines itself), and with a terminal that has hung up (EIO, `termios(3)`, `tty_ioctl(4)`) for
//! what it is, a reader that went away.

use std::io::{self, ErrorKind, IsTerminal, Write};

use super::Policy;
use crate::error::describe;

/// The process's stdout.
pub struct Stdout {
    output: Box<dyn Write + Send>,
    terminal: bool,
    /// Whether the first failure is to be said when it happens: the program goes on without stdout.
    says: bool,
}

/// Stdout, for a printer of this policy.
pub fn stdout(policy: Policy) -> Stdout {
    let terminal = io::stdout().is_terminal();
    Stdout { output: unbuffered(), terminal, says: policy == Policy::Lossy }
}

fn unbuffered() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(descriptor) = io::stdout().as_fd().try_clone_to_owned() {
            return Box::new(std::fs::File::from(descriptor));
        }
    }
    Box::new(io::stdout())
}

impl Stdout {
    fn judge(&mut self, error: io::Error) -> io::Error {
        #[cfg(unix)]
        if self.terminal && error.raw_os_error() == Some(nix::errno::Errno::EIO as i32) {
            return ErrorKind::BrokenPipe.into();
        }
        let passing = [ErrorKind::BrokenPipe, ErrorKind::Interrupted, ErrorKind::WouldBlock];
        if self.says && !passing.contains(&error.kind()) {
            self.says = false;
            log::warn!("cannot write to stdout: {}", describe(&error));
        }
        error
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes).map_err(|error| self.judge(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush().map_err(|error| self.judge(error))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    struct Failing(nix::errno::Errno);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(self.0 as i32))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_has_hung_up_is_a_reader_that_went_away() {
        use nix::errno::Errno::{EIO, ENOSPC, EPIPE};
        for (number, terminal, gone) in
            [(EIO, true, true), (EIO, false, false), (EPIPE, false, true), (ENOSPC, true, false)]
        {
            let output = Box::new(Failing(number));
            let mut stdout = Stdout { output, terminal, says: false };
            let error = stdout.write(b"x").unwrap_err();
            assert_eq!(error.kind() == ErrorKind::BrokenPipe, gone, "{number} {terminal}");
        }
    }
}
