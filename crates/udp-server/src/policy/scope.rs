//! Which addresses lie on the public internet, by the IANA special-purpose registries
//! (RFC 6890, iana-ipv4-special-registry, iana-ipv6-special-registry).
//!
//! What does not is spared the rate limit that is on by default: a forged datagram
//! carries a victim's public address, while a laboratory, a home network and the loopback
//! interface want their full rate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `ip` may be anyone on the internet. IPv4-mapped addresses are expected to have been
/// turned into IPv4 before.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !is_special_v4(ip),
        IpAddr::V6(ip) => !is_special_v6(ip),
    }
}

/// Loopback, private (RFC 1918), link-local (RFC 3927), shared or CGNAT (RFC 6598), documentation
/// (RFC 5737), benchmarking (RFC 2544).
fn is_special_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    match a {
        10 | 127 => true,
        100 => b & 0xc0 == 64,
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => b == 168 || (b == 0 && c == 2),
        198 => b & 0xfe == 18 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    }
}

/// Loopback, link-local (RFC 4291), unique-local (RFC 4193), documentation (RFC 3849, RFC 9637),
/// benchmarking (RFC 5180).
fn is_special_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    ip.is_loopback()
        || a & 0xffc0 == 0xfe80
        || a & 0xfe00 == 0xfc00
        || (a == 0x2001 && b == 0x0db8)
        || (a == 0x3fff && b & 0xf000 == 0)
        || (a == 0x2001 && b == 2 && c == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_from_its_first_to_its_last_address_and_the_neighbours() {
        for (before, first, last, after) in [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("::2", "::1", "::1", "::3"),
            ("fbff::", "fc00::", "fdff:ffff::1", "fe00::"),
            ("fe7f::", "fe80::", "febf::ffff", "fec0::"),
            ("2001:db7::", "2001:db8::", "2001:db8:ffff::", "2001:db9::"),
            ("3ffe::", "3fff::", "3fff:fff::", "3fff:1000::"),
            ("2001:1::", "2001:2::", "2001:2:0:ffff::", "2001:2:1::"),
        ] {
            let public = |text: &str| is_public(text.parse().unwrap());
            assert!(!public(first) && !public(last), "{first} to {last}");
            assert!(public(before), "{before}");
            assert!(public(after), "{after}");
        }
    }

    #[test]
    fn well_known_hosts_are_public() {
        for host in ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00::1", "240.0.0.1"] {
            assert!(is_public(host.parse().unwrap()), "{host}");
        }
    }
}
