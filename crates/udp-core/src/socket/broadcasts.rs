//! The broadcast addresses of this host's networks: who asked one of them would ask everybody.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::endpoint::canonical_ip;

/// The broadcast addresses of this host's IPv4 networks, as far as it tells them.
#[cfg(unix)]
pub fn broadcasts() -> Vec<Ipv4Addr> {
    use nix::net::if_::InterfaceFlags;
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let networks = interfaces.filter_map(|it| {
        let shared = !it.flags.contains(InterfaceFlags::IFF_POINTOPOINT);
        Some(Network {
            address: it.address?.as_sockaddr_in()?.ip(),
            mask: it.netmask?.as_sockaddr_in()?.ip(),
            set: it.broadcast.filter(|_| shared).and_then(|set| Some(set.as_sockaddr_in()?.ip())),
        })
    });
    let is_broadcast = |ip| is_broadcast((ip, 9).into()) == Some(true);
    broadcasts_of(&networks.collect::<Vec<_>>(), is_broadcast)
}

/// One address of an interface.
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing tells them there"))]
#[derive(Debug, Clone, Copy)]
struct Network {
    address: Ipv4Addr,
    mask: Ipv4Addr,
    /// What `getifaddrs(3)` gives as broadcast address.
    set: Option<Ipv4Addr>,
}

/// The broadcast addresses that Linux routes as such (`fib_add_ifaddr`): the last address of each
/// network of up to 30 bits, and what was set as `brd`. An address that was added without `brd`
/// comes from `getifaddrs` as its own broadcast address, or with its peer in that place: neither is
/// one, and the network is the peer's. What it may be, the kernel is asked.
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing tells them there"))]
fn broadcasts_of(networks: &[Network], is_broadcast: impl Fn(Ipv4Addr) -> bool) -> Vec<Ipv4Addr> {
    let mut all = Vec::new();
    for Network { address, mask, set } in networks {
        if mask.to_bits().count_ones() >= 31 {
            continue;
        }
        let last = address | !mask;
        match set.filter(|set| ![last, *address, Ipv4Addr::BROADCAST].contains(set)) {
            None => all.push(last),
            Some(set) => {
                all.extend([last, set, set | !mask].into_iter().filter(|ip| is_broadcast(*ip)));
            }
        }
    }
    all.retain(|ip| networks.iter().all(|it| it.address != *ip));
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether the kernel routes `address` as a broadcast one: without SO_BROADCAST, a socket cannot be
/// connected to such (EACCES, `ip(7)`). None where it cannot be asked. Nothing is sent.
fn is_broadcast(address: SocketAddr) -> Option<bool> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    match UdpSocket::bind(any).and_then(|socket| socket.connect(address)) {
        Ok(()) => Some(false),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some(true),
        Err(_) => None,
    }
}

/// Whether `address`, at which this host receives, is surely a unicast one.
///
/// Only for what nothing else tells: a socket that is bound to one address, and datagrams that
/// were queued before the kernel was asked to tell their destination (a socket that systemd hands
/// over may hold some).
pub(crate) fn is_unicast(address: SocketAddr) -> bool {
    let ip = canonical_ip(address.ip());
    !ip.is_unspecified() && !ip.is_multicast() && is_broadcast(address) == Some(false)
}

/// None: the standard library does not tell them.
#[cfg(not(unix))]
pub fn broadcasts() -> Vec<Ipv4Addr> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_host_is_no_broadcast_address() {
        // Each as `address mask broadcast`, the last as getifaddrs tells it.
        for (networks, expected) in [
            ("127.0.0.1 255.0.0.0 -", "127.255.255.255"),
            ("192.0.2.1 255.255.255.0 192.0.2.255", "192.0.2.255"),
            ("192.0.2.1 255.255.255.0 192.0.2.1", "192.0.2.255"),
            ("192.0.2.1 255.255.255.0 192.0.2.200", "192.0.2.200 192.0.2.255"),
            ("198.51.100.7 255.255.255.255 198.51.100.7", ""),
            ("192.0.2.1 255.255.255.0 255.255.255.255", "192.0.2.255"),
            ("192.0.2.1 255.255.255.0 192.255.255.255", "192.0.2.255 192.255.255.255"),
            ("10.0.0.1 255.255.255.255 10.0.0.2", ""),
            ("10.5.0.1 255.255.255.0 10.5.0.2", "10.5.0.255"),
            ("10.6.0.1 255.255.255.0 10.7.0.2", "10.7.0.255"),
            ("10.0.0.0 255.255.255.254 10.0.0.1", ""),
            ("10.11.0.1 255.255.0.0 -", "10.11.255.255"),
            ("10.0.0.1 255.255.255.0 - 10.0.0.255 255.255.255.255 10.0.0.255", ""),
            ("10.1.0.1 255.255.0.0 - 10.1.1.1 255.255.255.0 -", "10.1.1.255 10.1.255.255"),
        ] {
            let words: Vec<&str> = networks.split(' ').collect();
            let networks = words.chunks(3).map(|it| Network {
                address: it[0].parse().unwrap(),
                mask: it[1].parse().unwrap(),
                set: it[2].parse().ok(),
            });
            let hosts: [Ipv4Addr; 3] =
                [[10, 5, 0, 2], [10, 7, 0, 2], [10, 6, 0, 255]].map(Into::into);
            let found = broadcasts_of(&networks.collect::<Vec<_>>(), |ip| !hosts.contains(&ip));
            let found: Vec<String> = found.iter().map(Ipv4Addr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{words:?}");
        }
    }

    #[test]
    fn only_unicast_addresses_are() {
        let mut cases = vec![
            ("127.0.0.1:9", true),
            ("0.0.0.0:9", false),
            ("224.0.0.1:9", false),
            ("255.255.255.255:9", false),
            ("[ff02::1]:9", false),
            ("[::]:9", false),
        ];
        if cfg!(target_os = "linux") {
            cases.extend([("127.0.0.2:9", true), ("127.255.255.255:9", false)]);
        }
        if UdpSocket::bind("[::1]:0").is_ok() {
            cases.push(("[::1]:9", true));
        }
        for (address, expected) in cases {
            assert_eq!(is_unicast(address.parse().expect("an address")), expected, "{address}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_asked_is_neither() {
        let asking = std::thread::spawn(|| {
            crate::sys::seccomp::refuse(libc::SYS_socket, None, libc::EMFILE).unwrap();
            let address = "127.0.0.1:9".parse().unwrap();
            (is_broadcast(address), is_unicast(address))
        });
        assert_eq!(asking.join().unwrap(), (None, false));
    }
}
