//! Orders received datagrams by their arrival time before they are processed.

use std::net::SocketAddr;

use udp_core::clock::{self, Mono, Wall};

use crate::probe::targets::{Datagram, PortKey};

/// Both clocks, read together.
type Clocks = (Wall, Mono);

/// Datagrams of several sockets, to be handled in the order they arrived.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    datagrams: Vec<(Mono, Clocks, PortKey, SocketAddr, std::ops::Range<usize>)>,
}

impl Gathered {
    pub(super) fn add(&mut self, datagram: &Datagram<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram.bytes);
        let range = start..self.bytes.len();
        let &Datagram { port, from, at, clocks, .. } = datagram;
        self.datagrams.push((at, clocks, port, from, range));
    }

    /// Calls `take` for each in the order of arrival, and empties it.
    pub(super) fn drain(&mut self, mut take: impl FnMut(&Datagram<'_>)) {
        // Those of one moment stay as they were read.
        self.datagrams.sort_by_key(|(at, ..)| *at);
        for (at, clocks, port, from, range) in self.datagrams.drain(..) {
            take(&Datagram { port, from, bytes: &self.bytes[range], at, clocks });
        }
        self.bytes.clear();
        self.bytes.shrink_to(1 << 20);
    }
}

/// Reads them.
pub(super) fn now() -> Clocks {
    // Read apart by an interruption, they would shift a stamp by as much: then read them again.
    const APART: u64 = 2_000;
    let mut tries = 4;
    loop {
        let before = clock::mono();
        let (wall, mono) = (clock::wall(), clock::mono());
        tries -= 1;
        if tries == 0 || mono.as_nanos() - before.as_nanos() <= APART {
            return (wall, mono);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::targets::PortOwner;

    #[test]
    fn what_several_sockets_took_in_is_told_in_order() {
        let from = SocketAddr::from(([127, 0, 0, 1], 7));
        let mut gathered = Gathered::default();
        for (slot, at, bytes) in [(0, 30, "c"), (0, 50, ""), (1, 10, "a"), (1, 30, "d")] {
            let port = PortKey { owner: PortOwner::SharedV4, slot };
            let (at, bytes) = (Mono::from_nanos(at), bytes.as_bytes());
            gathered.add(&Datagram { port, from, bytes, at, clocks: Default::default() });
        }
        let mut told = Vec::new();
        gathered.drain(|it| told.push((it.at.as_nanos(), it.port.slot, it.bytes.to_vec())));
        let expected: [(u64, usize, &[u8]); 4] =
            [(10, 1, b"a"), (30, 0, b"c"), (30, 1, b"d"), (50, 0, b"")];
        assert_eq!(told, expected.map(|(at, slot, bytes)| (at, slot, bytes.to_vec())));
        gathered.drain(|_| panic!("told twice"));
    }

    #[test]
    fn both_clocks_are_read_together() {
        let (wall, mono) = now();
        assert!(mono <= clock::mono());
        assert!(clock::Stamps::default().to_mono(wall, wall, mono) == mono);
    }
}
