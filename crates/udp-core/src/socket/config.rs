//! The options to open a socket with, as `socket(7)`, `ip(7)` and `ipv6(7)` name them.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Dscp, Ecn};
use crate::endpoint::Family;

/// How a receive waits for a datagram: the tutorial's three ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiveMode {
    /// As long as it takes. A datagram that was lost on the way is waited for for ever.
    #[default]
    Blocking,
    /// At most this long; then the error is of class [`NotReady`](crate::ErrorClass::NotReady).
    /// Must not be zero. The kernel counts in ticks, so it may last some milliseconds longer.
    Timeout(Duration),
    /// Not at all: where nothing is there, the error is of class
    /// [`NotReady`](crate::ErrorClass::NotReady) at once. Sends do not wait either.
    NonBlocking,
}

/// What a UDP socket shall be like. The default is a blocking one on no particular address.
///
/// Options follow the man pages' grouping: `socket(7)`, then `ip(7)` and `ipv6(7)`.
#[derive(Debug, Clone, Default)]
pub struct SocketConfig {
    /// The local address; `None` leaves it to the kernel at the first send. A multicast group is
    /// joined as well ([`join`](super::join)).
    pub bind: Option<SocketAddr>,
    /// The one peer: datagrams of others are then dropped by the kernel, and an ICMP error about
    /// this peer comes back as an error of a later send or receive.
    pub connect: Option<SocketAddr>,
    /// The family, where neither `bind` nor `connect` tells it; [`Family::Any`] is IPv4.
    pub family: Family,
    /// IPV6_V6ONLY: an IPv6 socket that serves IPv6 alone. Without it, one that is bound to `[::]`
    /// serves both families.
    pub only_v6: bool,
    /// SO_REUSEADDR before the bind, cleared right after it. On Linux a UDP socket that keeps it
    /// can be robbed: any other user's socket that also sets it may bind the same port and then
    /// gets every datagram.
    pub reuse_address: bool,
    /// SO_REUSEPORT, which stays set: sockets of one user share the port, each gets some peers.
    pub reuse_port: bool,
    /// SO_RCVBUF in bytes: the room for datagrams that wait to be received.
    pub recv_buffer: Option<usize>,
    /// SO_SNDBUF in bytes.
    pub send_buffer: Option<usize>,
    /// SO_BINDTODEVICE: send and receive through this network interface alone. Linux only; an error
    /// elsewhere.
    pub device: Option<String>,
    /// SO_BROADCAST: allow sending to broadcast addresses.
    pub broadcast: bool,
    /// IP_TTL and IPV6_UNICAST_HOPS (and their multicast kin): 1 to 255 hops.
    pub ttl: Option<u8>,
    /// The differentiated-services code point of what is sent (IP_TOS, IPV6_TCLASS).
    pub dscp: Option<Dscp>,
    /// The ECN bits of what is sent (RFC 3168 §5), in the same octet.
    pub ecn: Option<Ecn>,
    /// Never cut a datagram into fragments: one that is longer than the path takes fails with
    /// EMSGSIZE (IP_MTU_DISCOVER set to IP_PMTUDISC_DO, `ip(7)`). On Linux and for IPv4 only; left
    /// out elsewhere. It spares the kernel the identification that fragments need.
    pub dont_fragment: bool,
    /// How a receive waits.
    pub mode: ReceiveMode,
}
