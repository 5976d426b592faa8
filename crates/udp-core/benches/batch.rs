//! What an echo through the batch layer costs, the kernel's part included: the time from the first
//! receive to the last send, for datagrams that are all queued already.
//!
//! Divide by the number of datagrams in the name. Loopback: a send includes the delivery. And what
//! joining and prefixing cost alone, with nothing sent.

use std::net::UdpSocket;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udp_core::batch::{Backend, Io, Options, Outbox, SLOT, Slots, Wait};
use udp_core::clock;

const SIZE: usize = 64;

/// How the datagrams of one round come.
struct Traffic {
    name: &'static str,
    peers: usize,
    datagrams: usize,
    /// Each peer sends its share as one segmented send.
    merged: bool,
}

const TRAFFIC: [Traffic; 4] = [
    Traffic { name: "1 alone", peers: 1, datagrams: 1, merged: false },
    Traffic { name: "32 of one peer", peers: 1, datagrams: 32, merged: false },
    Traffic { name: "32 of 8 peers in turn", peers: 8, datagrams: 32, merged: false },
    Traffic { name: "128 in runs of 64", peers: 1, datagrams: 128, merged: true },
];

fn echo(criterion: &mut Criterion) {
    for (backend, name) in [(Backend::Auto, "auto"), (Backend::Portable, "portable")] {
        for prefix in ["", "echo "] {
            let mut group = criterion.benchmark_group(format!("{name} {prefix:?}"));
            for traffic in &TRAFFIC {
                let Ok(mut echo) = Echo::new(backend, prefix, traffic.peers) else { return };
                group.bench_function(traffic.name, |bencher| {
                    bencher.iter_custom(|rounds| (0..rounds).map(|_| echo.round(traffic)).sum());
                });
            }
        }
    }
}

/// A server and its peers.
struct Echo {
    io: Io,
    slots: Slots,
    outbox: Outbox,
    peers: Vec<Io>,
    requests: Outbox,
    replies: Slots,
}

impl Echo {
    fn new(backend: Backend, prefix: &str, peers: usize) -> Result<Echo, udp_core::Error> {
        let bind = || UdpSocket::bind("127.0.0.1:0");
        let fail = |e| udp_core::Error::new(udp_core::Operation::Bind, "127.0.0.1:0", e);
        let socket = bind().map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let peers = (0..peers).map(|_| {
            let peer = bind().map_err(fail)?;
            peer.connect(address).map_err(fail)?;
            Io::new(peer, Backend::Auto, &Options::default())
        });
        let mut slots = Slots::new(32, SLOT, 64);
        assert!(slots.set_prefix(prefix.as_bytes()), "it is short enough");
        Ok(Echo {
            peers: peers.collect::<Result<_, _>>()?,
            io: Io::new(socket, backend, &Options::default())?,
            outbox: Outbox::new(slots.capacity() * 64, 0),
            slots,
            requests: Outbox::new(64, 64 * SIZE),
            replies: Slots::new(32, SLOT, 0),
        })
    }

    /// Sends requests, echoes them, and drops the replies. How long the echoing took.
    fn round(&mut self, traffic: &Traffic) -> Duration {
        let share = if traffic.merged { 64 } else { 1 };
        for i in 0..traffic.datagrams / share {
            let peer = &mut self.peers[i % traffic.peers];
            for _ in 0..share {
                let to = "127.0.0.1:0".parse().expect("not looked at: the peer is connected");
                self.requests.push(to, None, &[7; SIZE]).expect("there is room");
            }
            peer.send(&mut self.requests, &Slots::none(), |sent| sent.result.expect("sent"));
        }
        let start = clock::mono();
        let mut done = 0;
        while done < traffic.datagrams {
            let filled = self.io.receive(&mut self.slots, Wait::Now).expect("received");
            assert!(filled > 0, "the queue holds a round");
            for (i, received) in self.slots.iter().enumerate() {
                let all = 0..received.meta.datagrams();
                self.outbox.echo(&self.slots, i, all).expect("there is room");
            }
            self.io.send(&mut self.outbox, &self.slots, |sent| done += sent.datagrams);
        }
        let span = clock::mono().saturating_since(start);
        for peer in &mut self.peers {
            while peer.receive(&mut self.replies, Wait::Now).expect("received") > 0 {}
        }
        span
    }
}

/// Runs from so many peers, of so many datagrams of so many bytes.
#[cfg(target_os = "linux")]
fn join(criterion: &mut Criterion) {
    use udp_core::batch::Joining;
    for (name, runs, segments, size, peers) in [
        ("32 of one peer, 64 B", 32, 1, 64, 1),
        ("32 of 8 peers in turn, 64 B", 32, 1, 64, 8),
        ("8 runs of 64, 64 B", 8, 64, 64, 1),
        ("8 runs of 46, 1,400 B", 8, 46, 1400, 1),
    ] {
        let mut group = criterion.benchmark_group(format!("join, no call: {name}"));
        group.throughput(Throughput::Elements((runs * segments) as u64));
        for prefix in ["", "echo "] {
            let mut joining = Joining::new(runs, segments, size, peers, prefix.as_bytes());
            group.bench_function(format!("{prefix:?}"), |bencher| bencher.iter(|| joining.join()));
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn join(_: &mut Criterion) {}

criterion_group!(benches, join, echo);
criterion_main!(benches);
