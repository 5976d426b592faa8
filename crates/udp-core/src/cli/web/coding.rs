//! Compresses answers with gzip for clients that accept it (RFC 9110 section 12.5.3): metrics
//! shrink to a tenth.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::accept::preferred;

/// Bytes below which it is not worth the time.
const SMALL: usize = 1024;

/// Whether `Accept-Encoding` asks for gzip.
pub(super) fn takes_gzip(accept: &str) -> bool {
    preferred(accept, |coding, _| matches!(coding, "gzip" | "x-gzip").then_some(())).is_some()
}

/// The body in gzip; none where that is not worth it.
pub(super) fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < SMALL {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (accept, expected) in [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, identity", false),
            ("gzip;q=x", false),
            ("x-gzip", true),
            ("br, *", false),
        ] {
            assert_eq!(takes_gzip(accept), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_gives_back_what_it_was_given() {
        use std::io::Read;
        let body = b"udp_heartbeat_sent_total{target=\"a\"} 1\n".repeat(100);
        let coded = gzip(&body).unwrap();
        assert!(coded.len() * 10 < body.len());
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&*coded).read_to_end(&mut back).unwrap();
        assert_eq!(back, body);
        assert_eq!(gzip(&body[..SMALL - 1]), None);
    }
}
