//! Zones of IPv6 addresses: `%eth0` or `%2` (RFC 4007 §11).

use std::net::Ipv6Addr;

/// The interface that `zone` names, by its name or its number, as a scope of `ip`; `None` if there
/// is no such interface. A unicast address beyond the link has no scope (`ipv6(7)`), so that it
/// gets 0: what comes from it comes without one. A group's zone says where to join it.
pub(crate) fn index(ip: Ipv6Addr, zone: &str) -> Option<u32> {
    let number = zone.parse().ok().filter(|number| *number > 0);
    let index = number.or_else(|| interface(ip, zone))?;
    Some(if ip.is_unicast_link_local() || ip.is_multicast() { index } else { 0 })
}

/// Whether `ip` means nothing without a zone: a link-local address, or a group of one link or one
/// interface (RFC 4291 §2.7).
pub(crate) fn is_needed(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || (ip.is_multicast() && matches!(ip.octets()[1] & 0xf, 1 | 2))
}

/// The name of the interface with this number, or the number where it has none.
pub(crate) fn name(index: u32) -> String {
    #[cfg(target_os = "linux")]
    if let Ok(name) = nix::net::if_::if_indextoname(index)
        && let Ok(name) = name.into_string()
        && !name.is_empty()
    {
        return name;
    }
    index.to_string()
}

/// The number of the interface with this name. `getaddrinfo(3)` knows names for addresses on the
/// link alone, and so refuses `::1%lo`.
#[cfg(target_os = "linux")]
fn interface(_: Ipv6Addr, name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// As far as the resolver knows them.
#[cfg(not(target_os = "linux"))]
fn interface(ip: Ipv6Addr, name: &str) -> Option<u32> {
    use std::net::{SocketAddr, ToSocketAddrs};
    let found = (format!("{ip}%{name}").as_str(), 0).to_socket_addrs().ok()?;
    found.into_iter().find_map(|address| match address {
        SocketAddr::V6(v6) => Some(v6.scope_id()),
        SocketAddr::V4(_) => None,
    })
}
