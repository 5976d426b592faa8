//! Single datagrams with their control messages, by the safe calls of nix and socket2.
//! `recvmsg(2)`, `sendmsg(2)`, `ip(7)`, `ipv6(7)`.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{MsgHdr, SockAddr, SockRef};

use super::super::control::{self, Control};
use super::super::{Options, Source};
use super::Reported;

/// Room for all control messages that [`ask`] can bring about, and a length of zero behind them.
const CONTROL: usize = 256;
/// The same where only the destination is reported.
const CONTROL_DESTINATION: usize = 96;

/// Asks the kernel to tell what `options` say, and the destination; what it grants.
pub(super) fn ask(socket: &UdpSocket, bound: SocketAddr, options: &Options) -> Reported {
    let v6 = bound.is_ipv6();
    let extra = SockRef::from(socket);
    // A dual-stack socket takes both: the first alone does not tell IPv4 broadcasts apart.
    let v4_told = setsockopt(socket, sockopt::Ipv4PacketInfo, &true).is_ok();
    let v6_told = v6 && setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true).is_ok();
    let mut reported =
        Reported { destination: if v6 { v6_told } else { v4_told }, ..Reported::default() };
    if options.timestamps {
        reported.timestamps = setsockopt(socket, sockopt::ReceiveTimestampns, &true).is_ok();
    }
    if options.ttl {
        reported.header |= setsockopt(socket, sockopt::Ipv4RecvTtl, &true).is_ok();
        reported.header |= v6 && setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true).is_ok();
    }
    if options.ecn {
        reported.header |= extra.set_recv_tos_v4(true).is_ok();
        reported.header |= v6 && extra.set_recv_tclass_v6(true).is_ok();
    }
    reported
}

/// Receives one datagram and what is reported about it; whether it was cut short is seen by its
/// length. Waits as the socket is set to, or not at all; without a peer there is no datagram.
pub(super) fn receive(
    socket: &UdpSocket,
    room: &mut [u8],
    reported: Reported,
    waits: bool,
) -> io::Result<(usize, Option<SocketAddr>, Control)> {
    let flags = if waits { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
    // The unused end stays zero, which ends the reading.
    if reported.header || reported.timestamps {
        receive_with(socket, room, &mut [0; CONTROL], flags)
    } else if reported.destination {
        receive_with(socket, room, &mut [0; CONTROL_DESTINATION], flags)
    } else {
        receive_with(socket, room, &mut [], flags)
    }
}

fn receive_with(
    socket: &UdpSocket,
    room: &mut [u8],
    messages: &mut [u8],
    flags: MsgFlags,
) -> io::Result<(usize, Option<SocketAddr>, Control)> {
    let mut parts = [IoSliceMut::new(room)];
    let (len, peer, cut) = {
        let one = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut *messages),
            flags,
        )?;
        let cut = one.flags.contains(MsgFlags::MSG_CTRUNC);
        let peer = one.address.as_ref().and_then(address_of);
        (one.bytes, peer, cut)
    };
    // Of control messages that were cut short nothing is concluded.
    let control = if cut { Control::default() } else { Control::read(messages) };
    Ok((len, peer, control))
}

/// Sends one datagram from `source`, with these flags.
pub(super) fn send(
    socket: &UdpSocket,
    bytes: &[u8],
    target: SocketAddr,
    source: Source,
    flags: i32,
) -> io::Result<()> {
    let mut messages = [0; 64];
    let used = control::write(&mut messages, Some(source), None);
    let target = SockAddr::from(target);
    let buffers = [IoSlice::new(bytes)];
    let message =
        MsgHdr::new().with_addr(&target).with_buffers(&buffers).with_control(&messages[..used]);
    SockRef::from(socket).sendmsg(&message, flags).map(drop)
}

fn address_of(storage: &SockaddrStorage) -> Option<SocketAddr> {
    match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::V4((*v4).into())),
        (None, Some(v6)) => Some(SocketAddr::V6((*v6).into())),
        (None, None) => None,
    }
}
