//! Where messages come from: the command line, stdin, or a person. Each has a thread of its own
//! and feeds the session through a bounded channel.

mod editor;
mod lines;
mod prompt;
mod terminal;

pub use editor::Screen;
pub use prompt::{PROMPT, write_apart};
pub use terminal::{Ahead, Restore};

use std::io::{self, BufReader, Read};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use udp_core::cli::Failure;
use udp_core::cli::files::Stdin;
use udp_core::error::describe;

use crate::config::{Coding, Config, Source};

/// Batches of messages that may wait for the session.
const CAPACITY: usize = 2;

/// A message, or why what was written is none.
pub type Item = Result<Vec<u8>, Fault>;

/// Why what was written is no message; each with the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not in the form that was asked for.
    Form(String),
    /// No datagram can hold it.
    TooLong(String),
}

impl Fault {
    /// The same with the line that it is on.
    fn on_line(self, number: u64) -> Fault {
        match self {
            Fault::Form(reason) => Fault::Form(format!("line {number}: {reason}")),
            Fault::TooLong(reason) => Fault::TooLong(format!("line {number}: {reason}")),
        }
    }
}

/// What one line or one input says.
fn item(coding: Coding, written: Vec<u8>) -> Item {
    coding.decode(written).map_err(Fault::Form)
}

fn too_long() -> Fault {
    Fault::TooLong("message too long".into())
}

/// What an input says.
#[derive(Debug)]
pub enum Feed {
    /// Messages, in order.
    Items(Vec<Item>),
    /// There are no more.
    End,
    /// The person pressed Ctrl-C.
    Interrupted,
    /// It cannot be read any more: one line for the user.
    Failed(String),
}

/// An input at work.
#[derive(Debug)]
pub struct Input {
    /// What it says.
    pub feed: Receiver<Feed>,
    /// For a prompt: asks for one message.
    pub ask: Option<Sender<()>>,
}

/// Starts the input that the configuration names, and where that is a line editor, gives the
/// screen that it shares.
///
/// # Errors
/// A local failure: no thread, or no terminal.
pub fn start(config: &Config, ahead: Ahead) -> Result<(Input, Option<Screen>), Failure> {
    let coding = config.coding;
    let (sender, feed) = bounded(CAPACITY);
    let (ask, asked) = bounded(1);
    match &config.source {
        Source::Given(messages) => {
            let items = messages.iter().cloned().map(Ok).collect();
            // There is room for both.
            let _ = sender.send(Feed::Items(items));
            let _ = sender.send(Feed::End);
        }
        Source::Lines => spawn(move || read_lines(coding, &sender))?,
        Source::Whole => spawn(move || read_whole(coding, &sender))?,
        Source::PlainPrompt | Source::ApartPrompt => {
            spawn(move || prompt::run(coding, &asked, &sender))?;
            return Ok((Input { feed, ask: Some(ask) }, None));
        }
        Source::Editor => {
            let (editor, screen) = editor::Editor::open(config.history, ahead)?;
            spawn(move || editor.run(coding, &asked, &sender))?;
            return Ok((Input { feed, ask: Some(ask) }, Some(screen)));
        }
    }
    Ok((Input { feed, ask: None }, None))
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name("input".into()).spawn(run);
    started.map(drop).map_err(|e| Failure::local(format!("cannot read: {}", describe(&e))))
}

fn read_lines(coding: Coding, sender: &Sender<Feed>) {
    let mut input = BufReader::with_capacity(64 * 1024, Stdin);
    let end = match lines::read(&mut input, coding, |items| sender.send(items).is_ok()) {
        Ok(()) => Feed::End,
        Err(error) => Feed::Failed(cannot_read(&error)),
    };
    // The session may have ended first.
    let _ = sender.send(end);
}

fn read_whole(coding: Coding, sender: &Sender<Feed>) {
    let mut written = Vec::new();
    let limit = lines::longest(coding);
    // One more than may be, to see that there is more.
    let feed = match Stdin.take(limit as u64 + 1).read_to_end(&mut written) {
        Err(error) => Feed::Failed(cannot_read(&error)),
        // An empty stdin is nothing to send, as where it is read by lines.
        Ok(0) => Feed::End,
        Ok(_) if written.len() > limit => Feed::Items(vec![Err(too_long())]),
        Ok(_) => Feed::Items(vec![item(coding, written)]),
    };
    let _ = sender.send(feed);
    let _ = sender.send(Feed::End);
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot read stdin: {}", describe(error))
}
