//! Compresses answers with gzip for clients that accept it (RFC 9110 section 12.5.3): metrics
//! shrink to a tenth.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes below which it is not worth the time.
const SMALL: usize = 1024;

/// Whether `Accept-Encoding` asks for gzip.
pub(super) fn takes_gzip(accept: &str) -> bool {
    let weight = |range: &str| {
        let (coding, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
        let gzip = ["gzip", "x-gzip"].iter().any(|name| coding.trim().eq_ignore_ascii_case(name));
        let quality = parameter.trim().strip_prefix("q=").and_then(|it| it.parse::<f32>().ok());
        gzip.then(|| quality.unwrap_or(0.0))
    };
    accept.split(',').find_map(weight).is_some_and(|quality| quality > 0.0)
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
