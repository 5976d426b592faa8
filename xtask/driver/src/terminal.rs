//! A program on a terminal: it runs on a pseudo-terminal of its own, what it writes is drawn on
//! a screen by a terminal emulator, and the scenario types and reads the screen as a person does.

use std::io::Write as _;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use pty_process::blocking::Command;
use shared_child::SharedChild;

use crate::check;
use crate::clock::{Deadline, PATIENCE};
use crate::process::{Stream, remember, tidy_environment};

const ROWS: NonZeroU16 = NonZeroU16::new(40).expect("not zero");
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("not zero");

/// A program and its terminal.
pub struct Terminal {
    child: Arc<SharedChild>,
    pub pty: Arc<pty_process::blocking::Pty>,
    output: Stream,
}

impl Terminal {
    /// Starts `program` on a fresh terminal.
    pub fn start(program: &Path, args: &[&str], home: &Path) -> Result<Self> {
        Self::start_with(program, args, home, &[], "")
    }

    /// The same in this environment, and with what was typed before.
    pub fn start_with(
        program: &Path,
        args: &[&str],
        home: &Path,
        environment: &[(&str, &str)],
        typed: &str,
    ) -> Result<Self> {
        let (pty, pts) = pty_process::blocking::open().context("cannot open a terminal")?;
        (&pty).write_all(typed.as_bytes()).context("cannot type")?;
        pty.resize(pty_process::Size::new(ROWS.get(), COLUMNS.get()))
            .context("cannot size the terminal")?;
        let mut command = Command::new(program)
            .args(args)
            .env("TERM", "xterm-256color")
            .env("HOME", home)
            .env("XDG_STATE_HOME", home);
        let mut unwanted = Vec::new();
        tidy_environment(|name| unwanted.push(name.to_owned()));
        for name in unwanted {
            command = command.env_remove(name);
        }
        for (name, value) in environment {
            command = command.env(name, value);
        }
        let child = command.spawn(pts).context("cannot start on a terminal")?;
        let child = Arc::new(SharedChild::new(child).context("cannot look after the child")?);
        remember(&child);
        let pty = Arc::new(pty);
        let output = Stream::default();
        output.drain(Reader(Arc::clone(&pty)));
        Ok(Self { child, pty, output })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn type_in(&self, text: &str) -> Result<()> {
        (&*self.pty).write_all(text.as_bytes()).context("cannot type")
    }

    /// Makes the window another size, at most the one it had.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        self.pty.resize(pty_process::Size::new(rows, columns)).context("cannot size the terminal")
    }

    /// Waits until the screen, as [`Terminal::screen`] gives it, matches `pattern` as a whole.
    pub fn wait_for(&self, pattern: &str) -> Result<()> {
        self.wait_until(|screen| check::matches("screen", pattern, screen).is_ok())
            .with_context(|| format!("expected the screen {pattern:?}"))
    }

    /// Waits until the screen is as `look` wants it.
    pub fn wait_until(&self, look: impl Fn(&str) -> bool) -> Result<()> {
        let found = self.output.wait_until(|bytes| look(&draw(bytes)).then_some(()));
        found.with_context(|| format!("the screen is {:?}", self.screen()))
    }

    /// Waits until `look` finds in all that was written what it looks for.
    pub fn hear<T>(&self, look: impl FnMut(&[u8]) -> Option<T>) -> Result<T> {
        self.output.wait_until(look).with_context(|| format!("the screen is {:?}", self.screen()))
    }

    /// All that was written, byte by byte.
    pub fn bytes(&self) -> Vec<u8> {
        self.output.bytes()
    }

    /// The screen as it is now, cell by cell.
    pub fn parser(&self) -> vt100::Parser {
        parse(&self.output.bytes())
    }

    /// The screen as it is now, without the blanks at the ends of rows and the empty rows below.
    pub fn screen(&self) -> String {
        draw(&self.output.bytes())
    }

    /// Waits for the program's end; gives its exit code and the last screen.
    pub fn finish(self) -> Result<(i32, String)> {
        let deadline = Deadline::after(PATIENCE);
        let Some(status) = self.child.wait_deadline(deadline.instant())? else {
            bail!("it does not end; its screen: {:?}", self.screen());
        };
        let code = status.code().with_context(|| format!("{status}: {:?}", self.screen()))?;
        self.output.wait_for_end(PATIENCE);
        Ok((code, self.screen()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the terminal's own side on the thread that drains it.
struct Reader(Arc<pty_process::blocking::Pty>);

impl std::io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

fn parse(bytes: &[u8]) -> vt100::Parser {
    let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
    parser.process(bytes);
    parser
}

fn draw(bytes: &[u8]) -> String {
    let parser = parse(bytes);
    let rows: Vec<String> =
        parser.screen().rows(0, COLUMNS.get()).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}
