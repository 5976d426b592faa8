//! Refuses datagrams that could start a loop between two servers (CVE-2024-2169) or that have no
//! address to answer to.
//!
//! Two services that answer each other never stop: one forged datagram is enough.
//! Content tells an answer from a question only by what this server itself puts in front, so the
//! ports decide first: no client asks from a privileged port, and a source port that this server
//! listens on is another one of its kind. What is left, two servers with prefixes on other ports,
//! ends at a prefix chain of [`CHAIN`] prefixes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::DropCause;

/// How many prefixes a payload may begin with before it is taken for a loop's.
pub const CHAIN: usize = 16;

/// Whether ports and prefix chains are looked at; `--no-loop-guard` lifts both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopGuard {
    /// Privileged and own source ports and prefix chains are not answered.
    #[default]
    On,
    /// They are.
    Off,
}

/// The sources that are never answered.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    guard: LoopGuard,
    own_ports: Vec<u16>,
    /// Privileged and own ports that are answered all the same.
    exempt: Vec<u16>,
    broadcasts: Vec<Ipv4Addr>,
}

impl Sources {
    /// Refuses what `guard` says, of a server that listens on `own_ports`.
    pub fn new(guard: LoopGuard, own_ports: impl IntoIterator<Item = u16>) -> Self {
        let mut own_ports: Vec<u16> = own_ports.into_iter().collect();
        own_ports.sort_unstable();
        own_ports.dedup();
        Sources { guard, own_ports, ..Sources::default() }
    }

    /// The same but for these ports, from which peers of the service are known to send: a STAMP
    /// packet is judged by what it is, since routers send from port 862 or the reflector's own.
    #[must_use]
    pub fn except(&self, ports: impl IntoIterator<Item = u16>) -> Self {
        Sources { exempt: ports.into_iter().collect(), ..self.clone() }
    }

    /// Tells which addresses are broadcast addresses of this host's networks now: the kernel
    /// delivers a datagram that claims to come from one, and refuses to send the answer.
    pub fn set_broadcasts(&mut self, broadcasts: Vec<Ipv4Addr>) {
        self.broadcasts = broadcasts;
    }

    /// Whether `ip` is a broadcast address, here or anywhere.
    pub fn is_broadcast(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.is_broadcast() || self.broadcasts.contains(&ip),
            IpAddr::V6(_) => false,
        }
    }

    /// Why a datagram from `peer` is not answered, if its source is the reason.
    pub fn cause(&self, peer: SocketAddr) -> Option<DropCause> {
        let (ip, port) = (peer.ip(), peer.port());
        if port == 0 {
            return Some(DropCause::PortZero);
        }
        if ip.is_unspecified() || ip.is_multicast() || self.is_broadcast(ip) {
            return Some(DropCause::UnanswerableSource);
        }
        if self.guard == LoopGuard::Off || self.exempt.contains(&port) {
            return None;
        }
        if port < 1024 {
            return Some(DropCause::PrivilegedPort);
        }
        self.own_ports.contains(&port).then_some(DropCause::OwnPort)
    }
}

/// Whether `payload` begins with [`CHAIN`] prefixes. Nothing does where the prefix is empty.
pub fn is_prefix_chain(payload: &[u8], prefix: &[u8]) -> bool {
    // The first prefix alone settles nearly every payload.
    !prefix.is_empty()
        && payload.starts_with(prefix)
        && payload.len() >= CHAIN * prefix.len()
        && payload.chunks_exact(prefix.len()).take(CHAIN).all(|chunk| chunk == prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflector_answers_the_ports_that_routers_send_from() {
        use DropCause::{OwnPort, PortZero, PrivilegedPort};
        let sources = Sources::new(LoopGuard::On, [7000, 862, 20862]).except([862, 20862]);
        for (port, expected) in [
            (0, Some(PortZero)),
            (7, Some(PrivilegedPort)),
            (861, Some(PrivilegedPort)),
            (862, None),
            (7000, Some(OwnPort)),
            (20862, None),
        ] {
            let peer = SocketAddr::from(([192, 0, 2, 1], port));
            assert_eq!(sources.cause(peer), expected, "{port}");
        }
    }

    #[test]
    fn which_sources_are_refused_and_why() {
        use DropCause::{OwnPort, PortZero, PrivilegedPort, UnanswerableSource};
        let mut guarded = Sources::new(LoopGuard::On, [7000, 8000, 7000]);
        guarded.set_broadcasts(vec!["10.9.0.255".parse().unwrap()]);
        let mut open = Sources::new(LoopGuard::Off, [7000]);
        open.set_broadcasts(vec!["10.9.0.255".parse().unwrap()]);
        for (peer, with_guard, without) in [
            ("10.9.0.2:0", Some(PortZero), Some(PortZero)),
            ("10.9.0.2:1", Some(PrivilegedPort), None),
            ("10.9.0.2:1023", Some(PrivilegedPort), None),
            ("10.9.0.2:1024", None, None),
            ("10.9.0.2:7000", Some(OwnPort), None),
            ("127.0.0.1:8000", Some(OwnPort), None),
            ("10.9.0.2:8001", None, None),
            ("10.9.0.255:5000", Some(UnanswerableSource), Some(UnanswerableSource)),
            ("10.9.1.255:5000", None, None),
            ("255.255.255.255:5000", Some(UnanswerableSource), Some(UnanswerableSource)),
            ("224.0.0.1:5000", Some(UnanswerableSource), Some(UnanswerableSource)),
            ("0.0.0.0:5000", Some(UnanswerableSource), Some(UnanswerableSource)),
            ("[ff02::1]:5000", Some(UnanswerableSource), Some(UnanswerableSource)),
            ("[::]:5000", Some(UnanswerableSource), Some(UnanswerableSource)),
            ("[::1]:7", Some(PrivilegedPort), None),
            ("[fe80::1]:5000", None, None),
        ] {
            let peer: SocketAddr = peer.parse().unwrap();
            assert_eq!(guarded.cause(peer), with_guard, "{peer}");
            assert_eq!(open.cause(peer), without, "{peer} without the guard");
        }
    }

    #[test]
    fn sixteen_prefixes_are_a_prefix_chain() {
        for prefix in [&b"echo "[..], b"e", b"\x00\xff"] {
            let times = |n: usize, rest: &[u8]| [&prefix.repeat(n)[..], rest].concat();
            assert!(!is_prefix_chain(&times(15, b"hello"), prefix));
            assert!(!is_prefix_chain(&times(15, &prefix[..prefix.len() - 1]), prefix));
            assert!(is_prefix_chain(&times(16, b""), prefix));
            assert!(is_prefix_chain(&times(16, b"hello"), prefix));
            assert!(is_prefix_chain(&times(13_000, b""), prefix));
            assert!(!is_prefix_chain(&[b"x", &times(16, b"")[..]].concat(), prefix));
            assert!(!is_prefix_chain(b"", prefix));
        }
        assert!(!is_prefix_chain(b"anything", b""));
        assert!(!is_prefix_chain(b"", b""));
    }
}
