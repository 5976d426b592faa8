//! IPv6 packets with something wrong about them (RFC 8200): sources, groups, lengths, extension
//! headers.

use std::net::{IpAddr, Ipv6Addr};

use super::case::{Case, FROM, Fate, Reaches, SERVER_MAC, alone, case, six};
use crate::e2e::netns::{ASKER6, SERVER6};
use crate::e2e::raw::{frame, udp_at};

const GROUP6_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Every case of IPv6.
pub(super) fn ipv6() -> Vec<Case> {
    use Reaches::{Always, Never, Perhaps};
    let from = |text: &str, reaches| {
        let from: IpAddr = text.parse().unwrap_or(Ipv6Addr::UNSPECIFIED.into());
        let IpAddr::V6(from) = from else { return case(text, Vec::new(), reaches) };
        case(format!("from {text}"), alone(&six(from, FROM, SERVER6)), reaches)
    };
    let to = |name: &str, mac, to: [u16; 8], reaches| {
        let frames = vec![frame(mac, &six(ASKER6, FROM, to.into()))];
        case(name, frames, reaches).fate(Fate::Destination)
    };
    let spoilt = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = six(ASKER6, FROM, SERVER6);
        spoil(&mut packet);
        alone(&packet)
    };
    let udp = |spoil: &dyn Fn(&mut [u8])| {
        spoilt(&|p| {
            let at = udp_at(p);
            spoil(&mut p[at..]);
        })
    };
    // An extension header of 8 bytes between the IPv6 header and UDP.
    let extended = |kind: u8, header: [u8; 8]| {
        spoilt(&move |p: &mut Vec<u8>| {
            p[6] = kind;
            p[5] += 8;
            p.splice(40..40, header);
        })
    };
    vec![
        from("ff02::1", Never).fate(Fate::Source),
        from("::", Perhaps).fate(Fate::Source),
        from("::1", Never),
        from("::ffff:10.77.0.2", Perhaps).fate(Fate::Source),
        from("::ffff:127.0.0.1", Perhaps).fate(Fate::Source),
        from("2001:db8::1", Always),
        from("2606:4700::1111", Always),
        from("fe80::77:ff:fe00:2", Always),
        to("to all nodes", GROUP6_MAC, [0xff02, 0, 0, 0, 0, 0, 0, 1], Always),
        to("to all nodes, alone", SERVER_MAC, [0xff02, 0, 0, 0, 0, 0, 0, 1], Perhaps),
        to("to all nodes of the interface", GROUP6_MAC, [0xff01, 0, 0, 0, 0, 0, 0, 1], Perhaps),
        to("to an IPv6 group that nobody joined", GROUP6_MAC, [0xff05, 0, 0, 0, 0, 0, 1, 3], Never),
        case("v6 checksum none", udp(&|p| p[6..8].fill(0)), Never),
        case("v6 checksum wrong", udp(&|p| p[7] ^= 1), Never),
        case("v6 UDP length 0", udp(&|p| p[4..6].fill(0)), Perhaps),
        case("v6 UDP length 7", udp(&|p| p[5] = 7), Never),
        case("v6 payload length 0", spoilt(&|p| p[5] = 0), Never),
        case("v6 payload length too long", spoilt(&|p| p[4] = 4), Never),
        case("v6 hop limit 0", spoilt(&|p| p[7] = 0), Perhaps),
        case("v6 nothing follows", spoilt(&|p| p[6] = 59), Never),
        case("v6 flow label", spoilt(&|p| p[1..4].fill(0xff)), Always),
        case("v6 hop-by-hop padding", extended(0, [17, 0, 1, 4, 0, 0, 0, 0]), Always),
        case("v6 destination options", extended(60, [17, 0, 1, 4, 0, 0, 0, 0]), Always),
        case("v6 jumbo payload", extended(0, [17, 0, 0xc2, 4, 0, 1, 0, 0]), Never),
        case("v6 fragment that is whole", extended(44, [17, 0, 0, 0, 0, 0, 0, 9]), Always),
        case("v6 routing header 0", extended(43, [17, 0, 0, 1, 0, 0, 0, 0]), Never),
    ]
}
