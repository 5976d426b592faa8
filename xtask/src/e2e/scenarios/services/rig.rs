//! A real server in a network namespace, and the questions that all of them are put.

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Figures, facts, summary};
use crate::e2e::clock::{Deadline, PATIENCE};
use crate::e2e::context::Context;
use crate::e2e::netns::{Net, present};
use crate::e2e::process::{Finished, Launch, Process};
use crate::e2e::skip::skip;
use crate::e2e::{check, json};

/// A server that answers.
pub(super) struct Rig<'a> {
    context: &'a Context,
    net: Net,
    server: Process,
    url: String,
    directory: TempDir,
}

/// A namespace and a directory, before there is a server.
pub(super) struct Place<'a> {
    context: &'a Context,
    net: Net,
    directory: TempDir,
}

impl<'a> Place<'a> {
    /// A skip where the program, which a Debian package has, is missing.
    pub(super) fn new(context: &'a Context, program: &str, package: &str) -> Result<Self> {
        if !present(program) {
            return skip(&format!("{program} is missing (Debian package {package})"));
        }
        Ok(Place { context, net: Net::new()?, directory: tempfile::tempdir()? })
    }

    /// The directory's path.
    pub(super) fn path(&self) -> Result<String> {
        Ok(self.directory.path().to_str().context("a path that is not UTF-8")?.to_owned())
    }

    /// Writes a file into the directory, for which `DIR` stands in its text.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let text = text.replace("DIR", &self.path()?);
        std::fs::write(self.directory.path().join(name), text).context("cannot write")
    }

    /// Runs shell commands in the namespace, standing in the directory.
    pub(super) fn run(&self, commands: &str) -> Result<()> {
        self.net.server.run(&format!("cd {}; {commands}", self.path()?)).map(drop)
    }

    /// A server, standing in the directory.
    pub(super) fn launch(&self, program: &str) -> Launch {
        self.net.server.launch(self.context, program).directory(self.directory.path())
    }

    /// Starts the server, and waits until `url` is answered.
    pub(super) fn start(self, server: Launch, url: &str) -> Result<Rig<'a>> {
        let url = url.replace("DIR", &self.path()?);
        let Place { context, net, directory } = self;
        let rig = Rig { context, net, server: server.spawn()?, url, directory };
        let end = Deadline::after(PATIENCE);
        while rig.ask(&rig.url, &["-c", "1", "-W", "500ms", "-q"])?.exits(0).is_err() {
            if end.left().is_none() || !rig.server.runs()? {
                let (out, err) = (rig.server.out.text(), rig.server.err.text());
                bail!("no answer from {}: {out} {err}", rig.url);
            }
        }
        Ok(rig)
    }
}

impl Rig<'_> {
    fn heartbeat(&self, url: &str, options: &[&str]) -> Result<Launch> {
        let directory = self.directory.path().to_str().context("a path that is not UTF-8")?;
        let launch = self.net.server.launch(self.context, &self.context.programs.heartbeat);
        Ok(launch.arg(url.replace("DIR", directory)).args(options))
    }

    fn ask(&self, url: &str, options: &[&str]) -> Result<Finished> {
        self.heartbeat(url, options)?.finish()
    }

    fn events(&self, run: &Finished) -> Result<Vec<Value>> {
        json::events(self.context, "udp-heartbeat", &run.stdout)
    }

    /// Three beats are answered well, with these facts.
    pub(super) fn healthy(&self, url: &str, expected: &[(&str, &str)]) -> Result<()> {
        let run = self.ask(url, &["-c", "3", "-i", "50ms", "-W", "10s", "--json"])?;
        run.exits(0)?;
        let events = self.events(&run)?;
        let scheme = url.split(':').next().unwrap_or_default();
        check::same(url, Figures::all(3), Figures::of(summary(&events, scheme)?)?)?;
        facts(&events, scheme, expected)
    }

    /// A beat is answered with this verdict and reason.
    pub(super) fn says(&self, url: &str, verdict: &str, reason: &str) -> Result<()> {
        let run = self.ask(url, &["-c", "1", "-W", "10s", "--json"])?;
        run.exits(i32::from(verdict != "ok"))?;
        let events = self.events(&run)?;
        let reply = json::first(&events, "reply")?;
        check::same(url, Some(verdict), reply["verdict"].as_str())?;
        check::same(url, Some(reason), reply["reason"].as_str())
    }

    /// A beat is not answered.
    pub(super) fn silent(&self, url: &str) -> Result<()> {
        self.ask(url, &["-c", "1", "-W", "500ms", "-q"])?.exits(1).map(drop)
    }

    /// So many beats leave while the server stands still; each is answered and matched once it goes on.
    pub(super) fn in_flight(&self, url: &str, beats: u64) -> Result<()> {
        self.server.signal(Signal::SIGSTOP)?;
        let count = beats.to_string();
        let options = ["-c", &count, "-i", "1ms", "-W", "15s", "--json"];
        let asking = self.heartbeat(url, &options)?.spawn()?;
        let sent = asking.out.wait_until(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            (text.matches(r#""type":"sent""#).count() as u64 == beats).then_some(())
        });
        self.server.signal(Signal::SIGCONT)?;
        sent.with_context(|| format!("{url}: {}", asking.err.text()))?;
        let run = asking.finish()?;
        let events = self.events(&run)?;
        let scheme = url.split(':').next().unwrap_or_default();
        check::same(url, Figures::all(beats), Figures::of(summary(&events, scheme)?)?)?;
        run.exits(0).map(drop)
    }
}
