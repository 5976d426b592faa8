//! What must hold for any bytes whatever, one function a decoder: the bodies of the fuzz targets
//! in `fuzz/`, run over the seeds there by an ordinary test as well. Each returns, or fails an
//! assertion; none prints, waits, resolves a name or touches a socket. No part of the public face.

pub use crate::cli::web::fuzzing as web;

pub mod services;

use std::fmt::Debug;

use crate::clock::Wall;
use crate::endpoint::Endpoint;
use crate::stamp::{
    ErrorEstimate, Key, Mode, PacketError, ReflectorPacket, Reply, SenderPacket, reply_len, tlv,
};
use crate::text::{escape, hex};

/// A fuzz target's name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them. The CIDR blocks are the server's.
pub const TARGETS: &[Target] = &[
    ("escape", escape),
    ("hex", hex),
    ("endpoint", endpoint),
    ("duration", duration),
    ("size", size),
    ("stamp_plain", stamp_plain),
    ("stamp_authenticated", stamp_authenticated),
    ("stamp_tlv", stamp_tlv),
    #[cfg(target_os = "linux")]
    ("control", control),
    ("web_request", web::request),
    ("web_config", web::configuration),
    ("web_certificate", web::certificate),
    ("service_url", services::url),
    ("service_a2s", services::a2s),
    ("service_bedrock", services::bedrock),
    ("service_coap", services::coap),
    ("service_dns", services::dns),
    ("service_ike", services::ike),
    ("service_mumble", services::mumble),
    ("service_ntp", services::ntp),
    ("service_openvpn", services::openvpn),
    ("service_quic", services::quic),
    ("service_radius", services::radius),
    ("service_sip", services::sip),
    ("service_snmp", services::snmp),
    ("service_stun", services::stun),
    ("service_turn", services::turn),
];

/// Bytes come back through the escape form, which is one harmless line; any text is decoded or
/// refused at a backslash; a limit cuts off a tail and nothing else.
pub fn escape(data: &[u8]) {
    let text = escape::escape(data);
    assert!(!text.chars().any(|c| c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c)));
    assert_eq!(escape::unescape(&text).as_deref(), Ok(data));
    let limit = data.first().map_or(0, |byte| usize::from(*byte) % 32);
    let mut shortened = Vec::new();
    let shown = escape::escape_prefix_into(data, limit, &mut shortened);
    assert!(shown <= limit && shown + 3 >= limit.min(data.len()));
    assert_eq!(shortened, escape::escape(&data[..shown]).into_bytes());
    let Ok(typed) = str::from_utf8(data) else { return };
    assert!(typed.is_char_boundary(shown));
    match escape::unescape(typed) {
        Ok(bytes) => assert_eq!(escape::unescape(&escape::escape(&bytes)), Ok(bytes)),
        Err(error) => {
            assert_eq!(data.get(error.position), Some(&b'\\'));
            one_line(&error);
        }
    }
}

/// Bytes come back through hex; any text is decoded or refused at a character.
pub fn hex(data: &[u8]) {
    assert_eq!(hex::decode(&hex::encode(data)).as_deref(), Ok(data));
    let Ok(typed) = str::from_utf8(data) else { return };
    match hex::decode(typed) {
        Ok(bytes) => assert!(bytes.len() * 2 <= typed.len()),
        Err(error) => {
            assert!(typed.is_char_boundary(error.position));
            one_line(&error);
        }
    }
}

/// An endpoint is shown in a form that is the same endpoint.
pub fn endpoint(data: &[u8]) {
    let Ok(typed) = str::from_utf8(data) else { return };
    match typed.parse::<Endpoint>() {
        Ok(endpoint) => {
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint.clone()));
            assert!(endpoint.label(7000).ends_with(&endpoint.port().unwrap_or(7000).to_string()));
        }
        Err(error) => {
            one_line(&error);
            let _ = error.hint().inspect(one_line);
        }
    }
}

/// A duration is shown in a form that is the same duration.
pub fn duration(data: &[u8]) {
    use crate::cli::parse::{ShownDuration, duration};
    let Ok(typed) = str::from_utf8(data) else { return };
    match duration(typed) {
        Ok(span) => assert_eq!(duration(&ShownDuration(span).to_string()), Ok(span)),
        Err(error) => one_line(&error),
    }
}

