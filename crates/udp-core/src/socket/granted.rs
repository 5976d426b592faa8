//! Asks for buffers and reads back the sizes that the kernel granted, as it clamps requests silently
//! (`socket(7)`).

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

/// Asks for buffers of these sizes, in bytes. What the kernel clamps, or a filter refuses, is done
/// without: compare with what comes back, which is none where the system does not tell.
pub fn set_buffers<'s>(
    socket: impl Into<SockRef<'s>>,
    receive: Option<usize>,
    send: Option<usize>,
) -> Option<Granted> {
    let socket = socket.into();
    let _ = receive.map(|bytes| socket.set_recv_buffer_size(bytes));
    let _ = send.map(|bytes| socket.set_send_buffer_size(bytes));
    let scale = if cfg!(target_os = "linux") { 2 } else { 1 };
    Some(Granted {
        recv_buffer: socket.recv_buffer_size().ok()? / scale,
        send_buffer: socket.send_buffer_size().ok()? / scale,
    })
}
