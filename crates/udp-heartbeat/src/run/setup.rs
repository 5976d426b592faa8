//! Prepares a run: addresses, limits, the targets. It changes nothing of the process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udp_core::cli::Failure;
use udp_core::cli::parse::ShownDuration;
use udp_core::clock::{self, Mono, Wall};
use udp_core::endpoint::host_port;
use udp_core::service::Nonces;
use udp_core::socket::SocketConfig;
use udp_core::source_port;
use udp_core::stamp::Ssid;
use udp_core::{ErrorClass, Family, Operation};

use super::observers::Observers;
use super::ports::{LocalAddresses, Ports};
use super::resolve::Placed;
use crate::plan::Plan;
use crate::probe::event::Observer;
use crate::probe::format::{Format, Padding, StampSession};
use crate::probe::schedule::{TargetId, Timeline};
use crate::probe::session::Rules;
use crate::probe::stats::distribution::Precision;
use crate::probe::targets::{Listed, PortKey, PortOwner, Setup, Sharing, Targets};
use udp_core::expect::Expectation;

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

/// Why a target has no address at first.
pub(super) const UNRESOLVED: &str = "its name has not resolved yet";

/// The sockets' common options, and where they are bound: at an address of the target's family, so
/// that targets of a family in which `--bind` has none are not asked.
pub(super) fn template(plan: &mut Plan) -> Result<(SocketConfig, LocalAddresses), Failure> {
    let template = SocketConfig {
        device: plan.local.interface.clone(),
        ttl: plan.local.ttl,
        dscp: plan.local.dscp,
        ecn: plan.local.ecn,
        ..SocketConfig::default()
    };
    let Some(bind) = &plan.local.bind else { return Ok((template, [None; 2])) };
    let local = bind.locals(plan.family)?;
    plan.family = match local {
        [Some(_), None] => Family::V4,
        [None, Some(_)] => Family::V6,
        _ => plan.family,
    };
    Ok((template, local))
}

/// Refuses an interval below the floor of a target that is not of this host, unless that was allowed.
fn admit(plan: &Plan, placed: &Placed) -> Result<(), Failure> {
    for (target, listed) in (0..).zip(&plan.targets) {
        let (interval, floor) = (listed.interval(plan.interval, plan.given), listed.floor());
        let first = placed.get(&target).and_then(|found| found.as_ref().ok()?.first().copied());
        let foreign = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
        if !plan.fast
            && interval < floor
            && let Some(address) = first.filter(foreign)
        {
            let (interval, address) = (ShownDuration(interval), host_port(address));
            let text = format!("an interval of {interval} towards {address} needs --fast");
            let hint = match listed.service() {
                Some(spec) => {
                    let (scheme, floor) = (spec.entry().scheme, ShownDuration(floor));
                    format!("{scheme} servers may take more than one in {floor} for an attack")
                }
                None => "below 10ms a path other than loopback may be loaded by it".into(),
            };
            return Err(Failure::usage(text).with_hint(hint));
        }
    }
    Ok(())
}

/// The targets at their addresses, and what is said at the start. The first socket is opened here,
/// so that what is wrong with it is known before the first beat.
pub(super) fn targets(
    plan: &mut Plan,
    placed: &Placed,
    ports: &mut Ports,
    observers: &mut Observers,
) -> Result<Targets, Failure> {
    admit(plan, placed)?;
    let mut targets = Targets::new(setup(plan));
    let now = clock::mono();
    for (target, listed) in (0..).zip(std::mem::take(&mut plan.targets)) {
        let label = Arc::from(listed.label(plan.default_port));
        begin(observers, target, &label, &listed);
        // Where each address is a target, none of them moves.
        let moves = listed.endpoint.is_name() && !plan.every_address;
        targets.add(label, listed, stamp_session(), plan.count, now);
        match placed.get(&target) {
            Some(Ok(found)) => {
                let entry = targets.target(target);
                let admitted: Vec<SocketAddr> =
                    found.iter().copied().filter(|address| entry.admits(*address)).collect();
                targets.place(target, &admitted, now, observers);
            }
            Some(Err(reason)) => targets.unresolved(target, reason, now, observers),
            None => targets.unresolved(target, UNRESOLVED, now, observers),
        }
        if moves {
            observers.lookups.add(target, now);
        }
    }
    first_socket(&targets, ports)?;
    Ok(targets)
}

