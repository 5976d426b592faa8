//! Packets that no honest socket sends: any source, any port, wrong lengths and checksums, written
//! byte by byte (RFC 791, 768, 8200) and sent through a raw socket (raw(7)) or as whole Ethernet
//! frames (packet(7), by a few lines of Python, since no safe Rust does that).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};

use super::context::Context;
use super::netns::{CABLE, Host};
use super::process::Process;

/// The IPv4 header without options, and UDP's.
pub(crate) const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP: u8 = 17;

/// A whole IPv4 packet that carries one UDP datagram.
pub(crate) fn packet4(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp = udp(from.port(), to.port(), payload, |length| {
        let mut pseudo = [from.ip().octets(), to.ip().octets()].concat();
        pseudo.extend([0, UDP]);
        pseudo.extend(length.to_be_bytes());
        pseudo
    });
    around4(*from.ip(), *to.ip(), &udp)
}

/// An IPv4 header around `body`, as UDP.
pub(crate) fn around4(from: Ipv4Addr, to: Ipv4Addr, body: &[u8]) -> Vec<u8> {
    let total = u16::try_from(IPV4_HEADER + body.len()).unwrap_or(u16::MAX);
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, UDP, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    seal4(&mut packet);
    packet.extend_from_slice(body);
    packet
}

/// Writes the right checksum into an IPv4 header.
pub(crate) fn seal4(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum(&packet[..IPV4_HEADER]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// A whole IPv6 packet that carries one UDP datagram.
pub(crate) fn packet6(from: SocketAddrV6, to: SocketAddrV6, payload: &[u8]) -> Vec<u8> {
    let udp = udp(from.port(), to.port(), payload, |length| {
        let mut pseudo = [from.ip().octets(), to.ip().octets()].concat();
        pseudo.extend(u32::from(length).to_be_bytes());
        pseudo.extend([0, 0, 0, UDP]);
        pseudo
    });
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(udp.len()).unwrap_or(u16::MAX).to_be_bytes());
    packet.extend([UDP, 64]);
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(udp);
    packet
}

/// Where the UDP header begins in a packet made here.
pub(crate) fn udp_at(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { IPV4_HEADER } else { IPV6_HEADER }
}

fn udp(from: u16, to: u16, payload: &[u8], pseudo: impl FnOnce(u16) -> Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut udp = [from.to_be_bytes(), to.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    udp.extend_from_slice(payload);
    let sum = checksum(&[pseudo(length), udp.clone()].concat());
    // A sum of zero would say that there is none.
    let sum = if sum == 0 { u16::MAX } else { sum };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    udp
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// A raw socket that sends whole packets of either family.
pub(crate) struct Forger {
    four: Socket,
    six: Socket,
}

impl Forger {
    /// To be called inside the namespace that the packets leave from.
    pub(crate) fn new() -> Result<Self> {
        // IPPROTO_RAW: the header is ours to write.
        let raw = Some(Protocol::from(255));
        let four = Socket::new(Domain::IPV4, Type::RAW, raw).context("cannot open a raw socket")?;
        let six = Socket::new(Domain::IPV6, Type::RAW, raw).context("cannot open a raw socket")?;
        four.set_header_included_v4(true)?;
        four.set_broadcast(true)?;
        Ok(Self { four, six })
    }

    /// Sends a packet to the destination that its header names.
    pub(crate) fn send(&self, packet: &[u8], interface: u32) -> Result<()> {
        let sent = if packet[0] >> 4 == 4 {
            let to: [u8; 4] = packet[16..20].try_into()?;
            self.four.send_to(packet, &SocketAddr::new(Ipv4Addr::from(to).into(), 0).into())
        } else {
            let to: [u8; 16] = packet[24..40].try_into()?;
            let to = SocketAddrV6::new(to.into(), 0, 0, interface);
            self.six.send_to(packet, &SocketAddr::from(to).into())
        };
        sent.with_context(|| format!("cannot send a forged packet of {} bytes", packet.len()))?;
        Ok(())
    }
}

/// An Ethernet frame around `packet`.
pub(crate) fn frame(to: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
    [&to[..], &[2, 0x77, 0, 0, 0, 2], &kind, packet].concat()
}

/// Sends whole frames out of a host's end of the cable.
pub(crate) struct Framer {
    python: Process,
    sent: usize,
}

impl Framer {
    /// Frames leave from `host`.
    pub(crate) fn new(context: &Context, host: &Host) -> Result<Self> {
        let script = context.root.join("xtask/hostile/frames.py");
        let launch = host.launch(context, "python3").args(["-u".into(), script.into_os_string()]);
        Ok(Self { python: launch.arg(CABLE).stdin_open().spawn()?, sent: 0 })
    }

    /// Sends a frame; it is on the cable when this returns.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<()> {
        let hex: String = frame.iter().map(|b| format!("{b:02x}")).collect();
        self.python.write(format!("{hex}\n").as_bytes())?;
        self.sent += 1;
        let sent = self.sent;
        let confirmed = self.python.out.wait_until(|out| (out.len() == sent * 5).then_some(()));
        confirmed.with_context(|| format!("no frame was sent: {}", self.python.err.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_sums_up_to_all_ones() {
        let (from, to) = ("10.77.0.2:4000".parse().unwrap(), "10.77.0.1:7000".parse().unwrap());
        let packet = packet4(from, to, b"odd");
        assert_eq!(packet.len(), 20 + 8 + 3);
        assert_eq!(checksum(&packet[..20]), 0);
        let mut pseudo = packet[12..20].to_vec();
        pseudo.extend([0, 17, 0, 11]);
        pseudo.extend(&packet[20..]);
        assert_eq!(checksum(&pseudo), 0);
        let packet =
            packet6("[fd77::2]:4000".parse().unwrap(), "[fd77::1]:7000".parse().unwrap(), b"odd");
        let mut pseudo = packet[8..40].to_vec();
        pseudo.extend([0, 0, 0, 11, 0, 0, 0, 17]);
        pseudo.extend(&packet[40..]);
        assert_eq!((packet.len(), checksum(&pseudo)), (40 + 8 + 3, 0));
    }
}
