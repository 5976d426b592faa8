//! A seeded virtual link: thousands of random ones, on which the fate of every datagram is known,
//! and what the engine reports must be the truth.
//!
//! A link loses, delays, copies, reorders and corrupts in each direction by chance. Sockets are
//! made up as well: a reply to one that was closed is lost.

mod link;
mod verify;
mod world;

use crate::probe::event::{Event, Observer};
use crate::probe::targets::{Datagram, Dispatch, PortKey, PortOwner, Sharing};
use link::{Kind, Link, MS, Way, at};
use verify::{verify, verify_direction};
use world::World;

#[test]
fn what_is_reported_is_the_truth_on_any_link() {
    for seed in 0..4000u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let link = Link::random(&mut random);
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
        let Dispatch::Send { seq, port, to, .. } = world.targets.begin(0, at(now), &mut Nobody)
        else {
            panic!("no port")
        };
        assert_eq!(port, PortKey { owner: PortOwner::Path(0), slot: 0 });
        world.targets.encode(0, seq, &mut bytes);
        if beat % 10 != 3 {
            let at = at(now + 1000 + world.random.u64(0..MS / 2));
            let datagram = Datagram { port, from: to, bytes: &bytes, at };
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