/// Tells of a target that begins.
pub(super) fn begin(
    observers: &mut Observers,
    target: TargetId,
    label: &Arc<str>,
    listed: &Listed,
) {
    observers.begin(target, label, &listed.given());
    if let Some(spec) = &listed.spec {
        observers.service(target, spec);
    }
}

/// The slots of all targets, each at its own interval.
pub(super) fn timeline(plan: &Plan, targets: &Targets, now: Mono) -> Timeline {
    let intervals: Vec<Duration> =
        targets.targets().iter().map(|target| target.pace.interval()).collect();
    let most = intervals.first().copied().unwrap_or(plan.interval);
    let count = u32::try_from(intervals.len()).unwrap_or(u32::MAX);
    let mut timeline = Timeline::new(plan.spacing, now, most, count);
    if count == 0 {
        // A timeline begins with one.
        timeline.end(0);
    }
    for (target, interval) in (0..).zip(intervals).filter(|(_, interval)| *interval != most) {
        // Spread over the interval, as the others are.
        timeline.set_interval(target, interval, now + interval * target / count);
    }
    timeline
}

/// Opens the first socket of each kind.
fn first_socket(targets: &Targets, ports: &mut Ports) -> Result<(), Failure> {
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
    Ok(())
}

/// How exact the percentiles of so many targets are.
pub(crate) fn precision(targets: usize) -> Precision {
    if targets <= FINE { Precision::Fine } else { Precision::Coarse }
}

/// What all targets have in common.
fn setup(plan: &mut Plan) -> Setup {
    let count = plan.targets.len();
    let many = count > 1 || plan.changing;
    let none = Format::Plain { payload: Vec::new(), padding: Padding::default() };
    let stamp = plan.stamp_format();
    let format = std::mem::replace(&mut plan.format, none);
    let (least, most) = REMEMBERED_EACH;
    let rules = Rules {
        interval: plan.interval,
        timeout: plan.timeout,
        hysteresis: plan.hysteresis,
        limits: plan.thresholds.over(plan.window),
        keep: (REMEMBERED / count.max(1)).clamp(least, most),
        precision: precision(count),
        stamp: format.is_stamp(),
        metered: plan.metered,
    };
    Setup {
        stamp: Arc::new(stamp),
        format: Arc::new(format),
        alive: plan.alive,
        default_port: plan.default_port,
        given: plan.given,
        fast: plan.fast,
        secret: Nonces::secret(),
        expectation: std::mem::replace(&mut plan.expectation, Expectation::Anything),
        rules,
        sharing: if many { Sharing::Shared } else { Sharing::Own },
        pool: pool(plan, many),
    }
}

/// How plain beats use source ports.
fn pool(plan: &Plan, many: bool) -> source_port::Rules {
    let fixed = plan.local.bind.as_ref().is_some_and(|bind| bind.port().is_some_and(|p| p > 0));
    let most = if many { SHARED_PORTS } else { OWN_PORTS };
    let most = plan.sockets.map_or(most, |sockets| sockets.min(most));
    let ports = match fixed {
        true => source_port::Ports::One,
        false => {
            source_port::Ports::UpTo(most.min(descriptors(most + RESERVE).saturating_sub(RESERVE)))
        }
    };
    // How long a port is kept that a late reply may come to. With one port the next beat waits as
    // long; where ports are shared they cannot be closed, so one is left alone for longer.
    let linger = match (fixed, many) {
        (true, _) => plan.timeout * 2,
        (false, false) => (plan.timeout * 4).clamp(Duration::from_secs(5), Duration::from_secs(60)),
        (false, true) => plan.timeout.max(Duration::from_secs(60)),
    };
    // An answered port rests, so that a second copy of the reply meets no other beat there.
    source_port::Rules { ports, rest: plan.timeout / 2, linger }
}

/// How many descriptors this process may have; `wanted` where the system does not say.
pub(crate) fn descriptors(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit};
        let limit = getrlimit(Resource::RLIMIT_NOFILE).ok();
        limit.and_then(|(soft, _)| usize::try_from(soft).ok()).unwrap_or(wanted)
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
