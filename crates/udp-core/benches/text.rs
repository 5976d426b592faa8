//! What it costs to show received bytes, and to read them back.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udp_core::text::{escape, hex};

/// Payloads of a kind each: what a line of text mostly is, and what costs most.
fn payloads() -> [(&'static str, Vec<u8>); 4] {
    let cycle = |bytes: &[u8], len| bytes.iter().copied().cycle().take(len).collect();
    [
        ("64 bytes of ASCII", cycle(b"the quick brown fox ", 64)),
        ("1400 bytes of ASCII", cycle(b"the quick brown fox ", 1400)),
        ("1400 bytes of UTF-8", cycle("größer: 日本語 ".as_bytes(), 1400)),
        ("1400 bytes of control", cycle(b"\x1b[2J\x00\xff", 1400)),
    ]
}

fn text(criterion: &mut Criterion) {
    for (name, bytes) in payloads() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut out = Vec::with_capacity(16 * 1024);
        group.bench_function("escape", |bencher| {
            bencher.iter(|| {
                out.clear();
                escape::escape_into(black_box(&bytes), &mut out);
                out.len()
            });
        });
        let escaped = escape::escape(&bytes);
        group.bench_function("unescape", |b| b.iter(|| escape::unescape(black_box(&escaped))));
        group.bench_function("hex", |bencher| {
            bencher.iter(|| {
                out.clear();
                hex::encode_into(black_box(&bytes), &mut out);
                out.len()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, text);
criterion_main!(benches);
