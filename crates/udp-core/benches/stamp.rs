//! What a STAMP packet costs to write and to read, plain and authenticated (RFC 8762).

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use udp_core::clock::Wall;
use udp_core::stamp::{
    ErrorEstimate, Format, Key, Mode, Reply, SenderPacket, Ssid, Timestamp, reply_len,
};

const NOW: Wall = Wall::from_nanos(1_700_000_000_123_456_789);

fn stamp(criterion: &mut Criterion) {
    let Ok(key) = Key::from_file_bytes(b"secret") else { return };
    for (name, mode) in [("plain", Mode::Plain), ("authenticated", Mode::Authenticated(&key))] {
        let packet = SenderPacket {
            sequence: 7,
            timestamp: Timestamp::new(NOW, Format::Ntp),
            error: ErrorEstimate::UNSYNCHRONIZED,
            ssid: Ssid(1),
        };
        let reply = Reply {
            sequence: 7,
            received: NOW,
            sent: NOW,
            error: ErrorEstimate::UNSYNCHRONIZED,
            ttl: Some(64),
        };
        let mut request = vec![0; mode.packet_len()];
        let mut answer = vec![0; reply_len(request.len(), mode)];
        let mut group = criterion.benchmark_group(name);
        group.bench_function("request", |bencher| {
            bencher.iter(|| black_box(&packet).encode(mode, &mut request));
        });
        group.bench_function("read request", |bencher| {
            bencher.iter(|| SenderPacket::decode(black_box(&request), mode, Wall::default()));
        });
        group.bench_function("reply", |bencher| {
            bencher.iter(|| black_box(&reply).encode(&packet, &request, mode, &mut answer));
        });
        group.finish();
    }
}

criterion_group!(benches, stamp);
criterion_main!(benches);
