//! The addresses of all targets at the start.
//!
//! Names are looked up side by side and waited for so long; the rest resolve while it runs. A name alone is
//! waited for as long as that takes: without its address there is no run.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crossbeam_channel::Receiver;
use udp_core::cli::Failure;
use udp_core::clock;

use super::discovery::{Discovery, Key};
use super::engine::Call;
use super::lookup::{Addresses, Lookup, Question, Resolver};
use crate::plan::Plan;
use crate::probe::schedule::TargetId;

/// How long the start waits for all names to resolve.
const NAMES: Duration = Duration::from_secs(5);

/// What became of each target's name: its addresses, at least one, or why it has none.
pub(super) type Placed = HashMap<TargetId, Addresses>;

/// Resolves every target. One that does not is the end of a run of one, and an event in a run of
/// many, unless none of them does. With `discovery` each address of a name becomes a target.
pub(super) fn resolve(
    plan: &mut Plan,
    discovery: Option<&mut Discovery>,
    resolver: Option<&mut Resolver>,
    lookup: &impl Lookup,
    calls: &Receiver<Call>,
) -> Result<Placed, Failure> {
    let mut seen = HashSet::new();
    let names = plan.targets.iter().filter(|it| it.endpoint.is_name());
    let names = names.map(|it| it.key(plan.default_port)).filter(|name| seen.insert(name.clone()));
    let names: Vec<Key> = names.collect();
    let answers = match resolver.filter(|_| plan.targets.len() > 1) {
        Some(resolver) => answers(&names, resolver, calls),
        None => {
            let found = |name: &Key| (name.clone(), lookup(&name.0, plan.family, name.1));
            names.iter().map(found).collect()
        }
    };
    if let Some(discovery) = discovery {
        let now = clock::mono();
        discovery.list(std::mem::take(&mut plan.targets), now);
        while let Some(name) = discovery.take(now) {
            discovery.settle(&name, answers.get(&name).and_then(|it| it.clone().ok()));
        }
        plan.targets = discovery.targets();
    }
    let placed = (0..).zip(&plan.targets).filter_map(|(target, listed)| {
        let (endpoint, port) = listed.key(plan.default_port);
        let found = match listed.at {
            Some(at) => Ok(vec![at]),
            None if endpoint.is_name() => answers.get(&(endpoint, port))?.clone(),
            None => lookup(&endpoint, plan.family, port),
        };
        Some((target, found))
    });
    let placed: Placed = placed.collect();
    let failed = placed.get(&0).into_iter().chain(names.iter().filter_map(|it| answers.get(it)));
    let failed = failed.filter_map(|it| it.as_ref().err()).next();
    let open = names.iter().any(|name| !answers.contains_key(name));
    match failed {
        Some(reason) if !open && !placed.values().chain(answers.values()).any(Result::is_ok) => {
            let failure = Failure::usage(reason);
            let hint = "targets are asked from --bind, which may be of the other family";
            Err(if plan.local.bind.is_some() { failure.with_hint(hint) } else { failure })
        }
        _ => Ok(placed),
    }
}

/// What is found in time.
fn answers(
    names: &[Key],
    resolver: &mut Resolver,
    calls: &Receiver<Call>,
) -> HashMap<Key, Addresses> {
    for (endpoint, port) in names.iter().cloned() {
        resolver.ask(Question { target: None, endpoint, port });
    }
    let until = clock::mono() + NAMES;
    let mut answers = HashMap::new();
    while answers.len() < names.len() {
        match calls.recv_timeout(until.saturating_since(clock::mono())) {
            Ok(Call::Found(found)) => {
                resolver.go_on();
                let Question { endpoint, port, .. } = found.question;
                answers.insert((endpoint, port), found.addresses);
            }
            Ok(Call::Stop | Call::Snapshot(_) | Call::Meters(_) | Call::Do(_)) => {}
            Err(_) => break,
        }
    }
    answers
}
