//! Driving `stamp-suite` by its command line, and reading what it reports as JSON.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use regex::Regex;
use serde_json::Value;

use crate::e2e::context::Context;
use crate::e2e::net::closed;
use crate::e2e::process::Process;

/// What it is told about a key.
pub(super) fn theirs(key: Option<&str>) -> Vec<&str> {
    key.map_or_else(Vec::new, |key| vec!["--auth-mode", "A", "--hmac-key-file", key])
}

/// A session-reflector that is ready.
pub(super) struct Reflector {
    process: Process,
    pub(super) address: SocketAddr,
}

impl Reflector {
    pub(super) fn start(context: &Context, ip: IpAddr, options: &[&str]) -> Result<Self> {
        // It cannot choose a port by itself.
        let address = SocketAddr::new(ip, closed()?.port());
        let process = context
            .launch(&context.tools()?.suite)
            .args(["--is-reflector", "--output-format", "json"])
            .args(["--local-addr", &ip.to_string(), "--local-port", &address.port().to_string()])
            .args(options)
            .spawn()?;
        let listens = |said: &[u8]| {
            String::from_utf8_lossy(said).contains("STAMP Reflector listening on").then_some(())
        };
        let ready = process.err.wait_until(listens);
        ready.with_context(|| format!("no reflector at {address}: {:?}", process.err.text()))?;
        Ok(Self { process, address })
    }

    /// Stops it; its own counts.
    pub(super) fn totals(self) -> Result<Value> {
        let finished = self.process.interrupt()?;
        finished.exits(0)?;
        serde_json::from_slice(&finished.stdout).context("its summary is not JSON")
    }
}

/// What a session-sender reported.
pub(super) struct Report {
    pub(super) summary: Value,
    /// Of each reply in order the sequence number and the TTL that our reflector says its request
    /// came with.
    pub(super) replies: Vec<(u64, u64)>,
}

/// Runs a session-sender of `count` packets, each of which may take `timeout` seconds, to its end.
pub(super) fn send(
    context: &Context,
    to: SocketAddr,
    count: u64,
    timeout: u8,
    options: &[&str],
) -> Result<Report> {
    let ip = to.ip().to_string();
    let finished = context
        .launch(&context.tools()?.suite)
        .args(["--remote-addr", &ip, "--remote-port", &to.port().to_string()])
        .args(["--local-addr", &ip, "--count", &count.to_string(), "--send-delay", "20ms"])
        .args(["--timeout", &timeout.to_string(), "--output-format", "json", "-R"])
        .args(options)
        .finish()?;
    finished.exits(0)?;
    let summary = serde_json::from_slice(&finished.stdout).context("its summary is not JSON")?;
    let line = Regex::new(r"(?m)^seq=(\d+) rtt=[0-9.]+ms ttl=(\d+) ")?;
    let said = finished.err();
    let replies = line.captures_iter(&said).map(|found| {
        let [sequence, ttl] = [1, 2].map(|n| found[n].parse().context("a number out of range"));
        Ok((sequence?, ttl?))
    });
    Ok(Report { summary, replies: replies.collect::<Result<_>>()? })
}
