//! Uses a socket that another process made and keeps (`sd_listen_fds(3)`), and leaves it as it was.
//!
//! Options, the file status flags and a `shutdown(2)` belong to the open file description, which
//! the descriptors of all processes share (`socket(7)`, `open(2)`). So nothing that is set here may
//! outlive its use, and what an earlier user left behind must not be taken for a default.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use socket2::SockRef;

/// What a passed-in socket was like, put back when this is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Adopted {
    socket: UdpSocket,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    #[cfg(target_os = "linux")]
    options: Vec<(linux::Name, libc::c_int)>,
}

impl Adopted {
    /// Notes what `socket` is like and clears what changes how datagrams are received, or
    /// holds them back, so that the socket is as a new one. Give [`Options::shared`](crate::batch::Options::shared) to
    /// whoever receives from it.
    ///
    /// # Errors
    /// What the system says to a second descriptor, or to reading the file status flags.
    pub fn adopt(socket: &UdpSocket) -> io::Result<Adopted> {
        let kept = socket.try_clone()?;
        let nonblocking = SockRef::from(&kept).nonblocking()?;
        let read_timeout = kept.read_timeout()?;
        #[cfg(target_os = "linux")]
        let options = linux::take(&kept);
        Ok(Adopted {
            socket: kept,
            nonblocking,
            read_timeout,
            #[cfg(target_os = "linux")]
            options,
        })
    }
}

impl Drop for Adopted {
    /// As far as the system lets it: there is nobody left to be told.
    fn drop(&mut self) {
        let _ = self.socket.set_nonblocking(self.nonblocking);
        let _ = self.socket.set_read_timeout(self.read_timeout);
        #[cfg(target_os = "linux")]
        linux::put_back(&self.socket, &self.options);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    use crate::sys::sockopt;

    /// Level and name.
    pub(super) type Name = (libc::c_int, libc::c_int);

    /// What changes how datagrams are received, or holds them back: cleared at the start.
    const CLEARED: [Name; 10] = [
        (libc::SOL_UDP, libc::UDP_CORK),
        (libc::SOL_UDP, libc::UDP_GRO),
        (libc::IPPROTO_IP, libc::IP_PKTINFO),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        (libc::IPPROTO_IP, libc::IP_RECVTTL),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
        (libc::IPPROTO_IP, libc::IP_RECVTOS),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
        (libc::SOL_SOCKET, libc::SO_RXQ_OVFL),
    ];

    /// The buffers, which the kernel reports doubled (`socket(7)`).
    const BUFFERS: [Name; 2] =
        [(libc::SOL_SOCKET, libc::SO_RCVBUF), (libc::SOL_SOCKET, libc::SO_SNDBUF)];

    /// Clears what is to be cleared; the values before. An option of the other family, or one that
    /// this kernel does not have, is no part of them.
    pub(super) fn take(socket: &UdpSocket) -> Vec<(Name, libc::c_int)> {
        let read = |name, scale| Some((name, sockopt::get(socket.as_fd(), name).ok()? / scale));
        let cleared = CLEARED.into_iter().filter_map(|name| read(name, 1));
        let values: Vec<_> =
            cleared.chain(BUFFERS.into_iter().filter_map(|name| read(name, 2))).collect();
        for &(name, value) in &values {
            if value != 0 && !BUFFERS.contains(&name) {
                let _ = sockopt::set(socket.as_fd(), name, 0);
            }
        }
        values
    }

    pub(super) fn put_back(socket: &UdpSocket, values: &[(Name, libc::c_int)]) {
        for &(name, value) in values {
            let _ = sockopt::set(socket.as_fd(), name, value);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::batch::{Backend, Io, Options};
    use crate::sys::sockopt;

    #[test]
    fn what_was_set_is_put_back_and_what_was_left_is_cleared() {
        for bound in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(bound).unwrap();
            let gro = (libc::SOL_UDP, libc::UDP_GRO);
            let read = || {
                let (fd, buffers) = (socket.as_fd(), SockRef::from(&socket));
                let info = (libc::IPPROTO_IP, libc::IP_PKTINFO);
                (
                    sockopt::get(fd, gro).unwrap(),
                    sockopt::get(fd, info).unwrap(),
                    buffers.recv_buffer_size().unwrap(),
                    buffers.nonblocking().unwrap(),
                    socket.read_timeout().unwrap(),
                )
            };
            // As a manager has it that reads it by itself, and an earlier server was killed.
            socket.set_nonblocking(true).unwrap();
            sockopt::set(socket.as_fd(), gro, 1).unwrap();
            let before = read();
            let adopted = Adopted::adopt(&socket).unwrap();
            assert_eq!(sockopt::get(socket.as_fd(), gro).unwrap(), 0);
            SockRef::from(&socket).set_recv_buffer_size(50_000).unwrap();
            let options =
                Options { shared: true, gro: false, timestamps: true, ..Options::default() };
            let io = Io::new(socket.try_clone().unwrap(), Backend::Auto, &options).unwrap();
            assert_ne!(read(), before);
            drop((io, adopted));
            assert_eq!(read(), before);
        }
    }
}
