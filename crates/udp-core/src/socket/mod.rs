//! Opening UDP sockets, and the three ways to wait for a datagram.
//!
//! A [`SocketConfig`] is a plain struct that says what is wanted; [`SocketConfig::open`] makes the
//! system calls in the one order that works and tells what the kernel [`Granted`]. What comes back
//! is an ordinary [`std::net::UdpSocket`]. Sending and receiving in batches is the business of
//! [`crate::batch`].

mod adopted;
mod broadcasts;
mod config;
mod dscp;
mod granted;
pub mod icmp;
mod open;
pub mod stamped;

pub use adopted::Adopted;
pub use broadcasts::broadcasts;
pub(crate) use broadcasts::is_unicast;
pub use config::{ReceiveMode, SocketConfig};
pub use dscp::{Dscp, Ecn, ParseDscpError};
pub use granted::{Granted, set_buffers};
pub use open::{Opened, join, set_mode};

/// Datagrams that found `socket`'s receive queue full since it was made, by the kernel's count modulo
/// 2^32 (SO_MEMINFO, Linux 4.12); none where it does not tell.
pub fn dropped(socket: &std::net::UdpSocket) -> Option<u32> {
    #[cfg(target_os = "linux")]
    return crate::sys::sockopt::dropped(std::os::fd::AsFd::as_fd(socket));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        None
    }
}
