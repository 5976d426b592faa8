//! A command line to start, and the files or pipes of its three streams.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use shared_child::SharedChild;

use super::{Finished, Process, Stream, remember};

enum Input {
    Nothing,
    Bytes(Vec<u8>),
    Open,
}

enum Output {
    Drained,
    Unread,
    ReaderGone,
    File(File),
}

/// A command line to be started.
pub struct Launch {
    command: Command,
    shown: String,
    input: Input,
    output: Output,
    errors: Option<File>,
}

impl Launch {
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        let shown = program.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
        let mut command = Command::new(&program);
        tidy_environment(|name| {
            command.env_remove(name);
        });
        Self { command, shown, input: Input::Nothing, output: Output::Drained, errors: None }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        let arg = arg.into();
        self.shown.push(' ');
        self.shown.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// The child reads these bytes, then end of file.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// The child's stdin is a pipe that [`Process::write`] and [`Process::end_input`] serve.
    pub fn stdin_open(mut self) -> Self {
        self.input = Input::Open;
        self
    }

    /// The child's stdout is a pipe that nobody reads until [`Process::start_reading`].
    pub fn stdout_unread(mut self) -> Self {
        self.output = Output::Unread;
        self
    }

    /// The child's stdout is a pipe whose reading end is closed.
    pub fn stdout_reader_gone(mut self) -> Self {
        self.output = Output::ReaderGone;
        self
    }

    /// The child's stdout is this file.
    pub fn stdout_file(mut self, file: File) -> Self {
        self.output = Output::File(file);
        self
    }

    /// The child's stderr is this file.
    pub fn stderr_file(mut self, file: File) -> Self {
        self.errors = Some(file);
        self
    }

    /// Starts the child.
    pub fn spawn(mut self) -> Result<Process> {
        self.command.stdin(match self.input {
            Input::Nothing => Stdio::null(),
            Input::Bytes(_) | Input::Open => Stdio::piped(),
        });
        let (drained, unread) = match self.output {
            Output::Drained => (true, false),
            Output::Unread => (false, true),
            Output::ReaderGone | Output::File(_) => (false, false),
        };
        self.command.stderr(self.errors.map_or_else(Stdio::piped, Stdio::from));
        self.command.stdout(match self.output {
            Output::File(file) => Stdio::from(file),
            Output::Drained | Output::Unread | Output::ReaderGone => Stdio::piped(),
        });
        let child = SharedChild::spawn(&mut self.command)
            .with_context(|| format!("cannot start {}", self.shown))?;
        let child = Arc::new(child);
        remember(&child);
        let (out, err) = (Stream::default(), Stream::default());
        let stdout = child.take_stdout();
        let unread = match stdout {
            Some(stdout) if drained => {
                out.drain(stdout);
                None
            }
            Some(stdout) if unread => Some(stdout),
            // The reading end of a pipe that is to be broken is closed here.
            Some(_) | None => {
                out.close();
                None
            }
        };
        match child.take_stderr() {
            Some(stderr) => err.drain(stderr),
            None => err.close(),
        }
        let mut stdin = child.take_stdin();
        if let Input::Bytes(bytes) = self.input
            && let Some(mut stdin) = stdin.take()
        {
            // A child that stops reading early is for the scenario to judge.
            std::thread::spawn(move || stdin.write_all(&bytes));
        }
        Ok(Process { shown: self.shown, child, out, err, stdin, unread })
    }

    /// Starts the child and waits for its end.
    pub fn finish(self) -> Result<Finished> {
        self.spawn()?.finish()
    }
}

/// Names the variables that would change what the programs print.
pub fn tidy_environment(mut remove: impl FnMut(&str)) {
    for name in ["RUST_LOG", "RUST_LOG_STYLE", "NO_COLOR", "LISTEN_FDS", "LISTEN_PID"] {
        remove(name);
    }
}
