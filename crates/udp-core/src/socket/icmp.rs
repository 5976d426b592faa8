//! ICMP errors about datagrams that were sent, with their kind and sender, from the error queue.
//!
//! IP_RECVERR and IPV6_RECVERR of `ip(7)` and `ipv6(7)`; `recvmsg(2)` with MSG_ERRQUEUE; RFC 792,
//! RFC 1812 §5.2.7, RFC 4443 §3. An error is a hint, not proof: anybody can forge one (RFC 8085
//! §5.2). Each entry also makes one later call on the socket fail, whatever that call is about: a
//! datagram that was only the messenger is to be sent again. Elsewhere than on Linux there are none.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Why a datagram did not arrive, as far as the network said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IcmpKind {
    /// Nothing listens on that port.
    PortUnreachable,
    /// A router does not reach the host.
    HostUnreachable,
    /// A router does not reach its network.
    NetUnreachable,
    /// The address is not answered for on its link (IPv6).
    AddressUnreachable,
    /// A router has no route (IPv6).
    NoRoute,
    /// A packet filter forbids it.
    Prohibited,
    /// It is longer than a link takes; how long a packet may be, if that was said.
    TooBig(Option<u32>),
    /// It passed as many routers as its TTL allows, or its fragments did not come together.
    TimeExceeded,
    /// Any other: ICMP type and code.
    Other(u8, u8),
}

impl fmt::Display for IcmpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IcmpKind::PortUnreachable => "port unreachable",
            IcmpKind::HostUnreachable => "host unreachable",
            IcmpKind::NetUnreachable => "network unreachable",
            IcmpKind::AddressUnreachable => "address unreachable",
            IcmpKind::NoRoute => "no route",
            IcmpKind::Prohibited => "admin-prohibited",
            IcmpKind::TimeExceeded => "time exceeded",
            IcmpKind::TooBig(None) => "too big for the path",
            IcmpKind::TooBig(Some(mtu)) => return write!(f, "too big for the path ({mtu})"),
            // Of IPv4, RFC 792; source route failed is RFC 1812's name.
            IcmpKind::Other(3, 2) => "protocol unreachable",
            IcmpKind::Other(3, 5) => "source route failed",
            // Of IPv6, RFC 4443.
            IcmpKind::Other(1, 2) => "beyond the scope of the source address",
            // Of both.
            IcmpKind::Other(4 | 12, _) => "parameter problem",
            IcmpKind::Other(kind, code) => return write!(f, "ICMP type {kind} code {code}"),
        })
    }
}

/// An ICMP error about a datagram that this socket sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IcmpError {
    /// What it says.
    pub kind: IcmpKind,
    /// Who says so: the host that was asked, or a router.
    pub from: Option<IpAddr>,
    /// Where the datagram was sent to.
    pub destination: Option<SocketAddr>,
    /// The beginning of its payload, as much of it as came back.
    pub quoted: Vec<u8>,
}

impl IcmpError {
    /// An error of which only the kind is known.
    pub fn new(kind: IcmpKind) -> IcmpError {
        IcmpError { kind, from: None, destination: None, quoted: Vec::new() }
    }

    /// Whether the host that was asked, or somebody in its name, said that nothing listens there.
    pub fn is_refusal(&self) -> bool {
        self.kind == IcmpKind::PortUnreachable
    }
}

