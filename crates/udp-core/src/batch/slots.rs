//! The receive buffer: slots of one size in one block of memory, and what the kernel reported of the
//! datagrams in them.
//!
//! The block is asked of the allocator as zeroed memory, which for a block of this size comes
//! from the kernel untouched: a slot costs memory only as far as something was received into it.
//! Slots start at staggered offsets, so that the first bytes of all of them do not compete for
//! one set of the processor's cache.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::{Destination, Source};
use crate::clock::Wall;

/// The largest payload of a UDP datagram over IPv4 (RFC 768 and RFC 791: 65,535 - 20 - 8).
pub const MAX_V4: usize = 65_507;
/// The largest payload of a UDP datagram over IPv6 without a jumbogram option (65,535 - 8).
pub const MAX_V6: usize = 65_527;
/// A slot of this size holds any datagram, and any merged run of them.
pub const SLOT: usize = 65_535;

/// The largest payload that a datagram to `address` can carry.
///
/// ```
/// assert_eq!(udp_core::batch::max_payload([192, 0, 2, 1].into()), 65_507);
/// ```
pub fn max_payload(address: IpAddr) -> usize {
    if address.to_canonical().is_ipv4() { MAX_V4 } else { MAX_V6 }
}

const STAGGER: usize = 128;
const STAGGERED: usize = 16;
const PAGE: usize = 4096;
const LINE: usize = 64;

/// Buffers to receive into, allocated once.
#[derive(Debug)]
pub struct Slots {
    memory: Vec<u8>,
    layout: Layout,
    metas: Vec<Meta>,
    filled: usize,
    prefix: usize,
    /// The backend has told the kernel how to back this memory.
    #[cfg(target_os = "linux")]
    pub(super) advised: bool,
}

/// Where slot `i` is in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    stride: usize,
    /// Bytes before the payload, whole cache lines.
    headroom: usize,
    /// Payload bytes of a slot.
    pub(super) size: usize,
}

impl Layout {
    /// Where the payload of slot `i` starts.
    pub(super) fn start(self, i: usize) -> usize {
        i * self.stride + (i % STAGGERED) * STAGGER + self.headroom
    }

    /// Bytes that a receive may write: one more than the slot's size, so that a datagram which is
    /// too long shows where the system does not say so.
    pub(super) fn room(self) -> usize {
        self.size + 1
    }
}

/// What is known of a received datagram, or of a run of them that the kernel merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// Who sent it; an IPv4-mapped address is shown as IPv4.
    pub peer: SocketAddr,
    /// The address of this host that it came to, to answer from. For an IPv4 broadcast or
    /// multicast, the host's own address on that network. None if the backend cannot tell, and
    /// for an IPv6 multicast.
    pub local: Option<IpAddr>,
    /// The index of the interface it came in by; 0 if not known.
    pub interface: u32,
    /// What kind of address it was sent to.
    pub destination: Destination,
    /// Bytes in the slot, all segments together.
    pub len: usize,
    /// Bytes of each datagram: `len` for a lone one; for a merged run the last may be shorter.
    pub segment: usize,
    /// It was longer than the slot, and its end is gone.
    pub truncated: bool,
    /// When the kernel took it in, if asked for.
    pub timestamp: Option<Wall>,
    /// TTL or hop limit on arrival, if asked for.
    pub ttl: Option<u8>,
    /// The ECN bits (RFC 3168: 0 not capable, 1 and 2 capable, 3 congestion), if asked for.
    pub ecn: Option<u8>,
}

impl Meta {
    /// Nothing is known.
    pub(super) const EMPTY: Meta = Meta {
        peer: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        local: None,
        interface: 0,
        destination: Destination::Unknown,
        len: 0,
        segment: 0,
        truncated: false,
        timestamp: None,
        ttl: None,
        ecn: None,
    };

    /// A lone datagram of `len` bytes from `peer`, of which nothing else is known: for tests of what is
    /// decided about one.
    pub const fn new(peer: SocketAddr, len: usize) -> Meta {
        Meta { peer, len, segment: len, ..Meta::EMPTY }
    }

    /// How many datagrams are in the slot: one, unless the kernel merged a run. An empty datagram
    /// is one datagram.
    pub fn datagrams(&self) -> usize {
        // The usual case needs no division.
        if self.len <= self.segment { 1 } else { self.len.div_ceil(self.segment.max(1)) }
    }

    /// Where a reply has to leave from: the address that was asked, and for a link-local address
    /// the interface too. None if it is not known.
    pub fn source(&self) -> Option<Source> {
        let address = self.local?;
        let link_local = match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        Some(Source { address, interface: if link_local { self.interface } else { 0 } })
    }

    /// Where datagram number `i` of the slot lies in [`Received::bytes`].
    pub fn range(&self, i: usize) -> Range<usize> {
        let start = (i * self.segment).min(self.len);
        start..(start + self.segment).min(self.len)
    }
}

/// One filled slot.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What is known about it.
    pub meta: &'a Meta,
    /// Its bytes: one datagram, or a run of equal ones end to end.
    pub bytes: &'a [u8],
}

impl<'a> Received<'a> {
    /// The datagrams of the slot, in the order they came; at least one.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let (meta, bytes) = (*self.meta, self.bytes);
        (0..meta.datagrams()).map(move |i| &bytes[meta.range(i)])
    }
}

