//! Ends a blocked receive from another thread, by `shutdown(2)` or by a flag that is polled.

use std::fmt;
use std::net::{Shutdown, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;

/// How long a receive blocks before it looks whether it was woken by a mark.
pub(super) const LOOK_UP: Duration = Duration::from_millis(20);

/// Ends blocked receives of one [`Receiver`](super::Receiver), now and from now on.
///
/// It cannot be undone: it is for the end of a program. What is queued in the socket can still be
/// received with [`Wait::Now`](super::Wait::Now), and sending goes on.
#[derive(Clone)]
pub struct Waker {
    /// What to shut down, where that ends a receive and harms none.
    socket: Option<Arc<UdpSocket>>,
    woken: Arc<AtomicBool>,
}

impl Waker {
    /// For a receive that a shutdown of `socket` ends; by mark, where a filter forbids that call.
    #[cfg(target_os = "linux")]
    pub(super) fn by_shutdown(socket: Arc<UdpSocket>) -> Waker {
        Waker { socket: may_shut_down().then_some(socket), woken: Arc::default() }
    }

    /// For a receive that looks up by itself every [`LOOK_UP`]: on a socket that others use too,
    /// which a shutdown would spoil for them, and in the portable backend, as the standard library
    /// does not expect a datagram without an address, which is what a shutdown brings.
    pub(super) fn by_mark() -> Waker {
        Waker { socket: None, woken: Arc::default() }
    }

    /// Whether a receive has to look up by itself.
    pub(super) fn is_by_mark(&self) -> bool {
        self.socket.is_none()
    }

    /// Ends the blocked receive, if there is one, and lets no later one block: at once with
    /// [`Backend::Auto`](super::Backend::Auto) on Linux, else within 20 ms, as on a socket that is
    /// shared ([`Options::shared`](super::Options::shared)).
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        if let Some(socket) = &self.socket {
            // This ends a blocked receive of an unconnected socket too, although it is then
            // answered with ENOTCONN: `inet_shutdown` marks the socket and wakes all who wait.
            let _not_connected = SockRef::from(&**socket).shutdown(Shutdown::Read);
        }
    }

    /// Whether [`wake`](Self::wake) was called.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }
}

/// Whether `shutdown(2)` is allowed: a filter (`seccomp(2)`) answers before the kernel looks for the descriptor.
#[cfg(target_os = "linux")]
fn may_shut_down() -> bool {
    use nix::sys::socket::{Shutdown, shutdown};
    shutdown(-1, Shutdown::Read) == Err(nix::errno::Errno::EBADF)
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("woken", &self.is_woken()).finish_non_exhaustive()
    }
}
