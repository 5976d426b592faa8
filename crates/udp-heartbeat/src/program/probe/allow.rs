//! `--probe-allow`: which addresses a request to `/probe` may make this host send to. The resolved
//! address decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use udp_core::cli::cidr::Block;
use udp_core::socket::broadcasts;

/// The blocks that may be asked; without one, every unicast address but loopback and link-local.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allow(pub(crate) Vec<Block>);

impl Allow {
    /// Whether `ip` may be asked. What is no unicast address never may: 0.0.0.0 is this host itself.
    pub(super) fn admits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if is_nowhere(ip) {
            return false;
        }
        if self.0.is_empty() {
            return !is_near(ip) && !is_of_loopback(ip);
        }
        self.0.iter().any(|block| block.contains(ip))
    }
}

/// Whether it is not a unicast address, also where a translator or a tunnel leads to it (see `inside`).
fn is_nowhere(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let all = ip.is_broadcast() || ip.is_multicast() || broadcasts().contains(&ip);
            all || ip.octets()[0] == 0
        }
        IpAddr::V6(ip) => {
            let own = ip.is_unspecified() || ip.is_multicast();
            own || inside(ip).is_some_and(|ip| is_nowhere(ip.into()))
        }
    }
}

/// Loopback (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3), also in the obsolete `::a.b.c.d` (§2.5.5.1), and
/// link-local (RFC 3927, RFC 4291 §2.5.6); each also where a translator on the way would find it.
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => {
            let own = ip.segments()[..6] == [0; 6] || ip.is_unicast_link_local();
            own || inside(ip).is_some_and(|ip| is_near(ip.into()))
        }
    }
}

/// The IPv4 address that an IPv6 address is translated to on the way, or sent to in a tunnel:
/// `::ffff:0:a.b.c.d` (RFC 2765 §2.1), NAT64's `64:ff9b::a.b.c.d` (RFC 6052 §2.1) and the /96 prefixes
/// of `64:ff9b:1::/48` (RFC 8215), 6to4 (RFC 3056 §2).
fn inside(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match ip.segments() {
        [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

/// Whether a loopback interface of this host has the address.
fn is_of_loopback(ip: IpAddr) -> bool {
    #[cfg(unix)]
    {
        use nix::net::if_::InterfaceFlags;
        let Ok(all) = nix::ifaddrs::getifaddrs() else { return false };
        all.filter(|it| it.flags.contains(InterfaceFlags::IFF_LOOPBACK)).any(|it| {
            let address = it.address.as_ref();
            let v4 = address.and_then(|it| it.as_sockaddr_in()).map(|it| IpAddr::from(it.ip()));
            let v6 = address.and_then(|it| it.as_sockaddr_in6()).map(|it| IpAddr::from(it.ip()));
            v4.or(v6) == Some(ip)
        })
    }
    #[cfg(not(unix))]
    {
        let _ = ip;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_asked() {
        let allow = |blocks: &str| {
            Allow(blocks.split_whitespace().map(|block| block.parse().unwrap()).collect())
        };
        let never = "0.0.0.0 0.1.2.3 255.255.255.255 127.255.255.255 224.0.0.1 239.1.2.3 :: ff02::1 ff0e::5 \
                     ::ffff:0.0.0.0 ::ffff:255.255.255.255 ::ffff:224.0.0.1 64:ff9b:: 64:ff9b::ffff:ffff \
                     64:ff9b::224.0.0.1 2002:e000:1::";
        let near = "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 ::127.0.0.1 169.254.169.254 \
                    ::ffff:169.254.1.1 fe80::1 febf::1 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe \
                    ::ffff:0:127.0.0.1 2002:7f00:1::1 ::192.0.2.7 64:ff9b:1::127.0.0.1 \
                    64:ff9b:1:2::169.254.169.254";
        let far = "10.0.0.1 192.0.2.7 8.8.8.8 128.0.0.1 169.253.0.1 2001:db8::1 fd00::1 ::ffff:10.0.0.1 fec0::1 \
                   64:ff9b::192.0.2.7 64:ff9b:1::192.0.2.7 2002:c000:207::1";
        let cases = [
            ("", far, [never, near].join(" ")),
            ("0.0.0.0/0 ::/0", &[near, far].join(" "), never.into()),
            ("127.0.0.0/8", "127.0.0.1 ::ffff:127.0.0.1", format!("{never} {far} ::1 fe80::1")),
            ("::ffff:10.0.0.0/104", "10.0.0.1 ::ffff:10.0.0.1", "11.0.0.1 ::1 127.0.0.1".into()),
            ("fe80::/10 ::1", "fe80::1 ::1", format!("{never} {far} 127.0.0.1")),
        ];
        for (blocks, admitted, refused) in cases {
            let allow = allow(blocks);
            for ip in admitted.split_whitespace() {
                assert!(allow.admits(ip.parse().unwrap()), "{blocks}: {ip}");
            }
            for ip in refused.split_whitespace() {
                assert!(!allow.admits(ip.parse().unwrap()), "{blocks}: {ip}");
            }
        }
    }
}
