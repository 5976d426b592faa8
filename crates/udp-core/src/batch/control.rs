//! Control messages (`cmsg(3)`) and socket addresses as Linux lays them out, read from and written
//! to plain bytes in safe code.
//!
//! The reader takes any bytes whatever: what is cut short, unknown or of the wrong length is
//! passed over. Layouts: `cmsg(3)`, `ip(7)`, `ipv6(7)`, `udp(7)`, `socket(7)`; RFC 3542 §6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::{Destination, Source};
use crate::clock::Wall;
use crate::socket::is_unicast;

/// Address families, as wide as `sa_family_t` is.
const AF_INET: u16 = libc::AF_INET as u16;
const AF_INET6: u16 = libc::AF_INET6 as u16;

const WORD: usize = size_of::<usize>();
/// `struct cmsghdr`: a length of a word, level and type of 32 bits, padded to whole words.
const HEADER: usize = (WORD + 8).next_multiple_of(WORD);

/// What the control messages of one received datagram say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Control {
    /// IPv4: the header's destination, and the address of ours that it came to.
    pub(crate) v4: Option<(Ipv4Addr, Ipv4Addr)>,
    /// IPv6: the header's destination.
    pub(crate) v6: Option<Ipv6Addr>,
    /// The interface it came in by.
    pub(crate) interface: u32,
    /// The length of each segment of a merged run.
    pub(crate) segment: Option<usize>,
    /// When the kernel took it in.
    pub(crate) timestamp: Option<Wall>,
    /// TTL or hop limit left on arrival.
    pub(crate) ttl: Option<u8>,
    /// The two ECN bits of the header.
    pub(crate) ecn: Option<u8>,
    /// Datagrams lost so far because the receive queue was full.
    pub(crate) lost: Option<u32>,
}

impl Control {
    /// Reads all messages in `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Control {
        let mut control = Control::default();
        let mut rest = bytes;
        while let Some((level, kind, data, next)) = first_message(rest) {
            control.note(level, kind, data);
            rest = next;
        }
        control
    }

    fn note(&mut self, level: i32, kind: i32, data: &[u8]) {
        match (level, kind) {
            (libc::SOL_IP, libc::IP_PKTINFO) => {
                let (Some(index), Some(ours), Some(to)) =
                    (word(data, 0), array(data, 4), array(data, 8))
                else {
                    return;
                };
                self.interface = u32::from_ne_bytes(index);
                self.v4 = Some((Ipv4Addr::from(to), Ipv4Addr::from(ours)));
            }
            (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                let (Some(to), Some(index)) = (array::<16>(data, 0), word(data, 16)) else {
                    return;
                };
                self.interface = u32::from_ne_bytes(index);
                self.v6 = Some(Ipv6Addr::from(to));
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size = word(data, 0).map(i32::from_ne_bytes);
                self.segment = size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s > 0);
            }
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS | libc::SO_TIMESTAMPNS_NEW) => {
                self.timestamp = timespec(data);
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                self.lost = word(data, 0).map(u32::from_ne_bytes);
            }
            (libc::SOL_IP, libc::IP_TTL) | (libc::SOL_IPV6, libc::IPV6_HOPLIMIT) => {
                let ttl = word(data, 0).map(i32::from_ne_bytes);
                self.ttl = ttl.and_then(|t| u8::try_from(t).ok());
            }
            (libc::SOL_IP, libc::IP_TOS) => self.ecn = data.first().map(|tos| tos & 3),
            (libc::SOL_IPV6, libc::IPV6_TCLASS) => {
                let class = word(data, 0).map(i32::from_ne_bytes);
                self.ecn = class.and_then(|c| u8::try_from(c & 3).ok());
            }
            _ => {}
        }
    }

    /// The address of this host to answer from, where the datagram says it. IPv4 broadcast and
    /// multicast name one beside the destination; IPv6 multicast does not.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        match (self.v4, self.v6) {
            // It was queued before the kernel was asked to look ours up.
            (Some((to, ours)), _) if ours.is_unspecified() => {
                let asked = !to.is_multicast() && !to.is_broadcast() && !to.is_unspecified();
                asked.then_some(IpAddr::V4(to))
            }
            (Some((_, ours)), _) => Some(IpAddr::V4(ours)),
            (None, Some(to)) if to.is_multicast() => None,
            (None, Some(to)) => Some(IpAddr::V6(to).to_canonical()),
            (None, None) => None,
        }
    }

    /// What kind of address the datagram was sent to.
    pub(crate) fn destination(&self) -> Destination {
        match (self.v4, self.v6) {
            (Some((to, _)), _) if to.is_multicast() => Destination::Multicast,
            // Queued too early, see above: a network's broadcast address cannot be told.
            (Some((to, ours)), _) if ours.is_unspecified() && !to.is_broadcast() => {
                Destination::Unknown
            }
            (Some((to, ours)), _) if to != ours => Destination::Broadcast,
            (Some(_), _) => Destination::Unicast,
            (None, Some(to)) if to.is_multicast() => Destination::Multicast,
            // A mapped destination without IP_PKTINFO: a broadcast address cannot be told.
            (None, Some(to)) if to.to_ipv4_mapped().is_some() => Destination::Unknown,
            (None, Some(_)) => Destination::Unicast,
            (None, None) => Destination::Unknown,
        }
    }

    /// Both, if need be by asking the routing table, which takes system calls: for the few
    /// datagrams that were queued too early.
    pub(super) fn settled(&self) -> (Option<IpAddr>, Destination) {
        match (self.destination(), self.v4) {
            (Destination::Unknown, Some((to, _))) => match is_unicast((to, 9).into()) {
                true => (Some(IpAddr::V4(to)), Destination::Unicast),
                false => (None, Destination::Broadcast),
            },
            (told, _) => (self.local(), told),
        }
    }
}

