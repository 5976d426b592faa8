//! One datagram at a time with the kernel's time of its arrival: SO_TIMESTAMPNS of `socket(7)`.
//!
//! A program that was stopped or starved reads late; what came in time came in time all the same.
//! Where many datagrams are read, [`crate::batch`] does it faster.

use std::io;
use std::net::SocketAddr;

use crate::clock::Wall;
use crate::endpoint::canonical;

#[cfg(target_os = "linux")]
pub use linux::{enable, receive};

/// A datagram's length, its sender, and when the kernel took it in, if that is known.
pub type Stamped = (usize, SocketAddr, Option<Wall>);

fn unstamped((length, from): (usize, SocketAddr)) -> Stamped {
    (length, canonical(from), None)
}

/// The kernel is not asked here.
#[cfg(not(target_os = "linux"))]
pub fn enable<S>(_: &S) -> bool {
    false
}

/// Takes one datagram as `plain`, the socket's `recv_from`, does.
///
/// # Errors
/// As `plain`.
#[cfg(not(target_os = "linux"))]
pub fn receive<S>(
    socket: &S,
    buffer: &mut [u8],
    plain: impl FnOnce(&S, &mut [u8]) -> io::Result<(usize, SocketAddr)>,
) -> io::Result<Stamped> {
    plain(socket, buffer).map(unstamped)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::IoSliceMut;
    use std::os::fd::{AsFd, AsRawFd};

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };

    use super::{SocketAddr, Stamped, Wall, canonical, io, unstamped};
    use crate::error::is_refused;

    /// Asks the kernel to stamp what arrives. False if it does not.
    pub fn enable(socket: &impl AsFd) -> bool {
        setsockopt(socket, sockopt::ReceiveTimestampns, &true).is_ok()
    }

    /// Takes one datagram, without waiting; where `recvmsg(2)` is refused, as `plain` does, the socket's
    /// `recv_from`.
    ///
    /// # Errors
    /// As `recvmsg(2)`; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub fn receive<S: AsFd>(
        socket: &S,
        buffer: &mut [u8],
        plain: impl FnOnce(&S, &mut [u8]) -> io::Result<(usize, SocketAddr)>,
    ) -> io::Result<Stamped> {
        let error = match take(socket, buffer, MsgFlags::empty()) {
            Err(error) if is_refused(&error) => error,
            received => return received,
        };
        // An ICMP error makes one call fail, a filter each.
        match take(socket, &mut [], MsgFlags::MSG_PEEK) {
            Err(again) if again.raw_os_error() == error.raw_os_error() => {
                plain(socket, buffer).map(unstamped)
            }
            _ => Err(error),
        }
    }

    fn take(socket: &impl AsFd, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Stamped> {
        let mut pieces = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(libc::timespec);
        let fd = socket.as_fd().as_raw_fd();
        let flags = flags | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(fd, &mut pieces, Some(&mut control), flags)?;
        let address = message.address.as_ref().and_then(|it| {
            let v4 = it.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
            v4.or_else(|| it.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
        });
        // A socket that was shut down returns without a datagram.
        let address = address.ok_or(io::ErrorKind::NotConnected)?;
        let stamp = message.cmsgs().ok().and_then(|mut found| {
            found.find_map(|it| match it {
                ControlMessageOwned::ScmTimestampns(at) => {
                    let seconds = u64::try_from(at.tv_sec()).ok()?.checked_mul(1_000_000_000)?;
                    let at = seconds.checked_add(u64::try_from(at.tv_nsec()).ok()?)?;
                    Some(Wall::from_nanos(at))
                }
                _ => None,
            })
        });
        Ok((message.bytes, canonical(address), stamp))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Stamped> {
        super::receive(socket, buffer, UdpSocket::recv_from)
    }

    #[test]
    fn the_stamp_is_of_the_arrival_and_not_of_the_reading() {
        let [socket, peer] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut buffer = [0; 16];
        assert_eq!(receive(&socket, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(enable(&socket));
        // The kernel begins to stamp a moment after it was asked, from a work queue
        // (`net_enable_timestamp`); what comes before that is stamped when it is read.
        let end = clock::mono() + Duration::from_secs(10);
        let mut stamped = false;
        while !stamped && clock::mono() < end {
            let before = clock::wall();
            peer.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
            let after = clock::wall();
            clock::sleep(Duration::from_millis(2));
            let (len, from, at) = receive(&socket, &mut buffer).unwrap();
            assert_eq!((&buffer[..len], from), (&b"hello"[..], peer.local_addr().unwrap()));
            stamped = at.is_some_and(|at| before <= at && at <= after);
        }
        assert!(stamped, "the time is that of the arrival");
    }

    #[test]
    fn a_filter_that_refuses_the_call_keeps_nothing_out() {
        for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EOPNOTSUPP, libc::EINVAL] {
            let asking = std::thread::spawn(move || {
                let [socket, peer] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
                crate::sys::seccomp::refuse(libc::SYS_recvmsg, None, errno).unwrap();
                peer.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
                let received = receive(&socket, &mut [0; 16]).unwrap();
                assert_eq!(received, (5, peer.local_addr().unwrap(), None));
                socket.set_nonblocking(true).unwrap();
                receive(&socket, &mut [0; 16]).unwrap_err().kind()
            });
            assert_eq!(asking.join().unwrap(), io::ErrorKind::WouldBlock, "{errno}");
        }
    }
}
