//! The command blocks of README and docs, run and compared with what stands there.
//!
//! A fenced block whose info string begins with `console` is run, with the programs on the path,
//! in an empty directory. `$ ` begins a command, `> ` continues it, what follows is its output as
//! a terminal would show it. After `console` may stand: `with="COMMAND"` (runs beside the block),
//! `background` (its one command stays while the section's next blocks run; a line `^C` in it
//! stops it), `interactive` (on a terminal: what follows the prompt is typed), `root` (run in the
//! workspace's directory).

mod compare;
mod parse;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::IoPath;
use super::context::Context;
use super::netns::present;
use super::process::{Launch, Process};
use super::runner::Scenario;
use super::skip::skip;
use super::terminal::Terminal;
use parse::{Block, Command, Group, Kind};

/// The files whose blocks are run, and how their scenarios are called.
const FILES: [(&str, &str); 9] = [
    ("README.md", "readme"),
    ("README.zh-TW.md", "readme-zh-tw"),
    ("docs/questions.md", "docs-questions"),
    ("docs/client.md", "docs-client"),
    ("docs/heartbeat.md", "docs-heartbeat"),
    ("docs/seeing.md", "docs-seeing"),
    ("docs/server.md", "docs-server"),
    ("docs/prometheus.md", "docs-prometheus"),
    ("docs/install.md", "docs-install"),
];

const PROMPT: &str = "please input message: ";

/// One scenario for each group of blocks.
pub(crate) fn scenarios(root: &Path) -> Result<Vec<Scenario>> {
    let mut all = Vec::new();
    for (file, prefix) in FILES {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for group in parse::groups(&text).with_context(|| file.to_owned())? {
            all.push(Scenario {
                name: format!("{prefix}/line_{}_{}", group.line, group.section),
                run: Box::new(move |context| run(context, &group)),
            });
        }
    }
    Ok(all)
}

fn run(context: &Context, group: &Group) -> Result<()> {
    let mut commands = group.blocks.iter().flat_map(|block| &block.commands);
    if commands.any(|it| it.text.starts_with("prometheus ")) && !present("prometheus") {
        return skip("prometheus is not installed (Debian's package prometheus)");
    }
    let _port = context.default_port()?;
    let place = Place::new(context)?;
    let background = group.background.as_ref().map(|b| Background::start(&place, b)).transpose()?;
    for block in &group.blocks {
        let beside = block
            .with
            .iter()
            .map(|command| place.start_beside(command))
            .collect::<Result<Vec<Process>>>()?;
        let outcome = match block.kind {
            Kind::Interactive => interactive(&place, block),
            Kind::Plain | Kind::Background => plain(&place, block),
        };
        outcome.with_context(|| format!("the block of line {}", block.line))?;
        drop(beside);
    }
    background.map_or(Ok(()), Background::finish)
}

/// Where the commands of a group run: an empty directory, and one with the programs in it.
struct Place<'a> {
    context: &'a Context,
    work: TempDir,
    programs: TempDir,
}