impl fmt::Display for IcmpError {
    /// `host unreachable by 192.0.2.1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => write!(f, "{} by {from}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::{drain, enable};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::IoSliceMut;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
    use std::os::fd::{AsFd, AsRawFd};

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };
    use socket2::SockRef;

    use super::{IcmpError, IcmpKind};
    use crate::endpoint::{canonical, canonical_ip};

    /// Entries taken at once, so that a storm of errors does not hold up everything else.
    const MOST: usize = 256;
    /// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6`.
    const ICMP: u8 = 2;
    const ICMP6: u8 = 3;

    /// Asks the kernel to keep the errors about what `socket` sends. False if it does not.
    pub fn enable(socket: &impl AsFd) -> bool {
        let v6 = SockRef::from(socket).local_addr().is_ok_and(|it| it.is_ipv6());
        match v6 {
            true => setsockopt(socket, sockopt::Ipv6RecvErr, &true).is_ok(),
            false => setsockopt(socket, sockopt::Ipv4RecvErr, &true).is_ok(),
        }
    }

    /// Takes the errors that have come, without waiting. True if there was one.
    pub fn drain(socket: &impl AsFd, mut take: impl FnMut(IcmpError)) -> bool {
        let mut any = false;
        let mut bytes = [0; 2048];
        let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, [u64; 8]);
        for _ in 0..MOST {
            let mut pieces = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let received = recvmsg::<SockaddrStorage>(
                socket.as_fd().as_raw_fd(),
                &mut pieces,
                Some(&mut control),
                flags,
            );
            let Ok(message) = received else { break };
            let destination = message.address.as_ref().and_then(address);
            let found = message.cmsgs().ok().and_then(|mut found| {
                found.find_map(|it| match it {
                    ControlMessageOwned::Ipv4RecvErr(error, from) => {
                        let from =
                            from.map(|it| Ipv4Addr::from_bits(u32::from_be(it.sin_addr.s_addr)));
                        Some((error, from.map(IpAddr::V4)))
                    }
                    ControlMessageOwned::Ipv6RecvErr(error, from) => {
                        let from = from.map(|it| Ipv6Addr::from(it.sin6_addr.s6_addr));
                        Some((error, from.map(|ip| canonical_ip(ip.into()))))
                    }
                    _ => None,
                })
            });
            let quoted = message.bytes.min(2048);
            let Some((error, from)) = found else { continue };
            // What this host says by itself, the call that failed has said.
            let Some(kind) = kind(error.ee_origin, error.ee_type, error.ee_code, error.ee_info)
            else {
                continue;
            };
            any = true;
            let from = from.filter(|ip| !ip.is_unspecified());
            take(IcmpError { kind, from, destination, quoted: bytes[..quoted].to_vec() });
        }
        any
    }

    /// What an error of this origin, type and code says (RFC 792, RFC 1812, RFC 4443).
    pub(super) fn kind(origin: u8, kind: u8, code: u8, info: u32) -> Option<IcmpKind> {
        let too_big = || IcmpKind::TooBig(Some(info).filter(|mtu| *mtu > 0));
        Some(match (origin, kind, code) {
            (ICMP, 3, 0 | 6 | 8 | 11) => IcmpKind::NetUnreachable,
            (ICMP, 3, 1 | 7 | 12) => IcmpKind::HostUnreachable,
            (ICMP, 3, 3) | (ICMP6, 1, 4) => IcmpKind::PortUnreachable,
            (ICMP, 3, 4) | (ICMP6, 2, _) => too_big(),
            (ICMP, 3, 9 | 10 | 13) | (ICMP6, 1, 1 | 5) => IcmpKind::Prohibited,
            (ICMP6, 1, 0 | 6) => IcmpKind::NoRoute,
            (ICMP6, 1, 3) => IcmpKind::AddressUnreachable,
            (ICMP, 11, _) | (ICMP6, 3, _) => IcmpKind::TimeExceeded,
            (ICMP | ICMP6, kind, code) => IcmpKind::Other(kind, code),
            _ => return None,
        })
    }

    fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
        if let Some(v4) = storage.as_sockaddr_in() {
            return Some(SocketAddr::from((v4.ip(), v4.port())));
        }
        let v6 = storage.as_sockaddr_in6()?;
        Some(canonical(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into()))
    }
}

/// There is no such queue here.
#[cfg(not(target_os = "linux"))]
pub fn enable<S>(_: &S) -> bool {
    false
}

/// There is no such queue here.
#[cfg(not(target_os = "linux"))]
pub fn drain<S>(_: &S, _: impl FnMut(IcmpError)) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::clock;

    #[test]
    fn what_each_type_and_code_says() {
        for (origin, kind, code, info, text) in [
            (2, 3, 0, 0, Some("network unreachable")),
            (2, 3, 1, 0, Some("host unreachable")),
            (2, 3, 3, 0, Some("port unreachable")),
            (2, 3, 4, 1280, Some("too big for the path (1280)")),
            (2, 3, 4, 0, Some("too big for the path")),
            (2, 3, 13, 0, Some("admin-prohibited")),
            (2, 11, 0, 0, Some("time exceeded")),
            (2, 3, 2, 0, Some("protocol unreachable")),
            (2, 3, 5, 0, Some("source route failed")),
            (2, 3, 15, 0, Some("ICMP type 3 code 15")),
            (2, 12, 1, 0, Some("parameter problem")),
            (3, 1, 2, 0, Some("beyond the scope of the source address")),
            (3, 4, 1, 0, Some("parameter problem")),
            (3, 1, 0, 0, Some("no route")),
            (3, 1, 1, 0, Some("admin-prohibited")),
            (3, 1, 3, 0, Some("address unreachable")),
            (3, 1, 4, 0, Some("port unreachable")),
            (3, 2, 0, 1280, Some("too big for the path (1280)")),
            (3, 3, 0, 0, Some("time exceeded")),
            (1, 0, 0, 1280, None),
        ] {
            let said = linux::kind(origin, kind, code, info).map(|kind| kind.to_string());
            assert_eq!(said.as_deref(), text, "origin {origin}, type {kind}, code {code}");
        }
    }

    #[test]
    fn a_refusal_says_who_refused_what() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let closed = UdpSocket::bind(address).unwrap().local_addr().unwrap();
            let socket = UdpSocket::bind(address).unwrap();
            assert!(enable(&socket));
            socket.send_to(b"quoted", closed).unwrap();
            let mut heard = Vec::new();
            let end = clock::mono() + std::time::Duration::from_secs(10);
            while heard.is_empty() && clock::mono() < end {
                drain(&socket, |error| heard.push(error));
            }
            let expected = IcmpError {
                kind: IcmpKind::PortUnreachable,
                from: Some(closed.ip()),
                destination: Some(closed),
                quoted: b"quoted".to_vec(),
            };
            assert_eq!(heard, [expected]);
            assert!(heard[0].is_refusal());
        }
    }
}
