//! Asking at a terminal that understands no escape sequences: the session writes the prompt, the
//! terminal itself does the editing, and a line is read when one is asked for.

use std::io::{BufRead as _, BufReader, Write as _};

use crossbeam_channel::{Receiver, Sender};
use udp_core::cli::files::Stdin;

use super::{Feed, cannot_read, item};
use crate::config::Coding;

/// What a person is asked with.
pub const PROMPT: &str = "please input message: ";

/// Writes to the terminal, where stdout goes elsewhere: the prompt, or the line end behind the last one.
pub fn write_apart(text: &str) {
    // Without a terminal to write to nobody misses it.
    if let Ok(mut terminal) = std::fs::OpenOptions::new().write(true).open("/dev/tty") {
        let _ = terminal.write_all(text.as_bytes());
    }
}

/// Reads a line each time that one is asked for.
pub(super) fn run(coding: Coding, asked: &Receiver<()>, sender: &Sender<Feed>) {
    let mut stdin = BufReader::new(Stdin);
    while asked.recv().is_ok() {
        let mut line = Vec::new();
        let feed = match stdin.read_until(b'\n', &mut line) {
            Err(error) => Feed::Failed(cannot_read(&error)),
            Ok(0) => Feed::End,
            Ok(_) => {
                if line.ends_with(b"\n") {
                    line.pop();
                }
                Feed::Items(vec![item(coding, line)])
            }
        };
        let last = !matches!(feed, Feed::Items(_));
        if sender.send(feed).is_err() || last {
            return;
        }
    }
}