/// A size is its own number of bytes.
pub fn size(data: &[u8]) {
    use crate::cli::parse::size;
    let Ok(typed) = str::from_utf8(data) else { return };
    match size(typed) {
        Ok(bytes) => assert_eq!(size(&bytes.to_string()), Ok(bytes)),
        Err(error) => one_line(&error),
    }
}

/// Any datagram, at both ends of a plain session.
pub fn stamp_plain(data: &[u8]) {
    session(data, Mode::Plain);
}

/// Any datagram, at both ends of an authenticated session: as it is, which is to say refused, and
/// with the HMAC made right, as whoever has the key could send it.
pub fn stamp_authenticated(data: &[u8]) {
    let Ok(key) = Key::from_file_bytes(b"a key") else { return };
    let mode = Mode::Authenticated(&key);
    session(data, mode);
    let mut signed = data.to_vec();
    if let Some((covered, rest)) = signed.split_at_mut_checked(96)
        && let Some(digest) = rest.first_chunk_mut::<16>()
    {
        *digest = key.sign(&[covered]);
    }
    let refused =
        SenderPacket::decode(&signed, mode, Wall::default()) == Err(PacketError::NotAuthentic);
    assert!(!refused, "the key's own HMAC");
    session(&signed, mode);
}

/// Bytes behind a packet: walked in order without overlap, marked without touching a value.
pub fn stamp_tlv(data: &[u8]) {
    let mut covered = 0;
    let mut flags = vec![];
    for found in tlv::walk(data) {
        flags.push(covered);
        match found {
            Ok(found) => covered += tlv::HEADER_LEN + found.value.len(),
            Err(error) => {
                assert_eq!(error.position, covered);
                break;
            }
        }
    }
    assert!(covered <= data.len());
    let mut marked = data.to_vec();
    tlv::reflect(&mut marked, None, 1, 2);
    for at in flags {
        let allowed = tlv::UNRECOGNISED | tlv::MALFORMED;
        assert_eq!(marked.get(at).map(|flags| flags & !allowed), Some(0));
        if let Some(place) = marked.get_mut(at) {
            *place = data[at];
        }
    }
    assert_eq!(marked, data);
    if let Ok(key) = Key::from_file_bytes(b"key") {
        tlv::reflect(&mut marked, Some(&key), 1, 2);
        assert_eq!(tlv::is_authentic(data, 1, &key), tlv::is_authentic(&marked, 2, &key));
    }
}

/// Control messages and an address as the kernel might give them; what is written is read back.
#[cfg(target_os = "linux")]
pub fn control(data: &[u8]) {
    use crate::batch::control::{Control, read_name, write_name};
    let control = Control::read(data);
    assert!(control.segment != Some(0) && control.ecn.is_none_or(|ecn| ecn < 4));
    let _ = (control.local(), control.destination());
    if let Some(address) = read_name(data) {
        assert_eq!(crate::endpoint::canonical(address), address);
        for v6_socket in [address.is_ipv6(), true] {
            let mut name = [0; 28];
            let used = write_name(&mut name, address, v6_socket);
            assert_eq!(read_name(&name[..used]), Some(address));
        }
    }
}

/// One datagram as request and as answer. What is answered is answered once, at no greater length
/// than is said, and never again.
fn session(data: &[u8], mode: Mode<'_>) {
    if let Ok(answer) = ReflectorPacket::decode(data, mode) {
        assert!(answer.receive_timestamp.is_set());
        let _ = (answer.residence(), answer.error.error(), answer.sender_error.error());
        let _ = answer.timestamp.to_wall(answer.error.format());
    }
    let Ok(packet) = SenderPacket::decode(data, mode, Wall::default()) else { return };
    // Up to 2043: a time that both formats can tell.
    let received = packet.timestamp.0 >> 3;
    let reply = Reply {
        sequence: packet.sequence.wrapping_add(1),
        received: Wall::from_nanos(received),
        sent: Wall::from_nanos(received + 1_000),
        error: ErrorEstimate(packet.error.0),
        ttl: data.last().copied(),
    };
    let mut out = vec![0xaa; reply_len(data.len(), mode)];
    assert_eq!(reply.encode(&packet, data, mode, &mut out), Ok(data.len().max(41)));
    let answer = ReflectorPacket::decode(&out, mode);
    assert!(answer.is_ok_and(|answer| answer.answers(&packet)));
    assert_eq!(SenderPacket::decode(&out, mode, reply.received), Err(PacketError::Reflected));
}

/// An error is one line, whatever it quotes.
fn one_line(error: &(impl ToString + Debug)) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{error:?}");
}
