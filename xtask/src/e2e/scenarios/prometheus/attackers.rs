//! Who tries to keep scrapes out, the memory full, or the beats up: by connections that never end, by what is
//! no request or two at once, by passwords.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::http::{Answer, address, ask, ask_tls, request};
use super::web_config::{ALICE, TLS, certificates};
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::{figure, memory};
use crate::e2e::process::Process;

/// Connections that are held at a time, of each program: more than there is room for.
const HELD: usize = 300;
/// Guesses of a password at each program without TLS, and how many guess at a time.
const GUESSES: usize = 150;
const GUESSERS: usize = 16;
/// alice:secret, as dear as htpasswd's own default is at least: a check takes tens of milliseconds.
const USER: &str = "{alice: $2b$10$0wZnam7wQNX1EjuhCm1JFeeuORqE31IEPIINMVGWmqLTFyp7HqEr.}";
/// Bytes of a label, which stands in each of some forty series: an answer is larger than a socket's buffers.
const LABEL: usize = 100_000;
/// MiB. An answer is 4 MiB: sixteen may be held and eight be made, those in more than one form.
const MEMORY: u64 = 200;
/// Connections with what listens, and threads: what work may have at most, and what there is without it.
const CONNECTIONS: usize = 256 + 1;
const THREADS: usize = (8 + 64 + 2) + 16;

/// A program that is attacked.
struct Victim<'a> {
    what: &'static str,
    id: u32,
    at: String,
    tls: bool,
    context: &'a Context,
    directory: &'a Path,
}

impl<'a> Victim<'a> {
    fn new(
        (what, tls): (&'static str, bool),
        process: &Process,
        (context, directory): (&'a Context, &'a Path),
    ) -> Result<Self> {
        let (id, at) = (process.id(), address(process)?);
        Ok(Victim { what, id, at, tls, context, directory })
    }

    /// What is answered to these bytes, if anything is.
    fn ask(&self, bytes: &[u8]) -> Result<Option<Answer>> {
        match self.tls {
            true => ask_tls(self.context, self.directory, &self.at, "", bytes),
            false => Ok(ask(&self.at, bytes).ok()),
        }
    }

    fn is_served(&self, beside: &str) -> Result<()> {
        let answer = self.ask(request("GET", "/metrics", ALICE).as_bytes())?;
        check::same(
            &format!("{} beside {beside}", self.what),
            Some(200),
            answer.map(|it| it.status),
        )
    }

    /// A connection that lets it wait, in a way that the number chooses.
    fn hold(&self, number: usize) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.at)?;
        let page = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{ALICE}\r\n");
        // A handshake that ends at any byte, one that is none, records that say more than they hold.
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        let bytes = match (self.tls, number % 8) {
            (true, 0) => hello[..number % 12].to_vec(),
            (true, 1) => [&hello[..], &[0xff; 5000]].concat(),
            (true, 2) => [22, 3, 3, 0x40, 0, 1, 0xff, 0xff, 0xff].to_vec(),
            (true, 3) => [22, 3, 1, 0, 0].repeat(1000),
            (true, _) => [21, 3, 3, 0, 2, 1, 0].repeat(500),
            (false, 0) => Vec::new(),
            (false, 1) => page.as_bytes()[..number % page.len()].to_vec(),
            (false, 2) => {
                stream.write_all(page.as_bytes())?;
                stream.shutdown(Shutdown::Write)?;
                Vec::new()
            }
            // Large answers that nobody takes: unbounded, they were 300 MiB.
            (false, 3) => page.into_bytes(),
            (false, 4) => page.repeat(60).into_bytes(),
            (false, _) => page.as_bytes()[..page.len() - 1].to_vec(),
        };
        // One that had to go for another cannot be written to.
        let _ = stream.write_all(&bytes);
        Ok(stream)
    }

    fn is_bounded(&self) -> Result<()> {
        // The tenth column is the inode (proc_pid_net(5)).
        let table = fs::read_to_string("/proc/self/net/tcp")?;
        let column = |line: &str| line.split_whitespace().nth(9).map(|it| format!("socket:[{it}]"));
        let sockets: HashSet<String> = table.lines().filter_map(column).collect();
        let list = |of: &str| fs::read_dir(format!("/proc/{}/{of}", self.id));
        let links = list("fd")?.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
        let open = links.filter(|it| sockets.contains(&*it.to_string_lossy())).count();
        let (peak, threads) = (memory(self.id)?.peak >> 10, list("task")?.count());
        let text =
            format!("{}: {peak} MiB at most, {open} connections, {threads} threads", self.what);
        figure("prometheus/attackers", &text);
        check::holds(&text, peak < MEMORY && open <= CONNECTIONS && threads < THREADS)
    }
}

