//! The terminal's settings while a line editor is at work, and what was typed before.
//!
//! Between two lines the terminal is without line editing and echo, so that what is typed ahead
//! waits as it is (`termios(3)`); Ctrl-C and Ctrl-\ are signals at that time.

use std::collections::VecDeque;
use std::io;
#[cfg(unix)]
use std::{fs::File, io::Read, os::fd::AsFd};

use udp_core::cli::printer::{Policy, Printer, stdout};

/// What was typed before the terminal was taken over, while the system edited lines.
#[derive(Debug, Default)]
pub struct Ahead(VecDeque<u8>);

/// A piece of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Early {
    /// A whole line, without its end.
    Line(Vec<u8>),
    /// Ctrl-D at the beginning of a line.
    End,
    /// The beginning of a line.
    Begun(String),
}

impl Iterator for Ahead {
    type Item = Early;

    /// Linux keeps an end of file that was not read in time as a zero byte (`n_tty`).
    fn next(&mut self) -> Option<Early> {
        let end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let ends = [Some(&0), Some(&4)];
        if ends.contains(&self.0.front()) {
            self.0.clear();
            return Some(Early::End);
        }
        let length = self.0.iter().position(end);
        let mut line: Vec<u8> = self.0.drain(..length.unwrap_or(self.0.len())).collect();
        // In the middle of a line Ctrl-D only hands on what is there.
        line.retain(|byte| *byte != 0);
        match length {
            Some(_) => self.0.pop_front().map(|_| Early::Line(line)),
            None if line.is_empty() => None,
            None => Some(Early::Begun(String::from_utf8_lossy(&line).into_owned())),
        }
    }
}

/// The terminal's settings as they were, to be put back when the program ends.
#[derive(Debug)]
pub struct Restore {
    #[cfg(unix)]
    termios: Option<nix::sys::termios::Termios>,
}

impl Restore {
    /// Notes the settings, and switches line editing and echo off. What was typed so far comes too.
    pub fn take_over() -> (Restore, Ahead) {
        #[cfg(unix)]
        {
            use nix::sys::termios::{
                InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr,
            };
            let termios = tcgetattr(io::stdin()).ok();
            let mut ahead = [0; 4096];
            let mut length = 0;
            if let Some(mut raw) = termios.clone() {
                raw.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
                let editing = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN;
                raw.local_flags.remove(editing);
                // The key for a snapshot costs nothing that was typed.
                raw.local_flags.insert(LocalFlags::NOFLSH);
                // A read takes what is there and does not wait; TCSADRAIN leaves what is there.
                raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
                raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
                let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw);
                let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
                length = stdin.and_then(|mut stdin| stdin.read(&mut ahead)).unwrap_or(0);
                raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
                let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw);
            }
            (Restore { termios }, Ahead(ahead.into_iter().take(length).collect()))
        }
        #[cfg(not(unix))]
        (Restore {}, Ahead::default())
    }

    /// Puts them back.
    pub fn put_back(&self) {
        #[cfg(unix)]
        if let Some(termios) = &self.termios {
            use nix::sys::termios::{SetArg, tcsetattr};
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, termios);
        }
    }

    /// Puts them back, and writes `last` below the line that was being typed, by the rule for any end
    /// of an output: the terminal may be paused, or have gone away.
    pub fn leave(&self, last: &[u8]) {
        self.put_back();
        let show = |text: Vec<u8>, out: &mut Vec<u8>| out.extend_from_slice(&text);
        let output = stdout(Policy::Lossless);
        if let Ok(printer) = Printer::start(output, show, |_, _| {}, 1, Policy::Lossless) {
            printer.end(Some([b"\n", last].concat()), || false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_before_the_start_is_lines_an_end_and_a_beginning() {
        let line = |text: &str| Early::Line(text.as_bytes().to_vec());
        for (typed, pieces) in [
            (&b""[..], vec![]),
            (b"a\nb c\n", vec![line("a"), line("b c")]),
            (b"a\n\nbe", vec![line("a"), line(""), Early::Begun("be".into())]),
            (b"a\n\0lost", vec![line("a"), Early::End]),
            (b"a\0b\n\x04", vec![line("ab"), Early::End]),
            (b"a\rb", vec![line("a"), Early::Begun("b".into())]),
        ] {
            let ahead = Ahead(typed.iter().copied().collect());
            assert_eq!(ahead.collect::<Vec<_>>(), pieces, "{typed:?}");
        }
    }
}
