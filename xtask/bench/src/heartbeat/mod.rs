//! Our heartbeat beside irtt and sockperf, each with what it can be asked to do: a beat every
//! millisecond or tenth of it, and ten thousand targets at once.
//!
//! Clients run on whatever core they like, as users run them, but where only the client's stamps
//! are compared; the server stays on its own.

mod clients;
mod scrape;
pub(crate) mod seeing;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::build::Built;
use super::contender::find_program;
use super::figure::{Figure, Sample};
use super::goal::{Against, Goal};
use super::machine::{Cores, Pinned};
use super::running::Running;
use super::scenario::{Asks, Beats, Client, Lane, Scenario, Seeing, Work};

/// The shortest run that says something, of one target and of many.
const ONE_TARGET: Duration = Duration::from_secs(1);
const MANY_TARGETS: Duration = Duration::from_secs(3);
/// The first of the loopback addresses that stand for many targets: 127.20.0.0.
const FIRST_TARGET: u32 = 0x7f14_0000;
const MANY: u32 = 10_000;
const KERNEL_STAMPS: &str = "heartbeat 1 ms, own core";
const MANY_STAMP: &str = "heartbeat 10,000 × 1/s, STAMP";
const MANY_SERVICES: &str = "heartbeat 10,000 × 1/s, DNS and NTP";
const UNSCRAPED: &str = "heartbeat 10,000 × 1/s";
const SCRAPED: &str = "heartbeat 10,000 × 1/s, scraped";
const USER_STAMPS: &str = "heartbeat 1 ms, own core, `--io portable`";

/// The clients of this machine.
pub(crate) struct Programs {
    heartbeat: PathBuf,
    irtt: Option<PathBuf>,
    sockperf: Option<PathBuf>,
}

impl Programs {
    pub(crate) fn find(built: &Built) -> Self {
        Self {
            heartbeat: built.heartbeat.clone(),
            irtt: find_program("irtt"),
            sockperf: find_program("sockperf"),
        }
    }

    fn path(&self, client: Client) -> Option<&PathBuf> {
        match client {
            Client::Heartbeat => Some(&self.heartbeat),
            Client::Irtt => self.irtt.as_ref(),
            Client::Sockperf => self.sockperf.as_ref(),
        }
    }

    /// Whether the client is there.
    pub(crate) fn check(&self, client: Client) -> Result<()> {
        self.path(client).map(drop).context("not found on this machine")
    }

    /// What it costs to look.
    pub(crate) fn see(&self, seeing: Seeing, server: &Running, slice: Duration) -> Result<Sample> {
        seeing::measure(seeing, &self.heartbeat, server.target.address, slice)
    }

    /// One run of a client against `server`.
    pub(crate) fn measure(
        &self,
        beats: Beats,
        server: &Running,
        cores: Cores,
        slice: Duration,
    ) -> Result<Sample> {
        let _pinned = beats.own_core.then(|| Pinned::to(&[cores.generator])).transpose()?;
        let program = self.path(beats.client).context("not found on this machine")?;
        let least = if beats.targets > 1 { MANY_TARGETS } else { ONE_TARGET };
        let span = slice.max(least);
        let address = server.target.address;
        match beats.client {
            Client::Irtt => clients::irtt(program, address, beats.interval, span),
            Client::Sockperf => clients::sockperf(program, address, beats.interval, span),
            Client::Heartbeat if beats.targets > 1 => {
                let file = targets(address.port(), beats.targets, beats.asks)?;
                clients::many(program, file.path(), beats, span)
            }
            Client::Heartbeat => clients::heartbeat(program, address, beats, span),
        }
    }
}

/// A file of so many targets, all of which one server answers.
fn targets(port: u16, count: u32, asks: Asks) -> Result<NamedTempFile> {
    let mut text = String::new();
    for i in 0..count {
        let target = SocketAddr::from((Ipv4Addr::from(FIRST_TARGET + i), port));
        text.push_str(&match asks {
            Asks::Plain => format!("{target}\n"),
            Asks::Stamp => format!("stamp://{target}\n"),
            Asks::DnsAndNtp if i % 2 == 0 => format!("dns://{target}/example.org\n"),
            Asks::DnsAndNtp => format!("ntp://{target}\n"),
        });
    }
    let mut file = NamedTempFile::new().context("no temporary file")?;
    file.write_all(text.as_bytes()).context("cannot write the targets")?;
    Ok(file)
}