/// Writes the control messages of one send into `out`, which must be zero: the address to send
/// from, and the segment size. How many bytes they take.
pub(crate) fn write(out: &mut [u8], source: Option<Source>, segment: Option<u16>) -> usize {
    let mut used = 0;
    match source.map(|source| (source.address, source.interface)) {
        Some((IpAddr::V4(address), interface)) => {
            let mut info = [0; 12];
            info[..4].copy_from_slice(&interface.to_ne_bytes());
            info[4..8].copy_from_slice(&address.octets());
            used = write_message(out, used, libc::SOL_IP, libc::IP_PKTINFO, &info);
        }
        Some((IpAddr::V6(address), interface)) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&address.octets());
            info[16..].copy_from_slice(&interface.to_ne_bytes());
            used = write_message(out, used, libc::SOL_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    if let Some(segment) = segment {
        let size = segment.to_ne_bytes();
        used = write_message(out, used, libc::SOL_UDP, libc::UDP_SEGMENT, &size);
    }
    used
}

/// A `struct sockaddr_in` or `sockaddr_in6`, with an IPv4-mapped address turned into IPv4.
pub(crate) fn read_name(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(array(bytes, 0)?);
    let port = u16::from_be_bytes(array(bytes, 2)?);
    match family {
        AF_INET => {
            let address = Ipv4Addr::from(array::<4>(bytes, 4)?);
            Some(SocketAddr::V4(SocketAddrV4::new(address, port)))
        }
        AF_INET6 => {
            let address = Ipv6Addr::from(array::<16>(bytes, 8)?);
            if let Some(address) = address.to_ipv4_mapped() {
                return Some(SocketAddr::V4(SocketAddrV4::new(address, port)));
            }
            let flow = u32::from_ne_bytes(word(bytes, 4)?);
            let scope = u32::from_ne_bytes(word(bytes, 24)?);
            Some(SocketAddr::V6(SocketAddrV6::new(address, port, flow, scope)))
        }
        _ => None,
    }
}

/// Writes `address` as the kernel wants it on a socket of the family told: on an IPv6 socket an
/// IPv4 address goes in its mapped form. How many bytes it takes.
pub(crate) fn write_name(out: &mut [u8; 28], address: SocketAddr, v6_socket: bool) -> usize {
    out[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) if !v6_socket => {
            out[..2].copy_from_slice(&AF_INET.to_ne_bytes());
            out[4..8].copy_from_slice(&v4.ip().octets());
            16
        }
        SocketAddr::V4(v4) => {
            out[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
            out[8..24].copy_from_slice(&v4.ip().to_ipv6_mapped().octets());
            28
        }
        SocketAddr::V6(v6) => {
            out[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
            out[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            out[8..24].copy_from_slice(&v6.ip().octets());
            out[24..].copy_from_slice(&v6.scope_id().to_ne_bytes());
            28
        }
    }
}

/// The first message of `bytes`: level, type, data, and what follows it.
fn first_message(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(array(bytes, 0)?);
    let level = i32::from_ne_bytes(word(bytes, WORD)?);
    let kind = i32::from_ne_bytes(word(bytes, WORD + 4)?);
    let data = bytes.get(HEADER..length)?;
    let next = bytes.get(length.next_multiple_of(WORD)..).unwrap_or_default();
    Some((level, kind, data, next))
}

/// Writes one message at `at`, if there is room for it. Where the next one goes.
fn write_message(out: &mut [u8], at: usize, level: i32, kind: i32, data: &[u8]) -> usize {
    let length = HEADER + data.len();
    let end = at + length.next_multiple_of(WORD);
    let Some(place) = out.get_mut(at..end) else { return at };
    place[..WORD].copy_from_slice(&length.to_ne_bytes());
    place[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
    place[WORD + 4..WORD + 8].copy_from_slice(&kind.to_ne_bytes());
    place[HEADER..length].copy_from_slice(data);
    end
}

/// A `struct timespec` of either width as a time of day; none before the epoch.
fn timespec(data: &[u8]) -> Option<Wall> {
    let (seconds, nanos) = if data.len() >= 16 {
        (i64::from_ne_bytes(array(data, 0)?), i64::from_ne_bytes(array(data, 8)?))
    } else {
        (i32::from_ne_bytes(word(data, 0)?).into(), i32::from_ne_bytes(word(data, 4)?).into())
    };
    let seconds = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    Some(Wall::from_nanos(seconds.checked_add(u64::try_from(nanos).ok()?)?))
}

fn word(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    array(bytes, at)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DESTINATION_V4: (i32, i32) = (libc::SOL_IP, libc::IP_PKTINFO);
    const DESTINATION_V6: (i32, i32) = (libc::SOL_IPV6, libc::IPV6_PKTINFO);

    /// Messages end to end, as the kernel puts them.
    fn messages(parts: &[((i32, i32), &[u8])]) -> Vec<u8> {
        let mut out = vec![0; 512];
        let mut used = 0;
        for ((level, kind), data) in parts {
            used = write_message(&mut out, used, *level, *kind, data);
        }
        out.truncate(used);
        out
    }

    fn info_v4(to: [u8; 4], ours: [u8; 4]) -> Vec<u8> {
        [&3_u32.to_ne_bytes()[..], &ours, &to].concat()
    }

    fn info_v6(to: &str) -> Vec<u8> {
        let to: Ipv6Addr = to.parse().expect("an address");
        [&to.octets()[..], &4_u32.to_ne_bytes()].concat()
    }

    #[test]
    fn the_destination_is_told_by_both_kinds_of_packet_info() {
        use Destination::{Broadcast, Multicast, Unicast, Unknown};
        let local = [192, 0, 2, 1];
        let v4 = |to| (DESTINATION_V4, info_v4(to, local));
        let v6 = |to| (DESTINATION_V6, info_v6(to));
        let early = |to| (DESTINATION_V4, info_v4(to, [0, 0, 0, 0]));
        let cases = [
            (vec![early(local)], Some("192.0.2.1"), Unknown),
            (vec![early([224, 0, 0, 1])], None, Multicast),
            (vec![early([255, 255, 255, 255])], None, Broadcast),
            (vec![v4(local)], Some("192.0.2.1"), Unicast),
            (vec![v4([192, 0, 2, 255])], Some("192.0.2.1"), Broadcast),
            (vec![v4([255, 255, 255, 255])], Some("192.0.2.1"), Broadcast),
            (vec![v4([224, 0, 0, 1])], Some("192.0.2.1"), Multicast),
            (vec![v6("2001:db8::1")], Some("2001:db8::1"), Unicast),
            (vec![v6("fe80::1")], Some("fe80::1"), Unicast),
            (vec![v6("ff02::1")], None, Multicast),
            // Dual stack: one alone does not tell a broadcast from a datagram of ours.
            (vec![v6("::ffff:192.0.2.255")], Some("192.0.2.255"), Unknown),
            (vec![v4([192, 0, 2, 255]), v6("::ffff:192.0.2.255")], Some("192.0.2.1"), Broadcast),
            (vec![v6("::ffff:192.0.2.1"), v4(local)], Some("192.0.2.1"), Unicast),
            (vec![], None, Unknown),
        ];
        for (parts, local, destination) in cases {
            let parts: Vec<_> = parts.iter().map(|(kind, data)| (*kind, &data[..])).collect();
            let control = Control::read(&messages(&parts));
            let shown = control.local().map(|ip| ip.to_string());
            assert_eq!((shown.as_deref(), control.destination()), (local, destination));
        }
    }

    #[test]
    fn everything_that_can_be_asked_for_is_read() {
        let bytes = messages(&[
            ((libc::SOL_SOCKET, libc::SO_TIMESTAMPNS), &[7_i64, 9].map(i64::to_ne_bytes).concat()),
            ((99, 99), b"unknown"),
            ((libc::SOL_IP, libc::IP_TTL), &64_i32.to_ne_bytes()),
            ((libc::SOL_IP, libc::IP_TOS), &[0b1011_1010]),
            ((libc::SOL_UDP, libc::UDP_GRO), &1400_i32.to_ne_bytes()),
            ((libc::SOL_SOCKET, libc::SO_RXQ_OVFL), &5_u32.to_ne_bytes()),
            (DESTINATION_V4, &info_v4([127, 0, 0, 1], [127, 0, 0, 1])),
        ]);
        let all = Control {
            v4: Some((Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)),
            v6: None,
            interface: 3,
            segment: Some(1400),
            timestamp: Some(Wall::from_nanos(7_000_000_009)),
            ttl: Some(64),
            ecn: Some(2),
            lost: Some(5),
        };
        assert_eq!(Control::read(&bytes), all);
        let v6 = messages(&[
            ((libc::SOL_IPV6, libc::IPV6_HOPLIMIT), &255_i32.to_ne_bytes()),
            ((libc::SOL_IPV6, libc::IPV6_TCLASS), &0b1011_1001_i32.to_ne_bytes()),
        ]);
        let control = Control::read(&v6);
        assert_eq!((control.ttl, control.ecn), (Some(255), Some(1)));
    }

    #[test]
    fn nonsense_is_passed_over() {
        let cases: [(_, &[u8]); 6] = [
            ((libc::SOL_UDP, libc::UDP_GRO), &0_i32.to_ne_bytes()),
            ((libc::SOL_UDP, libc::UDP_GRO), &(-1_i32).to_ne_bytes()),
            ((libc::SOL_IP, libc::IP_TTL), &300_i32.to_ne_bytes()),
            ((libc::SOL_SOCKET, libc::SO_TIMESTAMPNS), &[0xff; 16]),
            (DESTINATION_V4, &[1; 11]),
            (DESTINATION_V6, &[1; 19]),
        ];
        for (kind, data) in cases {
            let bytes = messages(&[(kind, data)]);
            assert_eq!(Control::read(&bytes), Control::default(), "{kind:?} {data:?}");
            let cut = Control::read(&bytes[..bytes.len() - 1]);
            assert_eq!(cut, Control::default(), "{kind:?} cut short");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let control = Control::read(&bytes);
            prop_assert_ne!(control.segment, Some(0));
            let _ = (control.local(), control.destination(), read_name(&bytes));
        }

        /// A length that the kernel would not give, in an otherwise good message.
        #[test]
        fn any_length_can_be_read(length in any::<usize>(), room in 0_usize..80) {
            let mut bytes = messages(&[(DESTINATION_V4, &[1; 60])]);
            bytes[..WORD].copy_from_slice(&length.to_ne_bytes());
            bytes.truncate(room);
            let _ = Control::read(&bytes);
        }

        #[test]
        fn a_source_and_a_segment_size_are_read_back(
            address in any::<IpAddr>(), interface in any::<u32>(), segment in 1_u16..,
        ) {
            let mut out = [0; 64];
            let used = write(&mut out, Some(Source { address, interface }), Some(segment));
            let (level, kind, _, rest) = first_message(&out[..used]).expect("a message");
            match address {
                IpAddr::V4(_) => prop_assert_eq!((level, kind), DESTINATION_V4),
                IpAddr::V6(_) => prop_assert_eq!((level, kind), DESTINATION_V6),
            }
            let read = Control::read(&out[..used]);
            prop_assert_eq!(read.interface, interface);
            match address {
                IpAddr::V4(v4) => prop_assert_eq!(read.v4, Some((Ipv4Addr::UNSPECIFIED, v4))),
                IpAddr::V6(v6) => prop_assert_eq!(read.v6, Some(v6)),
            }
            let (level, kind, data, rest) = first_message(rest).expect("a second message");
            prop_assert_eq!((level, kind), (libc::SOL_UDP, libc::UDP_SEGMENT));
            prop_assert_eq!(data, &segment.to_ne_bytes()[..]);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_name_is_read_back(ip in any::<IpAddr>(), port in any::<u16>(), scope in any::<u32>()) {
            let mut address = SocketAddr::new(ip.to_canonical(), port);
            if let SocketAddr::V6(v6) = &mut address {
                v6.set_scope_id(scope);
            }
            for v6_socket in [address.is_ipv6(), true] {
                let mut name = [0; 28];
                let used = write_name(&mut name, address, v6_socket);
                prop_assert_eq!(read_name(&name[..used]), Some(address));
                prop_assert_eq!(read_name(&name[..7]), None);
            }
        }
    }
}
