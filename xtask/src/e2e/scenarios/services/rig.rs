//! A real server in a network namespace, and the questions that all of them are put.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

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

/// So many requests fit into any server's receive buffer.
const AT_ONCE: usize = 8;

/// A server of a Debian package.
pub(super) struct Server {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
    /// What it answers when it is well.
    pub(super) url: &'static str,
    /// Writes its files, and says how it is started.
    pub(super) prepare: fn(&Place<'_>) -> Result<Launch>,
}

/// A server that answers.
pub(super) struct Rig<'a> {
    place: Place<'a>,
    server: Process,
}

/// A namespace and a directory, before there is a server.
pub(super) struct Place<'a> {
    context: &'a Context,
    net: Arc<Net>,
    directory: TempDir,
}

impl<'a> Place<'a> {
    /// A skip where the server's program is missing.
    fn new(context: &'a Context, server: &Server, net: Arc<Net>) -> Result<Self> {
        let Server { program, package, .. } = server;
        if !present(program) {
            return skip(&format!("{program} is missing (Debian package {package})"));
        }
        Ok(Place { context, net, directory: tempfile::tempdir()? })
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

    /// A URL in which `DIR` stands for the directory.
    pub(super) fn url(&self, url: &str) -> Result<String> {
        Ok(url.replace("DIR", &self.path()?))
    }

    pub(super) fn heartbeat(&self) -> Launch {
        self.net.server.launch(self.context, &self.context.programs.heartbeat)
    }
}

impl Server {
    /// Starts it in a namespace of its own, and waits until it answers.
    pub(super) fn start<'a>(&self, context: &'a Context) -> Result<Rig<'a>> {
        self.start_in(context, Arc::new(Net::new()?))
    }

    /// Starts it in a namespace, and waits until it answers.
    pub(super) fn start_in<'a>(&self, context: &'a Context, net: Arc<Net>) -> Result<Rig<'a>> {
        let place = Place::new(context, self, net)?;
        let server = (self.prepare)(&place)?.spawn()?;
        let rig = Rig { place, server };
        let end = Deadline::after(PATIENCE);
        while rig.ask(self.url, &["-c", "1", "-W", "500ms", "-q"])?.exits(0).is_err() {
            if end.left().is_none() || !rig.server.runs()? {
                let (out, err) = (rig.server.out.text(), rig.server.err.text());
                bail!("no answer from {}: {out} {err}", self.url);
            }
        }
        Ok(rig)
    }
}