pub(crate) fn scenario() -> Scenario {
    let beat = |name: &str, contender: &str, client, micros, targets| Lane {
        name: name.to_owned(),
        contender: contender.to_owned(),
        work: Work::Beats(Beats {
            client,
            interval: Duration::from_micros(micros),
            targets,
            asks: Asks::Plain,
            own_core: false,
            scraped: false,
            // One port carries them all, as irtt's and sockperf's beats are numbered too.
            options: if targets == 1 { &["--number"] } else { &[] },
        }),
    };
    // The same client, but for the stamps: the portable path has none of the kernel's.
    let stamps = |name: &str, options| {
        let mut lane = beat(name, "raw", Client::Heartbeat, 1000, 1);
        if let Work::Beats(beats) = &mut lane.work {
            (beats.own_core, beats.options) = (true, options);
        }
        lane
    };
    let asking = |name: &str, asks| {
        let mut lane = beat(name, "services", Client::Heartbeat, 1_000_000, MANY);
        if let Work::Beats(beats) = &mut lane.work {
            beats.asks = asks;
        }
        lane
    };
    let mut scraped = beat(SCRAPED, "raw", Client::Heartbeat, 1_000_000, MANY);
    if let Work::Beats(beats) = &mut scraped.work {
        beats.scraped = true;
    }
    let lanes = vec![
        beat("heartbeat 1 ms", "raw", Client::Heartbeat, 1000, 1),
        stamps(KERNEL_STAMPS, &["--number"]),
        stamps(USER_STAMPS, &["--number", "--io", "portable"]),
        beat("irtt 1 ms", "irtt", Client::Irtt, 1000, 1),
        beat("sockperf 1 ms", "sockperf", Client::Sockperf, 1000, 1),
        beat("heartbeat 100 µs", "raw", Client::Heartbeat, 100, 1),
        beat("irtt 100 µs", "irtt", Client::Irtt, 100, 1),
        beat(UNSCRAPED, "raw", Client::Heartbeat, 1_000_000, MANY),
        scraped,
        beat("heartbeat 10,000 × 10/s", "raw", Client::Heartbeat, 100_000, MANY),
        asking(MANY_STAMP, Asks::Stamp),
        asking(MANY_SERVICES, Asks::DnsAndNtp),
    ];
    let goal = Goal::at_most;
    let (alone, irtt) = (Against::Nothing, Against::Lane("irtt 1 ms"));
    let (user_space, stamp, unscraped) =
        (Against::Lane(USER_STAMPS), Against::Lane(MANY_STAMP), Against::Lane(UNSCRAPED));
    let (one, tenth, often) = ("heartbeat 1 ms", "heartbeat 100 µs", "heartbeat 10,000 × 10/s");
    use Figure::{
        Core, CpuPerBeat, Lateness, Lateness99, Lost, Missed, RttMedian, Scrape, ScrapeMemory,
    };
    let goals = vec![
        goal(Missed, "slots missed at 1 ms", one, alone, 1.0),
        goal(Missed, "slots missed at 100 µs", tenth, alone, 5.0),
        goal(CpuPerBeat, "CPU a beat: irtt", one, irtt, 0.4),
        goal(Lateness, "how late sends are: irtt's timer error", one, irtt, 0.3),
        goal(
            RttMedian,
            "median round trip by kernel stamps: user-space stamps",
            KERNEL_STAMPS,
            user_space,
            0.65,
        ),
        goal(RttMedian, "median round trip: irtt", one, irtt, 0.5),
        goal(Core, "10,000 targets at 1/s", UNSCRAPED, alone, 12.0),
        goal(Core, "10,000 targets at 10/s", often, alone, 55.0),
        goal(CpuPerBeat, "CPU a beat, DNS and NTP: STAMP", MANY_SERVICES, stamp, 1.3),
        goal(Lost, "10,000 targets of DNS and NTP, beats lost", MANY_SERVICES, alone, 0.0),
        goal(Missed, "10,000 targets at 1/s, slots missed", UNSCRAPED, alone, 0.0),
        goal(
            Lateness99,
            "10,000 targets, how late sends are when scraped: when not",
            SCRAPED,
            unscraped,
            1.2,
        ),
        goal(Missed, "10,000 targets scraped, slots missed", SCRAPED, alone, 0.1),
        goal(Scrape, "10,000 targets, a scrape", SCRAPED, alone, 1e9),
        goal(ScrapeMemory, "10,000 targets, memory for a scrape", SCRAPED, alone, 67_108_864.0),
        // A core that is hardly taken means nothing if beats were left out.
        goal(Missed, "10,000 targets at 10/s, slots missed", often, alone, 1.0),
        goal(Lost, "10,000 targets at 10/s, beats lost", often, alone, 0.0),
    ];
    let about =
        "our heartbeat against `udp-server --raw -q`, beside other clients and their servers";
    Scenario { name: "heartbeat", about, lanes, goals, open_to_peers: None }
}
