//! A child process as a person would have it: started, read from, written to, signalled, ended.
//!
//! Its pipes are drained by threads from the start (unless a scenario wants one unread), every
//! wait has a deadline, and a child never outlives the value that stands for it.

mod launch;
mod stream;

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdin, ChildStdout, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared_child::SharedChild;

use crate::check;
use crate::clock::{Deadline, PATIENCE};
pub use launch::{Launch, tidy_environment};
pub use stream::Stream;

/// A running child.
pub struct Process {
    shown: String,
    child: Arc<SharedChild>,
    pub out: Stream,
    pub err: Stream,
    stdin: Option<ChildStdin>,
    unread: Option<ChildStdout>,
}

/// How a child ended and all that it said.
pub struct Finished {
    shown: String,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Process {
    /// Waits until stdout matches `pattern` (see [`check::matches`]) from its first byte on.
    pub fn wait_for(&self, pattern: &str) -> Result<String> {
        self.out.wait_for(pattern).with_context(|| self.story("stdout", pattern))
    }

    /// Waits until stderr matches `pattern` from its first byte on.
    pub fn wait_for_stderr(&self, pattern: &str) -> Result<String> {
        self.err.wait_for(pattern).with_context(|| self.story("stderr", pattern))
    }

    fn story(&self, stream: &str, pattern: &str) -> String {
        format!(
            "{}: no {stream} like {pattern:?}; stdout {:?}, stderr {:?}",
            self.shown,
            self.out.text(),
            self.err.text()
        )
    }

    /// Writes to the child's stdin, which was asked to be open.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        use std::io::Write as _;
        let stdin = self.stdin.as_mut().context("stdin is not open")?;
        stdin.write_all(bytes).and_then(|()| stdin.flush()).context("cannot write to stdin")
    }

    /// Closes the child's stdin.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads from a stdout that is left unread up to `last`, and not a byte more.
    pub fn read_up_to(&mut self, last: &'static str) -> Result<Vec<u8>> {
        let mut stdout = self.unread.take().context("stdout is not an unread pipe")?;
        let (give, take) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut read, mut byte) = (Vec::new(), [0]);
            while !read.ends_with(last.as_bytes()) && matches!(stdout.read(&mut byte), Ok(1)) {
                read.push(byte[0]);
            }
            let _ = give.send((stdout, read));
        });
        let (stdout, read) = take
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} does not say {last:?}", self.shown))?;
        self.unread = Some(stdout);
        Ok(read)
    }

    /// Begins to read a stdout that was left unread.
    pub fn start_reading(&mut self) {
        if let Some(stdout) = self.unread.take() {
            self.out.drain(stdout);
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id out of range")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot signal {}", self.shown))
    }

    /// Whether the child is still there.
    pub fn runs(&self) -> Result<bool> {
        Ok(self.child.try_wait().context("cannot look after the child")?.is_none())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the child's own end.
    pub fn finish(mut self) -> Result<Finished> {
        self.start_reading();
        self.finish_unread()
    }

    /// Waits for the child's own end, and leaves a stdout that nobody reads unread.
    pub fn finish_unread(self) -> Result<Finished> {
        let deadline = Deadline::after(PATIENCE * 2);
        let status = self.child.wait_deadline(deadline.instant()).context("cannot wait")?;
        let Some(status) = status else {
            bail!("{}", self.story("end within the deadline, no further", ""));
        };
        // A grandchild may hold the pipes open; what is there by then is what was said.
        if self.unread.is_none() {
            self.out.wait_for_end(PATIENCE);
        }
        self.err.wait_for_end(PATIENCE);
        Ok(Finished {
            shown: self.shown.clone(),
            status,
            stdout: self.out.bytes(),
            stderr: self.err.bytes(),
        })
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for the end.
    pub fn interrupt(self) -> Result<Finished> {
        self.signal(Signal::SIGINT)?;
        self.finish()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// The exit code was `code`.
    #[track_caller]
    pub fn exits(&self, code: i32) -> Result<&Self> {
        let got = match (self.status.code(), self.status.signal()) {
            (Some(got), _) if got == code => return Ok(self),
            (Some(got), _) => format!("exit code {got}"),
            (None, Some(signal)) => format!("death by signal {signal}"),
            (None, None) => "neither exit code nor signal".to_owned(),
        };
        bail!(
            "{}: {}: expected exit code {code}, got {got}; stdout {:?}, stderr {:?}",
            check::here(),
            self.shown,
            self.out(),
            self.err()
        );
    }

    /// All of stdout matches `pattern` (see [`check::matches`]).
    #[track_caller]
    pub fn prints(&self, pattern: &str) -> Result<&Self> {
        check::matches(&format!("stdout of {}", self.shown), pattern, &self.out())?;
        Ok(self)
    }

    /// All of stderr matches `pattern`.
    #[track_caller]
    pub fn complains(&self, pattern: &str) -> Result<&Self> {
        check::matches(&format!("stderr of {}", self.shown), pattern, &self.err())?;
        Ok(self)
    }

    /// stdout as text; scenarios about bytes look at the field.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

static CHILDREN: Mutex<Vec<Weak<SharedChild>>> = Mutex::new(Vec::new());

/// Ends every child that is still there: for the moment when the run itself is given up.
pub fn kill_all() {
    for child in CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(child) = child.upgrade() {
            let _ = child.kill();
        }
    }
}

/// Remembers a child for [`kill_all`], and forgets those that are gone.
pub fn remember(child: &Arc<SharedChild>) {
    let mut children = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    children.retain(|c| c.strong_count() > 0);
    children.push(Arc::downgrade(child));
}
