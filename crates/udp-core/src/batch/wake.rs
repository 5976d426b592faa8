//! Ending a blocked receive from another thread.

use std::fmt;
use std::net::{Shutdown, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

/// Ends blocked receives of one [`Receiver`](super::Receiver), now and from now on.
///
/// It cannot be undone: it is for the end of a program. What is queued in the socket can still be
/// received with [`Wait::Now`](super::Wait::Now), and sending goes on.
#[derive(Clone)]
pub struct Waker {
    socket: Arc<UdpSocket>,
    woken: Arc<AtomicBool>,
}

impl Waker {
    pub(super) fn new(socket: Arc<UdpSocket>) -> Waker {
        Waker { socket, woken: Arc::default() }
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Ends the blocked receive, if there is one, and lets no later one block. On Linux this is
    /// immediate; elsewhere a receive looks up at least every 50 ms.
    pub fn wake(&self) {
        self.mark();
        // On Linux this ends a blocked receive of an unconnected socket too, although it is then
        // answered with ENOTCONN: `inet_shutdown` marks the socket and wakes all who wait on it.
        let _not_connected = SockRef::from(&*self.socket).shutdown(Shutdown::Read);
    }

    /// The part of it that any system does: whoever looks up sees it.
    pub(super) fn mark(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Whether [`wake`](Self::wake) was called.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("woken", &self.is_woken()).finish_non_exhaustive()
    }
}
