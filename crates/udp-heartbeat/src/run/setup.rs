//! What is done before the first beat: addresses, limits, the targets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crossbeam_channel::Receiver;
use udp_core::cli::Failure;
use udp_core::cli::parse::ShownDuration;
use udp_core::clock::{self, Mono, Wall};
use udp_core::endpoint::{Role, host_port};
use udp_core::socket::SocketConfig;
use udp_core::source_port;
use udp_core::stamp::Ssid;
use udp_core::{ErrorClass, Family, Operation};

use super::engine::Call;
use super::lookup::Resolver;
use super::ports::Ports;
use super::reporter::Reporter;
use crate::config::{Config, FAST};
use crate::probe::format::{Format, Padding, StampSession};
use crate::probe::schedule::TargetId;
use crate::probe::session::Rules;
use crate::probe::stats::distribution::Precision;
use crate::probe::targets::{PortKey, PortOwner, Setup, Sharing, Targets};
use crate::report::{Start, StartTarget};
use crate::targets_file::Listed;
use udp_core::expect::Expectation;

/// How long the start waits for all names to resolve; the rest resolve while it runs.
const NAMES: Duration = Duration::from_secs(5);
/// Up to so many targets have their figures at full precision.
const FINE: usize = 100;
/// Settled beats that all targets together remember, and the fewest and most of one.
const REMEMBERED: usize = 1 << 20;
const REMEMBERED_EACH: (usize, usize) = (64, 1 << 16);
/// Sockets that one target may use at once, and many together.
const OWN_PORTS: usize = 1536;
const SHARED_PORTS: usize = 256;
/// Descriptors that are left for everything else.
const RESERVE: usize = 64;

/// What became of each target's name: its addresses, at least one, or why it has none.
pub(super) type Placed = HashMap<TargetId, Result<Vec<SocketAddr>, String>>;

/// The sockets' common options. The family of `--bind` is that of the run.
pub(super) fn template(config: &mut Config) -> Result<SocketConfig, Failure> {
    let mut template = SocketConfig {
        device: config.local.interface.clone(),
        ttl: config.local.ttl,
        dscp: config.local.dscp,
        ecn: config.local.ecn,
        ..SocketConfig::default()
    };
    if let Some(bind) = &config.local.bind {
        let found = bind.resolve(Role::Serve, config.family, 0)?;
        template.bind = found.first().copied();
        config.family = match template.bind {
            Some(SocketAddr::V6(_)) => Family::V6,
            Some(SocketAddr::V4(_)) => Family::V4,
            None => config.family,
        };
    }
    Ok(template)
}

/// Resolves every target. One that does not is the end of a run of one, and an event in a run of
/// many, unless none of them does.
pub(super) fn resolve(
    config: &Config,
    mut resolver: Option<&mut Resolver>,
    calls: &Receiver<Call>,
) -> Result<Placed, Failure> {
    let mut placed = Placed::new();
    let mut waiting = 0;
    for (target, Listed { endpoint, .. }) in (0..).zip(&config.targets) {
        let asked = endpoint.is_name() && config.targets.len() > 1;
        match resolver.as_mut().filter(|_| asked) {
            Some(resolver) => {
                resolver.ask(target, endpoint.clone());
                waiting += 1;
            }
            None => {
                let found = endpoint.resolve(Role::Ask, config.family, config.default_port);
                placed.insert(target, found.map_err(|error| error.to_string()));
            }
        }
    }
    let until = clock::mono() + NAMES;
    while waiting > 0 {
        let left = until.saturating_since(clock::mono());
        match calls.recv_timeout(left) {
            Ok(Call::Found(found)) => {
                waiting -= 1;
                resolver.iter_mut().for_each(|resolver| resolver.go_on());
                placed.insert(found.target, found.addresses);
            }
            Ok(Call::Stop | Call::Snapshot | Call::Gone | Call::Fresh(_)) => {}
            Err(_) => break,
        }
    }
    let some = placed.values().any(Result::is_ok) || waiting > 0;
    match placed.get(&0) {
        Some(Err(reason)) if !some => Err(Failure::usage(reason)),
        _ => Ok(placed),
    }
}

/// Which addresses may be beaten at the interval.
pub(super) fn admission(config: &Config) -> impl Fn(SocketAddr) -> bool + use<> {
    let free = config.fast || config.interval >= FAST;
    move |address| free || address.ip().to_canonical().is_loopback()
}

