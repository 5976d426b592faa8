//! For the benchmark only: echoes are joined and put behind their prefixes as before a send, but
//! nothing is sent. No part of the public face.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::super::{Meta, Outbox, SLOT, Slots};
use super::plan::{Cursor, Plan};

/// Merged runs that were received from one peer each, and what plans their echoes.
#[derive(Debug)]
pub struct Joining {
    slots: Slots,
    outbox: Outbox,
    plan: Plan,
}

impl Joining {
    /// `runs` slots of `segments` datagrams of `size` bytes each, from `peers` peers in turn, to be
    /// echoed behind `prefix`.
    pub fn new(runs: usize, segments: usize, size: usize, peers: u16, prefix: &[u8]) -> Joining {
        let mut slots = Slots::new(runs, SLOT, prefix.len());
        assert!(slots.set_prefix(prefix), "the headroom was made for it");
        let (_, _, metas) = slots.parts();
        for (meta, peer) in metas.iter_mut().zip((0..peers).cycle()) {
            let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000 + peer);
            *meta = Meta { peer, len: segments * size, segment: size, ..Meta::EMPTY };
        }
        slots.set_filled(runs);
        Joining { outbox: Outbox::new(runs, 0), slots, plan: Plan::new() }
    }

    /// Plans the echoes of all. How many messages they go out in.
    pub fn join(&mut self) -> usize {
        let Joining { slots, outbox, plan } = self;
        outbox.clear();
        for (i, received) in slots.iter().enumerate() {
            outbox.echo(slots, i, 0..received.meta.datagrams()).expect("there is room for each");
        }
        let (mut cursor, mut messages) = (Cursor::default(), 0);
        while plan.next(outbox, slots, &mut cursor, |_, _| true) {
            messages += plan.messages.len();
        }
        messages
    }
}
