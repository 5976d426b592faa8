//! The backend for Linux: many datagrams a call, merged on receive and segmented on send.
//!
//! `recvmmsg(2)`, `sendmmsg(2)`, UDP_GRO and UDP_SEGMENT of `udp(7)`, control messages of
//! `ip(7)`, `ipv6(7)` and `socket(7)`. An option that this kernel does not have is left out.

#[cfg(feature = "fuzzing")]
pub(super) mod bench;
mod plan;
mod receive;
mod refusals;
mod send;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Once};

use super::{Abilities, Options, Waker};
use crate::error::describe;
use crate::sys::sockopt;

pub(super) use receive::LinuxReceiver;
pub(super) use send::LinuxSender;

/// Says once that datagrams go one by one.
fn say_one_by_one(said: &'static Once, call: &str, error: &io::Error) {
    said.call_once(|| {
        log::warn!("{call} is refused ({}): one datagram a system call", describe(error));
    });
}

/// Both halves for `socket`, bound to `bound`.
pub(super) fn open(
    socket: &Arc<UdpSocket>,
    waker: &Waker,
    bound: SocketAddr,
    options: &Options,
) -> (LinuxReceiver, LinuxSender) {
    let abilities = ask(socket, bound, options);
    let receiver = LinuxReceiver::new(Arc::clone(socket), waker.clone(), abilities, options);
    let sender = LinuxSender::new(Arc::clone(socket), bound, abilities.gso);
    (receiver, sender)
}

/// Asks the kernel for what `options` say; what it grants.
fn ask(socket: &UdpSocket, bound: SocketAddr, options: &Options) -> Abilities {
    let set = |wanted: bool, name: &str, option: (i32, i32)| {
        if !wanted {
            return false;
        }
        let result = sockopt::set(socket.as_fd(), option, 1);
        if let Err(e) = &result {
            log::debug!("{bound}: no {name}: {}", describe(e));
        }
        result.is_ok()
    };
    let v6 = bound.is_ipv6();
    // A dual-stack socket takes both: IPV6_RECVPKTINFO alone does not tell IPv4 broadcasts apart.
    let destination_v4 =
        set(options.destination, "IP_PKTINFO", (libc::IPPROTO_IP, libc::IP_PKTINFO));
    let destination_v6 = set(
        options.destination && v6,
        "IPV6_RECVPKTINFO",
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    );
    set(options.ttl, "IP_RECVTTL", (libc::IPPROTO_IP, libc::IP_RECVTTL));
    set(options.ttl && v6, "IPV6_RECVHOPLIMIT", (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT));
    set(options.ecn, "IP_RECVTOS", (libc::IPPROTO_IP, libc::IP_RECVTOS));
    set(options.ecn && v6, "IPV6_RECVTCLASS", (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS));
    // The count is read by SO_MEMINFO where the kernel has it, which is exact at any time; else it
    // comes with the datagrams.
    let drops = sockopt::dropped(socket.as_fd()).is_some()
        || set(true, "SO_RXQ_OVFL", (libc::SOL_SOCKET, libc::SO_RXQ_OVFL));
    Abilities {
        destination: if v6 { destination_v6 } else { destination_v4 },
        gro: set(options.gro, "UDP_GRO", (libc::SOL_UDP, libc::UDP_GRO)),
        // Older kernels would ignore the control message and send one large datagram.
        gso: sockopt::get(socket.as_fd(), (libc::SOL_UDP, libc::UDP_SEGMENT)).is_ok(),
        timestamps: set(
            options.timestamps,
            "SO_TIMESTAMPNS",
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
        ),
        drops,
    }
}
