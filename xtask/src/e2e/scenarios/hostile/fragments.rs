//! Packets in pieces that fit, overlap or miss one another (RFC 791 section 3.2, RFC 5722), and
//! frames whose outside does not fit their inside.

use std::net::SocketAddrV4;

use super::case::{ALL_MACS, Case, FROM, GROUP_MAC, Reaches, SERVER_MAC, case, four};
use crate::e2e::netns::{ASKER, PORT, SERVER};
use crate::e2e::raw::{IPV4_HEADER, around4, frame, packet4, seal4};

/// Packets in pieces.
pub(super) fn fragments() -> Vec<Case> {
    use Reaches::{Always, Never, Perhaps};
    let kinds: [(&str, &[Cut], Reaches); 9] = [
        ("in order", &[(0, 80, true), (80, 80, false)], Always),
        ("in reverse", &[(80, 80, false), (0, 80, true)], Always),
        ("of eight bytes first", &[(0, 8, true), (8, 152, false)], Always),
        ("overlapping", &[(0, 80, true), (64, 80, true), (80, 80, false)], Perhaps),
        ("twice the same", &[(0, 80, true), (0, 80, true), (80, 80, false)], Perhaps),
        ("the first alone", &[(0, 80, true)], Never),
        ("the last alone", &[(80, 80, false)], Never),
        ("with a hole", &[(0, 40, true), (80, 80, false)], Never),
        ("beyond the largest packet", &[(0, 80, true), (65_528, 80, false)], Never),
    ];
    let mut cases = Vec::new();
    for (id, (name, cuts, reaches)) in (10..).zip(kinds) {
        cases.push(case(format!("fragments {name}"), pieces(id, cuts), reaches));
    }
    cases
}

/// Frames that are not what is in them.
pub(super) fn ethernet() -> Vec<Case> {
    use Reaches::{Never, Perhaps};
    let packet = four(ASKER, FROM, SERVER);
    let tagged = [&SERVER_MAC[..], &[2, 0x77, 0, 0, 0, 2, 0x81, 0, 0, 0, 8, 0], &packet].concat();
    let garbage = [&ALL_MACS[..], &[2, 0x77, 0, 0, 0, 2, 8, 6], &[0xff; 28]].concat();
    vec![
        case("frame for somebody else", vec![frame([2, 9, 9, 9, 9, 9], &packet)], Never),
        case("frame for all, packet for us", vec![frame(ALL_MACS, &packet)], Perhaps),
        case("frame for a group, packet for us", vec![frame(GROUP_MAC, &packet)], Perhaps),
        case("priority tag", vec![tagged], Perhaps),
        case("address resolution garbage", vec![garbage], Never),
        case(
            "IPv4 in an IPv6 frame",
            vec![[&SERVER_MAC[..], &[2, 0x77, 0, 0, 0, 2, 0x86, 0xdd], &packet].concat()],
            Never,
        ),
    ]
}

/// A piece of a packet: its offset in bytes, its length, and whether there are more.
type Cut = (usize, usize, bool);

/// Pieces of an honest packet.
fn pieces(id: u8, cuts: &[Cut]) -> Vec<Vec<u8>> {
    let (from, to) = (SocketAddrV4::new(ASKER, FROM), SocketAddrV4::new(SERVER, PORT));
    let whole = packet4(from, to, &[b'f'; 152]);
    let body = &whole[IPV4_HEADER..];
    let piece = |&(offset, length, more): &Cut| {
        let start = offset.min(body.len());
        let mut packet = around4(ASKER, SERVER, &body[start..(start + length).min(body.len())]);
        packet[5] = id;
        let field = u16::try_from(offset / 8).unwrap_or_default() | if more { 0x2000 } else { 0 };
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        seal4(&mut packet);
        frame(SERVER_MAC, &packet)
    };
    cuts.iter().map(piece).collect()
}
