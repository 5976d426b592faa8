//! The backend that works everywhere: one datagram a call, in safe code, without our own system
//! calls.
//!
//! A socket that is bound to one address is served by the standard library alone: what arrives was
//! sent to that address, and replies leave from it. Bound to a wildcard, the standard library can
//! tell neither, and a server that answered broadcasts, or from another address than was asked,
//! would break its promises. There, and where stamps or header fields are asked for, `messages`
//! takes the calls with control messages where it knows the system; elsewhere the destination is
//! `Destination::Unknown` and replies leave from where routing says. The same calls look for what
//! is queued behind the first datagram of a batch, which the standard library can only wait for.
//! Never is a run merged or segmented, and lost datagrams are not counted.

#[cfg(target_os = "linux")]
mod messages;
mod receive;
mod send;

pub(super) use receive::PortableReceiver;
pub(super) use send::PortableSender;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::{Abilities, Options, Waker};
use crate::socket::is_unicast;

/// Both halves for `socket`, bound to `bound`.
pub(super) fn open(
    socket: &Arc<UdpSocket>,
    waker: &Waker,
    bound: SocketAddr,
    options: &Options,
) -> (PortableReceiver, PortableSender) {
    // One address that is ours alone tells what arrives there; a wildcard or group does not.
    let pinned = is_unicast(bound);
    #[cfg(target_os = "linux")]
    let reported =
        if (!pinned && options.destination) || options.timestamps || options.ttl || options.ecn {
            messages::ask(socket, bound, options)
        } else {
            Reported::default()
        };
    #[cfg(not(target_os = "linux"))]
    let reported = Reported::default();
    let abilities = Abilities {
        destination: pinned || reported.destination,
        timestamps: reported.timestamps,
        ..Abilities::default()
    };
    let (socket, waker) = (Arc::clone(socket), waker.clone());
    let address = pinned.then_some(bound);
    let receiver =
        PortableReceiver::new(Arc::clone(&socket), waker, address, abilities, reported, options);
    let sender = PortableSender::new(socket, bound, reported.destination && !pinned);
    (receiver, sender)
}

/// What the control messages of this socket tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Reported {
    destination: bool,
    timestamps: bool,
    header: bool,
}

#[cfg(target_os = "linux")]
impl Reported {
    /// Whether control messages are worth reading.
    fn any(self) -> bool {
        self.destination || self.timestamps || self.header
    }
}

/// Repeats a call that a signal ended.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
