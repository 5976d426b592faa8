//! Some minutes of a bad network, scraped by a real Prometheus, for the picture of the Grafana board.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::board::{self, Span};
use crate::e2e::clock::{PATIENCE, pause};
use crate::e2e::net::Peer;
use crate::e2e::process::Process;
use crate::e2e::{Launch, Programs, Server};

const NONE: &str = "127.0.0.1:0";
/// Seconds between two scrapes, and between two points of a panel.
const SCRAPE: u64 = 5;
/// Seconds that are shown, and those before, in which every rate gets its first value.
const SHOWN: u64 = 240;
const BEFORE: u64 = 40;

/// The board as an SVG, from what its expressions return.
pub(super) fn picture(root: &Path, programs: &Programs) -> Result<String> {
    let home = tempfile::tempdir().context("cannot make a directory")?;
    let start = |program: &Path, words: &str| {
        Launch::new(program).directory(home.path()).args(words.split(' '))
    };
    let serve = format!("-q -b {NONE} --stamp {NONE} --metrics {NONE} --deny 127.0.0.9");
    let server = Server::start(start(&programs.server, &serve))?;
    let (flaky, dying) = (Arc::new(AtomicU64::new(10)), Arc::new(AtomicU64::new(0)));
    let there = stamp("127.0.0.2:0", server.addresses[1])?;
    let far = [echo("127.0.0.3:0", 17, &flaky)?, echo("127.0.0.4:0", 21, &dying)?];
    let near = format!("{} site=ams\nstamp://{} site=ams\n", server.address(), there.address);
    let hosts = format!("{near}{} site=fra\n{} site=fra\n", far[0].address, far[1].address);
    fs::write(home.path().join("hosts"), hosts)?;
    let watch = "-q -i 0.2 -W 0.5 --max-loss 15 --window 20s --targets-file hosts --metrics";
    let heartbeat = start(&programs.heartbeat, &format!("{watch} {NONE}")).spawn()?;
    let metrics = |process: &Process| process.err.between("metrics: http://", "/");
    let scraped = [metrics(&heartbeat)?, metrics(&server.process)?];
    let config = format!(
        "{{global: {{scrape_interval: {SCRAPE}s}}, scrape_configs: [{{job_name: udp, \
         static_configs: [{{targets: {scraped:?}}}]}}]}}"
    );
    fs::write(home.path().join("prometheus.yml"), config)?;
    let words = format!(
        "--config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address={NONE}"
    );
    let prometheus = start("prometheus".as_ref(), &words).spawn()?;
    let address = prometheus.err.between("msg=\"Listening on\" address=", "\n")?;

    let stranger = UdpSocket::bind("127.0.0.9:0")?;
    for second in 0..BEFORE + SHOWN {
        match second.saturating_sub(BEFORE) {
            // The host of the heartbeat stands still.
            40 => heartbeat.signal(Signal::SIGSTOP)?,
            42 => heartbeat.signal(Signal::SIGCONT)?,
            60..80 => {
                for _ in 0..5 {
                    stranger.send_to(b"let me in", server.address())?;
                }
            }
            90 => dying.store(1000, Ordering::Relaxed),
            130 => dying.store(0, Ordering::Relaxed),
            185 => flaky.store(250, Ordering::Relaxed),
            _ => {}
        }
        pause(Duration::from_secs(1));
    }
    let url = format!("http://{address}");
    let query = |more: &[String], expression: &str| -> Result<Value> {
        let words = format!("query -o json range --step={SCRAPE}s");
        let asked = start("promtool".as_ref(), &words)
            .args(more)
            .args([url.as_str(), expression])
            .finish()?;
        serde_json::from_slice(&asked.exits(0)?.stdout).context("no answer")
    };
    let clock = query(&[], "time()")?;
    let last = clock[0]["values"].as_array().and_then(|it| it.last()?[0].as_f64());
    let (to, step) = (last.context("no time")?.floor(), SCRAPE as f64);
    let span = Span { from: to - SHOWN as f64, to, step };
    let between = [format!("--start={}", span.from), format!("--end={to}")];
    let board = fs::read(root.join("packaging/grafana/udp-toolkit.json"))?;
    board::draw(&serde_json::from_slice(&board)?, span, |expression| query(&between, expression))
}

/// An echo that loses so many in a thousand, and is so many milliseconds late or up to a quarter more.
fn echo(address: &str, late: u64, loses: &Arc<AtomicU64>) -> Result<Peer> {
    let (mut random, loses) = (fastrand::Rng::with_seed(late), Arc::clone(loses));
    Peer::on(address, move |request| {
        let lost = random.u64(..1000) < loses.load(Ordering::Relaxed);
        let reply = request.echo().after(late + random.u64(..=late / 4));
        if lost { Vec::new() } else { vec![reply] }
    })
}

/// A path to a reflector, 2 ms long, that loses one in 100 on the way there and one in 25 back.
fn stamp(address: &str, reflector: SocketAddr) -> Result<Peer> {
    let socket = UdpSocket::bind(NONE)?;
    socket.connect(reflector)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (mut random, mut bytes) = (fastrand::Rng::with_seed(1), [0; 2048]);
    Peer::on(address, move |request| {
        if random.u8(..100) == 0 {
            return Vec::new();
        }
        let reflected = socket.send(&request.bytes).and_then(|_| socket.recv(&mut bytes));
        let lost = random.u8(..25) == 0;
        let reply = reflected.map(|length| request.with(&bytes[..length]).after(2));
        reply.into_iter().filter(|_| !lost).collect()
    })
}
