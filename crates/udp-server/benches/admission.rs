//! What it costs to decide whether a datagram is answered: once for a run of one peer's
//! datagrams, from an access list of some length and a table of some number of sources.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use udp_core::batch::{Meta, Received};
use udp_core::clock::Mono;
use udp_server::policy::access::Block;
use udp_server::policy::{
    Access, GroupReplies, Limiter, Limits, Lists, LoopGuard, Policy, RateLimit, SentTo, Sources,
};
use udp_server::service::Echo;

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 40_000);

fn access(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit a run");
    for rules in [0u8, 10, 200] {
        let deny: Vec<Block> =
            (0..rules).filter_map(|i| format!("10.{i}.0.0/16").parse().ok()).collect();
        let policy = Policy {
            groups: GroupReplies::Never,
            sources: Sources::new(LoopGuard::On, [7000]),
            access: Arc::new(Access::new(&Lists { deny, ..Lists::default() })),
            limits: limits(RateLimit::Off),
        };
        group.bench_function(format!("{rules} rules"), |bencher| {
            bencher.iter(|| policy.admit_run(black_box(PEER), SentTo::Us));
        });
    }
    group.finish();
}

fn rate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("take a token");
    for sources in [1u32, 1000, 100_000] {
        // The highest there is, so that it is asked and never denies.
        let Ok(limit) = "1000000000/1000000000".parse::<RateLimit>() else { return };
        let limits = limits(limit);
        let mut next = 0;
        group.bench_function(format!("{sources} sources"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % sources;
                let ip = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + next));
                limits.take(black_box(ip), 1, Mono::from_nanos(u64::from(next)))
            });
        });
    }
    group.finish();
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    let echo = Echo::new(b"echo ".to_vec());
    let limits = limits(RateLimit::Public);
    let bytes = vec![b'x'; 64 * 64];
    for datagrams in [1, 64] {
        let mut meta = Meta::new(PEER, 64 * datagrams);
        meta.segment = 64;
        let run = Received { meta: &meta, bytes: &bytes[..meta.len] };
        group.bench_function(format!("a run of {datagrams}"), |bencher| {
            bencher.iter(|| {
                let mut answered = 0;
                echo.judge(black_box(run), &limits, Mono::from_nanos(1), |range, cause| {
                    answered += if cause.is_none() { range.len() } else { 0 };
                });
                answered
            });
        });
    }
    group.finish();
}

fn limits(limit: RateLimit) -> Limits {
    Limits { limiter: Limiter::new(limit).map(Arc::new), guard: LoopGuard::On }
}

criterion_group!(benches, access, rate, echo);
criterion_main!(benches);