impl<'a> Rig<'a> {
    /// Where it stands.
    pub(super) fn place(&self) -> &Place<'a> {
        &self.place
    }

    fn heartbeat(&self, url: &str, options: &[&str]) -> Result<Launch> {
        Ok(self.place.heartbeat().arg(self.place.url(url)?).args(options))
    }

    fn ask(&self, url: &str, options: &[&str]) -> Result<Finished> {
        self.heartbeat(url, options)?.finish()
    }

    /// Three beats are answered well, with these facts.
    pub(super) fn healthy(&self, url: &str, expected: &[(&str, &str)]) -> Result<()> {
        let run = self.ask(url, &["-c", "3", "-i", "50ms", "-W", "10s", "--json"])?;
        run.exits(0)?;
        let events = events(&run)?;
        let scheme = url.split(':').next().unwrap_or_default();
        check::same(url, Figures::all(3), Figures::of(summary(&events, scheme)?)?)?;
        facts(&events, scheme, expected)
    }

    /// A beat is answered with this verdict and reason.
    pub(super) fn says(&self, url: &str, verdict: &str, reason: &str) -> Result<()> {
        let run = self.ask(url, &["-c", "1", "-W", "10s", "--json"])?;
        run.exits(i32::from(verdict != "ok"))?;
        let events = events(&run)?;
        let reply = json::first(&events, "reply")?;
        check::same(url, Some(verdict), reply["verdict"].as_str())?;
        check::same(url, Some(reason), reply["reason"].as_str())
    }

    /// Asked too fast, it says so in this word, and is asked less often.
    pub(super) fn slowed(&self, url: &str, reason: &str) -> Result<()> {
        let run = self.ask(url, &["-c", "8", "-i", "50ms", "-W", "500ms", "--json"])?;
        run.exits(1)?;
        let events = events(&run)?;
        let summary = summary(&events, url.split(':').next().unwrap_or_default())?;
        let limited = summary["verdicts"]["limited"].as_u64().unwrap_or_default();
        check::holds(&format!("{url} is limited: {summary}"), limited > 0)?;
        check::same(url, Some(limited), summary["reasons"][reason].as_u64())
    }

    /// A beat is not answered, and its usual causes are said.
    pub(super) fn silent(&self, url: &str) -> Result<()> {
        let run = self.ask(url, &["-c", "1", "-W", "500ms"])?;
        run.exits(1)?;
        check::has(&run.err(), "usual causes")
    }

    /// It hangs, and its socket is still there.
    pub(super) fn hung(&self, url: &str) -> Result<()> {
        self.server.signal(Signal::SIGSTOP)?;
        let silent = self.silent(url);
        self.server.signal(Signal::SIGCONT)?;
        silent
    }

    /// So many beats leave while the server stands still; each is answered and matched once it goes on.
    pub(super) fn in_flight(&self, url: &str, beats: u64) -> Result<()> {
        self.server.signal(Signal::SIGSTOP)?;
        let asking = self.asking(url, beats)?;
        let sent = told(&asking, "sent", beats as usize);
        self.server.signal(Signal::SIGCONT)?;
        sent?;
        self.matched(url, beats, asking)
    }

    /// The same for requests that are too large for the server's receive buffer: somebody on the way
    /// keeps all of them, and hands them on a few at a time. `url` names 127.0.0.2.
    pub(super) fn in_flight_on_the_way(&self, url: &str, port: u16, beats: u64) -> Result<()> {
        let host = &self.place.net.server;
        let between = host.bind((Ipv4Addr::new(127, 0, 0, 2), port))?;
        let onward = host.bind((Ipv4Addr::LOCALHOST, 0))?;
        onward.connect((Ipv4Addr::LOCALHOST, port))?;
        [&between, &onward].iter().try_for_each(|it| it.set_read_timeout(Some(PATIENCE)))?;
        let asking = self.asking(url, beats)?;
        hand_on(&between, &onward, &asking, beats)?;
        self.matched(url, beats, asking)
    }

    fn asking(&self, url: &str, beats: u64) -> Result<Process> {
        let count = beats.to_string();
        let options = ["-c", &count, "-i", "1ms", "-W", "15s", "--json"];
        self.heartbeat(url, &options)?.spawn()
    }

    fn matched(&self, url: &str, beats: u64, asking: Process) -> Result<()> {
        let run = asking.finish()?;
        let events = events(&run)?;
        let scheme = url.split(':').next().unwrap_or_default();
        check::same(url, Figures::all(beats), Figures::of(summary(&events, scheme)?)?)?;
        run.exits(0).map(drop)
    }
}

fn events(run: &Finished) -> Result<Vec<Value>> {
    json::events("udp-heartbeat", &run.stdout)
}

/// Waits until so many events of a kind were told.
fn told(asking: &Process, kind: &str, events: usize) -> Result<()> {
    let event = format!(r#""type":"{kind}""#);
    let told = asking.out.wait_until(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        (text.matches(&event).count() == events).then_some(())
    });
    told.with_context(|| asking.err.text())
}

/// Takes so many requests before the first of them goes on, and hands on no more answers at once than fit
/// into a receive buffer.
fn hand_on(between: &UdpSocket, onward: &UdpSocket, asking: &Process, requests: u64) -> Result<()> {
    let mut buffer = [0; 2048];
    let mut kept = Vec::new();
    for _ in 0..requests {
        let (length, from) = between.recv_from(&mut buffer).context("a request is missing")?;
        kept.push((buffer[..length].to_vec(), from));
    }
    for (some, done) in kept.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
        for (request, _) in some {
            onward.send(request)?;
        }
        // All of them left from one port.
        for (_, from) in some {
            let length = onward.recv(&mut buffer).context("an answer is missing")?;
            between.send_to(&buffer[..length], from)?;
        }
        told(asking, "reply", done + some.len())?;
    }
    Ok(())
}
