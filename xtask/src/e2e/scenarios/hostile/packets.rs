//! Packets with something wrong about them, as frames on the cable: what the kernel keeps away is
//! here too, so that the server is seen to live with whatever a kernel lets through.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::case::{
    ALL_MACS, Case, FROM, Fate, GROUP_MAC, Reaches, SERVER_MAC, alone, case, four, six,
};
use super::fragments::{ethernet, fragments};
use super::packets6::ipv6;
use crate::e2e::netns::{ASKER, ASKER6, BROADCAST, PORT, SERVER, SERVER6};
use crate::e2e::raw::{IPV4_HEADER, around4, frame, packet4, seal4};

/// An honest packet with `spoil` done to it.
fn spoilt(spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut packet = four(ASKER, FROM, SERVER);
    spoil(&mut packet);
    alone(&packet)
}

/// The same, with the IPv4 header's checksum made right again.
fn resealed(spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<Vec<u8>> {
    spoilt(|packet| {
        spoil(packet);
        seal4(packet);
    })
}

/// Every case, IPv4 and IPv6.
pub(super) fn cases() -> Vec<Case> {
    [ports(), sources(), destinations(), lengths(), headers(), fragments(), ethernet(), ipv6()]
        .into_iter()
        .flatten()
        .collect()
}

fn ports() -> Vec<Case> {
    let refused =
        [1, 7, 9, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 464, 500, 520, 1023, PORT];
    let mut cases = vec![
        case("from port 0", alone(&four(ASKER, 0, SERVER)), Reaches::Always).fate(Fate::Source),
        case("v6 from port 0", alone(&six(ASKER6, 0, SERVER6)), Reaches::Always).fate(Fate::Source),
    ];
    let of = |port, fate| {
        let frames = alone(&four(ASKER, port, SERVER));
        let frames6 = alone(&six(ASKER6, port, SERVER6));
        [
            case(format!("from port {port}"), frames, Reaches::Always).fate(fate),
            case(format!("v6 from port {port}"), frames6, Reaches::Always).fate(fate),
        ]
    };
    cases.extend(refused.into_iter().flat_map(|port| of(port, Fate::Loop)));
    let answered = [1024, 1900, 5353, 6999, 7001, 11_211, 65_535];
    cases.extend(answered.into_iter().flat_map(|port| of(port, Fate::Echoed)));
    cases
}

fn sources() -> Vec<Case> {
    use Reaches::{Always, Never, Perhaps};
    let of = |text: &str, reaches| {
        let from: Ipv4Addr = text.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        case(format!("from {text}"), alone(&four(from, FROM, SERVER)), reaches)
    };
    vec![
        of("10.77.0.255", Always).fate(Fate::Source),
        of("255.255.255.255", Never).fate(Fate::Source),
        of("0.0.0.0", Never).fate(Fate::Source),
        of("0.1.2.3", Perhaps),
        of("127.0.0.1", Never).fate(Fate::Loop),
        of("127.255.255.255", Never).fate(Fate::Source),
        of("10.77.0.1", Never),
        of("10.77.0.3", Never),
        of("10.77.0.77", Always),
        of("224.0.0.1", Never).fate(Fate::Source),
        of("239.255.255.250", Never).fate(Fate::Source),
        of("240.0.0.1", Always),
        of("8.8.8.8", Always),
        of("169.254.1.1", Always),
        of("192.0.2.1", Always),
        of("198.51.100.7", Always),
        of("100.64.0.1", Always),
    ]
}

fn destinations() -> Vec<Case> {
    use Reaches::{Always, Never, Perhaps};
    let of = |name: &str, mac, to: [u8; 4], reaches| {
        case(name, vec![frame(mac, &four(ASKER, FROM, to))], reaches).fate(Fate::Destination)
    };
    vec![
        of("to the cable's broadcast", ALL_MACS, BROADCAST.octets(), Always),
        of("to the cable's broadcast, alone", SERVER_MAC, BROADCAST.octets(), Always),
        of("to every host", ALL_MACS, [255; 4], Always),
        of("to every host, alone", SERVER_MAC, [255; 4], Always),
        // A dual-stack socket of Linux is in no IPv4 group, not even in this one.
        of("to all systems", GROUP_MAC, [224, 0, 0, 1], Perhaps),
        of("to all systems, alone", SERVER_MAC, [224, 0, 0, 1], Perhaps),
        of("to a group that nobody joined", [1, 0, 0x5e, 1, 1, 1], [239, 1, 1, 1], Never),
        of("to the network's number", SERVER_MAC, [10, 77, 0, 0], Perhaps),
        of("to loopback", SERVER_MAC, [127, 0, 0, 1], Never),
        of("to nowhere", SERVER_MAC, [0; 4], Perhaps),
        of("to somebody else", SERVER_MAC, [10, 77, 0, 200], Never),
        of("to class E", SERVER_MAC, [240, 0, 0, 1], Never),
    ]
}

fn lengths() -> Vec<Case> {
    use Reaches::{Always, Never, Perhaps};
    let length = |n: u16| spoilt(|p| p[IPV4_HEADER + 4..][..2].copy_from_slice(&n.to_be_bytes()));
    let short = |claimed: &[u8], right: bool| {
        // A datagram that is shorter than the packet around it, its own sum right or wrong.
        let (from, to) = (SocketAddrV4::new(ASKER, FROM), SocketAddrV4::new(SERVER, PORT));
        let mut packet = packet4(from, to, claimed);
        packet.extend(b"beyond the datagram");
        let total = u16::try_from(packet.len()).unwrap_or_default();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        seal4(&mut packet);
        packet[IPV4_HEADER + 7] ^= u8::from(!right);
        alone(&packet)
    };
    let mut cases: Vec<Case> = [0, 1, 4, 7, 24, 40, 1000, 65_535]
        .into_iter()
        .map(|n| case(format!("UDP length {n}"), length(n), Never))
        .collect();
    cases.extend([
        case("UDP length short, sum right", short(b"inside", true), Perhaps),
        case("UDP length short, sum wrong", short(b"inside", false), Never),
        case("checksum wrong", spoilt(|p| p[IPV4_HEADER + 7] ^= 1), Never),
        case("checksum none", spoilt(|p| p[IPV4_HEADER + 6..][..2].fill(0)), Always),
        case("payload changed", spoilt(|p| p[IPV4_HEADER + 8] ^= 1), Never),
        case("header cut", spoilt(|p| p.truncate(IPV4_HEADER + 4)), Never),
        case("header cut, length right", resealed(cut_udp_header), Never),
        case("no payload at all", alone(&around4(ASKER, SERVER, b"")), Never),
        case("frame longer than the packet", spoilt(|p| p.extend([0; 20])), Always),
        case("packet longer than the frame", resealed(|p| p[2] = 4), Never),
    ]);
    cases
}

fn cut_udp_header(packet: &mut Vec<u8>) {
    packet.truncate(IPV4_HEADER + 4);
    packet[3] = 24;
}

fn headers() -> Vec<Case> {
    use Reaches::{Always, Never, Perhaps};
    let mut cases = vec![
        case("IP checksum wrong", spoilt(|p| p[10] ^= 1), Never),
        case("IP version 5", resealed(|p| p[0] = 0x55), Never),
        case("IP header of 16 bytes", resealed(|p| p[0] = 0x44), Never),
        case("IP header of 60 bytes, not there", resealed(|p| p[0] = 0x4f), Never),
        case("time to live 0", resealed(|p| p[8] = 0), Perhaps),
        case("time to live 1", resealed(|p| p[8] = 1), Always),
        case("time to live 255", resealed(|p| p[8] = 255), Always),
        case("congestion met", resealed(|p| p[1] = 3), Always),
        case("every type of service bit", resealed(|p| p[1] = 0xff), Always),
        case("not to be fragmented", resealed(|p| p[6] = 0x40), Always),
        case("reserved bit", resealed(|p| p[6] = 0x80), Perhaps),
    ];
    for protocol in [0, 1, 2, 6, 41, 47, 50, 132, 136, 255] {
        let name = format!("IP protocol {protocol}");
        cases.push(case(name, resealed(|p| p[9] = protocol), Never));
    }
    // A port unreachable that quotes the server's own reply to somebody.
    let quoted =
        packet4(SocketAddrV4::new(SERVER, PORT), SocketAddrV4::new(ASKER, 40_000), b"echo x");
    for (kind, code) in [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 0), (11, 0), (12, 0)]
    {
        let mut icmp = vec![kind, code, 0, 0, 0, 0, 0, 0];
        icmp.extend_from_slice(&quoted[..IPV4_HEADER + 8]);
        let mut packet = around4(ASKER, SERVER, &icmp);
        packet[9] = 1;
        seal4(&mut packet);
        let frames = alone(&packet);
        cases.push(case(format!("forged ICMP {kind}/{code}"), frames, Never));
    }
    cases
}
