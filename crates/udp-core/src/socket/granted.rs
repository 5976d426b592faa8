//! Reads back the buffer sizes that the kernel granted, as it clamps requests silently
//! (`socket(7)`).

use std::io;
use std::net::UdpSocket;

use socket2::SockRef;

/// The buffers a socket got, in bytes as a user asks for them.
///
/// Linux doubles what is asked to allow for its own bookkeeping and reports the doubled figure;
/// here the doubling is taken back, so that asked and granted compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// SO_RCVBUF, halved on Linux.
    pub recv_buffer: usize,
    /// SO_SNDBUF, halved on Linux.
    pub send_buffer: usize,
}

impl Granted {
    /// Reads what `socket` has.
    ///
    /// # Errors
    /// As `getsockopt(2)`.
    pub fn read(socket: &UdpSocket) -> io::Result<Granted> {
        let socket = SockRef::from(socket);
        let scale = if cfg!(target_os = "linux") { 2 } else { 1 };
        Ok(Granted {
            recv_buffer: socket.recv_buffer_size()? / scale,
            send_buffer: socket.send_buffer_size()? / scale,
        })
    }
}
