//! Remembers the peers to which the kernel refused to segment (UDP_SEGMENT, `udp(7)`), so that it
//! is not asked in vain with every send.
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
        Some(libc::EOPNOTSUPP) => Some(Reach::Socket),
        Some(libc::EIO | libc::EMSGSIZE | libc::EINVAL) => Some(Reach::Path),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::from([192, 0, 2, n]), 7000 + u16::from(n))
    }

    #[test]
    fn a_refusal_holds_for_its_path_and_length() {
        let mut refusals = Refusals::default();
        assert!(refusals.note(peer(1), 1000, Reach::Path), "worth saying");
        assert!(!refusals.note(peer(1), 800, Reach::Path), "but once");
        refusals.note(peer(1), 900, Reach::Path);
        let other_port = SocketAddr::new(peer(1).ip(), 1);
        for (peer, length, allowed) in [
            (peer(1), 799, true),
            (peer(1), 800, false),
            (other_port, 1400, false),
            (peer(2), 1400, true),
        ] {
            assert_eq!(refusals.allow(peer, length), allowed, "{peer} {length}");
        }
    }

    #[test]
    fn a_device_without_the_means_ends_it_for_all() {
        let mut refusals = Refusals::default();
        refusals.note(peer(1), 1000, Reach::Socket);
        assert!(!refusals.allow(peer(2), 2));
    }

    #[test]
    fn a_path_is_tried_again_after_a_while() {
        let mut refusals = Refusals::default();
        refusals.note(peer(1), 1000, Reach::Path);
        let tries = (0..RETRY * 3).filter(|_| refusals.allow(peer(1), 1000)).count();
        assert_eq!(tries, 3);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let mut refusals = Refusals::default();
        for n in 0..=PLACES as u8 {
            refusals.note(peer(n), 1000, Reach::Path);
        }
        assert_eq!(refusals.places.len(), PLACES);
        assert!(refusals.allow(peer(0), 1000));
        assert!(!refusals.allow(peer(1), 1000));
        assert!(!refusals.allow(peer(PLACES as u8), 1000));
    }

    #[test]
    fn only_these_numbers_may_be_refusals() {
        let cases = [
            (libc::EIO, Some(Reach::Path)),
            (libc::EOPNOTSUPP, Some(Reach::Socket)),
            (libc::EMSGSIZE, Some(Reach::Path)),
            (libc::EINVAL, Some(Reach::Path)),
            (libc::EAGAIN, None),
            (libc::EPERM, None),
            (libc::ENETUNREACH, None),
            (libc::ECONNREFUSED, None),
        ];
        for (number, expected) in cases {
            assert_eq!(reach(&io::Error::from_raw_os_error(number)), expected, "{number}");
        }
    }
}
