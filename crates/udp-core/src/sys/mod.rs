//! Thin wrappers over the Linux system calls that std and socket2 do not offer, and the only
//! unsafe code of the workspace.
//!
//! What is here does one system call and decides nothing: arguments come in as slices and
//! integers, results go out as `io::Result`. Everything that interprets bytes (addresses, control
//! messages) is safe code elsewhere. One unsafe operation a block, each with its reason. Man
//! pages: `recvmmsg(2)`, `sendmmsg(2)`, `getsockopt(2)`, `madvise(2)`, `mallopt(3)`,
//! `setpriority(2)`.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "system calls that std and socket2 do not offer")]

mod memory;
#[cfg(feature = "cli")]
mod priority;
mod receive;
#[cfg(test)]
pub(crate) mod seccomp;
mod send;
pub(crate) mod sockopt;
#[cfg(feature = "cli")]
mod stdout;

pub(crate) use memory::keep_small_pages;
#[cfg(all(feature = "web", target_env = "gnu"))]
pub(crate) use memory::map_large_blocks;
#[cfg(feature = "cli")]
pub(crate) use priority::set_nice;
pub(crate) use receive::{ReceiveCall, Taken};
pub(crate) use send::{Filling, Ready, SendCall};
#[cfg(feature = "cli")]
pub(crate) use stdout::stdout_was_closed;

/// Bytes of a socket address that `AF_INET` and `AF_INET6` need: `struct sockaddr_in6`.
pub(crate) const NAME: usize = 28;
/// Bytes kept for the control messages of one received datagram: all that
/// [`crate::batch::Options`] can ask for come to 232, both kinds of packet info included.
pub(crate) const CONTROL_IN: usize = 256;
/// Bytes kept for the control messages of one sent datagram: packet info and segment size.
pub(crate) const CONTROL_OUT: usize = 64;

/// The result of a system call that gives a count, or -1 and an error number.
fn counted(result: libc::c_int) -> std::io::Result<usize> {
    usize::try_from(result).map_err(|_| std::io::Error::last_os_error())
}
