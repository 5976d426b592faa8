//! A seeded virtual link: thousands of random ones, on which the fate of every datagram is known,
//! and what the engine reports must be the truth.
//!
//! A link loses, delays, copies, reorders and corrupts in each direction by chance. Sockets are
//! made up as well: a reply to one that was closed is lost.

mod liar;
mod link;
mod meters;
mod setup;
mod verify;
mod world;

use crate::probe::event::{Event, Observer};
use crate::probe::targets::{Datagram, Dispatch, PortKey, PortOwner, Sharing};
use link::{Kind, Link, MS, Way, at};
use verify::{verify, verify_direction};
use world::World;

/// Runs the link of this seed and verifies all that is told of it.
fn run(seed: u64, link: impl Fn(&mut fastrand::Rng) -> Link) {
    let mut random = fastrand::Rng::with_seed(seed);
    let link = link(&mut random);
    let shown = format!("seed {seed}: {link:?}");
    let outcome = std::panic::catch_unwind(move || {
        let mut world = World::new(link, random);
        let end = world.run();
        verify(&world, end);
        if !world.link.stop_early {
            world.counter_probe(end + 10_000 * MS);
            verify_direction(&world);
        }
    });
    assert!(outcome.is_ok(), "{shown}");
}

#[test]
fn what_is_reported_is_the_truth_on_any_link() {
    // FROM..TO, for more of them.
    let seeds = std::env::var("UDP_LINKS").unwrap_or_else(|_| "0..4000".to_owned());
    let (from, to) = seeds.split_once("..").unwrap();
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        run(seed, Link::random);
    }
}

/// Moves, refusals, restarts and duplicates, all on each of 2,000 links with a fixed port and 1,000 on
/// which beats leave from another one after a row of losses.
#[test]
fn what_is_reported_is_the_truth_where_all_goes_wrong_at_once() {
    for seed in 0..3000 {
        run(seed, |random| Link::with_every_fault(random, seed < 2000));
    }
}

/// A name on rotating addresses, for days: paths, ports and the cost of a turn stay flat.
#[test]
fn a_name_that_moves_for_ever_leaves_nothing_behind() {
    for (kind, sharing, fixed) in [
        (Kind::Plain, Sharing::Own, false),
        (Kind::Plain, Sharing::Own, true),
        (Kind::Numbered, Sharing::Own, true),
        (Kind::Stamp, Sharing::Shared, false),
    ] {
        let mut link = Link::random(&mut fastrand::Rng::with_seed(1));
        (link.kind, link.sharing, link.fixed, link.targets) = (kind, sharing, fixed, 1);
        (link.beats, link.timeout_ms, link.twin) = (u64::MAX, 500, false);
        let mut world = World::new(link, fastrand::Rng::with_seed(1));
        let mut sizes = Vec::new();
        let mut skipped = 0;
        for minute in 1..20_000u64 {
            let now = minute * 60_000 * MS;
            world.targets.expire(at(now), &mut world.log);
            let host = [10, 1, (minute / 200 % 250) as u8, (minute % 200) as u8];
            let address = std::net::SocketAddr::from((host, 7000));
            world.targets.place(0, &[address], at(now), &mut world.log);
            while world.targets.close_due(at(now)).is_some() {}
            match world.targets.begin(0, (at(now), at(now)), &mut world.log) {
                Dispatch::Send { to, .. } => assert_eq!(to, address),
                _ => skipped += 1,
            }
            world.log.beats.clear();
            if minute % 2_000 == 1_999 {
                sizes.push(world.targets.footprint());
            }
        }
        assert_eq!(skipped, 0);
        assert!(sizes.iter().all(|size| *size <= sizes[0] + 8), "{kind:?} {sizes:?}");
    }
}

/// A million beats take no more memory than ten thousand: nothing in the engine grows.
#[test]
fn an_endless_run_stays_in_constant_memory() {
    let quiet = Way { loss: 0.0, copies: 0.0, delay_ms: 0, jitter_ms: 0, corruption: 0.0 };
    let link = Link {
        kind: Kind::Numbered,
        keyed: false,
        sharing: Sharing::Own,
        targets: 1,
        same_address: false,
        beats: u64::MAX,
        interval_ms: 1,
        timeout_ms: 10,
        poisson: false,
        up: quiet,
        down: quiet,
        failure: 0.0,
        refusal: 0.0,
        hint: 0.0,
        retire: false,
        stop_early: false,
        moves: 0.0,
        twin: false,
        restarts: 0.0,
        fixed: false,
        by_port: true,
    };
    let mut world = World::new(link, fastrand::Rng::with_seed(1));
    struct Nobody;
    impl Observer for Nobody {
        fn observe(&mut self, _: &Event<'_>) {}
    }
    let mut bytes = Vec::new();
    let mut sizes = Vec::new();
    for beat in 0..1_000_000u64 {
        let now = (1000 + beat) * MS;
        let begun = world.targets.begin(0, (at(now), at(now)), &mut Nobody);
        let Dispatch::Send { seq, port, to, .. } = begun else { panic!("no port") };
        assert_eq!(port, PortKey { owner: PortOwner::Path(0), slot: 0 });
        world.targets.encode(0, seq, None, &mut bytes);
        if beat % 10 != 3 {
            let at = at(now + 1000 + world.random.u64(0..MS / 2));
            let clocks = Default::default();
            let datagram = Datagram { port, from: to, bytes: &bytes, at, clocks };
            world.targets.arrive(&datagram, &mut Nobody);
        }
        world.targets.expire(at(now + MS / 2), &mut Nobody);
        if beat % 100_000 == 10_000 {
            sizes.push(world.targets.footprint());
        }
    }
    let counts = *world.targets.target(0).session.counts();
    assert_eq!((counts.sent, counts.received), (1_000_000, 900_000));
    assert!(sizes.iter().all(|size| *size <= sizes[0]), "{sizes:?}");
}
