//! The send queue: datagrams to send, most of them answers whose bytes stay in the slots that they
//! were received into.
//!
//! The queue only says what goes where. How many datagrams one system call or one segmented send
//! takes is the backend's business; the order of the datagrams to one peer never changes.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use super::Slots;

/// Where a datagram has to leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// An address of this host.
    pub address: IpAddr,
    /// The interface to leave by, 0 to let routing decide. Needed for link-local addresses only.
    pub interface: u32,
}

/// The outbox has no room left: send what is in it and try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room left in the outbox")
    }
}

impl std::error::Error for Full {}

/// What became of one or more consecutive datagrams of an outbox.
#[derive(Debug)]
pub struct Sent {
    /// Whom they were for.
    pub peer: SocketAddr,
    /// The number of the first one, counted from 0 since the outbox was last emptied.
    pub first: usize,
    /// How many there are; at least 1.
    pub datagrams: usize,
    /// Bytes of all together.
    pub bytes: usize,
    /// Whether they went out, all of them or none.
    pub result: io::Result<()>,
}

/// Datagrams to send, collected and then sent together. Its memory is allocated once.
#[derive(Debug)]
pub struct Outbox {
    pub(super) entries: Vec<Entry>,
    pub(super) own: Vec<u8>,
    datagrams: usize,
    limit: usize,
    own_limit: usize,
}

/// Datagrams to one peer that lie end to end, all of one length but the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) peer: SocketAddr,
    pub(super) source: Option<Source>,
    pub(super) home: Home,
    /// Where the first one starts there.
    pub(super) start: usize,
    /// Bytes of all together, without prefixes.
    pub(super) len: usize,
    /// Bytes of each but the last, without its prefix.
    pub(super) segment: usize,
    /// How many.
    pub(super) datagrams: usize,
}

/// Where the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// This slot, each datagram to go out behind the slots' prefix.
    Slot(usize),
    /// The outbox itself.
    Own,
}

impl Source {
    /// Whether a datagram to `peer` leaves from this address without IP_PKTINFO: to a loopback address it
    /// leaves from the same. To any other, the route may prefer another address of this host.
    pub(super) fn is_implied(&self, peer: SocketAddr) -> bool {
        const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
        self.address == peer.ip() && (self.address == V4 || self.address == V6)
    }
}

impl Outbox {
    /// Room for `entries` calls of [`echo`](Self::echo) and [`push`](Self::push) together, and `own`
    /// bytes of pushed datagrams. As many as there are slots are enough to echo what they hold.
    pub fn new(entries: usize, own: usize) -> Outbox {
        let entries = entries.max(1);
        Outbox {
            entries: Vec::with_capacity(entries),
            own: Vec::with_capacity(own),
            datagrams: 0,
            limit: entries,
            own_limit: own,
        }
    }

    /// Adds the echo of datagrams `which` of slot `i` (`0..meta.datagrams()` for all of them),
    /// each behind the slots' prefix, to its sender and from the address that was asked. The bytes
    /// stay where they are: send before the next receive, with these same `slots`.
    pub fn echo(&mut self, slots: &Slots, i: usize, which: Range<usize>) -> Result<(), Full> {
        let meta = slots.get(i).meta;
        if which.is_empty() || which.end > meta.datagrams() {
            return Ok(());
        }
        let (start, end) = (meta.range(which.start).start, meta.range(which.end - 1).end);
        self.put(Entry {
            peer: meta.peer,
            source: meta.source(),
            home: Home::Slot(i),
            start,
            len: end - start,
            segment: meta.segment,
            datagrams: which.len(),
        })
    }

    /// Adds a datagram to `peer` that leaves from `source`, or from where routing says if there is
    /// none. Its bytes are copied. On a connected socket `peer` must be the one connected to.
    pub fn push(
        &mut self,
        peer: SocketAddr,
        source: Option<Source>,
        bytes: &[u8],
    ) -> Result<(), Full> {
        let start = self.own.len();
        if bytes.len() > self.own_limit - start {
            return Err(Full);
        }
        self.put(Entry {
            peer,
            source,
            home: Home::Own,
            start,
            len: bytes.len(),
            segment: bytes.len(),
            datagrams: 1,
        })?;
        self.own.extend_from_slice(bytes);
        Ok(())
    }

    /// How many datagrams wait to be sent.
    pub fn len(&self) -> usize {
        self.datagrams
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything in it.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.own.clear();
        self.datagrams = 0;
    }

    fn put(&mut self, entry: Entry) -> Result<(), Full> {
        if self.entries.len() == self.limit {
            return Err(Full);
        }
        self.datagrams += entry.datagrams;
        self.entries.push(entry);
        Ok(())
    }
}

impl Entry {
    /// Where datagram `i` of the entry lies in its home.
    pub(super) fn range(&self, i: usize) -> Range<usize> {
        let end = self.start + self.len;
        let start = (self.start + i * self.segment).min(end);
        start..(start + self.segment).min(end)
    }
}
