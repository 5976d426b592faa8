//! Who tries to keep scrapes out, or the beats up: by half handshakes, by what is no request, by passwords.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use super::http::{address, ask, ask_tls, get, request};
use super::web_config::{ALICE, TLS, USER, certificates};
use crate::e2e::check;
use crate::e2e::context::{Context, Server};

/// More than there is room for.
const ATTACKERS: usize = 300;

pub(super) fn attackers_disturb_nothing(context: &Context) -> Result<()> {
    let directory = certificates(context)?;
    let path = directory.path();
    fs::write(path.join("web.yml"), format!("{TLS}basic_auth_users: {USER}\n"))?;
    fs::write(path.join("plain.yml"), format!("basic_auth_users: {USER}\n"))?;
    let server = context.server().directory(path);
    let options = "-b 127.0.0.1:0 --metrics 127.0.0.1:0 --web-config plain.yml";
    let server = Server::start(server.args(options.split(' ')))?;
    let heartbeat = context.heartbeat().directory(path).arg(server.address().to_string());
    let options =
        "-q -i 0.05 -W 10 --show summary --json --metrics 127.0.0.1:0 --web-config web.yml";
    let heartbeat = heartbeat.args(options.split(' ')).spawn()?;
    let (tls, plain) = (address(&heartbeat)?, address(&server.process)?);
    let scrape = || ask_tls(context, path, &tls, "", request("GET", "/metrics", ALICE));
    let is_served = |what: &str| -> Result<()> {
        check::same(what, Some(200), scrape()?.map(|it| it.status))?;
        check::same(what, 200, get(&plain, "/metrics", ALICE)?.status)
    };
    is_served("before")?;
    // Handshakes that never end, and heads that do not.
    let half = |(number, at): (usize, &String)| -> Result<TcpStream> {
        let mut stream = TcpStream::connect(at)?;
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        let begun: &[u8] =
            if at == &tls { &hello[..number % 11] } else { b"GET /metrics HTTP/1.1\r\n" };
        // One that had to go for another cannot be written to.
        let _ = stream.write_all(begun);
        Ok(stream)
    };
    let both = (0..ATTACKERS).flat_map(|number| [(number, &tls), (number, &plain)]);
    let held: Vec<TcpStream> = both.map(half).collect::<Result<_>>()?;
    is_served("beside half handshakes")?;
    // What is no request, over both.
    let long = request("GET", "/metrics", &format!("X: {}\r\n", "x".repeat(100_000)));
    let smuggled = "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n";
    for bad in [long.as_str(), smuggled, "\0\x01garbage\r\n\r\n", "GET / HTTP/1.1\r\n X: y\r\n\r\n"]
    {
        let over_tls = ask_tls(context, path, &tls, "", bad)?;
        let answers = [over_tls, ask(&plain, bad.as_bytes()).ok()];
        for answer in answers.iter().flatten() {
            check::holds(&format!("{bad:.40}: {answer:?}"), matches!(answer.status, 400..500))?;
            check::holds("one answer", !answer.body.contains("HTTP/1.1"))?;
        }
    }
    // Passwords, each another, beside those who know theirs.
    let guess = |number: usize| {
        let header = format!("Authorization: Basic YWxpY2U6{number:08}\r\n");
        let denied = get(&plain, "/metrics", &header)?.status;
        ensure!(matches!(denied, 401 | 503), "{denied}");
        Ok(())
    };
    thread::scope(|scope| {
        let guessers: Vec<_> = (0..16)
            .map(|n| scope.spawn(move || (0..25).try_for_each(|i| guess(n * 25 + i))))
            .collect();
        let served: Result<()> = (0..20).try_for_each(|_| is_served("beside wrong passwords"));
        for guesser in guessers {
            match guesser.join() {
                Ok(guessed) => guessed?,
                Err(_) => bail!("a guesser failed"),
            }
        }
        served
    })?;
    drop(held);
    for id in [heartbeat.id(), server.process.id()] {
        let memory = resident(id)?;
        check::holds(&format!("{memory} KiB are bounded"), memory < 64 << 10)?;
    }
    let finished = heartbeat.interrupt()?;
    let out = finished.out();
    let summary = out.lines().last().context("no summary")?;
    let summary: serde_json::Value = serde_json::from_str(summary)?;
    check::same("beats lost", Some(0), summary["lost"].as_u64())?;
    check::holds("beats went on", summary["received"].as_u64() > Some(5))
}

/// Memory of a process, in KiB.
fn resident(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").trim().parse().context("no number")
}