/// What is no request, or one with a body whose end is said in two ways, each before a request that is
/// smuggled behind it: lines of a head, and what comes behind it.
const FORMS: &[(&str, &str)] = &[
    ("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nX"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding\n : chunked\r\n", "0\r\n\r\n"),
    ("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "1;a=\"\r\n\"\r\nX\r\n0\r\n\r\n"),
    ("Content-Length: 0\r\nContent-Length: 44\r\n", ""),
    ("Content-Length: 0, 44\r\n", ""),
    ("Content-Length: +5\r\n", "X"),
    ("Content-Length: -1\r\n", ""),
    ("Content-Length: 99999999999999999999\r\n", ""),
    ("X: a\rContent-Length: 5\r\n", ""),
    ("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"),
    ("\0: \x01\r\n", ""),
    (": x\r\n", ""),
];

/// Everything that is refused, once.
fn is_refused(victim: &Victim<'_>) -> Result<()> {
    let get = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{ALICE}");
    let inner = request("GET", "/-/healthy", ALICE);
    let forms = FORMS.iter().map(|(lines, body)| format!("{get}{lines}\r\n{body}{inner}"));
    let large = [
        format!("{get}X: {}\r\n\r\n", "x".repeat(100_000)),
        format!("{get}{}\r\n", "A: b\r\n".repeat(100_000 / 6)),
        format!("GET /{} HTTP/1.1\r\n{ALICE}\r\n", "x".repeat(100_000)),
        "\0\x01garbage\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        format!("{}\n\n0\n\n{inner}", format!("{get}Transfer-Encoding: chunked").replace('\r', "")),
    ];
    for bad in forms.chain(large) {
        // It may be closed before it is answered.
        let Some(answer) = victim.ask(bad.as_bytes())? else { continue };
        let what = format!("{}: {bad:.300?}: {answer:.300?}", victim.what);
        check::holds(&what, matches!(answer.status, 400..500))?;
        check::holds(&what, !answer.body.contains("HTTP/1.1"))?;
    }
    let kept = format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\n{ALICE}\r\n");
    let answer = victim.ask((kept.repeat(49) + &inner).as_bytes())?.context("no answer")?;
    let count = 1 + answer.body.matches("HTTP/1.1 200 OK\r\n").count();
    check::same(&format!("{}: answers in a row", victim.what), 50, count)
}

/// Passwords, each another, beside those who know theirs.
fn guess(victims: &[Victim<'_>]) -> Result<()> {
    let plain = || victims.iter().filter(|it| !it.tls);
    let guess = |number: usize| -> Result<()> {
        let header = format!("Authorization: Basic YWxpY2U6{number:08}\r\n");
        for victim in plain() {
            let answer = ask(&victim.at, request("GET", "/metrics", &header).as_bytes())?;
            ensure!(matches!(answer.status, 401 | 503), "{}: {answer:?}", victim.what);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let guess = &guess;
        let guessers: Vec<_> = (0..GUESSERS)
            .map(|first| {
                let mut own = (first..GUESSES).step_by(GUESSERS);
                scope.spawn(move || own.try_for_each(guess))
            })
            .collect();
        let served: Result<()> = (0..10)
            .try_for_each(|_| victims.iter().try_for_each(|it| it.is_served("wrong passwords")));
        for guesser in guessers {
            match guesser.join() {
                Ok(guessed) => guessed?,
                Err(_) => bail!("a guesser failed"),
            }
        }
        served
    })
}

pub(super) fn attackers_disturb_nothing(context: &Context) -> Result<()> {
    let directory = certificates(context)?;
    let path = directory.path();
    fs::write(path.join("tls.yml"), format!("{TLS}basic_auth_users: {USER}\n"))?;
    fs::write(path.join("plain.yml"), format!("basic_auth_users: {USER}\n"))?;
    let metrics = |name: &'static str| ["--metrics", "127.0.0.1:0", "--web-config", name];
    let serve = |name| {
        let server = context.server().directory(path).args(["-q", "-b", "127.0.0.1:0"]);
        Server::start(server.args(metrics(name)))
    };
    let servers = [serve("plain.yml")?, serve("tls.yml")?];
    let lists: Vec<String> = servers.iter().map(|it| it.address().to_string()).collect();
    fs::write(
        path.join("list"),
        format!("{} big={}\n{}\n", lists[0], "x".repeat(LABEL), lists[1]),
    )?;
    let options = "-q -i 0.05 -W 30 --show summary --json --targets-file list";
    let beat = || context.heartbeat().directory(path).args(options.split(' '));
    let alone = beat().spawn()?;
    let [plain, tls] = ["plain.yml", "tls.yml"].map(|name| beat().args(metrics(name)).spawn());
    let (plain, tls) = (plain?, tls?);
    let place = (context, path);
    let victims = [
        Victim::new(("the heartbeat", false), &plain, place)?,
        Victim::new(("the heartbeat with TLS", true), &tls, place)?,
        Victim::new(("the server", false), &servers[0].process, place)?,
        Victim::new(("the server with TLS", true), &servers[1].process, place)?,
    ];
    for victim in &victims {
        victim.is_served("nobody")?;
        let held: Vec<TcpStream> =
            (0..HELD).map(|number| victim.hold(number)).collect::<Result<_>>()?;
        victim.is_served("slow ones")?;
        victim.is_bounded()?;
        is_refused(victim)?;
        drop(held);
    }
    guess(&victims)?;
    victims.iter().try_for_each(Victim::is_bounded)?;
    let [alone, plain, tls] =
        [alone, plain, tls].map(|it| it.interrupt().and_then(|it| beats(&it.out())));
    let (unattacked, both) = (alone?, [plain?, tls?]);
    for (what, it) in ["the heartbeat", "the heartbeat with TLS"].into_iter().zip(both) {
        let Beats { sent, skipped, .. } = it;
        let text = format!(
            "{what}: {sent} beats, {skipped} slots skipped, {} where nobody attacks",
            unattacked.skipped
        );
        figure("prometheus/attackers", &text);
        check::same("beats lost", 0, it.lost)?;
        check::holds(&text, sent > 20)?;
    }
    Ok(())
}

/// The beats of a run.
#[derive(Default)]
struct Beats {
    sent: u64,
    lost: u64,
    skipped: u64,
}

fn beats(out: &str) -> Result<Beats> {
    let mut all = Beats::default();
    for line in out.lines() {
        let summary: Value = serde_json::from_str(line)?;
        let count = |name: &str| summary[name].as_u64().context("no count");
        if summary["target"].is_string() {
            all.sent += count("sent")?;
            all.lost += count("lost")?;
            all.skipped += count("slots_skipped")?;
        }
    }
    Ok(all)
}
