//! What an echo through the batch layer costs, the kernel's part included: the time from the first
//! receive to the last send, for datagrams that are all queued already.
//!
//! Divide by the number of datagrams in the name. Loopback: a send includes the delivery.

use std::net::UdpSocket;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
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

criterion_group!(benches, echo);
criterion_main!(benches);