/// The targets at their addresses, and what is said at the start. The first socket is opened here,
/// so that what is wrong with it is known before the first beat.
pub(super) fn targets(
    config: &mut Config,
    labels: &[String],
    placed: &Placed,
    ports: &mut Ports,
    reporter: &mut Reporter,
) -> Result<(Targets, Start), Failure> {
    let admits = admission(config);
    let mut firsts = placed.values().flatten().filter_map(|found| found.first().copied());
    if let Some(address) = firsts.find(|address| !admits(*address)) {
        let (interval, address) = (ShownDuration(config.interval), host_port(address));
        let text = format!("an interval of {interval} towards {address} needs --fast");
        return Err(Failure::usage(text)
            .with_hint("below 10ms a path other than loopback may be loaded by it"));
    }
    let start = Start {
        at: clock::wall(),
        targets: (0..)
            .zip(labels.iter().zip(&config.targets))
            .map(|(target, (label, listed))| {
                let found = placed.get(&target).and_then(|it| it.as_ref().ok());
                StartTarget {
                    label: label.clone(),
                    address: found.and_then(|found| found.first().copied()),
                    labels: listed.labels.clone(),
                }
            })
            .collect(),
        mode: match config.format {
            Format::Plain { .. } => "plain",
            Format::Numbered { .. } => "number",
            Format::Stamp { .. } => "stamp",
        },
        bytes: config.format.length(),
        interval: config.interval,
        timeout: config.timeout,
        count: config.count,
        spacing: config.spacing,
        clock: "program",
    };
    let mut targets = Targets::new(setup(config));
    let now = clock::mono();
    for (target, Listed { endpoint, .. }) in (0..).zip(&config.targets) {
        let stamp = stamp_session();
        let label = labels[target as usize].clone();
        targets.add(label, endpoint.clone(), stamp, config.count, now);
        match placed.get(&target) {
            Some(Ok(found)) => {
                let admitted: Vec<SocketAddr> =
                    found.iter().copied().filter(|address| admits(*address)).collect();
                targets.place(target, &admitted, now, reporter);
            }
            Some(Err(reason)) => targets.unresolved(target, reason, now, reporter),
            None => targets.unresolved(target, "its name has not resolved yet", now, reporter),
        }
        if endpoint.is_name() {
            reporter.lookups.add(target, now);
        }
    }
    let clock = first_socket(&targets, ports)?;
    Ok((targets, Start { clock, ..start }))
}

/// Opens the first socket of each kind. Whose clock stamps replies.
fn first_socket(targets: &Targets, ports: &mut Ports) -> Result<&'static str, Failure> {
    let own = targets.setup().sharing == Sharing::Own;
    let (mut v4, mut v6) = (false, false);
    for place in targets.targets().iter().filter_map(|target| target.place) {
        let seen = if place.address.is_ipv6() { &mut v6 } else { &mut v4 };
        if std::mem::replace(seen, true) {
            continue;
        }
        let owner = match (own, place.address) {
            (true, _) => PortOwner::Path(place.peer),
            (false, SocketAddr::V4(_)) => PortOwner::SharedV4,
            (false, SocketAddr::V6(_)) => PortOwner::SharedV6,
        };
        match ports.ensure(PortKey { owner, slot: 0 }, place.address) {
            // There is no way there now; there may be one later.
            Err(error)
                if error.operation == Operation::Connect
                    && error.class() != ErrorClass::Invalid =>
            {
                log::warn!("{error}");
            }
            other => other?,
        }
    }
    Ok(if ports.kernel_stamps() { "kernel" } else { "program" })
}

/// What all targets have in common.
fn setup(config: &mut Config) -> Setup {
    let many = config.targets.len() > 1 || config.sources.list.is_some();
    let none = Format::Plain { payload: Vec::new(), padding: Padding { length: 0, byte: 0 } };
    let format = std::mem::replace(&mut config.format, none);
    let (least, most) = REMEMBERED_EACH;
    let rules = Rules {
        interval: config.interval,
        timeout: config.timeout,
        hysteresis: config.hysteresis,
        limits: config.thresholds.over(config.window),
        keep: (REMEMBERED / config.targets.len().max(1)).clamp(least, most),
        precision: if config.targets.len() <= FINE { Precision::Fine } else { Precision::Coarse },
        stamp: format.is_stamp(),
    };
    Setup {
        format,
        expectation: std::mem::replace(&mut config.expectation, Expectation::Anything),
        rules,
        sharing: if many { Sharing::Shared } else { Sharing::Own },
        pool: pool(config, many),
    }
}

/// How plain beats use source ports.
fn pool(config: &Config, many: bool) -> source_port::Rules {
    let fixed = config.local.bind.as_ref().is_some_and(|bind| bind.port().is_some_and(|p| p > 0));
    let most = if many { SHARED_PORTS } else { OWN_PORTS };
    let ports = match fixed {
        true => source_port::Ports::One,
        false => {
            source_port::Ports::UpTo(most.min(descriptors(most + RESERVE).saturating_sub(RESERVE)))
        }
    };
    // How long a port is kept that a late reply may come to. With one port the next beat waits as
    // long; where ports are shared they cannot be closed, so one is left alone for longer.
    let linger = match (fixed, many) {
        (true, _) => config.timeout * 2,
        (false, false) => {
            (config.timeout * 4).clamp(Duration::from_secs(5), Duration::from_secs(60))
        }
        (false, true) => config.timeout.max(Duration::from_secs(60)),
    };
    // An answered port rests, so that a second copy of the reply meets no other beat there.
    source_port::Rules { ports, rest: config.timeout / 2, linger }
}

/// How many descriptors this process may have, after asking for `wanted`.
fn descriptors(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
        let asked = hard.min(wanted as u64);
        if soft < asked && setrlimit(Resource::RLIMIT_NOFILE, asked, hard).is_ok() {
            return usize::try_from(asked).unwrap_or(wanted);
        }
        usize::try_from(soft).unwrap_or(wanted)
    }
    #[cfg(not(unix))]
    wanted
}

/// A STAMP session of its own.
pub(super) fn stamp_session() -> StampSession {
    let (wall, mono): (Wall, Mono) = (clock::wall(), clock::mono());
    let epoch = wall.as_nanos().saturating_sub(mono.as_nanos());
    StampSession { ssid: Ssid(fastrand::u16(1..)), epoch: Wall::from_nanos(epoch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_what_the_system_allows() {
        let have = descriptors(64);
        assert!(have >= 64, "{have}");
    }
}