impl<'a> Place<'a> {
    fn new(context: &'a Context) -> Result<Self> {
        let place = Self { context, work: tempfile::tempdir()?, programs: tempfile::tempdir()? };
        let built = &context.programs;
        symlink(&built.client, place.programs.path().join("udp-client"))?;
        symlink(&built.heartbeat, place.programs.path().join("udp-heartbeat"))?;
        let server = place.programs.path().join("udp-server");
        match context.io {
            IoPath::Auto => symlink(&built.server, &server)?,
            IoPath::Portable => {
                let real = built.server.display();
                fs::write(&server, format!("#!/bin/sh\nexec '{real}' --io portable \"$@\"\n"))?;
                fs::set_permissions(&server, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(place)
    }

    fn path(&self) -> std::ffi::OsString {
        let mut path = self.programs.path().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }

    fn directory(&self, block: &Block) -> PathBuf {
        if block.in_root { self.context.root.clone() } else { self.work.path().to_owned() }
    }

    fn bash(&self, script: &str, directory: &Path) -> Launch {
        Launch::new("bash")
            .args(["-c", script])
            .directory(directory)
            .env("PATH", self.path())
            .env("HISTFILE", "")
            .env("XDG_STATE_HOME", self.context.home.path())
    }

    fn start_beside(&self, command: &str) -> Result<Process> {
        let process = self.bash(&format!("exec {command}"), self.work.path()).spawn()?;
        if command.starts_with("udp-server") {
            process.out.wait_until(|bytes| {
                String::from_utf8_lossy(bytes).contains("wait for connection...").then_some(())
            })?;
        }
        Ok(process)
    }
}

/// All commands of a block in one shell, so that `echo $?` speaks of the one before.
fn plain(place: &Place<'_>, block: &Block) -> Result<()> {
    const MARK: &str = "\u{1}next\u{1}";
    let mut script = String::from("exec 2>&1\n");
    for command in &block.commands {
        script.push_str(&format!("__=$?; printf '%s\\n' '{MARK}'; (exit $__)\n{}\n", command.text));
    }
    let finished = place.bash(&script, &place.directory(block)).finish()?;
    let said = finished.out();
    let outputs: Vec<&str> = said.split(&format!("{MARK}\n")).skip(1).collect();
    if outputs.len() != block.commands.len() {
        bail!("not every command ran: {said:?}, {:?}", finished.err());
    }
    for (command, output) in block.commands.iter().zip(outputs) {
        compare::lines(&command.output, output)
            .with_context(|| format!("`{}` printed {output:?}", command.text))?;
    }
    Ok(())
}

/// A block whose command stays while others run.
struct Background<'a> {
    command: &'a Command,
    process: Process,
}

impl<'a> Background<'a> {
    fn start(place: &Place<'_>, block: &'a Block) -> Result<Self> {
        let [command] = block.commands.as_slice() else {
            bail!("the background block of line {} must have one command", block.line);
        };
        let script = format!("exec 2>&1; exec {}", command.text);
        let process = place.bash(&script, &place.directory(block)).spawn()?;
        let ready = if command.output.iter().any(|l| l == "wait for connection...") {
            "wait for connection..."
        } else {
            ""
        };
        process
            .out
            .wait_until(|bytes| {
                let text = String::from_utf8_lossy(bytes);
                text.lines().any(|l| l == ready || ready.is_empty()).then_some(())
            })
            .with_context(|| format!("`{}` said {:?}", command.text, process.out.text()))?;
        Ok(Self { command, process })
    }

    /// With a line `^C` among its output it is stopped there, and all of its output counts; else
    /// what the README shows is the beginning of it.
    fn finish(self) -> Result<()> {
        let shown = &self.command.output;
        let expected: Vec<String> = shown.iter().filter(|l| *l != "^C").cloned().collect();
        let told = || format!("`{}` printed", self.command.text);
        if expected.len() < shown.len() {
            let output = self.process.interrupt()?.out();
            return compare::lines(&expected, &output)
                .with_context(|| format!("{} {output:?}", told()));
        }
        let seen = self.process.out.wait_until(|bytes| {
            compare::beginning(&expected, &String::from_utf8_lossy(bytes)).then_some(())
        });
        seen.with_context(|| format!("{} {:?}", told(), self.process.out.text()))
    }
}

/// A conversation at the prompt: wait for the screen, type, wait for the screen.
fn interactive(place: &Place<'_>, block: &Block) -> Result<()> {
    let [command] = block.commands.as_slice() else { bail!("one command, please") };
    let script =
        format!("cd {:?}; PATH={:?} exec {}", place.directory(block), place.path(), command.text);
    let home = place.context.home.path();
    let terminal = Terminal::start(Path::new("bash"), &["-c", &script], home)?;
    let mut shown = Vec::new();
    for line in &command.output {
        let Some(typed) = line.strip_prefix(PROMPT.trim_end()).map(str::trim_start) else {
            shown.push(line.clone());
            continue;
        };
        shown.push(PROMPT.trim_end().to_owned());
        terminal.wait_until(|screen| compare::screen(&shown, screen))?;
        match typed {
            "" => {}
            "^C" => terminal.type_in("\x03")?,
            "^D" => terminal.type_in("\x04")?,
            text => {
                terminal.type_in(&format!("{text}\r"))?;
                shown.pop();
                shown.push(line.clone());
            }
        }
    }
    if command.output.iter().any(|l| l.ends_with("^C") || l.ends_with("^D")) {
        let (_, screen) = terminal.finish()?;
        if !compare::screen(&shown, &screen) {
            bail!("`{}` left the screen {screen:?}, expected {shown:?}", command.text);
        }
        return Ok(());
    }
    terminal.wait_until(|screen| compare::screen(&shown, screen))
}
