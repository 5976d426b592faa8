//! Where the kernel would not segment: remembered, so that it is not asked in vain each time.
//!
//! EIO means that the route's device cannot do the checksums, or that the packets are transformed
//! on their way (IPsec); EMSGSIZE, or EINVAL on older kernels, that a segment is larger than the
//! path's MTU, so that each would have to be fragmented. Both belong to a peer's path.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Peers remembered; a later one takes the place of an earlier one.
const PLACES: usize = 64;
/// How many joins are passed over before one is tried again: paths change.
const RETRY: u32 = 4096;

/// The memory of one socket.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    places: Vec<Refusal>,
    next: usize,
    all: bool,
    said: bool,
}

#[derive(Debug, Clone, Copy)]
struct Refusal {
    peer: IpAddr,
    /// Segments of this length and above are refused.
    length: usize,
    /// Joins to pass over before the next try.
    left: u32,
}

/// How far a refusal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Segments of this size on the path to this peer.
    Path,
    /// Everything on this socket.
    Socket,
}

/// How far a failed segmented send reaches, if it may be a refusal to segment at all: the same
/// numbers stand for other faults too, and only sending the datagrams singly tells them apart.
pub(super) fn reach(error: &io::Error) -> Option<Reach> {
    match error.raw_os_error() {
        Some(libc::EIO | libc::EOPNOTSUPP) => Some(Reach::Socket),
        Some(libc::EMSGSIZE | libc::EINVAL) => Some(Reach::Path),
        _ => None,
    }
}

impl Refusals {
    /// Whether datagrams of `length` bytes to `peer` may be joined.
    pub(super) fn allow(&mut self, peer: SocketAddr, length: usize) -> bool {
        if self.all {
            return false;
        }
        let refused =
            |refusal: &&mut Refusal| refusal.peer == peer.ip() && length >= refusal.length;
        let Some(refusal) = self.places.iter_mut().find(refused) else { return true };
        refusal.left = refusal.left.saturating_sub(1);
        if refusal.left == 0 {
            refusal.left = RETRY;
            return true;
        }
        false
    }

    /// The kernel refused to segment datagrams of `length` bytes to `peer`. True the first time
    /// that this is worth saying.
    pub(super) fn note(&mut self, peer: SocketAddr, length: usize, reach: Reach) -> bool {
        if reach == Reach::Socket {
            self.all = true;
        } else if let Some(known) = self.places.iter_mut().find(|known| known.peer == peer.ip()) {
            known.length = known.length.min(length);
            known.left = RETRY;
        } else {
            let refusal = Refusal { peer: peer.ip(), length, left: RETRY };
            match self.places.get_mut(self.next) {
                Some(place) => *place = refusal,
                None => self.places.push(refusal),
            }
            self.next = (self.next + 1) % PLACES;
        }
        !std::mem::replace(&mut self.said, true)
    }
}
