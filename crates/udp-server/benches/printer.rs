//! What a line per datagram costs: the worker's hand-over, and the printer's rendering.

use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use udp_core::cli::printer::{Policy, Printer};
use udp_core::clock::Wall;
use udp_server::block::{Pool, Record};
use udp_server::datagram_log::DatagramLog;
use udp_server::event::Event;
use udp_server::report::{Json, Report, Text};

const NOW: Wall = Wall::from_nanos(1_700_000_000_000_000_000);
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
/// Datagrams in one batch of a busy worker.
const BATCH: usize = 32;

fn hand_over(criterion: &mut Criterion) {
    let payload = [b'x'; 64];
    let pool = Pool::new(Text::SHAPE);
    let home = pool.clone();
    let render = move |event, _: &mut Vec<u8>| {
        if let Event::Datagrams(block) = event {
            home.recycle(block);
        }
    };
    let Ok(printer) = Printer::start(io::sink(), render, |_, _| {}, 64, Policy::Lossy) else {
        return;
    };
    let mut datagram_log = DatagramLog::new(printer.handle().clone(), pool, 1);
    criterion.bench_function("hand over a batch of 32 records", |bencher| {
        bencher.iter_batched(
            || Record::new(NOW, PEER, payload.len(), false),
            |record| {
                for _ in 0..BATCH {
                    datagram_log.record(black_box(record), &payload);
                }
                datagram_log.end_batch()
            },
            BatchSize::SmallInput,
        );
    });
    drop(datagram_log);
    printer.end(None, || true);
}

fn render(criterion: &mut Criterion) {
    let payload = [b'x'; 64];
    let record = Record::new(NOW, PEER, payload.len(), false);
    let mut group = criterion.benchmark_group("render a record");
    let mut out = Vec::with_capacity(64 * 1024);
    let reports: [(&str, Box<dyn Report>); 2] =
        [("text", Box::<Text>::default()), ("json", Box::<Json>::default())];
    for (name, mut report) in reports {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                report.datagram(black_box(&record), &payload, &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hand_over, render);
criterion_main!(benches);
