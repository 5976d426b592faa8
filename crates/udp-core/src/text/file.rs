//! The text of a file that people wrote, in whatever their editor or shell makes of it.

/// The text of `content`, without its byte order mark: UTF-8, or UTF-16 where the mark says so (the
/// `>` of PowerShell). What is no character becomes U+FFFD.
///
/// ```
/// assert_eq!(udp_core::text::file::decode(b"\xff\xfea\0\n\0"), "a\n");
/// ```
#[must_use]
pub fn decode(content: &[u8]) -> String {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let whole = |it: &[u8]| it.try_into().map_or(0xfffd, unit);
        String::from_utf16_lossy(&rest.chunks(2).map(whole).collect::<Vec<u16>>())
    };
    match content {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(content).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_says_how_it_is_written_and_is_no_part_of_it() {
        let text = "h\u{e9}\u{1f600}\r\n";
        let units =
            |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        for content in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", &units(u16::to_le_bytes)[..]].concat(),
            [b"\xfe\xff", &units(u16::to_be_bytes)[..]].concat(),
        ] {
            assert_eq!(decode(&content), text, "{content:?}");
        }
        for (content, text) in [
            (&b""[..], ""),
            (b"\xff", "\u{fffd}"),
            (b"\xff\xfe", ""),
            (b"\xff\xfea", "\u{fffd}"),
            (b"\xfe\xff\0a\0", "a\u{fffd}"),
            (b"\xff\xfe\0\xd8", "\u{fffd}"),
        ] {
            assert_eq!(decode(content), text, "{content:?}");
        }
    }
}