impl Slots {
    /// `count` slots (at least 1) of `size` bytes of payload (1 to [`SLOT`]), each with `headroom`
    /// bytes before it for a prefix. Merged runs need slots of [`SLOT`] bytes. 32 slots are a good
    /// number: more gain nothing, and a burst of the largest datagrams touches all of them.
    pub fn new(count: usize, size: usize, headroom: usize) -> Slots {
        let size = size.clamp(1, SLOT);
        let headroom = headroom.next_multiple_of(LINE);
        let bytes = headroom + size + 1 + STAGGERED * STAGGER;
        let layout = Layout { stride: bytes.next_multiple_of(PAGE), headroom, size };
        let count = count.max(1);
        Slots {
            memory: vec![0; count * layout.stride],
            layout,
            metas: vec![Meta::EMPTY; count],
            filled: 0,
            prefix: 0,
            #[cfg(target_os = "linux")]
            advised: false,
        }
    }

    /// No slots at all, for an outbox that holds pushed datagrams only.
    pub const fn none() -> Slots {
        let layout = Layout { stride: 0, headroom: 0, size: 0 };
        Slots {
            memory: Vec::new(),
            layout,
            metas: Vec::new(),
            filled: 0,
            prefix: 0,
            #[cfg(target_os = "linux")]
            advised: true,
        }
    }

    /// Puts `prefix` before the payload of each slot, where a lone datagram's reply picks it up
    /// without copying. It must fit into the headroom; false if it does not.
    #[must_use]
    pub fn set_prefix(&mut self, prefix: &[u8]) -> bool {
        if prefix.len() > self.layout.headroom {
            return false;
        }
        for i in 0..self.metas.len() {
            let start = self.layout.start(i);
            self.memory[start - prefix.len()..start].copy_from_slice(prefix);
        }
        self.prefix = prefix.len();
        true
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.metas.len()
    }

    /// Payload bytes of each slot.
    pub fn size(&self) -> usize {
        self.layout.size
    }

    /// How many slots the last receive filled.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether the last receive filled none.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Slot `i`, below [`len`](Self::len); panics otherwise.
    pub fn get(&self, i: usize) -> Received<'_> {
        let meta = &self.metas[..self.filled][i];
        Received { meta, bytes: self.bytes(i, 0..meta.len) }
    }

    /// The filled slots in the order their datagrams came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Received<'_>> {
        (0..self.filled).map(|i| self.get(i))
    }

    /// Bytes `range` of slot `i`'s payload.
    pub(super) fn bytes(&self, i: usize, range: Range<usize>) -> &[u8] {
        let start = self.layout.start(i);
        &self.memory[start + range.start..start + range.end]
    }

    /// The same with the prefix before it, which must be the one in place: `range` starts at 0.
    pub(super) fn prefixed(&self, i: usize, end: usize) -> &[u8] {
        let start = self.layout.start(i);
        &self.memory[start - self.prefix..start + end]
    }

    /// The prefix set last.
    pub(super) fn prefix(&self) -> &[u8] {
        let start = self.layout.start(0);
        self.memory.get(start - self.prefix..start).unwrap_or_default()
    }

    /// The block, its layout and the metadata, for a backend to fill.
    pub(super) fn parts(&mut self) -> (&mut [u8], Layout, &mut [Meta]) {
        self.filled = 0;
        (&mut self.memory, self.layout, &mut self.metas)
    }

    /// Says how many slots are filled now.
    pub(super) fn set_filled(&mut self, filled: usize) {
        self.filled = filled.min(self.metas.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_neither_overlap_nor_share_a_cache_set() {
        for (count, size, headroom) in [(1, 1, 0), (64, SLOT, 5), (33, 1024, 64), (17, 4000, 200)] {
            let slots = Slots::new(count, size, headroom);
            let layout = slots.layout;
            let mut end = 0;
            for i in 0..count {
                let start = layout.start(i);
                assert!(start - headroom >= end, "slot {i} of {size} bytes");
                assert_eq!(start % LINE, 0);
                end = start + layout.room();
            }
            assert!(end <= slots.memory.len());
            let sets: std::collections::BTreeSet<usize> =
                (0..count).map(|i| layout.start(i) % PAGE).collect();
            assert_eq!(sets.len(), count.min(STAGGERED));
        }
    }

    #[test]
    fn what_is_asked_is_brought_within_bounds() {
        let slots = Slots::new(0, 0, 0);
        assert_eq!((slots.capacity(), slots.size()), (1, 1));
        assert_eq!(Slots::new(1, usize::MAX, 0).size(), SLOT);
        assert!(slots.is_empty());
        let none = Slots::none();
        assert_eq!((none.capacity(), none.len(), none.prefix()), (0, 0, &[][..]));
    }

    #[test]
    fn a_prefix_stands_before_every_slot() {
        let mut slots = Slots::new(20, 2000, 5);
        for prefix in [&b"echo "[..], b"", b"longer"] {
            assert!(slots.set_prefix(prefix));
            assert_eq!(slots.prefix(), prefix);
            for i in 0..20 {
                assert_eq!(slots.prefixed(i, 3), [prefix, &[0; 3]].concat());
            }
        }
        assert!(!slots.set_prefix(&[0; LINE + 1]), "more than there is room for");
        assert_eq!(slots.prefix(), b"longer");
    }

    #[test]
    fn a_run_is_cut_into_its_datagrams() {
        // Bytes, segment, and the lengths that come of it.
        let cases: [(usize, usize, &[usize]); 6] = [
            (0, 0, &[0]),
            (5, 5, &[5]),
            (10, 5, &[5, 5]),
            (11, 5, &[5, 5, 1]),
            (3, 1, &[1, 1, 1]),
            (65_535, 65_535, &[65_535]),
        ];
        let mut slots = Slots::new(1, SLOT, 0);
        for (len, segment, lengths) in cases {
            slots.metas[0] = Meta { len, segment, ..Meta::EMPTY };
            slots.set_filled(1);
            let received = slots.get(0);
            assert!(received.segments().map(<[u8]>::len).eq(lengths.iter().copied()), "{len}");
            assert_eq!(received.meta.datagrams(), lengths.len());
        }
    }
}
