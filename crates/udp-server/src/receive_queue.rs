//! The kernel's count of datagrams that found a receive queue full.

use std::net::UdpSocket;

/// A socket's receive queue: how many datagrams found it full since this was made.
#[derive(Debug)]
pub(crate) struct Queue {
    socket: UdpSocket,
    before: Option<u32>,
}

impl Queue {
    /// That of the socket which this descriptor is one of.
    pub(crate) fn new(socket: UdpSocket) -> Queue {
        Queue { before: udp_core::socket::dropped(&socket), socket }
    }

    /// By the kernel's count, modulo 2^32; none where it does not tell.
    pub(crate) fn dropped(&self) -> Option<u64> {
        let now = udp_core::socket::dropped(&self.socket)?;
        Some(now.wrapping_sub(self.before?).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_queue_that_is_full_drops_and_the_kernel_counts() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let queue = Queue::new(socket.try_clone().unwrap());
        assert_eq!(queue.dropped(), Some(0));
        socket2::SockRef::from(&socket).set_recv_buffer_size(4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sent = 0;
        while queue.dropped() == Some(0) && sent < 1000 {
            sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
            sent += 1;
        }
        assert_eq!(queue.dropped(), Some(1), "after {sent}");
        assert_eq!(Queue::new(socket).dropped(), Some(0));
    }
}
