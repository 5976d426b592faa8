//! The servers that are measured: ours in its modes, and every peer that this machine has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::build::Built;
use crate::load::Framing;
use crate::services;

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) command: Vec<OsString>,
    /// What it puts before each echo.
    pub(crate) prefix: &'static str,
    pub(crate) framing: Framing,
    pub(crate) output: Output,
    /// It may use both cores.
    pub(crate) spread: bool,
    /// It answers datagrams of any content.
    pub(crate) echoes: bool,
}

/// Where its stdout goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Null,
    /// A pipe that is read at once.
    Pipe,
    /// A terminal whose other side is read at once.
    Terminal,
    /// A pipe that nobody reads.
    Unread,
}

/// A peer named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) command: String,
}

/// Stands for the port in a command.
const PORT: &str = "{port}";

impl std::str::FromStr for Given {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').context("it is NAME=COMMAND")?;
        if name.is_empty() || !command.contains(PORT) {
            bail!("it is NAME=COMMAND, with {PORT} in the command");
        }
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }
}

/// How the command of a peer that was given begins.
const SHELL_EXEC: &str = "sh -c exec ";

/// Our modes: name, options, prefix, output.
const OURS: [(&str, &[&str], &str, Output); 9] = [
    ("raw", &["--raw", "-q"], "", Output::Null),
    ("prefix", &["-q"], "echo ", Output::Null),
    ("portable", &["--raw", "-q", "--io", "portable"], "", Output::Null),
    ("busy-poll", &["--raw", "-q", "--busy-poll", "50us"], "", Output::Null),
    ("workers", &["--raw", "-q", "--workers", "2"], "", Output::Null),
    ("lines-null", &[], "echo ", Output::Null),
    ("lines-pipe", &[], "echo ", Output::Pipe),
    ("lines-terminal", &[], "echo ", Output::Terminal),
    ("lines-unread", &[], "echo ", Output::Unread),
];

const TUTORIAL: [(&str, Output); 3] = [
    ("tutorial-null", Output::Null),
    ("tutorial-pipe", Output::Pipe),
    ("tutorial-terminal", Output::Terminal),
];

/// Everybody that can be measured here.
pub(crate) fn all(root: &Path, built: &Built, given: &[Given]) -> Vec<Contender> {
    let bind = format!("0.0.0.0:{PORT}");
    let mut all: Vec<Contender> = OURS
        .iter()
        .map(|(name, options, prefix, output)| {
            let command = [&["--bind", &bind], *options].concat();
            Contender { prefix, output: *output, ..new(name, &built.server, &command) }
        })
        .collect();
    for one in &mut all {
        one.spread = one.name == "workers";
    }
    for (name, program) in &built.peers {
        all.push(new(name, program, &[PORT]));
    }
    if let Some(python) = find_python() {
        let script = root.join("xtask/tutorial/server.py");
        let script = script.to_string_lossy();
        for (name, output) in TUTORIAL {
            let command = new(name, &python, &[&script, PORT]);
            all.push(Contender { prefix: "echo ", output, ..command });
        }
    }
    if let Some(sockperf) = find_program("sockperf") {
        let command = new("sockperf", &sockperf, &["server", "--port", PORT]);
        all.push(Contender { framing: Framing::Sockperf, ..command });
    }
    if let Some(irtt) = find_program("irtt") {
        // Without its limits, which would slow its client down.
        let bind = format!("0.0.0.0:{PORT}");
        let arguments = ["server", "-i", "0", "-d", "0", "-l", "0", "-b", &bind];
        all.push(Contender { echoes: false, ..new("irtt", &irtt, &arguments) });
    }
    if let Ok(own) = std::env::current_exe() {
        let command = new("services", &own, &[services::ANSWER, PORT]);
        all.push(Contender { echoes: false, ..command });
    }
    if let Some(socat) = find_program("socat") {
        // A process a datagram: the one way in which it keeps datagrams apart.
        let listen = format!("UDP-RECVFROM:{PORT},fork");
        all.push(new("socat", &socat, &[&listen, "PIPE"]));
    }
    for Given { name, command } in given {
        // The shell gives its process to the command, so that the measured one is the peer.
        all.push(new(name, Path::new("/bin/sh"), &["-c", &format!("exec {command}")]));
    }
    all
}

impl Contender {
    /// Its command for people: the program without the directory that it was found in.
    pub(crate) fn shown(&self) -> String {
        let mut words = self.command.iter().map(|word| word.to_string_lossy().into_owned());
        let program = words.next().unwrap_or_default();
        let name = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned());
        let output = match self.output {
            Output::Null => "",
            Output::Pipe => " | a reader",
            Output::Terminal => " on a terminal",
            Output::Unread => " | nobody",
        };
        let words: Vec<String> = name.into_iter().chain(words).collect();
        let words = words.join(" ");
        let command = words.strip_prefix(SHELL_EXEC).unwrap_or(&words);
        format!("`{command}`{output}")
    }

    /// The program and its arguments, to serve `port`.
    pub(crate) fn command_for(&self, port: u16) -> Vec<OsString> {
        let port = port.to_string();
        let replace = |word: &OsString| match word.to_str() {
            Some(word) => word.replace(PORT, &port).into(),
            None => word.clone(),
        };
        self.command.iter().map(replace).collect()
    }
}

/// The program of this name on the path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(name)).find(|file| file.is_file())
}

/// The interpreter itself: what the path names may be a script that looks for one, which would
/// count as the server's start.
fn find_python() -> Option<PathBuf> {
    let asked = Command::new(find_program("python3")?)
        .args(["-c", "import sys; print(sys.executable)"])
        .stdin(Stdio::null())
        .output();
    let said = String::from_utf8(asked.ok()?.stdout).ok()?;
    Some(PathBuf::from(said.trim())).filter(|path| path.is_file())
}

fn new(name: &str, program: &Path, arguments: &[&str]) -> Contender {
    let arguments = arguments.iter().map(OsString::from);
    Contender {
        name: name.to_owned(),
        command: std::iter::once(program.into()).chain(arguments).collect(),
        prefix: "",
        framing: Framing::Bare,
        output: Output::Null,
        spread: false,
        echoes: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_a_command_with_a_port() {
        let given: Given = "mmsg=./echo_ref --mode=mmsg --port {port}".parse().unwrap();
        assert_eq!(given.name, "mmsg");
        assert_eq!(given.command, "./echo_ref --mode=mmsg --port {port}");
        for bad in ["mmsg", "=x {port}", "mmsg=./echo_ref --port 7000"] {
            assert!(bad.parse::<Given>().is_err(), "{bad}");
        }
    }

    #[test]
    fn commands_are_shown_without_their_directory() {
        let found = new("x", Path::new("/usr/bin/x"), &["-p", "{port}"]);
        assert_eq!(found.shown(), "`x -p {port}`");
        let printing = Contender { output: Output::Pipe, ..found };
        assert_eq!(printing.shown(), "`x -p {port}` | a reader");
        let given = new("y", Path::new("/bin/sh"), &["-c", "exec ./y --port {port}"]);
        assert_eq!(given.shown(), "`./y --port {port}`");
    }

    #[test]
    fn the_port_is_put_in_its_place() {
        let contender = new("x", Path::new("/bin/x"), &["UDP-RECVFROM:{port},fork", "PIPE"]);
        assert_eq!(contender.command_for(7001), ["/bin/x", "UDP-RECVFROM:7001,fork", "PIPE"]);
    }
}
