//! Reads a heartbeat's metrics once a second, as Prometheus does, and what that costs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use driver::proc;
use udp_core::clock;

const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
/// What Prometheus asks for.
const REQUEST: &[u8] = b"GET /metrics HTTP/1.0\r\nAccept: text/plain;version=0.0.4\r\n\r\n";

/// What the scrapes of a run cost.
pub(super) struct Scrapes {
    /// The longest one, from asking to the last byte.
    pub(super) longest: Duration,
    /// Bytes by which the most resident memory grew meanwhile, the beats' own included.
    pub(super) memory: u64,
}

/// A port that nobody serves at this moment.
pub(super) fn free_port() -> Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(socket.local_addr().context("no free port")?.port())
}

/// Scrapes for so long.
pub(super) fn start(port: u16, pid: u32, span: Duration) -> JoinHandle<Result<Scrapes>> {
    thread::spawn(move || {
        let most = || proc::memory(pid).map(|(_, most)| most).context("it ended early");
        let before = most()?;
        let end = clock::mono() + span;
        let mut longest = Duration::ZERO;
        loop {
            let asked = clock::mono();
            scrape(port)?;
            longest = longest.max(clock::mono().saturating_since(asked));
            if asked + EVERY >= end {
                return Ok(Scrapes { longest, memory: most()?.saturating_sub(before) });
            }
            clock::sleep((asked + EVERY).saturating_since(clock::mono()));
        }
    })
}

fn scrape(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("nobody serves")?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot set a timeout")?;
    stream.write_all(REQUEST).context("cannot ask")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no answer")?;
    ensure!(answer.starts_with(b"HTTP/1.0 200 "), "no metrics");
    Ok(())
}
