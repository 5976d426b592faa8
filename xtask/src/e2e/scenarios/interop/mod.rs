//! STAMP with implementations that share nothing with ours, in both directions: `stamp-suite`, a
//! released session-sender and session-reflector, and packets that scapy builds and parses.
//!
//! They are installed by `cargo xtask interop`; without them every scenario here is a skip. Where
//! one of them departs from the RFC, a scenario holds ours to the RFC and says what the other does.

mod heartbeat;
mod scapy;
mod server;
mod suite;

use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Asker, Peer, Reply};
use crate::e2e::{json, runner::Scenario};

const FAMILIES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Every scenario with another implementation.
pub(super) fn all() -> Vec<Scenario> {
    [heartbeat::all(), server::all(), scapy::all()].into_iter().flatten().collect()
}

/// Two keys in files that every implementation reads alike: stamp-suite wants 16 bytes at least and
/// nobody else to be able to read them, takes what can be read as hex for hex, and counts a line
/// end at the end as part of the key.
struct Keys {
    _directory: TempDir,
    right: String,
    wrong: String,
}

impl Keys {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let write = |name: &str, bytes: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok::<_, anyhow::Error>(path.to_str().context("a path that is not UTF-8")?.to_owned())
        };
        let right = write("right", "a secret that both ends share")?;
        let wrong = write("wrong", "a guess of somebody else's")?;
        Ok(Self { _directory: directory, right, wrong })
    }

    /// Without a key and with one.
    fn forms(&self) -> [Option<&str>; 2] {
        [None, Some(&self.right)]
    }
}

/// What our programs are told about a key.
fn ours(key: Option<&str>) -> Vec<&str> {
    key.map_or_else(Vec::new, |key| vec!["--stamp-key-file", key])
}

/// Which numbers of a conversation, counted from 1, get lost on the way there and on the way back.
#[derive(Clone, Copy)]
struct Losses {
    up: &'static [usize],
    down: &'static [usize],
}

/// A network between a sender and `reflector` that loses just these.
fn lossy(reflector: SocketAddr, losses: Losses) -> Result<Peer> {
    relay(reflector, losses.up, move |number, answer| {
        (!losses.down.contains(&number)).then(|| answer.to_vec())
    })
}

/// Stands between a sender and `reflector`: the requests `up`, counted from 1, go no further, and
/// of the answer to each other one goes back what `back` makes of it.
fn relay(
    reflector: SocketAddr,
    up: &'static [usize],
    back: impl Fn(usize, &[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> Result<Peer> {
    let here = SocketAddr::new(reflector.ip(), 0).to_string();
    let far = Asker::on(&here)?;
    Peer::on(&here, move |request| {
        if up.contains(&request.number) || far.send(reflector, &request.bytes).is_err() {
            return Vec::new();
        }
        // A reflector that does not answer is for the sender to notice.
        let Ok((answer, _)) = far.receive() else { return Vec::new() };
        let answer = back(request.number, &answer);
        answer.into_iter().map(|bytes| Reply::now(request.from, bytes)).collect()
    })
}

/// What the heartbeat said, event by event, and how it ended.
fn beat(context: &Context, target: SocketAddr, options: &[&str], code: i32) -> Result<Vec<Value>> {
    let target = target.to_string();
    let finished = context.beat([&["--stamp", &target, "--json"], options].concat())?;
    finished.exits(code)?;
    json::events("udp-heartbeat", &finished.stdout)
}

/// Each of these counts of `object` is as expected.
#[track_caller]
fn counts(object: &Value, expected: &[(&str, u64)]) -> Result<()> {
    let place = check::here();
    for (name, count) in expected {
        check::same(&format!("{place}: {name} of {object}"), Some(*count), object[name].as_u64())?;
    }
    Ok(())
}
