//! What this host says about itself, beside the sockets: its broadcast addresses, and the kernel's
//! count of datagrams that found a receive queue full.

use std::net::{Ipv4Addr, UdpSocket};

/// The broadcast addresses of this host's IPv4 networks, as far as it tells them.
#[cfg(unix)]
pub(crate) fn broadcasts() -> Vec<Ipv4Addr> {
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
    broadcasts_of(&networks.collect::<Vec<_>>())
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
/// comes from `getifaddrs` as its own broadcast address, and a /32 with its peer: neither is one.
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing tells them there"))]
fn broadcasts_of(networks: &[Network]) -> Vec<Ipv4Addr> {
    let wide = networks.iter().filter(|it| it.mask.to_bits().count_ones() < 31);
    let mut all: Vec<Ipv4Addr> = wide
        .flat_map(|it| [Some(it.address | !it.mask), it.set])
        .flatten()
        .filter(|ip| networks.iter().all(|it| it.address != *ip))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The standard library does not tell them.
#[cfg(not(unix))]
pub(crate) fn broadcasts() -> Vec<Ipv4Addr> {
    Vec::new()
}

/// Datagrams that found `socket`'s receive queue full since it was made, by the kernel's count
/// modulo 2^32; `None` where it cannot be read. From the tables of `proc(5)`, so it costs a walk
/// over all sockets: for a summary or a snapshot, not for every batch.
pub(crate) fn drops(socket: &UdpSocket) -> Option<u64> {
    let inode = inode(socket)?;
    ["/proc/self/net/udp", "/proc/self/net/udp6"].into_iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| drops_in(line, &inode))
    })
}

#[cfg(target_os = "linux")]
fn inode(socket: &UdpSocket) -> Option<String> {
    use std::os::fd::AsRawFd;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    let text = link.to_str()?;
    Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_string())
}

#[cfg(not(target_os = "linux"))]
fn inode(_: &UdpSocket) -> Option<String> {
    None
}

/// The drops in a line of the table, if it is that of `inode`. The columns are sl, local address,
/// remote address, state, queues, timer, retransmits, user, timeout, inode, references, pointer,
/// drops.
fn drops_in(line: &str, inode: &str) -> Option<u64> {
    let mut columns = line.split_ascii_whitespace();
    (columns.nth(9)? == inode).then(|| columns.nth(2)).flatten()?.parse().ok()
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
            ("10.0.0.1 255.255.255.255 10.0.0.2", ""),
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
            let found = broadcasts_of(&networks.collect::<Vec<_>>());
            let found: Vec<String> = found.iter().map(Ipv4Addr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{words:?}");
        }
    }

    #[test]
    fn a_line_of_the_table() {
        let line = " 2157: 00000000:1B58 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 48812 2 0000000000000000 37";
        assert_eq!(drops_in(line, "48812"), Some(37));
        assert_eq!(drops_in(line, "4881"), None);
        for bad in ["", "  sl  local_address rem_address", "1 2 3 4 5 6 7 8 9 48812 2 0"] {
            assert_eq!(drops_in(bad, "48812"), None);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_queue_that_is_full_drops_and_the_kernel_counts() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(drops(&socket), Some(0));
        socket2::SockRef::from(&socket).set_recv_buffer_size(4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sent = 0;
        while drops(&socket) == Some(0) && sent < 1000 {
            sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
            sent += 1;
        }
        assert_eq!(drops(&socket), Some(1), "after {sent}");
    }
}
