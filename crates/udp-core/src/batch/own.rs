//! Asks the routing table whether an address is this host's own (`ip(7)`). Nothing is sent.
//!
//! Only for what nothing else tells: a socket that is bound to one address, and datagrams that
//! were queued before the kernel was asked to tell their destination (a socket that systemd hands
//! over may hold some).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::endpoint::canonical_ip;

/// Whether `address`, at which this host receives, is a unicast one. A broadcast address gives
/// itself away: a socket that may not broadcast is refused to connect to it (EACCES).
pub(super) fn is_unicast(address: SocketAddr) -> bool {
    let ip = canonical_ip(address.ip());
    if ip.is_unspecified() || ip.is_multicast() {
        return false;
    }
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).and_then(|probe| probe.connect(address)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
