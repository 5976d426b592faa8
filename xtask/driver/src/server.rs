//! A server that has said it is ready, and where.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use crate::process::{Finished, Launch, Process};

/// The last of the server's start lines.
const READY: &str = "wait for connection...\n";

/// A server that says it is ready.
pub struct Server {
    pub process: Process,
    /// What it serves, in the order of its start lines.
    pub addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts `launch` and waits for its start lines, or with `--json` its first object.
    pub fn start(launch: Launch) -> Result<Self> {
        let process = launch.spawn()?;
        let addresses = process.out.wait_until(|bytes| start_lines(bytes).or_else(|| json(bytes)));
        let addresses = addresses.with_context(|| {
            format!(
                "no start lines: stdout {:?}, stderr {:?}",
                process.out.text(),
                process.err.text()
            )
        })?;
        Ok(Self { process, addresses })
    }

    /// Starts `launch`, reads its start lines, and leaves its output unread from there on.
    pub fn start_unread(launch: Launch) -> Result<Self> {
        let mut process = launch.stdout_unread().spawn()?;
        let lines = process.read_up_to(READY)?;
        let addresses = start_lines(&lines).context("no start lines")?;
        Ok(Self { process, addresses })
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Stops it as Ctrl-C does.
    pub fn stop(self) -> Result<Finished> {
        self.process.interrupt()
    }
}

/// The addresses of the `server start at:` lines, once `wait for connection...` stands below.
fn start_lines(bytes: &[u8]) -> Option<Vec<SocketAddr>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (starts, _) = text.split_once(READY)?;
    // With `-D` each line begins with its time.
    let addresses = starts.lines().filter_map(|line| line.rsplit_once(" start at: "));
    addresses.map(|(_, address)| address.parse().ok()).collect()
}

/// The one address of a `start` object.
fn json(bytes: &[u8]) -> Option<Vec<SocketAddr>> {
    let (_, rest) = std::str::from_utf8(bytes).ok()?.split_once(r#""bind":""#)?;
    let (address, _) = rest.split_once('"')?;
    address.parse().ok().map(|address| vec![address])
}
