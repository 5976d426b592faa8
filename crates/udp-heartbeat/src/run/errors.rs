//! What a socket's error queue says: which datagram of ours an ICMP error is about.
//!
//! IP_RECVERR and IPV6_RECVERR, `ip(7)`, `ipv6(7)`; `recvmsg(2)` with MSG_ERRQUEUE. Each entry holds
//! the address that the datagram was sent to and as much of it as the error quoted. An entry also
//! makes one later call on the socket fail, whatever that call is about; so after any failure the
//! queue is emptied, and a datagram that was only the messenger is sent again.

use std::net::{SocketAddr, UdpSocket};

/// What went wrong with an earlier datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The host said that nothing listens there.
    pub(crate) refused: bool,
    /// The beginning of the datagram, if it is known.
    pub(crate) quoted: Option<Vec<u8>>,
    /// In words.
    pub(crate) reason: String,
}

impl Trouble {
    /// A refusal of which no more is known.
    pub(crate) fn refused() -> Self {
        Trouble { refused: true, quoted: None, reason: "connection refused".into() }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{drain, enable};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::net::SocketAddrV6;
    use std::os::fd::AsRawFd;

    use nix::libc;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };
    use udp_core::endpoint::canonical;
    use udp_core::error::describe;

    use super::{SocketAddr, Trouble, UdpSocket};

    /// Entries taken at once, so that a storm of errors does not hold up everything else.
    const MOST: usize = 256;
    /// Origins of an error: SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6.
    const FROM_OUTSIDE: [u8; 2] = [2, 3];

    /// Asks for the error queue. False if the kernel has none.
    pub(crate) fn enable(socket: &UdpSocket) -> bool {
        let v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        let result = match v6 {
            true => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
            false => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        };
        result.is_ok()
    }

    /// Empties the queue. True if an entry was about an earlier datagram.
    pub(crate) fn drain(
        socket: &UdpSocket,
        mut take: impl FnMut(Option<SocketAddr>, Trouble),
    ) -> bool {
        let mut earlier = false;
        let mut bytes = [0; 2048];
        let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, [u64; 8]);
        for _ in 0..MOST {
            let mut pieces = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let received = recvmsg::<SockaddrStorage>(
                socket.as_raw_fd(),
                &mut pieces,
                Some(&mut control),
                flags,
            );
            let Ok(message) = received else { break };
            let peer = message.address.as_ref().and_then(address);
            let found = message.cmsgs().ok().and_then(|mut found| {
                found.find_map(|it| match it {
                    ControlMessageOwned::Ipv4RecvErr(error, _)
                    | ControlMessageOwned::Ipv6RecvErr(error, _) => Some(error),
                    _ => None,
                })
            });
            let (Some(error), quoted) = (found, message.bytes) else { continue };
            if !FROM_OUTSIDE.contains(&error.ee_origin) {
                // This host's own: the call that failed has said it.
                continue;
            }
            earlier = true;
            let number = i32::try_from(error.ee_errno).unwrap_or(0);
            let trouble = Trouble {
                refused: number == libc::ECONNREFUSED,
                quoted: Some(bytes[..quoted.min(bytes.len())].to_vec()),
                reason: describe(&io::Error::from_raw_os_error(number)),
            };
            take(peer, trouble);
        }
        earlier
    }

    fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
        if let Some(v4) = storage.as_sockaddr_in() {
            return Some(SocketAddr::from((v4.ip(), v4.port())));
        }
        let v6 = storage.as_sockaddr_in6()?;
        Some(canonical(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into()))
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn enable(_: &UdpSocket) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn drain(_: &UdpSocket, _: impl FnMut(Option<SocketAddr>, Trouble)) -> bool {
    false
}
